// The gallery: which cell is in focus, which are chosen, and where each lies. Knows nothing of the server.
const gallery = document.getElementById("gallery");

export const cells = () => [...(gallery?.querySelectorAll(".cell") ?? [])];
export const byId = (id) => document.getElementById(`c${id}`);
export const idOf = (cell) => Number(cell.id.slice(1));
export const digestOf = (cell) => cell.dataset.sha256;
/** Where its picture is: the address is that of the content, so that no other is ever shown from there. */
export const pictureOf = (cell) => `/pictures/${digestOf(cell)}`;
export const groupOf = (cell) => cell.closest(".group").dataset.label;

let current = null;
let anchor = null;
const watchers = [];
export function watch(act) { watchers.push(act); }
const changed = () => watchers.forEach((act) => act());

export const inFocus = () => current;
export const chosen = () => [...(gallery?.querySelectorAll('.cell[aria-selected="true"]') ?? [])];
/** What an act is about: the chosen cells, else the one in focus. */
export const inHand = () => { const some = chosen(); return some.length ? some : current ? [current] : []; };

export function focus(cell, { scroll = true, take = true } = {}) {
  if (!cell) return;
  if (current && current !== cell) { current.tabIndex = -1; current.classList.remove("current"); }
  current = cell;
  cell.tabIndex = 0;
  cell.classList.add("current");
  if (take) cell.focus({ preventScroll: true });
  if (scroll) cell.scrollIntoView({ block: "nearest" });
  changed();
}

export function choose(cell, wanted) { cell.setAttribute("aria-selected", String(wanted)); }
export function chooseNone() { for (const cell of chosen()) choose(cell, false); anchor = null; changed(); }
export function toggle(cell) { choose(cell, cell.getAttribute("aria-selected") !== "true"); anchor = cell; changed(); }
export function chooseGroup(cell) { for (const one of cell.closest(".group").querySelectorAll(".cell")) choose(one, true); changed(); }
export function chooseTo(cell) {
  const all = cells();
  const from = all.indexOf(anchor ?? current ?? cell), to = all.indexOf(cell);
  anchor ??= current ?? cell;
  for (const one of chosen()) choose(one, false);
  for (const one of all.slice(Math.min(from, to), Math.max(from, to) + 1)) choose(one, true);
  focus(cell);
}

/** The cell that lies in a direction; rows are told by where cells are on the screen. */
export function neighbour(cell, key) {
  const all = cells(), at = all.indexOf(cell);
  if (key === "ArrowLeft") return all[at - 1];
  if (key === "ArrowRight") return all[at + 1];
  if (key === "Home") return all[0];
  if (key === "End") return all.at(-1);
  const here = cell.getBoundingClientRect(), down = key === "ArrowDown";
  let best, line;
  for (let i = at + (down ? 1 : -1); all[i]; i += down ? 1 : -1) {
    const there = all[i].getBoundingClientRect();
    if (Math.abs(there.top - here.top) < 4) continue;
    line ??= there.top;
    if (Math.abs(there.top - line) > 4) break;
    if (!best || Math.abs(there.left - here.left) < Math.abs(best.getBoundingClientRect().left - here.left)) best = all[i];
  }
  return best;
}

/** The next cell to review, after this one and round. */
export function nextDoubtful(cell) {
  const all = cells(), at = all.indexOf(cell);
  return [...all.slice(at + 1), ...all.slice(0, at)].find((one) => one.classList.contains("doubtful"));
}

/** Put a cell where its label says; a label of null is the model's proposal. */
export function place(cell, label, kind, by) {
  const group = label ?? (cell.dataset.proposal || "unusable");
  cell.dataset.label = label ?? "";
  cell.dataset.kind = kind ?? "";
  cell.dataset.by = by ?? "";
  const moved = Boolean(label) && label !== cell.dataset.proposal;
  cell.classList.toggle("labelled", Boolean(label));
  cell.classList.toggle("moved", moved);
  cell.classList.toggle("doubtful", !label && cell.dataset.doubtful === "1");
  cell.querySelector(".tag.kind")?.remove();
  cell.querySelector(".tag.conf")?.toggleAttribute("hidden", Boolean(label));
  if (kind) {
    const tag = document.createElement("span");
    tag.className = "tag kind";
    tag.textContent = kind.replaceAll("_", " ");
    cell.append(tag);
  }
  if (groupOf(cell) !== group) {
    const held = document.activeElement === cell;
    gallery.querySelector(`.group[data-label="${group}"] .cells`)?.append(cell);
    if (held) cell.focus({ preventScroll: true });
  }
  const p = cell.dataset.p.split(" ").map(Number);
  const what = label === "outside" || group === "outside" ? "other cell" : group;
  cell.setAttribute("aria-label", `Cell ${cell.dataset.n}, ${what}${kind ? `, ${kind.replaceAll("_", " ")}` : ""}${p[0] >= 0 && cell.dataset.p ? `, ${Math.round(100 * Math.max(...p))} %` : ""}${label ? ", labelled" : ""}`);
}

export function recount() {
  for (const group of gallery.querySelectorAll(".group")) group.querySelector(".groupcount").textContent = group.querySelectorAll(".cell").length;
}

for (const cell of cells()) cell.dataset.doubtful = cell.classList.contains("doubtful") ? "1" : "0";

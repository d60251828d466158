// A slide's page: keys, pointer and menu become acts; acts become requests, one after the other; answers are put in place.
import { csrf, leave, on, say } from "./page.js";
import * as gallery from "./gallery.js";
import "./pictures.js";
import { about, compare, named, show } from "./inspector.js";
import { openSigning } from "./signing.js";

const page = document.getElementById("slide");
const id = Number(page.dataset.slide);
const mayLabel = page.dataset.open === "true";
let version = Number(page.dataset.version);
const revision = Number(page.dataset.revision);
// What this page was made from: the server changes nothing on behalf of a page of another state of the database.
const { identity } = page.dataset;
const dialog = (name) => document.getElementById(`d-${name}`);
const button = (name) => document.querySelector(`:is(.dock, .slidehead, .signing) [data-do="${name}"]`);

// --- the server ---------------------------------------------------------------------------------------

let queue = Promise.resolve();
/** Requests wait for each other, so that quick keys never overtake themselves. */
function ask(act) {
  queue = queue.then(act).catch(() => say("The page does not reach the server. Nothing was changed."));
  return queue;
}

// A browser drops on the very element that was last dragged over: where news puts another in its place, the drop is lost
// without a word. So nothing is put in place before the drag is over.
let dragged = [];
let atRest = Promise.resolve();
let rest = () => {};
function dragging(cells) {
  rest(); // a drag whose end was never told: nobody waits for it any more
  dragged = cells;
  atRest = new Promise((over) => { rest = () => { dragged = []; over(); }; });
}

async function post(path, told) {
  const answer = await fetch(`/slides/${id}/${path}`, {
    method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify({ ...told, identity }),
  });
  leave(answer.status);
  return { ok: answer.ok, status: answer.status, told: await answer.json().catch(() => ({ words: "That did not work." })) };
}

function putInPlace(told) {
  version = told.version;
  page.dataset.version = version;
  for (const change of told.changes) {
    const cell = gallery.byId(change.cell);
    if (cell) gallery.place(cell, change.label, change.kind, change.by);
  }
  gallery.recount();
  document.getElementById("panel").innerHTML = told.panel;
  document.getElementById("sheet").innerHTML = told.sheet;
  for (const [name, can] of [["undo", told.can_undo], ["redo", told.can_redo]]) if (button(name)) button(name).disabled = !can;
  sayLeft(told.doubtful);
  show();
}

async function look() {
  const answer = await fetch(`/slides/${id}/changes?since=${version}&identity=${identity}`, { headers: { "X-Background": "1" } });
  leave(answer.status);
  if (answer.status === 404) conflict("This slide was removed from the database. Go back to the board.");
  if (!answer.ok) return null;
  const told = await answer.json();
  await atRest;
  if (told.identity !== identity) {
    const why = told.revision === revision ? "The database was restored" : "New pictures came";
    try { sessionStorage.news = `${why}: this is the slide as it is now.`; } catch { /* unsaid, but shown */ }
    location.reload();
    return null;
  }
  if (told.state !== page.dataset.state && ![told.state, page.dataset.state].every((s) => ["classified", "reviewed"].includes(s))) {
    location.reload(); // signed or opened again: another page
    return null;
  }
  putInPlace(told);
  return told;
}

let asked = false;
/** Several events at once are one look; what comes while one is under way is worth another. */
function lookSoon() {
  if (asked) return null;
  asked = true;
  return ask(() => { asked = false; return look(); });
}

/** While there is nothing to show yet: another page once there is. */
async function lookWhetherThere() {
  const answer = await fetch(`/slides/${id}/changes?since=0&identity=${identity}`, { headers: { "X-Background": "1" } });
  leave(answer.status);
  if (!answer.ok) return;
  const told = await answer.json();
  if (told.state !== page.dataset.state || told.identity !== identity) location.reload();
}

function conflict(words) {
  const notice = document.getElementById("conflict");
  notice.textContent = words;
  notice.hidden = false;
  notice.scrollIntoView({ block: "nearest" });
}

async function change(path, told) {
  const answer = await post(path, told);
  await atRest;
  if (answer.ok) {
    document.getElementById("conflict").hidden = true;
    putInPlace(answer.told);
    return answer.told;
  }
  if (answer.status === 409) conflict(answer.told.words); else say(answer.told.words);
  await look();
  return null;
}

// --- acts ---------------------------------------------------------------------------------------------

function relabel(cells, label, kind = null, { go = true } = {}) {
  if (!mayLabel || !cells.length) return;
  const seen = version; // what comes between the decision and its request, who decided has not seen
  const wasOne = cells.length === 1 ? cells[0] : null;
  const before = cells.map((cell) => [cell, cell.dataset.label || null, cell.dataset.kind || null, cell.dataset.by]);
  const next = wasOne && go ? gallery.neighbour(wasOne, "ArrowRight") ?? gallery.neighbour(wasOne, "ArrowLeft") : null;
  for (const cell of cells) gallery.place(cell, label, kind, "");
  gallery.recount();
  gallery.chooseNone();
  if (next) gallery.focus(next);
  ask(async () => {
    const done = await change("labels", { cells: cells.map(gallery.idOf), label, kind, revision, version: seen });
    if (!done) {
      for (const [cell, l, k, by] of before) if (gallery.byId(gallery.idOf(cell))?.dataset.by === "") gallery.place(cell, l, k, by);
      gallery.recount();
      await look();
    }
  });
}

function turn(path) {
  if (!mayLabel) return;
  ask(async () => {
    const told = await change(path, { revision, version });
    const first = told?.changes[0] && gallery.byId(told.changes[0].cell);
    if (first) gallery.focus(first);
  });
}

function confirm() {
  const cells = gallery.inHand();
  const byType = Map.groupBy ? Map.groupBy(cells, (c) => c.dataset.label || c.dataset.proposal) : null;
  const label = cells[0] && (cells[0].dataset.label || cells[0].dataset.proposal);
  if (!label) return;
  if (byType && byType.size > 1) {
    say("Confirm cells of one type at a time.");
    return;
  }
  const doubtful = gallery.nextDoubtful(cells.at(-1));
  relabel(cells, label, cells[0].dataset.kind || null);
  if (doubtful && !cells.includes(doubtful) && cells.some((c) => c.dataset.doubtful === "1")) gallery.focus(doubtful);
}

function kindOfNeutrophil(kind) {
  const cells = gallery.inHand().filter((c) => gallery.groupOf(c) === "neutrophil");
  if (cells.length) relabel(cells, "neutrophil", kind);
}

let forKinds = [];
function askKind() {
  forKinds = gallery.inHand();
  if (mayLabel && forKinds.length) dialog("kinds").showModal();
}

function zoom() {
  const cell = gallery.inFocus();
  if (!cell) return;
  const picture = document.getElementById("zoomed");
  picture.src = gallery.pictureOf(cell);
  picture.alt = `Cell ${cell.dataset.n}`;
  document.getElementById("zoomtext").textContent = `Cell ${cell.dataset.n}: ${named(gallery.groupOf(cell), cell.dataset.kind)}`;
  if (!dialog("zoom").open) dialog("zoom").showModal();
}

function menu(x, y) {
  if (!mayLabel || !gallery.inHand().length) return;
  const box = dialog("menu");
  box.showModal();
  box.style.margin = "0";
  box.style.left = `${Math.min(x, innerWidth - box.offsetWidth - 8)}px`;
  box.style.top = `${Math.min(y, innerHeight - box.offsetHeight - 8)}px`;
}

function resize(step) {
  const slider = document.getElementById("size");
  if (step) slider.value = Number(slider.value) + step;
  document.documentElement.style.setProperty("--size", `${slider.value}px`);
  try { localStorage.size = slider.value; } catch { /* it holds for this page then */ }
}

async function mark() {
  const cell = gallery.inFocus();
  if (page.dataset.mark !== "true" || !cell) return;
  const wanted = !cell.classList.contains("reference");
  const answer = await fetch(`/cells/${gallery.idOf(cell)}/reference`, {
    method: "POST", headers: { "Content-Type": "application/json", "X-CSRF-Token": csrf }, body: JSON.stringify({ wanted, identity }),
  });
  leave(answer.status);
  const told = await answer.json();
  if (!answer.ok) { say(told.words); return; }
  cell.classList.toggle("reference", wanted);
  say(wanted ? "Shown as a reference cell from now on." : "No reference cell any more.");
}

function settle(name, path, told) {
  const box = dialog(name);
  box.returnValue = "no";
  box.showModal();
  box.addEventListener("close", () => {
    if (box.returnValue !== "yes") return;
    ask(async () => {
      const answer = await post(path, told());
      if (answer.ok) { location.reload(); return; }
      if (answer.status === 409) { await look(); conflict(answer.told.words); } else say(answer.told.words);
    });
  }, { once: true });
}

async function sign() {
  const overtaken = async (words) => { await look(); conflict(words ?? "Another user changed this slide just now: look at what is there, then sign."); };
  const seen = version; // what comes while the dialog is open, the dialog does not show
  await openSigning({
    address: `/slides/${id}/signing`, version: seen,
    send: (typed) => post("sign", { revision, version: seen, ...typed }),
    signed: () => location.reload(),
    overtaken,
    refused: (status, words) => { leave(status); say(words ?? "That did not work."); },
  });
}

let several = false;
function chooseSeveral(wanted) {
  several = wanted;
  button("several")?.setAttribute("aria-pressed", String(wanted));
  if (!wanted) gallery.chooseNone();
}

function retry() {
  ask(async () => {
    const answer = await post(`retry?identity=${identity}`, {});
    if (answer.ok || answer.status === 409) location.reload(); else say(answer.told.words);
  });
}

const acts = {
  retry, several: () => chooseSeveral(!several),
  undo: () => turn("undo"), redo: () => turn("redo"), confirm, kinds: askKind, help: () => dialog("help").showModal(), reference: mark,
  next: () => { const there = gallery.nextDoubtful(gallery.inFocus()); if (there) gallery.focus(there); else say("Review complete."); },
  clear: () => relabel(gallery.inHand(), null),
  following: () => { const there = document.getElementById("next"); if (there) location.assign(there.href); else say("No other slide waits for a review."); },
  sign: () => { if (button("sign")) ask(sign); },
  amend: () => { if (button("amend")) settle("amend", "amend", () => ({ reason: document.getElementById("reason").value })); },
};

// --- keys ---------------------------------------------------------------------------------------------

const TYPES = ["neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte"];

document.addEventListener("keydown", (event) => {
  const open = document.querySelector("dialog[open]");
  if (open?.id === "d-kinds") {
    const pressed = [...open.querySelectorAll("[data-key]")].find((one) => one.dataset.key === event.key.toLowerCase());
    if (pressed) { event.preventDefault(); pressed.click(); }
    return;
  }
  if (open?.id === "d-menu" && (/^[1-5]$/.test(event.key) || "bs0".includes(event.key))) open.close();
  else if (open?.id === "d-zoom" && event.key.startsWith("Arrow")) { /* goes on below: the next cell, large */ }
  else if (open?.id === "d-zoom" && event.key === "x") { /* and so does this: another type beside it */ }
  else if (open) { if (open.id === "d-zoom" && event.key === "f") open.close(); return; }
  if (event.target.closest("input, textarea, select")) {
    if (event.key === "Escape") { event.target.blur(); gallery.focus(gallery.inFocus() ?? gallery.cells()[0]); }
    if (event.target.type !== "range") return;
  }
  const cell = gallery.inFocus();
  const control = event.ctrlKey || event.metaKey;
  const press = (act) => { event.preventDefault(); act(); };
  if (control) {
    if (event.key === "z") press(event.shiftKey ? acts.redo : acts.undo);
    else if (event.key === "y") press(acts.redo);
    else if (event.key === "a" && cell) press(() => gallery.chooseGroup(cell));
    return;
  }
  if (event.altKey) return;
  const onControl = event.target.closest("button, a, summary");
  switch (event.key) {
    case "ArrowLeft": case "ArrowRight": case "ArrowUp": case "ArrowDown": case "Home": case "End": {
      if (event.target.type === "range") return;
      const there = cell ? gallery.neighbour(cell, event.key) : gallery.cells()[0];
      if (there) press(() => (event.shiftKey ? gallery.chooseTo(there) : gallery.focus(there)));
      if (there && open?.id === "d-zoom") zoom();
      break;
    }
    case "1": case "2": case "3": case "4": case "5": press(() => relabel(gallery.inHand(), TYPES[Number(event.key) - 1])); break;
    case "0": press(askKind); break;
    case "b": press(() => kindOfNeutrophil("band")); break;
    case "s": press(() => kindOfNeutrophil("segmented")); break;
    case "Enter": if (!onControl) press(confirm); break;
    case " ": if (!onControl && cell) press(() => gallery.toggle(cell)); break;
    case "Backspace": case "Delete": press(acts.clear); break;
    case "Escape": press(() => chooseSeveral(false)); break;
    case "x": if (cell) press(compare); break;
    case "j": press(acts.following); break;
    case "/": press(() => location.assign("/?show=all&find=1")); break;
    case "n": press(acts.next); break;
    case "z": press(acts.undo); break;
    case "y": press(acts.redo); break;
    case "f": press(zoom); break;
    case "m": if (cell) press(() => { const at = cell.getBoundingClientRect(); menu(at.left + 20, at.top + 20); }); break;
    case "+": press(() => resize(8)); break;
    case "-": press(() => resize(-8)); break;
    case "c": { const text = document.getElementById("text"); if (text) press(() => text.focus()); break; }
    case "g": press(acts.sign); break;
    case "r": press(mark); break;
    case "?": press(acts.help); break;
    default:
  }
});

// --- pointer ------------------------------------------------------------------------------------------

const field = document.getElementById("gallery");
if (field) {
  field.addEventListener("click", (event) => {
    const cell = event.target.closest(".cell");
    if (!cell) { if (!several) gallery.chooseNone(); return; }
    if (event.shiftKey) gallery.chooseTo(cell);
    else if (event.ctrlKey || event.metaKey || several) { gallery.focus(cell); gallery.toggle(cell); }
    else { gallery.chooseNone(); gallery.focus(cell); }
  });
  field.addEventListener("dblclick", (event) => { if (event.target.closest(".cell")) zoom(); });
  field.addEventListener("focusin", (event) => { const cell = event.target.closest(".cell"); if (cell && cell !== gallery.inFocus()) gallery.focus(cell, { take: false }); });
  field.addEventListener("contextmenu", (event) => {
    const cell = event.target.closest(".cell");
    if (!cell || !mayLabel) return;
    event.preventDefault();
    if (cell.getAttribute("aria-selected") !== "true") gallery.chooseNone();
    gallery.focus(cell);
    menu(event.clientX, event.clientY);
  });
  field.addEventListener("dragstart", (event) => {
    const cell = event.target.closest(".cell");
    if (!cell) return;
    dragging(cell.getAttribute("aria-selected") === "true" ? gallery.chosen() : [cell]);
    event.dataTransfer.effectAllowed = "move";
    event.dataTransfer.setData("text/plain", `${dragged.length} cells`);
    for (const one of dragged) one.classList.add("dragging");
  });
  const over = () => { for (const one of document.querySelectorAll(".dragging, .over")) one.classList.remove("dragging", "over"); rest(); };
  document.addEventListener("dragend", over);
  // Pointers are silent while something is dragged. One that speaks tells of an end that was not told, as where the dropped cell moved.
  document.addEventListener("pointermove", () => { if (dragged.length) over(); });
  const target = (event) => { const at = event.target.closest?.(".drop"); return dragged.length && at && at.dataset.label !== "unusable" ? at : null; };
  document.addEventListener("dragover", (event) => {
    const at = target(event);
    for (const one of document.querySelectorAll(".over")) if (one !== at) one.classList.remove("over");
    if (at) { event.preventDefault(); at.classList.add("over"); }
  });
  document.addEventListener("drop", (event) => {
    const at = target(event);
    if (!at) return;
    event.preventDefault();
    const moving = dragged.filter((cell) => gallery.groupOf(cell) !== at.dataset.label);
    relabel(moving, at.dataset.label, null, { go: false });
    over();
  });
  gallery.watch(() => {
    const some = gallery.chosen().length, cell = gallery.inFocus();
    document.getElementById("chosen").textContent = some ? `${some} chosen` : cell ? `Cell ${cell.dataset.n}` : "No cell chosen";
    show();
  });
  const slider = document.getElementById("size");
  try { if (localStorage.size) slider.value = localStorage.size; } catch { /* as it was made */ }
  resize(0);
  slider.addEventListener("input", () => resize(0));
  const first = gallery.cells()[0];
  if (first) gallery.focus(first, { scroll: false, take: mayLabel });
}

document.addEventListener("click", (event) => {
  const put = event.target.closest("[data-put]"), act = event.target.closest("[data-do]"), kind = event.target.closest("#d-kinds [data-kind]");
  if (kind) { dialog("kinds").close(); relabel(forKinds, "outside", kind.dataset.kind || null); return; }
  if (put || act) event.target.closest("dialog")?.close();
  if (put) relabel(gallery.inHand(), put.dataset.put, put.dataset.kind || null);
  if (act) acts[act.dataset.do]?.();
  const compared = event.target.closest("[data-compare]"), goal = event.target.closest("[data-goto]");
  if (compared) compare(compared.dataset.compare);
  if (goal) gallery.focus(gallery.byId(goal.dataset.goto));
  if (event.target.id === "portrait") zoom();
  if (event.target.matches("dialog")) event.target.close("no");
});

// --- live ---------------------------------------------------------------------------------------------

function sayLeft(doubtful) {
  const left = document.getElementById("left");
  if (!field || left.dataset.open !== "true") { left.hidden = true; return; }
  left.firstElementChild.textContent = doubtful ? `${doubtful} to review` : "Review complete";
  left.classList.toggle("done", !doubtful);
}
sayLeft(Number(document.getElementById("left").dataset.doubtful));

// What I did myself is here already. The board tells of it a moment later, which then is no news; what others do in that
// moment has an event of its own.
let mine = false;
on("slide", (told) => {
  if (told.slide !== id) return;
  if (String(told.who) === page.dataset.user) { mine = !["sign", "amend"].includes(told.action); return; }
  mine = false;
  if (told.action === "comment") { htmx.ajax("GET", `/slides/${id}/comments`, { target: "#comments", swap: "innerHTML" }); return; }
  lookSoon()?.then((news) => {
    const others = news?.changes.filter((one) => one.by);
    if (others?.length) say(`${others.at(-1).by} changed ${others.length === 1 ? "a cell" : `${others.length} cells`} just now.`);
  });
});
document.addEventListener("htmx:after:swap", () => about());
on("board", ({ slides }) => {
  const known = mine;
  mine = false;
  if (!slides.includes(id)) return;
  if (!field) location.reload(); else if (!known) lookSoon();
});
on("open", () => { if (field) lookSoon(); else location.reload(); });
try { if (sessionStorage.news) { say(sessionStorage.news); delete sessionStorage.news; } } catch { /* as above */ }
// An event may be lost; looking now and then finds what it told.
setInterval(() => { if (document.hidden) return; if (field) lookSoon(); else ask(lookWhetherThere); }, 30_000);
if (mayLabel) post("hold", {}).then((answer) => { if (answer.status === 409) conflict(answer.told.words); });

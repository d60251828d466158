// The cell in focus, large: what analyser, model and people say of it, the five probabilities, and reference cells beside it.
import { groupOf, idOf, inFocus, pictureOf } from "./gallery.js";

const TYPES = ["neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte"];
const SVG = "http://www.w3.org/2000/svg";
const box = document.getElementById("inspector");
const beside = document.getElementById("i-refs");
let asked = "";
let waiting;
// A type that a person wants to compare with; the next cell begins with its own again.
let wished = null;
let of = null;

document.getElementById("portrait")?.addEventListener("error", (event) => { event.target.hidden = true; });
// A reference cell whose picture was purged since shows nothing, rather than a broken picture.
document.addEventListener("error", (event) => { if (event.target.matches?.(".refs img")) event.target.remove(); }, true);

export const named = (label, kind) => `${label === "outside" ? "other cell" : label}${kind ? `, ${kind.replaceAll("_", " ")}` : ""}`;

function row(list, term, words) {
  if (!words) return;
  const dt = document.createElement("dt"), dd = document.createElement("dd");
  dt.textContent = term;
  dd.textContent = words;
  list.append(dt, dd);
}

export function show() {
  const cell = inFocus();
  box.hidden = !cell;
  if (!cell) return;
  const told = cell.dataset, p = told.p ? told.p.split(" ").map(Number) : null;
  const portrait = document.getElementById("portrait");
  portrait.hidden = cell.classList.contains("missing");
  if (!portrait.src.endsWith(pictureOf(cell))) portrait.src = pictureOf(cell);
  portrait.alt = `Cell ${told.n}, large`;
  document.getElementById("i-title").textContent = `Cell ${told.n}`;
  const opinions = document.getElementById("i-opinions");
  opinions.replaceChildren();
  row(opinions, "Analyser", told.analyser);
  row(opinions, "Model", told.proposal ? `${named(told.proposal)}${p ? ` ${(100 * Math.max(...p)).toFixed(0)} %` : ""}` : told.problem || "not classified");
  row(opinions, told.by || "Person", told.label ? named(told.label, told.kind) : "not yet");
  const bars = document.getElementById("i-bars");
  bars.hidden = !p;
  bars.replaceChildren();
  TYPES.forEach((type, i) => {
    if (!p) return;
    const line = document.createElement("li"), name = document.createElement("button"), number = document.createElement("span");
    const svg = document.createElementNS(SVG, "svg"), rect = document.createElementNS(SVG, "rect");
    name.textContent = type;
    name.type = "button";
    name.title = `Compare with reference cells: ${type}`;
    name.dataset.compare = type;
    number.className = "num";
    number.textContent = `${(100 * p[i]).toFixed(1)} %`;
    svg.setAttribute("viewBox", "0 0 100 7");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    rect.setAttribute("width", (100 * p[i]).toFixed(2));
    rect.setAttribute("height", "7");
    rect.setAttribute("class", `t-${type}`);
    svg.append(rect);
    line.append(name, svg, number);
    bars.append(line);
  });
  if (of !== cell) { of = cell; wished = null; }
  about(cell);
  refer();
}

/** The remark that is being written may be about the cell in focus. */
export function about(cell = inFocus()) {
  const box = document.querySelector(".about input");
  if (!box) return;
  box.disabled = !cell;
  box.value = cell ? idOf(cell) : "";
  box.nextElementSibling.textContent = cell ? `cell ${cell.dataset.n}` : "a cell";
}

function refer() {
  const group = groupOf(inFocus());
  const wanted = wished ?? (group === "unusable" ? "" : group);
  for (const name of document.querySelectorAll("#i-bars [data-compare]")) name.setAttribute("aria-pressed", String(name.dataset.compare === wanted));
  // A kind that a person gave asks for examples of that kind, as long as the type is the cell's own.
  const kind = wanted === group ? inFocus().dataset.kind : "";
  const about = `label=${wanted}${kind ? `&kind=${kind}` : ""}`;
  if (about === asked) return;
  asked = about;
  clearTimeout(waiting);
  // Not with every step of a hurried walk.
  waiting = setTimeout(async () => {
    if (!wanted) { beside.replaceChildren(); return; }
    const answer = await fetch(`/references/panel?${about}`, { headers: { "X-Background": "1", "HX-Request": "true" } }).catch(() => null);
    if (!answer?.ok || asked !== about) return;
    beside.innerHTML = await answer.text();
    document.getElementById("z-refs").innerHTML = beside.innerHTML;
  }, 160);
}

/** Show reference cells of this type, or, without one, of the next likely one. */
export function compare(type) {
  const cell = inFocus();
  if (!cell) return;
  if (!type) {
    const p = cell.dataset.p ? cell.dataset.p.split(" ").map(Number) : TYPES.map(() => 0);
    const likely = [...TYPES.keys()].sort((a, b) => p[b] - p[a]).map((i) => TYPES[i]);
    type = likely[(likely.indexOf(wished ?? groupOf(cell)) + 1) % likely.length];
  }
  wished = type;
  refer();
}

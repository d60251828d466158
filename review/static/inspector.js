// The cell in focus, large: what analyser, model and people say of it, the five probabilities, and reference cells beside it.
import { groupOf, idOf, inFocus } from "./gallery.js";

const TYPES = ["neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte"];
const SVG = "http://www.w3.org/2000/svg";
const box = document.getElementById("inspector");
let references = "";
let waiting;

export const named = (label, kind) => `${label === "outside" ? "outside the five" : label}${kind ? `, ${kind.replaceAll("_", " ")}` : ""}`;

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
  if (!portrait.src.endsWith(`/cells/${idOf(cell)}/picture`)) portrait.src = `/cells/${idOf(cell)}/picture`;
  portrait.alt = `Cell ${told.n}, large`;
  document.getElementById("i-title").textContent = `Cell ${told.n}`;
  const opinions = document.getElementById("i-opinions");
  opinions.replaceChildren();
  row(opinions, "Analyser", told.analyser);
  row(opinions, "Model", told.proposal ? `${named(told.proposal)}${p ? ` ${(100 * Math.max(...p)).toFixed(0)} %` : ""}` : told.problem || "not classified");
  row(opinions, told.by || "Person", told.label ? named(told.label, told.kind) : "–");
  const bars = document.getElementById("i-bars");
  bars.hidden = !p;
  bars.replaceChildren();
  TYPES.forEach((type, i) => {
    if (!p) return;
    const line = document.createElement("li"), name = document.createElement("span"), number = document.createElement("span");
    const svg = document.createElementNS(SVG, "svg"), rect = document.createElementNS(SVG, "rect");
    name.textContent = type;
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
  const group = groupOf(cell);
  const wanted = group === "unusable" ? "" : group;
  if (wanted !== references) {
    references = wanted;
    clearTimeout(waiting);
    // Not with every step of a hurried walk.
    waiting = setTimeout(() => wanted && htmx.ajax("GET", `/references?label=${wanted}`, { target: "#i-refs", swap: "innerHTML" }), 160);
  }
}

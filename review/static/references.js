// The browser of reference cells: one large picture, a strip of all; arrows walk, digits and letters choose type and kind.
import "./page.js";

const large = document.getElementById("large"), caption = document.getElementById("caption");
const cells = [...document.querySelectorAll("#strip a")];

// The number in the address, so that "back" and a reload come to the same picture.
let at = Math.min(Math.max(Number(new URLSearchParams(location.search).get("n") ?? 1) || 1, 1), Math.max(cells.length, 1)) - 1;

function show(n) {
  if (!cells.length) return;
  at = (n + cells.length) % cells.length;
  const cell = cells[at];
  large.src = cell.href;
  large.alt = `Reference cell ${at + 1}, ${cell.dataset.name}`;
  const name = document.createElement("b");
  name.textContent = cell.dataset.name;
  caption.replaceChildren(name, ` · ${cell.dataset.whose} · ${at + 1} of ${cells.length}`);
  for (const other of cells) other.toggleAttribute("aria-current", other === cell);
  cell.setAttribute("aria-current", "true");
  cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  const url = new URL(location.href);
  url.searchParams.set("n", String(at + 1));
  history.replaceState(null, "", url);
}

function wholeScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => { /* the browser refuses: the page fills its window */ });
}

document.getElementById("strip")?.addEventListener("click", (event) => {
  const cell = event.target.closest("a");
  if (!cell) return;
  event.preventDefault();
  show(cells.indexOf(cell));
});
document.getElementById("whole").addEventListener("click", wholeScreen);
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (step) show(at + step);
  else if (event.key === "Home") show(0);
  else if (event.key === "End") show(cells.length - 1);
  else if (event.key === "f") wholeScreen();
  else {
    const there = document.querySelector(`.reftypes a[data-key="${CSS.escape(event.key)}"]`);
    if (!there) return;
    location.assign(there.href);
  }
  event.preventDefault();
});
show(at);

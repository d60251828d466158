// The board: renews itself when the server says so, and is walked by keys.
import { on } from "./page.js";

const body = document.body;
const fresh = new Set();
on("board", ({ slides }) => { slides.forEach((id) => fresh.add(id)); body.dispatchEvent(new CustomEvent("board-changed")); });
on("open", () => body.dispatchEvent(new CustomEvent("board-changed")));

// Counts come with the rows; tabs keep their focus. The address says what is shown, so that it can be kept.
document.addEventListener("htmx:after:swap", (event) => {
  if (event.detail.ctx.target?.id !== "rows") return;
  const counts = document.getElementById("counts")?.dataset;
  if (counts) {
    const n = (name) => Number(counts[name] ?? 0);
    const all = { ...Object.fromEntries(Object.keys(counts).map((name) => [name, n(name)])),
      all: Object.keys(counts).reduce((sum, name) => sum + n(name), 0),
      todo: n("failed") + n("classified") + n("reviewed") };
    for (const [name, value] of Object.entries(all)) {
      const shown = document.getElementById(`count-${name}`);
      if (shown) shown.textContent = value;
    }
  }
  for (const id of fresh) document.getElementById(`slide-${id}`)?.classList.add("fresh");
  fresh.clear();
  const chosen = new URLSearchParams(new FormData(document.getElementById("filter")));
  const page = document.querySelector("#paging input[name=page]")?.value;
  if (page && page !== "1") chosen.set("page", page);
  history.replaceState(null, "", `/?${chosen}`);
});

if (new URLSearchParams(location.search).has("find")) document.getElementById("q").focus();

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=radio]), select, textarea");
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/" && !typing) { const q = document.getElementById("q"); event.preventDefault(); q.focus(); q.select(); return; }
  if (typing && event.key !== "ArrowDown") return;
  const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[event.key];
  if (!step || event.target.matches("input[type=radio], select")) return;
  const links = [...document.querySelectorAll(".slides tbody th a")];
  const next = links[links.indexOf(document.activeElement) + step] ?? (step > 0 ? links[0] : undefined);
  if (next) { event.preventDefault(); next.focus(); }
});

// The gallery's pictures, in the order in which they are seen: many a request, since a request costs more than a picture.
import { leave } from "./page.js";
import { cells, digestOf, pictureOf } from "./gallery.js";

const AT_ONCE = 50;
const FIRST = 24; // the first screen's, soon
const LINES = 2; // so that one is fetched while another is shown

const waiting = cells();

function missing(cell) {
  cell.classList.add("missing");
  cell.title = "its picture is no longer kept";
}

/** What the answer left out, or a proxy did not let through, is asked for by itself. */
function alone(cell) {
  const picture = cell.querySelector("img");
  picture.addEventListener("error", () => missing(cell), { once: true });
  picture.src = pictureOf(cell);
}

async function asked(some) {
  try {
    const answer = await fetch(`/pictures?digests=${some.map(digestOf).join(",")}`, { headers: { "X-Background": "1" } });
    leave(answer.status);
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

async function bring(count) {
  while (waiting.length) {
    const some = waiting.splice(0, count);
    const told = await asked(some);
    for (const cell of some) {
      const address = told[digestOf(cell)];
      if (address) cell.querySelector("img").src = address;
      else if (address === null) missing(cell);
      else alone(cell);
    }
    count = AT_ONCE;
  }
}

for (let line = 0; line < LINES; line++) bring(line ? AT_ONCE : FIRST);

// What every page does: the token on htmx's requests, refusals in words, events from the server.
export const csrf = document.querySelector('meta[name="csrf"]').content;

export function say(words, seconds = 5) {
  const toast = document.createElement("div");
  toast.className = "toast";
  toast.textContent = words;
  document.getElementById("toasts").append(toast);
  setTimeout(() => toast.remove(), seconds * 1000);
}

export function leave(status) {
  if (status === 401) location.assign("/sign-in");
}

document.addEventListener("htmx:config:request", (event) => {
  event.detail.ctx.request.headers["X-CSRF-Token"] = csrf;
});

document.addEventListener("htmx:after:request", (event) => {
  const { response, text } = event.detail.ctx;
  if (response.status < 400) return;
  event.preventDefault(); // a refusal takes nobody's place on the page
  leave(response.status);
  let words = "That did not work. Try again in a moment.";
  try { words = JSON.parse(text).words ?? words; } catch { /* no words came */ }
  say(words);
});

// The browser connects again by itself; after a gap everything is looked at anew. A browser has few connections to one
// host for all of its tabs, so only the tab that is seen holds one.
const listeners = { board: [], slide: [], open: [] };
export function on(name, act) { listeners[name].push(act); }

let source = null;
let gap = false;
function connect() {
  if (source || document.hidden) return;
  source = new EventSource("/events");
  source.addEventListener("open", () => { if (gap) listeners.open.forEach((act) => act()); gap = false; });
  source.addEventListener("error", () => { gap = true; });
  source.addEventListener("ended", () => location.assign("/sign-in"));
  for (const name of ["board", "slide"]) source.addEventListener(name, (event) => listeners[name].forEach((act) => act(JSON.parse(event.data))));
}
function disconnect() { source?.close(); source = null; gap = true; }
document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
addEventListener("pagehide", disconnect);
addEventListener("pageshow", connect);
connect();

document.addEventListener("click", (event) => {
  for (const open of document.querySelectorAll("details.who[open]")) if (!open.contains(event.target)) open.open = false;
});

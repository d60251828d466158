// The dialog of a signature: the numbers and warnings as the server has them now, what has to be typed, and its answer.
const box = document.getElementById("d-sign");

function complain(form, words) {
  const place = form.querySelector(".problem");
  place.textContent = words;
  place.hidden = false;
}

function askPassword(form) {
  const label = form.querySelector(".password"), field = label.querySelector("input");
  label.hidden = false;
  field.required = true;
  field.value = "";
  field.focus();
}

/** Show the dialog for what the page shows; `send` posts a signature, `signed` and `overtaken` say how that ended. */
export async function openSigning({ address, version, send, signed, overtaken, refused }) {
  const answer = await fetch(address, { headers: { "HX-Request": "true" } });
  if (!answer.ok) { refused(answer.status, (await answer.json().catch(() => ({}))).words); return; }
  box.innerHTML = await answer.text();
  const form = box.querySelector("form");
  if (Number(form.dataset.version) !== version) { overtaken(); return; }
  form.querySelector("[data-cancel]").addEventListener("click", () => box.close());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button.primary");
    if (button.disabled) return; // a second press of the same signature
    button.disabled = true;
    const reason = form.elements.reason?.value ?? "", password = form.elements.password.value;
    const done = await send({ reason, ...(password ? { password } : {}) }).catch(() => null);
    button.disabled = false;
    if (!done) { complain(form, "The page does not reach the server. Nothing was signed."); return; }
    if (done.ok) { box.close(); signed(); return; }
    if (done.status === 409) { box.close(); overtaken(done.told.words); return; }
    complain(form, done.told.words);
    if (done.told.password) askPassword(form);
  });
  box.showModal();
  form.querySelector("[data-cancel]").focus();
}

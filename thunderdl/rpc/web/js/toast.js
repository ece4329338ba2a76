// Short news at the foot of the page, spoken, too.
import { h, plain } from "./dom.js";
import { icon } from "./icons.js";

const STAYS_MS = 4000;
const STAYS_BAD_MS = 9000;
const shelf = h("div", { class: "toasts", role: "log", "aria-live": "polite" });
document.body.append(shelf);

/** `text` in sight for a few seconds; `bad`: a refusal, which stays longer and is spoken at once. */
export function say(text, { bad = false } = {}) {
  const note = h("div", { class: bad ? "toast bad" : "toast", role: bad ? "alert" : null }, icon(bad ? "alert" : "check"), h("span", {}, plain(text, 500)));
  shelf.append(note);
  while (shelf.children.length > 4) shelf.firstChild.remove();
  const end = setTimeout(() => note.remove(), bad ? STAYS_BAD_MS : STAYS_MS);
  note.addEventListener("click", () => { clearTimeout(end); note.remove(); });
}

/** Spoken only: what is in sight anyway. */
export function announce(text) {
  document.getElementById("announcements").textContent = plain(text);
}

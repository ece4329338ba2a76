// Shortcuts of the whole page, and the list of them.
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { openAdd } from "./add.js";
import { toggleTheme } from "./looks.js";

const LIST = [
  ["a", "key_add"], ["Ctrl V", "key_paste"], ["↓ ↑", "key_rows"], ["Enter", "key_open"], ["p", "key_pause"], ["Delete", "key_remove"],
  ["Alt ↑ ↓ Home End", "key_move"], ["Shift P", "key_pause_all"], ["/", "key_search"], ["w f s", "key_views"], ["t", "key_theme"],
  ["Esc", "key_escape"], ["?", "key_help"],
];

export function listenForKeys(context) {
  const keys = {
    a: () => openAdd(context),
    "/": () => search(context),
    P: () => document.getElementById("pause-all")?.click(),
    w: () => context.go("/"),
    f: () => context.go("/finished"),
    s: () => context.go("/settings"),
    t: toggleTheme,
    "?": showHelp,
    Escape: () => { if (location.hash.startsWith("#/task") || location.hash === "#/settings") context.go("/"); },
  };
  addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    const typing = event.target.closest?.("textarea, select, input:not([type=checkbox], [type=range])");
    if (!context.view() || document.querySelector("dialog[open]")) return;
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (event.key === "p" && context.view().togglePause) context.view().togglePause();
    else if (keys[event.key]) keys[event.key]();
    else return arrows(event);
    event.preventDefault();
  });
}

// From nowhere in particular the arrows lead to the first row.
function arrows(event) {
  if (event.key !== "ArrowDown" || (document.activeElement !== document.body && document.activeElement?.id !== "main")) return;
  const row = document.querySelector(".active-row, .list:not([hidden]) .row");
  if (!row) return;
  event.preventDefault();
  row.focus();
}

function search(context) {
  if (context.view().search) return context.view().search();
  addEventListener("hashchange", () => context.view()?.search?.(), { once: true });
  context.go("/finished");
}

export function showHelp() {
  const dialog = h("dialog", { class: "dialog small", "aria-label": t("help") },
    h("h2", {}, t("help")),
    h("dl", { class: "keys" }, LIST.map(([keys, words]) => [h("dt", {}, keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, t(words))])),
    h("form", { method: "dialog", class: "dialog-foot" }, h("button", { class: "primary", autofocus: true }, t("close"))));
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}

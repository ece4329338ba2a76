// Links and documents that are dropped or pasted anywhere on the page.
import { h } from "./dom.js";
import { t } from "./i18n.js";
import { openAdd } from "./add.js";

const LINK = /^(https?|ftps?|ftpes|sftp|magnet):/i;

/** The lines of a text that are links. */
export const linksIn = (text) => text.split(/[\r\n]+/).map((line) => line.trim()).filter((line) => LINK.test(line)).join("\n");

export function listenForDocuments(context) {
  const veil = h("div", { class: "veil", hidden: true });
  let depth = 0;
  const ours = (event) => [...event.dataTransfer.types].some((type) => type === "Files" || type === "text/uri-list" || type === "text/plain");
  const inside = () => Boolean(context.view());
  const show = (on) => {
    if (on && veil.hidden) (document.querySelector("dialog[open]") ?? document.body).append(veil);
    veil.textContent = t("drop_here");
    veil.hidden = !on;
  };
  addEventListener("dragenter", (event) => { if (ours(event) && inside()) { depth += 1; show(true); } });
  addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); if (!depth) show(false); });
  addEventListener("dragover", (event) => { if (ours(event)) event.preventDefault(); });
  addEventListener("drop", (event) => {
    if (!ours(event)) return;
    // Without this the browser would leave the page for the file.
    event.preventDefault();
    depth = 0;
    show(false);
    if (inside()) take(context, event.dataTransfer);
  });
  addEventListener("paste", (event) => {
    if (!inside() || event.target.closest?.("input, textarea, select")) return;
    if (take(context, event.clipboardData)) event.preventDefault();
  });
}

function take(context, data) {
  const files = [...data.files];
  const links = files.length ? "" : linksIn(data.getData("text/uri-list") || data.getData("text/plain"));
  if (!files.length && !links) return false;
  openAdd(context, { links, files });
  return true;
}

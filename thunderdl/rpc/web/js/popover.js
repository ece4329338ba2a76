// A small panel under a button; Escape, a click elsewhere or losing the focus close it.
import { h, setAttr } from "./dom.js";

export function popover(button, content) {
  const panel = h("div", { class: "popover", hidden: true }, content);
  const show = (open) => {
    panel.hidden = !open;
    setAttr(button, "aria-expanded", String(open));
    if (open) panel.querySelector("input, button, select")?.focus();
  };
  const wrap = h("span", { class: "popover-wrap" });
  const away = (event) => { if (!panel.hidden && !wrap.contains(event.target)) show(false); };
  queueMicrotask(() => {
    button.replaceWith(wrap);
    wrap.append(button, panel);
  });
  show(false);
  button.addEventListener("click", () => show(panel.hidden));
  wrap.addEventListener("focusout", (event) => { if (event.relatedTarget && !wrap.contains(event.relatedTarget)) show(false); });
  wrap.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || panel.hidden) return;
    event.stopPropagation();
    show(false);
    button.focus();
  });
  document.addEventListener("pointerdown", away);
  return { end: () => document.removeEventListener("pointerdown", away) };
}

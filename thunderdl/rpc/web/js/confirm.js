// A question before something is lost.
import { h, plain } from "./dom.js";
import { t } from "./i18n.js";

/** A modal with `content`; resolves to what `result()` says, or null where it was cancelled. */
export function ask({ title, content, yes, result = () => true }) {
  return new Promise((resolve) => {
    let answer = null;
    const form = h("form", { method: "dialog" }, h("h2", {}, title), content,
      h("div", { class: "dialog-foot" },
        h("button", { type: "button", class: "quiet", on: { click: () => dialog.close() } }, t("cancel")),
        h("button", { class: "primary", autofocus: true }, yes)));
    const dialog = h("dialog", { class: "dialog small" }, form);
    form.addEventListener("submit", () => { answer = result(); });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(answer);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

export function confirmRemoval(task) {
  const files = h("input", { type: "checkbox", name: "files" });
  return ask({
    title: t("remove_title"),
    content: [h("p", { class: "dim name-in-dialog" }, h("bdi", {}, plain(task.name))), h("label", { class: "check" }, files, t("remove_files"))],
    yes: t("remove"),
    result: () => ({ files: files.checked }),
  });
}

// Files of a torrent to choose from: before it is added, and on the page of a task.
import { h, keyed, plain, setAttr, setText } from "./dom.js";
import { percent, size, t } from "./i18n.js";

// More than these would only be scrolled past: the rest keeps what it has, "all" and "none" reach it, too.
const SHOWN = 500;

export class Choice {
  /** `changed()` when the reader chose; files as the API has them, all chosen unless `selected` says no. */
  constructor({ changed = () => {} } = {}) {
    this.changed = changed;
    this.files = [];
    this.chosen = new Set();
    this.sum = h("span", { class: "dim" });
    this.more = h("p", { class: "dim", hidden: true });
    this.list = h("ul", { class: "choice", role: "list" });
    const set = (all) => () => this.#choose(all ? this.files.map((file) => file.index) : []);
    this.element = h("div", { class: "choice-box" },
      h("div", { class: "choice-head" }, this.sum,
        h("button", { type: "button", class: "quiet", on: { click: set(true) } }, t("all")),
        h("button", { type: "button", class: "quiet", on: { click: set(false) } }, t("none"))),
      this.list, this.more);
  }

  /** New facts; what the reader has chosen meanwhile stays. */
  show(files) {
    const first = files.length !== this.files.length;
    this.files = files;
    if (first || !this.touched) this.chosen = new Set(files.filter((file) => file.selected !== false).map((file) => file.index));
    keyed(this.list, files.slice(0, SHOWN), (file) => file.index, (file) => this.#row(file));
    this.more.hidden = files.length <= SHOWN;
    setText(this.more, t("more_n", { n: files.length - SHOWN }));
    this.#sum();
  }

  #row({ index }) {
    const box = h("input", { type: "checkbox" });
    const [folder, path, amount] = [h("bdi", { class: "dim" }), h("bdi", {}), h("span", { class: "dim choice-size" })];
    box.addEventListener("change", () => {
      const now = new Set(this.chosen);
      if (box.checked) now.add(index);
      else now.delete(index);
      this.#choose(now);
    });
    const done = h("i", { class: "choice-done", "aria-hidden": "true" });
    const update = (file) => {
      box.checked = this.chosen.has(index);
      const cut = String(file.path).lastIndexOf("/") + 1;
      setText(folder, plain(file.path.slice(0, cut), 120));
      setText(path, plain(file.path.slice(cut)));
      setAttr(path, "title", plain(file.path, 600));
      const some = file.done_bytes !== undefined && this.chosen.has(index);
      setText(amount, (some && file.done_bytes < file.size_bytes ? `${percent(file.done_bytes, file.size_bytes)} · ` : "") + size(file.size_bytes));
      done.style.setProperty("--done", some ? file.done_bytes / Math.max(file.size_bytes, 1) : 0);
    };
    return { element: h("li", {}, h("label", {}, box, h("span", { class: "choice-path" }, folder, path), amount, done)), update };
  }

  #choose(indexes) {
    this.touched = true;
    this.chosen = new Set(indexes);
    this.show(this.files);
    this.changed();
  }

  #sum() {
    const chosen = this.files.filter((file) => this.chosen.has(file.index));
    setText(this.sum, t("selected_of", { n: chosen.length, all: this.files.length, size: size(chosen.reduce((sum, file) => sum + file.size_bytes, 0)) }));
  }

  get all() {
    return this.chosen.size === this.files.length;
  }

  /** "1,3-5" */
  get text() {
    const runs = [];
    for (const index of [...this.chosen].sort((a, b) => a - b)) {
      if (runs.length && runs.at(-1)[1] === index - 1) runs.at(-1)[1] = index;
      else runs.push([index, index]);
    }
    return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
  }
}

// The dialog that adds: links, magnets, documents; mirrors, options and the choice of files.
import * as api from "./api.js";
import { h, plain, setText } from "./dom.js";
import { icon } from "./icons.js";
import { size, t } from "./i18n.js";
import { Choice } from "./choice.js";
import { say } from "./toast.js";

let open = null;

/** Opens it, or puts more into the one that is open. `links`: text; `files`: of a drop or a paste. */
export function openAdd(context, { links = "", files = [] } = {}) {
  open ??= new AddDialog(context, () => { open = null; });
  open.put(links, files);
}

export const isDocument = (file) => /\.(torrent|meta4|metalink)$/i.test(file.name);

class AddDialog {
  constructor(context, closed) {
    this.context = context;
    this.files = [];
    this.#makeFields();
    this.#makeOptions();
    const form = h("form", { class: "add-form" },
      h("h2", {}, t("add_title")),
      h("label", { class: "field" }, h("span", {}, t("links")), this.links, h("small", { class: "dim" }, t("links_hint"))),
      this.mirrors.row, this.chosen, this.inside,
      h("div", { class: "add-row" }, this.pick, this.look), this.options, this.refusal,
      h("div", { class: "dialog-foot" }, h("button", { type: "button", class: "quiet", on: { click: () => this.dialog.close() } }, t("cancel")), this.go));
    form.addEventListener("submit", (event) => { event.preventDefault(); this.#send(); });
    this.dialog = h("dialog", { class: "dialog", "aria-label": t("add_title") }, form);
    this.dialog.addEventListener("close", () => { this.dialog.remove(); closed(); });
    document.body.append(this.dialog);
    this.dialog.showModal();
  }

  #makeFields() {
    this.links = h("textarea", { name: "links", rows: 3, placeholder: "https://…\nmagnet:?…", spellcheck: "false", autocapitalize: "off", autocomplete: "off" });
    this.links.addEventListener("input", () => this.#update());
    this.links.addEventListener("keydown", (event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#send(); });
    this.mirrors = check("mirrors", t("are_mirrors"));
    this.chosen = h("ul", { class: "chosen", role: "list", hidden: true });
    this.choice = new Choice();
    this.insideTitle = h("h3", {});
    this.inside = h("section", { class: "inside", hidden: true, "aria-live": "polite" }, this.insideTitle, this.choice.element);
    const file = h("input", { type: "file", accept: ".torrent,.meta4,.metalink", multiple: true, class: "unseen", tabindex: -1, "aria-hidden": "true" });
    file.addEventListener("change", () => this.put("", [...file.files]));
    this.pick = h("button", { type: "button", class: "quiet framed", on: { click: () => file.click() } }, icon("file"), t("choose_file"), file);
    this.look = h("button", { type: "button", class: "quiet framed", hidden: true, on: { click: () => this.#inspect() } }, t("look_inside"));
    this.refusal = h("p", { class: "refusal", role: "alert" });
    this.go = h("button", { class: "primary", name: "go" }, t("add"));
  }

  #makeOptions() {
    const { settings } = this.context.store;
    const categories = Object.keys(settings.categories ?? {});
    this.category = select("category", [["", t("no_category")], ...categories.map((name) => [name, plain(name, 60)])]);
    this.folder = text("dir", settings.dir ?? "");
    this.name = text("out", t("name_hint"));
    this.limit = text("task_limit", "500K, 2.5M");
    this.checksum = text("checksum", "sha-256=…");
    this.priority = select("priority", ["low", "normal", "high"].map((one) => [one, t(`priority_${one}`)]));
    this.priority.value = "normal";
    this.paused = check("paused", t("add_paused"));
    this.options = h("details", { class: "options" }, h("summary", {}, t("options")), h("div", { class: "grid" },
      categories.length ? field(t("category"), this.category) : null, field(t("folder"), this.folder), field(t("name"), this.name),
      field(t("limit"), this.limit), field(t("priority"), this.priority), field(t("checksum"), this.checksum), this.paused.row));
  }

  get urls() {
    return this.links.value.split(/\s*\n\s*/).map((line) => line.trim()).filter(Boolean);
  }

  put(links, files) {
    const fresh = links.split("\n").map((line) => line.trim()).filter((line) => line && !this.urls.includes(line));
    if (fresh.length) this.links.value = [...this.urls, ...fresh].join("\n");
    for (const file of files) {
      if (!isDocument(file)) setText(this.refusal, t("not_a_document", { name: plain(file.name, 80) }));
      else if (!this.files.some((one) => one.name === file.name && one.size === file.size)) this.files.push(file);
    }
    this.#update();
    if (files.length && this.single) this.#inspect();
    (this.single instanceof File ? this.go : this.links).focus();
  }

  /** The one thing that can be looked into: a document, or a link of peers; null where there are several or none. */
  get single() {
    if (this.files.length === 1 && !this.urls.length) return this.files[0];
    const [only, ...others] = this.urls;
    return !this.files.length && only && !others.length && /^magnet:|\.(torrent|meta4|metalink)$/i.test(only) ? only : null;
  }

  #update() {
    this.mirrors.row.hidden = this.urls.length < 2 || this.urls.some((url) => url.startsWith("magnet:"));
    this.chosen.hidden = !this.files.length;
    this.chosen.replaceChildren(...this.files.map((file) => h("li", {}, icon("file"), h("bdi", {}, plain(file.name, 120)), h("span", { class: "dim" }, size(file.size)),
      h("button", { type: "button", class: "quiet", "aria-label": t("named", { what: t("remove"), name: plain(file.name, 80) }),
        on: { click: () => { this.files = this.files.filter((one) => one !== file); this.#update(); } } }, icon("remove")))));
    const { single } = this;
    this.look.hidden = !single || this.inspected === single;
    if (this.inspected !== single) {
      this.inside.hidden = true;
      this.inspected = null;
    }
  }

  async #inspect() {
    const { single } = this;
    if (!single) return;
    this.inspected = single;
    this.look.hidden = true;
    this.inside.hidden = false;
    this.choice.element.hidden = true;
    setText(this.insideTitle, t("looking"));
    setText(this.refusal, "");
    try {
      const seen = await (typeof single === "string" ? api.inspectUrl(single) : api.inspectFile(single));
      if (this.inspected !== single) return;
      setText(this.insideTitle, `${plain(seen.name, 160)} – ${t("files_of", { n: seen.files.length, size: size(seen.size_bytes) })}`);
      this.choice.touched = false;
      this.choice.show(seen.files);
      this.choice.element.hidden = seen.files.length < 2;
    } catch (error) {
      this.inspected = null;
      this.#update();
      setText(this.refusal, plain(error.status === 0 ? t("no_answer") : error.message, 500));
    }
  }

  async #send() {
    const { urls } = this;
    if (!urls.length && !this.files.length) return this.#refuse(t("nothing_to_add"));
    const common = { category: this.category.value, priority: this.priority.value, paused: this.paused.box.checked };
    const options = {};
    for (const input of [this.folder, this.name, this.limit, this.checksum]) if (input.value.trim()) options[input.name] = input.value.trim();
    if (this.inspected && !this.choice.all) {
      if (!this.choice.chosen.size) return this.#refuse(t("no_file_chosen"));
      options.files = this.choice.text;
    }
    this.go.disabled = true;
    try {
      const groups = this.mirrors.box.checked && !this.mirrors.row.hidden ? [urls] : urls.map((url) => [url]);
      const added = groups.length ? (await api.add(groups.map((group) => ({ urls: group, options, ...common })))).tasks : [];
      this.links.value = "";
      for (const file of [...this.files]) {
        added.push(...(await api.addFile(file, { ...common, options })).tasks);
        this.files = this.files.filter((one) => one !== file);
      }
      this.dialog.close();
      say(t("added", { n: added.length, name: plain(added[0]?.name, 80) }));
    } catch (error) {
      this.#update();
      this.#refuse(error.status === 0 ? t("no_answer") : error.message);
    } finally {
      this.go.disabled = false;
    }
  }

  #refuse(message) {
    setText(this.refusal, plain(message, 500));
    this.links.focus();
  }
}

const field = (name, input) => h("label", { class: "field" }, h("span", {}, name), input);
const text = (name, hint) => h("input", { name, placeholder: hint, autocomplete: "off", spellcheck: "false" });
const select = (name, pairs) => h("select", { name }, pairs.map(([value, shown]) => h("option", { value }, shown)));

function check(name, label) {
  const box = h("input", { type: "checkbox", name });
  return { box, row: h("label", { class: "check" }, box, label) };
}

// What the daemon is told for all tasks, and how this page looks.
import * as api from "./api.js";
import { h, plain, setText } from "./dom.js";
import { icon } from "./icons.js";
import { currentLanguage, LANGUAGES, parseRate, setLanguage, t } from "./i18n.js";
import { asOption } from "./limit.js";
import { setTheme, theme } from "./looks.js";
import { showHelp } from "./keys.js";
import { say } from "./toast.js";

// `hours` are rows of the schedule.
const KNOWN = ["dir", "categories", "active", "limit", "upload_limit", "task_limit", "ratio", "roots", "schedule", "hours"];

export class SettingsView {
  constructor(context) {
    this.context = context;
    this.store = context.store;
    this.form = h("form", { class: "settings-form" });
    this.form.addEventListener("submit", (event) => { event.preventDefault(); this.#save(); });
    this.element = h("div", { class: "page settings" }, h("h1", {}, t("settings")), this.#looks(), this.form, this.#session());
    // Only once: what is being typed must not be overwritten by what another page saved.
    this.off = this.store.on("settings", () => { if (!this.form.hasChildNodes()) this.#fill(); });
    if (this.store.known) this.#fill();
  }

  begin() {
    document.title = `${t("settings")} – thunderdl`;
  }

  #looks() {
    const looks = ["system", "light", "dark"].map((one) => h("label", {}, h("input", { type: "radio", name: "theme", value: one, checked: theme() === one, on: { change: () => setTheme(one) } }), h("span", {}, t(`theme_${one}`))));
    const language = h("select", { name: "language", "aria-label": t("language") }, Object.entries(LANGUAGES).map(([code, name]) => h("option", { value: code, lang: code }, name)));
    language.value = currentLanguage();
    language.addEventListener("change", () => { setLanguage(language.value); this.context.render(); });
    return h("section", { class: "panel" }, h("h2", {}, t("appearance")), h("div", { class: "grid" },
      h("fieldset", { class: "segments" }, h("legend", {}, t("theme")), looks), field(t("language"), language)));
  }

  #session() {
    const out = h("button", { type: "button", class: "quiet framed", on: { click: async () => { if (await this.context.attempt(api.logout())) this.context.loggedOut(); } } }, t("logout"));
    const help = h("button", { type: "button", class: "quiet framed", on: { click: showHelp } }, icon("help"), t("help"));
    return h("section", { class: "panel" }, h("h2", {}, t("session")), h("div", { class: "add-row" }, help, out, h("span", { class: "dim" }, this.context.version ? t("version", { version: plain(this.context.version, 40) }) : "")));
  }

  #fill() {
    const now = this.store.settings;
    this.inputs = {
      dir: input("dir", now.dir), active: input("active", now.active, { type: "number", min: 1, max: 1000, required: true }),
      limit: input("limit", asWritten(now.limit), { placeholder: t("no_limit") }), upload_limit: input("upload_limit", asWritten(now.upload_limit), { placeholder: t("no_limit") }),
      task_limit: input("task_limit", asWritten(now.task_limit), { placeholder: t("no_limit") }), ratio: input("ratio", now.ratio, { inputmode: "decimal", placeholder: "–" }),
    };
    const others = Object.keys(now).filter((key) => !KNOWN.includes(key) && ["string", "number", "boolean"].includes(typeof now[key]));
    for (const key of others) this.inputs[key] = typeof now[key] === "boolean" ? h("input", { type: "checkbox", name: key, checked: now[key] }) : input(key, now[key], typeof now[key] === "number" ? { type: "number", step: "any" } : {});
    this.before = Object.fromEntries(Object.entries(this.inputs).map(([key, box]) => [key, box.value]));
    this.categories = new Rows([["name", t("category_name")], ["folder", t("folder")]], Object.entries(now.categories ?? {}).map(([name, folder]) => ({ name, folder })));
    this.schedule = new Rows([["days", t("days"), "mon-fri"], ["from", t("from"), "08:00"], ["to", t("to"), "18:00"], ["what", t("what"), "pause"]], now.schedule ?? []);
    const { inputs } = this;
    this.form.replaceChildren(
      h("section", { class: "panel" }, h("h2", {}, t("where")), field(t("folder"), inputs.dir),
        now.roots?.length ? h("p", { class: "dim" }, `${t("roots")} `, now.roots.map((root) => [h("bdi", { class: "mono" }, plain(root, 200)), " "])) : null,
        h("h3", {}, t("categories")), this.categories.element),
      h("section", { class: "panel" }, h("h2", {}, t("how_much")), h("div", { class: "grid" },
        field(t("active_most"), inputs.active), field(t("limit_down"), inputs.limit), field(t("limit_up"), inputs.upload_limit),
        field(t("limit_each"), inputs.task_limit), field(t("share_until"), inputs.ratio), others.map((key) => field(plain(key, 60), inputs[key]))),
        h("small", { class: "dim" }, t("limit_hint"))),
      h("section", { class: "panel" }, h("h2", {}, t("schedule")), this.schedule.element, h("small", { class: "dim" }, t("schedule_hint"))),
      this.refusal = h("p", { class: "refusal", role: "alert" }),
      h("div", { class: "settings-foot" }, h("button", { class: "primary" }, t("save"))));
  }

  /** Only what differs: two pages open must not undo each other's changes. */
  #changes() {
    const now = this.store.settings;
    const wanted = {};
    for (const [key, box] of Object.entries(this.inputs)) {
      const text = box.value.trim();
      if (box.type !== "checkbox" && box.value === this.before[key]) continue;
      wanted[key] = box.type === "checkbox" ? box.checked : box.type === "number" ? Number(text) : text === "" && key !== "dir" ? null : text;
    }
    wanted.categories = Object.fromEntries(this.categories.values.filter((row) => row.name).map((row) => [row.name, row.folder]));
    wanted.schedule = this.schedule.values.filter((row) => row.what);
    return Object.fromEntries(Object.entries(wanted).filter(([key, value]) => JSON.stringify(value) !== JSON.stringify(now[key] ?? null)));
  }

  async #save() {
    setText(this.refusal, "");
    const changes = this.#changes();
    try {
      if (Object.keys(changes).length) this.store.on_settings((await api.setSettings(changes)) ?? { ...this.store.settings, ...changes });
      for (const [key, box] of Object.entries(this.inputs)) this.before[key] = box.value;
      say(t("saved"));
    } catch (error) {
      if (error.status === 401) this.context.loggedOut();
      setText(this.refusal, plain(error.status === 0 ? t("no_answer") : error.message, 500));
    }
  }

  end() {
    this.off();
  }
}

/** A table of texts to which rows are added and from which they are taken. */
class Rows {
  constructor(columns, rows) {
    this.columns = columns;
    this.rows = new Set();
    this.list = h("div", { class: "rows" });
    const more = h("button", { type: "button", class: "quiet framed", on: { click: () => this.#add({}).focus() } }, icon("plus"), t("add_row"));
    this.element = h("div", {}, this.list, more);
    rows.forEach((row) => this.#add(row));
  }

  #add(row) {
    const inputs = Object.fromEntries(this.columns.map(([key, name, hint]) => [key, input(key, row[key], { "aria-label": name, placeholder: hint ?? name })]));
    const gone = h("button", { type: "button", class: "quiet act", "aria-label": t("remove"), title: t("remove") }, icon("remove"));
    const element = h("div", { class: "rows-row" }, Object.values(inputs), gone);
    const entry = { inputs };
    gone.addEventListener("click", () => { this.rows.delete(entry); element.remove(); });
    this.rows.add(entry);
    this.list.append(element);
    return Object.values(inputs)[0];
  }

  get values() {
    return [...this.rows].map(({ inputs }) => Object.fromEntries(Object.entries(inputs).map(([key, box]) => [key, box.value.trim()])));
  }
}

/** "3145728" as "3M", where that says the same. */
function asWritten(limit) {
  const bytes = parseRate(limit);
  const short = bytes ? asOption(bytes) : "";
  return short && parseRate(short) === bytes ? short : (limit ?? "");
}

const field = (name, box) => h("label", { class: "field" }, h("span", {}, name), box);
const input = (name, value, more = {}) => h("input", { name, value: String(value ?? ""), autocomplete: "off", spellcheck: "false", ...more });

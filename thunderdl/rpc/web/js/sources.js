// Every source of a task: its share as a band and as a row, its rate, its state, and why it is as it is.
import { h, keyed, plain, setAttr, setText, setVar } from "./dom.js";
import { icon } from "./icons.js";
import { rate, shareText, size, t } from "./i18n.js";
import { isEnded } from "./actions.js";
import { hostOf } from "./waiting.js";

const TINTS = 8;
const STATES = { "backing off": "source_backing_off" };

export class Sources {
  /** `look(index)`: this source's cells, -1 for all; `drop(url)`, `add(url)`: mirrors. */
  constructor({ look, drop, add }) {
    Object.assign(this, { look, drop, given: new Map() });
    this.band = h("div", { class: "band", role: "presentation" });
    this.list = h("ul", { class: "sources", role: "list" });
    this.url = h("input", { type: "url", placeholder: "https://", "aria-label": t("mirror_add"), spellcheck: "false", required: true });
    const form = h("form", { class: "mirror-form" }, this.url, h("button", { class: "quiet framed" }, icon("plus"), t("mirror_add")));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await add(this.url.value.trim())) this.url.value = "";
    });
    this.form = form;
    this.count = h("span", { class: "count" });
    this.element = h("section", { class: "panel" }, h("h2", {}, t("sources"), this.count), this.list, form);
  }

  /** The colour of each source, the same as long as the page is open, whatever comes or goes. */
  tints(task) {
    return task.sources.map((source) => {
      if (!this.given.has(source.url)) this.given.set(source.url, this.given.size % TINTS);
      return `--s${this.given.get(source.url)}`;
    });
  }

  show(task) {
    const tints = this.tints(task);
    const all = task.size_bytes || task.done_bytes || 1;
    const parts = task.sources.map((source, index) => ({ key: `${index} ${source.url}`, share: source.bytes / all, tint: tints[index], name: nameOf(source) }));
    if (task.resumed_bytes) parts.unshift({ key: "before", share: task.resumed_bytes / all, tint: "--from-before", name: t("from_before") });
    const brought = parts.filter((part) => part.share > 0);
    this.band.hidden = !brought.length && isEnded(task);
    keyed(this.band, brought, (part) => part.key, makePart, function (part) {
      setVar(this.element, "--share", part.share.toFixed(4));
      setVar(this.element, "--tint", `var(${part.tint})`);
      setAttr(this.element, "title", `${part.name}: ${shareText(part.share)}`);
    });
    setText(this.count, String(task.sources.length));
    const mirrors = new Set(task.mirrors);
    keyed(this.list, task.sources.map((source, index) => ({ source, index, tint: tints[index], mirror: mirrors.has(source.url) && task.sources.length > 1 })),
      ({ source, index }) => `${index} ${source.url}`, () => this.#row());
    this.list.classList.toggle("fixed", mirrors.size === 0 || task.sources.length < 2);
    this.form.hidden = isEnded(task) || (task.size_bytes !== null && task.done_bytes >= task.size_bytes);
    this.element.hidden = this.form.hidden && !task.sources.length;
  }

  #row() {
    let index = -1;
    let source = null;
    const name = h("bdi", { class: "source-name" });
    const link = h("bdi", { class: "source-url dim" });
    const state = h("span", { class: "source-state" });
    const why = h("p", { class: "source-why" });
    const speed = h("span", { class: "source-rate" });
    const share = h("span", { class: "source-share dim" });
    const drop = h("button", { type: "button", class: "quiet act", title: t("mirror_remove"), on: { click: () => this.drop(source.url) } }, icon("remove"));
    const element = h("li", { class: "source", tabindex: 0, "aria-description": t("highlight") },
      h("i", { class: "swatch", "aria-hidden": "true" }),
      h("div", { class: "source-body" }, h("p", { class: "source-line" }, name, state), link, why),
      h("div", { class: "source-figures" }, speed, share), drop);
    for (const type of ["pointerenter", "focusin"]) element.addEventListener(type, () => this.look(index));
    for (const type of ["pointerleave", "focusout"]) element.addEventListener(type, () => this.look(-1));
    const update = (row) => {
      ({ source, index } = row);
      setVar(element, "--tint", `var(${row.tint})`);
      setText(name, nameOf(source));
      setText(link, source.kind === "peers" ? "" : plain(source.url, 200));
      setText(state, [stateOf(source), source.lanes && source.kind !== "peers" ? t("connections_n", { n: source.lanes }) : ""].filter(Boolean).join(" · "));
      element.dataset.state = source.state;
      const reasons = [...new Set([source.why, source.note].filter(Boolean).map((text) => plain(text, 400)))];
      setText(why, reasons.join(" – "));
      setText(speed, source.rate_bytes_per_s ? rate(source.rate_bytes_per_s) : "–");
      setText(share, `${shareText(source.share)} · ${size(source.bytes)}`);
      drop.disabled = !row.mirror;
      setAttr(drop, "aria-label", t("named", { what: t("mirror_remove"), name: plain(source.url, 120) }));
    };
    return { element, update };
  }
}

const makePart = () => ({ element: h("i", { class: "part" }) });

const nameOf = (source) => (source.kind === "peers" ? t("peers_source") : plain(hostOf(source.url), 120));

const stateOf = (source) => {
  const key = STATES[source.state] ?? `source_${source.state}`;
  const words = t(key);
  return words === key ? plain(source.state, 40) : words;
};

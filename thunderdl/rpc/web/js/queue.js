// The queue: the sky with the rate, what runs, and below it what waits or what has finished.
import { h, keyed, setText } from "./dom.js";
import { parseRate, rate, size, sizeParts, t, whole } from "./i18n.js";
import { activeRow } from "./active.js";
import { openAdd } from "./add.js";
import { FinishedList } from "./finished.js";
import { Spark } from "./spark.js";
import { WaitingList } from "./waiting.js";

const MINUTES = 3;

export class QueueView {
  constructor(context, list) {
    this.context = context;
    this.store = context.store;
    this.makeSky();
    this.active = h("ul", { class: "active-list", role: "list", "aria-label": t("active_list"), id: "active" });
    this.active.addEventListener("keydown", (event) => this.activeKeys(event));
    this.waiting = new WaitingList(context);
    this.finished = new FinishedList(context);
    this.tabs = { waiting: this.makeTab("#/", t("waiting")), finished: this.makeTab("#/finished", t("finished")) };
    this.head = h("div", { class: "list-head" },
      h("nav", { class: "tabs", "aria-label": t("downloads") }, this.tabs.waiting.element, this.tabs.finished.element), this.finished.tools);
    this.empty = h("section", { class: "empty", hidden: true }, h("h2", {}, t("empty_title")), h("p", { class: "dim" }, t("empty_text")),
      h("button", { type: "button", class: "primary", on: { click: () => openAdd(context) } }, t("add")));
    this.element = h("div", { class: "queue" }, this.sky, h("div", { class: "page" },
      this.active, this.empty, this.head, this.waiting.element, this.finished.element));
    this.offs = [
      this.store.on("stat settings", () => this.updateSky()),
      this.store.on("active stat", () => this.updateActive()),
      this.store.on("waiting stat", () => this.updateTabs()),
    ];
    this.showList(list);
  }

  begin() {
    this.sight.observe(this.sky);
    this.updateSky();
    this.updateActive();
    this.updateTabs();
  }

  makeSky() {
    this.figures = h("span", { class: "figures" });
    this.unit = h("span", { class: "unit" });
    this.more = h("p", { class: "sky-more" });
    this.chart = new Spark({ minutes: MINUTES, label: t("rates_last", { n: MINUTES }) });
    // While the sky is in sight, the bar does not say the same once more.
    this.sight = new IntersectionObserver(([entry]) => document.documentElement.classList.toggle("under-sky", entry.intersectionRatio > 0.45), { threshold: [0.4, 0.5] });
    this.sky = h("section", { class: "sky", "aria-label": t("now") }, this.chart.element,
      h("div", { class: "sky-words" }, h("h1", { class: "sky-rate" }, this.figures, this.unit), this.more));
  }

  makeTab(href, name) {
    const count = h("span", { class: "count" });
    return { element: h("a", { href, class: "tab" }, name, count), count };
  }

  updateSky() {
    const { stat, rates, settings } = this.store;
    const down = stat?.rate_bytes_per_s ?? 0;
    const quiet = !down && !stat?.active;
    const [figures, unit] = sizeParts(down);
    setText(this.figures, quiet ? t("all_quiet") : figures);
    setText(this.unit, quiet ? "" : `${unit}/s`);
    this.sky.classList.toggle("quiet", quiet);
    const parts = [];
    if (stat?.upload_rate_bytes_per_s) parts.push(t("up_short", { rate: rate(stat.upload_rate_bytes_per_s) }));
    if (stat?.free_bytes) parts.push(t("free", { size: size(stat.free_bytes) }));
    setText(this.more, parts.join(" · "));
    document.title = down ? `${rate(down)} – thunderdl` : "thunderdl";
    this.chart.draw(rates, parseRate(stat?.limit ?? settings.limit) ?? 0);
  }

  updateActive() {
    const tasks = this.store.active.map((gid) => this.store.tasks.get(gid)).filter(Boolean);
    // Those that still fetch before those that only share.
    tasks.sort((one, other) => (one.state === "sharing") - (other.state === "sharing") || (one.began_at ?? 0) - (other.began_at ?? 0));
    keyed(this.active, tasks, (task) => task.gid, (task) => activeRow(this.context, task));
    const { stat, known } = this.store;
    const nothing = known && !tasks.length && !(stat?.waiting || stat?.paused);
    this.empty.hidden = !nothing;
    this.sky.classList.toggle("bare", nothing);
    this.active.hidden = !tasks.length;
  }

  updateTabs() {
    const { stat } = this.store;
    setText(this.tabs.waiting.count, whole((stat?.waiting ?? 0) + (stat?.paused ?? 0)));
    setText(this.tabs.finished.count, whole(stat?.ended ?? 0));
    this.waiting.note.hidden = this.list !== "waiting" || !this.store.known || this.store.waiting.length > 0 || !this.empty.hidden;
  }

  showList(list) {
    if (list === this.list) return;
    this.list = list;
    for (const [name, tab] of Object.entries(this.tabs)) {
      tab.element.classList.toggle("current", name === list);
      if (name === list) tab.element.setAttribute("aria-current", "page");
      else tab.element.removeAttribute("aria-current");
    }
    this.waiting.show(list === "waiting");
    this.finished.show(list === "finished");
    this.updateTabs();
  }

  activeKeys(event) {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    const rows = [...this.active.children];
    const at = rows.indexOf(event.target);
    if (at < 0) return;
    event.preventDefault();
    const next = rows[at + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) next.focus();
    else if (event.key === "ArrowDown") (this.list === "waiting" ? this.waiting : this.finished).rows.focus(0);
  }

  search() {
    this.showList("finished");
    this.finished.input.focus();
    this.context.go("/finished");
  }

  end() {
    this.offs.forEach((off) => off());
    this.sight.disconnect();
    document.documentElement.classList.remove("under-sky");
    this.waiting.end();
    this.finished.end();
  }
}

// The page of one task.
import * as api from "./api.js";
import { h, plain, setAttr, setText } from "./dom.js";
import { icon } from "./icons.js";
import { duration, parseRate, percentNumber, rate, size, t } from "./i18n.js";
import { actionButton, isEnded, mainAction, perform } from "./actions.js";
import { Choice } from "./choice.js";
import { LimitSlider } from "./limit.js";
import { PieceMap } from "./piecemap.js";
import { peersTable, trackersList, factsList } from "./taskparts.js";
import { Sources } from "./sources.js";
import { Spark } from "./spark.js";
import { isLive } from "./store.js";

const MINUTES = 5;

export class TaskView {
  constructor(context, gid) {
    Object.assign(this, { context, gid, store: context.store });
    this.makeHead();
    this.map = new PieceMap();
    this.sources = new Sources({ look: (index) => this.map.highlight(index), drop: (url) => this.patch({ urls_remove: [url] }), add: (url) => this.patch({ urls_add: [url] }) });
    this.makeSide();
    this.makeFiles();
    this.peers = peersTable();
    this.trackers = trackersList();
    this.facts = factsList();
    this.hero = h("section", { class: "hero", "aria-label": t("piece_map", { percent: "" }) }, this.top, this.map.element, this.sources.band);
    this.body = h("div", { class: "task-body" }, this.notes, this.hero,
      this.columns = h("div", { class: "task-columns" },
        h("div", { class: "task-main" }, this.sources.element, this.filesSection, this.peers.element),
        h("div", { class: "task-side" }, this.side, this.trackers.element)),
      this.facts.element);
    this.missing = h("p", { class: "note dim", hidden: true }, t("no_task"));
    this.element = h("div", { class: "page task" }, this.head, this.missing, this.body);
    this.body.hidden = true;
    this.off = this.store.on("detail", () => this.update());
  }

  begin() {
    const brief = this.store.tasks.get(this.gid);
    if (brief) this.updateHead(brief);
    if (this.store.detail?.gid === this.gid) this.update();
    this.context.attempt(api.detail(this.gid).then((detail) => {
      this.store.on_detail(detail);
      this.update();
    }).catch((error) => {
      if (error.status !== 404) throw error;
      this.missing.hidden = false;
      this.body.hidden = true;
    }));
  }

  makeHead() {
    this.name = h("bdi", {});
    this.state = h("span", { class: "chip" });
    this.where = h("span", { class: "dim task-where" });
    this.main = actionButton(this.context, "framed");
    this.recheck = actionButton(this.context, "framed");
    this.remove = actionButton(this.context, "framed");
    this.head = h("div", { class: "task-head" },
      h("a", { class: "button quiet back", href: "#/", "aria-label": t("back"), title: t("back") }, icon("back")),
      h("div", { class: "task-title" }, h("h1", {}, this.name), h("p", {}, this.state, this.where)),
      h("div", { class: "row-acts" }, this.main.element, this.recheck.element, this.remove.element));
    this.percent = h("span", { class: "figures" });
    this.speed = h("span", { class: "hero-rate" });
    this.left = h("span", { class: "dim" });
    this.amount = h("span", { class: "dim" });
    this.pieces = h("span", { class: "dim" });
    this.top = h("div", { class: "hero-top" },
      h("div", { class: "hero-percent" }, this.percent, h("small", {}, "%")),
      h("div", { class: "hero-words" }, h("p", {}, this.speed, this.left), h("p", {}, this.amount, this.pieces)));
    this.notes = h("div", { class: "notes" });
  }

  makeSide() {
    this.chart = new Spark({ minutes: MINUTES, grows: true, label: t("rates_last", { n: MINUTES }) });
    this.scale = h("span", { class: "chart-top dim" });
    this.span = h("span", { class: "dim" });
    this.nowDown = h("span", { class: "legend down" });
    this.nowUp = h("span", { class: "legend up" });
    this.slider = new LimitSlider({ label: t("task_limit"), commit: (text) => this.patch({ options: { task_limit: text } }) });
    this.priority = ["low", "normal", "high"].map((one) => h("input", { type: "radio", name: "priority", value: one, on: { change: () => this.prioritize(one) } }));
    this.controls = h("div", { class: "controls" }, this.slider.element,
      h("fieldset", { class: "segments" }, h("legend", {}, t("priority")), this.priority.map((input) => h("label", {}, input, h("span", {}, t(`priority_${input.value}`))))));
    this.side = h("section", { class: "panel" },
      h("div", { class: "chart" }, this.chart.element, this.scale),
      h("p", { class: "legends" }, this.nowDown, this.nowUp, this.span), this.controls);
  }

  makeFiles() {
    const apply = h("button", { type: "button", class: "primary", hidden: true }, t("apply"));
    this.choice = new Choice({ changed: () => { apply.hidden = !this.choice.chosen.size; } });
    apply.addEventListener("click", async () => {
      if (!(await this.patch({ files: this.choice.text }))) return;
      apply.hidden = true;
      this.choice.touched = false;
    });
    this.filesSection = h("section", { class: "panel", hidden: true }, h("h2", {}, t("files")), this.choice.element, apply);
  }

  patch(json) {
    return this.context.attempt(api.change(this.gid, json));
  }

  // Until the daemon has answered, what it told before the click is no reason to take the choice back.
  async prioritize(priority) {
    this.isPrioritizing = true;
    await this.patch({ priority });
    this.isPrioritizing = false;
  }

  togglePause() {
    const task = this.store.detail;
    if (task?.gid === this.gid && mainAction(task)) perform(this.context, task, mainAction(task));
  }

  updateHead(task) {
    const shown = plain(task.name);
    setText(this.name, shown);
    setText(this.state, t(`state_${task.state}`));
    this.state.dataset.state = task.state;
    setText(this.where, plain(task.path ?? task.dir, 160));
    this.main.set(mainAction(task), task);
    this.recheck.set(task.state === "complete" || task.state === "failed" ? "recheck" : null, task);
    this.remove.set("remove", task);
    document.title = `${task.size_bytes && !isEnded(task) ? `${percentNumber(task.done_bytes, task.size_bytes)} % ` : ""}${plain(task.name, 60)} – thunderdl`;
  }

  update() {
    const task = this.store.detail;
    if (task?.gid !== this.gid) {
      if (task === null && !this.body.hidden) {
        this.missing.hidden = false;
        this.body.hidden = true;
      }
      return;
    }
    this.body.hidden = false;
    this.missing.hidden = true;
    this.updateHead(task);
    this.#updateHero(task);
    this.#updateNotes(task);
    this.sources.show(task);
    this.#updateSide(task);
    this.filesSection.hidden = task.files.length < 2;
    if (task.files.length > 1) this.choice.show(belowFolder(task));
    this.peers.show(task);
    this.trackers.show(task);
    this.columns.classList.toggle("alone", this.side.hidden && !task.trackers.length);
    this.facts.show(task);
  }

  #updateHero(task) {
    const done = percentNumber(task.done_bytes, task.size_bytes);
    setText(this.percent, task.size_bytes ? String(done) : "–");
    this.percent.parentElement.classList.toggle("unknown", !task.size_bytes);
    const live = isLive(task);
    // Of what failed before anything was known there is nothing to draw.
    this.hero.hidden = isEnded(task) && !task.size_bytes && !task.done_bytes;
    setText(this.speed, !live ? t(`state_${task.state}`) : task.state === "sharing" ? `↑ ${rate(task.upload_rate_bytes_per_s)}` : rate(task.rate_bytes_per_s));
    setText(this.left, live && task.eta_s !== null && task.state === "active" ? t("left", { time: duration(task.eta_s) }) : "");
    setText(this.amount, task.size_bytes === null ? t("size_unknown", { done: size(task.done_bytes) }) : task.done_bytes >= task.size_bytes ? size(task.size_bytes) : t("size_of", { done: size(task.done_bytes), size: size(task.size_bytes) }));
    setText(this.pieces, task.piece_count ? t("pieces_n", { n: task.piece_count, size: size(task.piece_length) }) : "");
    this.map.show(task, this.sources.tints(task));
  }

  #updateNotes(task) {
    const texts = [...new Set([task.error?.message, task.why, ...(task.notes ?? [])].filter(Boolean))];
    const kept = texts.slice(0, 6).map((text) => plain(text, 500));
    if (this.notes.dataset.shown === kept.join("\n")) return;
    this.notes.dataset.shown = kept.join("\n");
    this.notes.replaceChildren(...kept.map((text, index) => h("p", { class: index === 0 && task.error ? "note-line bad" : "note-line" }, icon(task.error && index === 0 ? "alert" : "help"), h("span", {}, text))));
  }

  #updateSide(task) {
    const live = isLive(task);
    this.chart.draw(this.store.ratesOf(this.gid), parseRate(task.limit) ?? 0);
    setText(this.scale, this.chart.top ? rate(this.chart.wanted) : "");
    setText(this.span, t("last_minutes", { n: this.chart.span / 60_000 }));
    setText(this.nowDown, `${t("download")} ${rate(task.rate_bytes_per_s)}`);
    setText(this.nowUp, `${t("upload")} ${rate(task.upload_rate_bytes_per_s)}`);
    this.side.hidden = isEnded(task);
    this.slider.show(task.limit);
    if (!this.isPrioritizing) for (const input of this.priority) input.checked = input.value === task.priority;
    setAttr(this.side, "data-live", live);
  }

  end() {
    this.off();
    this.map.end();
  }
}

// The daemon tells whole paths; what they all begin with stands above, beside the name.
function belowFolder({ files, path, dir }) {
  const start = [`${path}/`, `${dir}/`].find((one) => files.every((file) => file.path?.startsWith(one)));
  return start ? files.map((file) => ({ ...file, path: file.path.slice(start.length) })) : files;
}

// What waits, in its order: thousands of rows of which those in sight exist, moved by dragging or with Alt and the arrows.
import * as api from "./api.js";
import { h, plain, setAttr, setText } from "./dom.js";
import { icon } from "./icons.js";
import { size, t, whole } from "./i18n.js";
import { actionButton, mainAction, rowKey } from "./actions.js";
import { Dragging } from "./dragging.js";
import { announce } from "./toast.js";
import { VirtualList } from "./virtual.js";

const PAGE = 100;

export class WaitingList {
  constructor(context) {
    this.context = context;
    this.store = context.store;
    this.asked = new Set();
    this.rows = new VirtualList({
      label: t("waiting_list"), id: "waiting",
      key: (index) => this.store.waiting[index] ?? `hole ${index}`,
      make: () => this.#makeRow(),
      seen: (first, end) => this.#fetch(first, end),
    });
    this.note = h("p", { class: "note dim", hidden: true }, t("nothing_waits"));
    this.element = h("section", { class: "list", "aria-label": t("waiting") }, this.note, this.rows.element);
    this.dragging = new Dragging(this.rows, (gid, to) => this.#moveTo(gid, to));
    this.off = this.store.on("waiting", () => this.#update());
    this.rows.element.addEventListener("focusin", (event) => this.#rove(event.target.closest("li")));
    this.#update();
  }

  show(on) {
    this.element.hidden = !on;
    if (on) this.rows.plan();
  }

  #update() {
    if (this.epoch !== this.store.epoch) {
      this.epoch = this.store.epoch;
      this.asked.clear();
    }
    this.rows.element.style.setProperty("--digits", whole(this.store.waiting.length).length);
    this.rows.setLength(this.store.waiting.length);
  }

  // Only pages of which something is in sight and not known.
  async #fetch(first, end) {
    for (let index = first; index < end; index += 1) {
      if (this.store.waiting[index]) continue;
      const offset = index - (index % PAGE);
      if (this.asked.has(offset)) continue;
      this.asked.add(offset);
      const done = await this.context.attempt(api.tasks("waiting", offset, PAGE).then(({ tasks, total }) => this.store.learn(offset, tasks, total)));
      // What failed is asked for again when the line is back; what came may be asked for again once it is a hole again.
      if (done) this.asked.delete(offset);
    }
  }

  // One row is in the order of Tab at a time, with its buttons.
  #rove(row) {
    if (row === this.current) return;
    if (this.current) tabbable(this.current, false);
    this.current = row;
    if (row) tabbable(row, true);
  }

  #makeRow() {
    const row = waitingRow(this.context, (event, self) => this.#keys(event, self), this.store);
    row.element.querySelector(".grip").addEventListener("pointerdown", (event) => this.dragging.begin(event, row));
    return row;
  }

  #keys(event, row) {
    if (event.altKey && row.task) {
      const to = { ArrowUp: row.index - 1, ArrowDown: row.index + 1, Home: 0, End: this.store.waiting.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      if (to >= 0 && to < this.store.waiting.length && to !== row.index) this.#moveTo(row.task.gid, to, true);
      return;
    }
    const next = { ArrowUp: row.index - 1, k: row.index - 1, ArrowDown: row.index + 1, j: row.index + 1, Home: 0, End: this.store.waiting.length - 1,
      PageDown: row.index + 10, PageUp: row.index - 10 }[event.key];
    if (next === undefined || event.target !== row.element) return;
    event.preventDefault();
    if (next < 0 && row.index === 0) document.querySelector("#active > :last-child")?.focus();
    else this.rows.focus(Math.max(0, Math.min(next, this.store.waiting.length - 1)));
  }

  async #moveTo(gid, to, follow = false) {
    const task = this.store.tasks.get(gid);
    if (!task) return;
    this.store.place(gid, to);
    this.rows.render();
    if (follow) this.rows.focus(to);
    announce(t("moved", { name: plain(task.name, 80), n: to + 1, all: this.store.waiting.length }));
    const done = await this.context.attempt(api.move(gid, to));
    if (!done) this.context.attempt(api.tasks("waiting", 0, PAGE).then(({ tasks, total }) => this.store.learn(0, tasks, total)));
  }

  end() {
    this.off();
    this.dragging.end();
    this.rows.end();
  }
}

function tabbable(row, on) {
  row.tabIndex = on ? 0 : -1;
  for (const inner of row.querySelectorAll("button")) inner.tabIndex = on ? 0 : -1;
}

function waitingRow(context, keys, store) {
  const place = h("span", { class: "place" });
  const bdi = h("bdi", {});
  const name = h("a", { class: "row-name", tabindex: -1 }, bdi);
  const facts = h("span", { class: "row-facts dim" });
  const grip = h("span", { class: "grip", title: t("drag"), "aria-hidden": "true" }, icon("grip"));
  const [main, top, remove] = [actionButton(context), actionButton(context, "wide"), actionButton(context)];
  const element = h("li", { class: "row", tabindex: -1 }, grip, place, h("div", { class: "row-body" }, name, facts),
    h("div", { class: "row-acts" }, top.element, main.element, remove.element));
  const row = { element, index: -1, task: null, update };
  element.addEventListener("keydown", (event) => { if (!row.task || !rowKey(context, row.task, event)) keys(event, row); });
  element.addEventListener("dblclick", () => row.task && context.go(`/task/${row.task.gid}`));
  let isNew = true;
  function update(index) {
    const task = (row.task = store.tasks.get(store.waiting[index]) ?? null);
    setText(place, whole(index + 1));
    element.classList.toggle("hole", !task);
    if (isNew) tabbable(element, index === 0);
    isNew = false;
    if (!task) return;
    const shown = plain(task.name);
    setText(bdi, shown);
    setAttr(name, "href", `#/task/${task.gid}`);
    setAttr(name, "title", shown);
    setAttr(element, "aria-label", shown);
    setAttr(element, "aria-description", t("drag"));
    element.dataset.gid = task.gid;
    element.dataset.state = task.state;
    setText(facts, factsOf(task).join(" · "));
    main.set(mainAction(task), task);
    top.set(index > 0 ? "top" : null, task);
    remove.set("remove", task);
  }
  return row;
}

function factsOf(task) {
  const facts = [];
  if (task.state === "paused") facts.push(t("state_paused"));
  if (task.done_bytes && task.size_bytes) facts.push(t("size_of", { done: size(task.done_bytes), size: size(task.size_bytes) }));
  else if (task.size_bytes) facts.push(size(task.size_bytes));
  if (task.category) facts.push(plain(task.category, 40));
  if (task.priority !== "normal") facts.push(t(`${task.priority === "high" ? "high" : "low"}_priority`));
  facts.push(plain(hostOf(task.url), 60));
  return facts;
}

export function hostOf(url) {
  try {
    return new URL(url).host || String(url).split(":", 1)[0];
  } catch {
    return String(url);
  }
}

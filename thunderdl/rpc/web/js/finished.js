// What has ended, newest first: searched by the daemon, loaded as it is scrolled to.
import * as api from "./api.js";
import { h, plain, setAttr, setText } from "./dom.js";
import { icon } from "./icons.js";
import { moment, shortMoment, size, t } from "./i18n.js";
import { actionButton, isEnded, mainAction, rowKey } from "./actions.js";
import { ask } from "./confirm.js";
import { VirtualList } from "./virtual.js";

const PAGE = 100;
const TYPING_MS = 200;

export class FinishedList {
  constructor(context) {
    Object.assign(this, { context, store: context.store, tasks: [], more: true, loading: false, asked: 0, on: false });
    this.input = h("input", { type: "search", name: "q", placeholder: t("search"), "aria-label": t("search"), id: "search" });
    this.state = h("select", { "aria-label": t("state") }, ["", "complete", "failed", "removed"].map((state) =>
      h("option", { value: state }, state ? t(`state_${state}`) : t("any_state"))));
    const clear = h("button", { type: "button", class: "quiet", on: { click: () => this.#clear() } }, t("clear_history"));
    this.tools = h("div", { class: "list-tools", role: "search", hidden: true }, h("label", { class: "search" }, icon("search"), this.input), this.state, clear);
    this.rows = new VirtualList({
      label: t("finished_list"), id: "finished",
      key: (index) => this.tasks[index]?.gid ?? `none ${index}`,
      make: () => finishedRow(context, (event, row) => this.#keys(event, row), this),
      seen: (_, end) => { if (end > this.tasks.length - 20) this.#load(); },
    });
    this.note = h("p", { class: "note dim", hidden: true });
    this.element = h("section", { class: "list", "aria-label": t("finished") }, this.note, this.rows.element);
    this.input.addEventListener("input", () => { clearTimeout(this.typing); this.typing = setTimeout(() => this.#again(), TYPING_MS); });
    this.state.addEventListener("change", () => this.#again());
    this.off = this.store.on("ended", () => this.#news());
    this.epoch = this.store.epoch;
  }

  show(on) {
    this.on = on;
    this.element.hidden = this.tools.hidden = !on;
    if (on) this.#again();
  }

  #again() {
    this.asked += 1;
    this.more = true;
    this.loading = false;
    this.fresh = true;
    this.#load();
  }

  async #load() {
    if (!this.on || !this.more || this.loading) return;
    this.loading = true;
    const mine = this.asked;
    const before = this.fresh ? null : this.tasks.at(-1)?.ended_at;
    const wanted = { q: this.input.value.trim(), state: this.state.value, limit: PAGE, before };
    const came = await this.context.attempt(api.history(wanted).then(({ tasks, more }) => {
      if (mine !== this.asked) return;
      const known = new Set(this.fresh ? [] : this.tasks.map((task) => task.gid));
      this.tasks = [...(this.fresh ? [] : this.tasks), ...tasks.filter((task) => !known.has(task.gid))];
      this.more = more && tasks.length > 0;
      this.fresh = false;
    }));
    if (mine !== this.asked) return;
    this.loading = false;
    // Refused, it is not asked for again by itself: the list in sight would ask without end.
    if (!came) this.more = false;
    this.#update();
  }

  // Ended just now, come back to life, or forgotten: without asking for the list again.
  #news() {
    if (this.epoch !== this.store.epoch) {
      this.epoch = this.store.epoch;
      this.store.moved.clear();
      if (this.on) this.#again();
      return;
    }
    const moved = [...this.store.moved];
    this.store.moved.clear();
    for (const gid of moved) {
      this.tasks = this.tasks.filter((task) => task.gid !== gid);
      const task = this.store.tasks.get(gid);
      if (task && isEnded(task) && this.#fits(task)) this.tasks.unshift(task);
    }
    this.tasks.sort((one, other) => other.ended_at - one.ended_at);
    this.#update();
  }

  #fits(task) {
    const q = this.input.value.trim().toLowerCase();
    return (!q || task.name.toLowerCase().includes(q)) && (!this.state.value || this.state.value === task.state);
  }

  #update() {
    this.rows.setLength(this.tasks.length);
    this.note.hidden = this.tasks.length > 0 || this.loading;
    setText(this.note, this.input.value || this.state.value ? t("nothing_found") : t("nothing_finished"));
  }

  #keys(event, row) {
    const next = { ArrowUp: row.index - 1, k: row.index - 1, ArrowDown: row.index + 1, j: row.index + 1, Home: 0, End: this.tasks.length - 1 }[event.key];
    if (next === undefined || event.target !== row.element) return;
    event.preventDefault();
    if (next < 0) document.querySelector("#active > :last-child")?.focus();
    else this.rows.focus(Math.min(next, this.tasks.length - 1));
  }

  async #clear() {
    if (await ask({ title: t("clear_history_sure"), yes: t("clear_history") })) await this.context.attempt(api.forgetHistory());
  }

  end() {
    clearTimeout(this.typing);
    this.off();
    this.rows.end();
  }
}

const SIGNS = { complete: "check", failed: "alert", removed: "remove" };

function finishedRow(context, keys, list) {
  const sign = h("span", { class: "sign" });
  const bdi = h("bdi", {});
  const name = h("a", { class: "row-name", tabindex: -1 }, bdi);
  const facts = h("span", { class: "row-facts dim" });
  const when = h("time", { class: "row-when dim" });
  const [main, remove] = [actionButton(context), actionButton(context)];
  const element = h("li", { class: "row", tabindex: 0 }, sign, h("div", { class: "row-body" }, name, facts), when,
    h("div", { class: "row-acts" }, main.element, remove.element));
  const row = { element, index: -1, task: null, update };
  element.addEventListener("keydown", (event) => { if (!row.task || !rowKey(context, row.task, event)) keys(event, row); });
  element.addEventListener("dblclick", () => row.task && context.go(`/task/${row.task.gid}`));
  function update(index) {
    const task = (row.task = list.tasks[index]);
    if (!task) return;
    const shown = plain(task.name);
    setText(bdi, shown);
    setAttr(name, "href", `#/task/${task.gid}`);
    setAttr(name, "title", shown);
    setAttr(element, "aria-label", `${shown}, ${t(`state_${task.state}`)}`);
    element.dataset.gid = task.gid;
    if (element.dataset.state !== task.state) sign.replaceChildren(icon(SIGNS[task.state] ?? "file"));
    element.dataset.state = task.state;
    const told = task.error ? plain(reasonOf(task), 240) : [size(task.size_bytes ?? task.done_bytes), task.path ? plain(task.path, 200) : t(`state_${task.state}`)].join(" · ");
    setText(facts, told);
    setText(when, task.ended_at ? shortMoment(task.ended_at) : "");
    setAttr(when, "title", task.ended_at ? moment(task.ended_at) : null);
    main.set(mainAction(task), task);
    remove.set("remove", task);
  }
  return row;
}

// A sentence begins with the link that it is about; where that is the task's own, the row has room for the rest only.
function reasonOf({ error, url }) {
  const start = `${url}: `;
  if (!url || !error.message.startsWith(start)) return error.message;
  const rest = error.message.slice(start.length);
  return rest.charAt(0).toUpperCase() + rest.slice(1);
}

// The event stream: one at a time, opened again with growing pauses when it breaks. Nothing is ever asked by the clock.
import * as api from "./api.js";

const KINDS = ["snapshot", "tasks", "order", "stat", "rates", "detail", "settings"];
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 15_000;

export class Stream {
  /** `hear(kind, data)` for every event; `tell({lost, nextAt})` when the line breaks or is back; `refused()` on 401. */
  constructor({ hear, tell, refused }) {
    Object.assign(this, { hear, tell, refused, task: "", source: null, fresh: null, failures: 0, timer: 0, started: false });
    addEventListener("online", () => this.retry());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.retry());
  }

  start() {
    this.started = true;
    this.failures = 0;
    this.#open();
  }

  stop() {
    this.started = false;
    clearTimeout(this.timer);
    this.timer = 0;
    this.#close();
  }

  /** Details of this task, too, from now on ("" for none). The old stream stays until the new one speaks. */
  watch(gid) {
    if (gid === this.task) return;
    this.task = gid;
    if (this.started && !this.timer) this.#open();
  }

  /** At once, where it waits to try again. */
  retry() {
    if (this.started && this.timer) this.#attempt();
  }

  #open() {
    this.fresh?.close();
    const path = "events" + (this.task ? `?task=${this.task}` : "");
    const source = (this.fresh = new EventSource(api.address(path)));
    for (const kind of KINDS) source.addEventListener(kind, (event) => this.#heard(source, kind, event.data));
    source.onerror = () => this.#broke(source);
  }

  #heard(source, kind, data) {
    if (source === this.fresh) {
      this.source?.close();
      this.source = source;
      this.fresh = null;
      this.failures = 0;
      this.tell({ lost: false });
    }
    if (source === this.source) this.hear(kind, JSON.parse(data));
  }

  #broke(source) {
    source.close();
    if (source !== this.source && source !== this.fresh) return;
    this.#close();
    this.#wait();
  }

  #close() {
    this.source?.close();
    this.fresh?.close();
    this.source = this.fresh = null;
  }

  #wait() {
    const longest = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** this.failures);
    // Scattered, so that all open pages do not come at the same moment when the daemon is back.
    const pause = longest * (0.6 + 0.4 * Math.random());
    this.failures += 1;
    this.timer = setTimeout(() => this.#attempt(), pause);
    this.tell({ lost: true, nextAt: Date.now() + pause });
  }

  // EventSource does not tell why it failed: this asks first, whether it is the daemon or the secret.
  async #attempt() {
    clearTimeout(this.timer);
    this.timer = 0;
    try {
      await api.session();
    } catch (error) {
      if (!this.started || this.timer) return;
      if (error.status === 401) this.refused();
      else this.#wait();
      return;
    }
    if (this.started && !this.source && !this.timer) this.#open();
  }
}

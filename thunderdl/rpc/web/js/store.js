// What the page knows. Events go in, topics come out; no DOM here.
// Of the waiting ones only those that were seen are known: `waiting` has holes, its length is the truth.

const LIVE = new Set(["active", "sharing", "verifying"]);
const QUEUED = new Set(["waiting", "paused"]);
const KEPT_SAMPLES = 600;

export const isLive = (task) => LIVE.has(task.state);
export const isQueued = (task) => QUEUED.has(task.state);

export class Store {
  constructor() {
    Object.assign(this, {
      tasks: new Map(), active: [], waiting: [], stat: null, settings: {}, detail: null, lost: null,
      rates: [], taskRates: new Map(), hearers: new Map(), told: new Set(), planned: false, known: false,
      moved: new Set(), epoch: 0,
    });
  }

  /** `hear()` is called once a frame at most after one of `topics` changed; returns what ends it. */
  on(topics, hear) {
    for (const topic of topics.split(" ")) {
      if (!this.hearers.has(topic)) this.hearers.set(topic, new Set());
      this.hearers.get(topic).add(hear);
    }
    return () => this.hearers.forEach((hearers) => hearers.delete(hear));
  }

  tell(...topics) {
    topics.forEach((topic) => this.told.add(topic));
    if (this.planned) return;
    this.planned = true;
    requestAnimationFrame(() => {
      this.planned = false;
      const due = new Set();
      for (const topic of this.told) this.hearers.get(topic)?.forEach((hear) => due.add(hear));
      this.told.clear();
      due.forEach((hear) => hear());
    });
  }

  hear(kind, data) {
    this[`on_${kind}`](data);
  }

  on_snapshot({ tasks, counts, stat, settings, rates }) {
    this.tasks = new Map(tasks.map((task) => [task.gid, task]));
    this.active = tasks.filter(isLive).map((task) => task.gid);
    this.waiting = tasks.filter(isQueued).map((task) => task.gid);
    this.waiting.length = counts.waiting + counts.paused;
    this.settings = settings ?? this.settings;
    this.known = true;
    this.epoch += 1;
    if (rates) remember(this.rates, rates);
    this.on_stat({ ...counts, ...stat });
    this.tell("active", "waiting", "settings", "ended");
  }

  on_rates({ gid, rates }) {
    remember(this.#ratesOf(gid), rates);
  }

  on_tasks({ changed, gone }) {
    for (const task of changed) this.#take(task);
    for (const gid of gone) this.#drop(gid);
    if (this.detail) {
      const task = changed.find((one) => one.gid === this.detail.gid);
      if (task) this.on_detail({ ...this.detail, ...task });
    }
  }

  on_order({ waiting }) {
    const length = this.waiting.length;
    // Behind the first ones nothing is known any more: it is asked for again when it is seen.
    this.waiting = waiting.slice();
    this.waiting.length = Math.max(length, waiting.length);
    this.tell("waiting");
  }

  on_stat(stat) {
    this.stat = stat;
    const length = (stat.waiting ?? 0) + (stat.paused ?? 0);
    if (length !== this.waiting.length) {
      this.waiting.length = Math.min(this.waiting.length, 200);
      this.waiting.length = length;
      this.tell("waiting");
    }
    sample(this.rates, stat);
    this.tell("stat");
  }

  on_settings(settings) {
    this.settings = settings;
    this.tell("settings");
  }

  on_detail(detail) {
    this.detail = detail;
    sample(this.#ratesOf(detail.gid), detail);
    this.tell("detail");
  }

  /** A page of the waiting ones, as it was asked for. */
  learn(offset, tasks, total) {
    this.waiting.length = total;
    tasks.forEach((task, index) => {
      this.tasks.set(task.gid, task);
      this.waiting[offset + index] = task.gid;
    });
    this.tell("waiting");
  }

  /** The task to this place at once; the daemon's own word follows. */
  place(gid, to) {
    const from = this.waiting.indexOf(gid);
    if (from < 0) return;
    this.waiting.splice(from, 1);
    this.waiting.splice(Math.max(0, Math.min(to, this.waiting.length)), 0, gid);
    this.tell("waiting");
  }

  ratesOf = (gid) => this.taskRates.get(gid) ?? [];

  #ratesOf(gid) {
    if (!this.taskRates.has(gid)) this.taskRates.set(gid, []);
    return this.taskRates.get(gid);
  }

  #take(task) {
    const had = this.tasks.get(task.gid);
    this.tasks.set(task.gid, task);
    if (isLive(task)) {
      sample(this.#ratesOf(task.gid), task);
      if (!this.active.includes(task.gid)) this.active.push(task.gid);
      this.tell("active");
    } else if (this.active.includes(task.gid)) {
      this.active = this.active.filter((gid) => gid !== task.gid);
      this.tell("active");
    }
    if (isQueued(task)) this.#queue(task);
    else this.#unqueue(task.gid);
    if (!isLive(task) && !isQueued(task)) {
      this.taskRates.delete(task.gid);
      this.moved.add(task.gid);
      this.tell("ended");
    } else if (had && !isLive(had) && !isQueued(had)) {
      this.moved.add(task.gid);
      this.tell("ended");
    }
  }

  #queue(task) {
    const at = task.position ?? this.waiting.length;
    if (this.waiting[at] !== task.gid) {
      this.#unqueue(task.gid);
      if (at >= this.waiting.length) this.waiting[at] = task.gid;
      else this.waiting.splice(at, 0, task.gid);
    }
    this.tell("waiting");
  }

  #unqueue(gid) {
    const at = this.waiting.indexOf(gid);
    if (at < 0) return;
    this.waiting.splice(at, 1);
    this.tell("waiting");
  }

  #drop(gid) {
    this.tasks.delete(gid);
    this.taskRates.delete(gid);
    this.active = this.active.filter((one) => one !== gid);
    this.#unqueue(gid);
    this.moved.add(gid);
    if (this.detail?.gid === gid) this.detail = null;
    this.tell("active", "ended", "detail");
  }
}

// Two events of one moment are one sample: the chart's width is time.
function sample(samples, { rate_bytes_per_s: down = 0, upload_rate_bytes_per_s: up = 0 }) {
  const now = performance.now();
  const last = samples.at(-1);
  if (last && now - last.at < 400) Object.assign(last, { down, up });
  else samples.push({ at: now, down, up });
  if (samples.length > KEPT_SAMPLES) samples.splice(0, samples.length - KEPT_SAMPLES);
}

// What the daemon kept of the last minutes, [down, up] for each second, oldest first, comes before what was seen here:
// then the sky is not empty at first.
function remember(samples, rates) {
  const now = performance.now();
  const first = samples[0]?.at ?? now;
  const before = rates.map(([down, up], index) => ({ at: now - (rates.length - index) * 1000, down, up }));
  samples.unshift(...before.filter((sample) => sample.at < first - 500));
}

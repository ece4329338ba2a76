// The map of the pieces: 256 rain gauges that fill from below, each in the colour of the source that fills it.
import { calm, h, setAttr } from "./dom.js";
import { percent, t } from "./i18n.js";
import { colours } from "./spark.js";

const GLOW_MS = 1400;
const GAP = 2;
const CELLS = 256;

/** Bytes of a base64 text; none where it is none. */
export function bytesOf(text) {
  try {
    return Uint8Array.from(atob(text ?? ""), (letter) => letter.charCodeAt(0));
  } catch {
    return new Uint8Array();
  }
}

export class PieceMap {
  constructor() {
    this.canvas = h("canvas", { class: "map", role: "img" });
    this.element = h("div", { class: "map-box" }, this.canvas);
    Object.assign(this, { cells: new Uint8Array(), owners: new Uint8Array(), born: [], tints: [], looked: -1, frame: 0 });
    this.redraw = () => this.#plan();
    this.observer = new ResizeObserver(this.redraw);
    this.observer.observe(this.canvas);
    addEventListener("thunderdl:theme", this.redraw);
  }

  /** `tints`: for each source the name of the custom property with its colour. */
  show(task, tints) {
    let cells = bytesOf(task.piece_map);
    // Of what has ended nothing is told any more, but a whole file has all its pieces.
    if (!cells.length && task.state === "complete") cells = new Uint8Array(CELLS).fill(255);
    this.element.hidden = !cells.length && ["failed", "removed"].includes(task.state);
    const now = performance.now();
    const known = cells.length === this.cells.length;
    this.born = Array.from(cells, (value, index) => (known && value > this.cells[index] ? now : (this.born[index] ?? 0)));
    this.cells = cells;
    // Not every daemon tells whose a cell is: then all have the one colour.
    this.owners = bytesOf(task.piece_sources);
    this.tints = tints;
    this.live = task.state === "active";
    setAttr(this.canvas, "aria-label", cells.length ? t("piece_map", { percent: percent(task.done_bytes, task.size_bytes) }) : t("map_nothing"));
    this.#plan();
  }

  /** The cells of this source (its index; -1 for all) stand out. */
  highlight(index) {
    this.looked = index;
    this.#plan();
  }

  #plan() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.#draw();
    });
  }

  #draw() {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    const dots = Math.min(devicePixelRatio || 1, 2);
    canvas.width = Math.round(width * dots);
    canvas.height = Math.round(height * dots);
    const pen = canvas.getContext("2d");
    pen.scale(dots, dots);
    const count = this.cells.length || CELLS;
    const columns = Math.min(count, width > 560 ? 64 : 32);
    const rows = Math.ceil(count / columns);
    const [w, tall] = [(width + GAP) / columns, (height + GAP) / rows];
    const colour = colours(canvas);
    const shades = [colour("--accent"), ...this.tints.map((name) => colour(name))];
    const paint = { pen, empty: colour("--cell"), shades, old: colour("--from-before"), glow: colour("--glow"), now: performance.now() };
    let glowing = false;
    for (let index = 0; index < count; index += 1) {
      const box = [(index % columns) * w, Math.floor(index / columns) * tall, w - GAP, tall - GAP];
      glowing = this.#cell(paint, index, box) || glowing;
    }
    if (glowing && !calm()) this.#plan();
  }

  #cell({ pen, empty, shades, old, glow, now }, index, [x, y, w, tall]) {
    const owner = this.owners[index] ?? 0;
    const value = (this.cells[index] ?? 0) / 255;
    const faint = this.looked >= 0 && owner !== this.looked + 1;
    const round = Math.min(3, w / 3);
    pen.globalAlpha = 1;
    pen.fillStyle = empty;
    pen.beginPath();
    pen.roundRect(x, y, w, tall, round);
    pen.fill();
    if (!value) return false;
    const filled = value === 1 ? tall : Math.max(2, tall * value);
    pen.globalAlpha = faint ? 0.18 : 1;
    pen.fillStyle = this.owners.length ? (shades[owner] && owner ? shades[owner] : old) : shades[0];
    pen.beginPath();
    pen.roundRect(x, y + tall - filled, w, filled, value === 1 ? round : [0, 0, round, round]);
    pen.fill();
    const age = now - (this.born[index] ?? 0);
    if (age > GLOW_MS || calm()) return false;
    pen.globalAlpha = (1 - age / GLOW_MS) * (faint ? 0.15 : value === 1 ? 0.75 : 0.4);
    pen.fillStyle = glow;
    pen.fill();
    return true;
  }

  end() {
    cancelAnimationFrame(this.frame);
    this.observer.disconnect();
    removeEventListener("thunderdl:theme", this.redraw);
  }
}

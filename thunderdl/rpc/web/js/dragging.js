// A row is dragged to another place: it follows the pointer, a line shows where it would go. Mouse, pen and finger alike.
import { h } from "./dom.js";

const EDGE_PX = 90;
const FASTEST_PX = 18;

export class Dragging {
  /** `drop(gid, to)`: the place that it gets, where `to` counts with the row taken out. */
  constructor(rows, drop) {
    this.rows = rows;
    this.drop = drop;
    this.line = h("li", { class: "drop-line", "aria-hidden": "true", role: "presentation" });
    this.onMove = (event) => { this.at = event.clientY; };
    this.onUp = () => this.finish(true);
    this.onKey = (event) => { if (event.key === "Escape") { event.stopPropagation(); this.finish(false); } };
  }

  begin(event, row) {
    if (event.button !== 0 || !row.task) return;
    event.preventDefault();
    this.row = row;
    row.pinned = true;
    this.from = row.index;
    this.at = event.clientY;
    this.grab = event.clientY - row.element.getBoundingClientRect().top;
    row.element.classList.add("dragged");
    this.rows.element.append(this.line);
    document.documentElement.classList.add("dragging");
    addEventListener("pointermove", this.onMove);
    addEventListener("pointerup", this.onUp);
    addEventListener("pointercancel", this.onUp);
    addEventListener("keydown", this.onKey, true);
    this.frame = requestAnimationFrame(() => this.#follow());
  }

  // Every frame: near an edge the page scrolls by itself, and the pointer may stand still meanwhile.
  #follow() {
    const low = innerHeight - EDGE_PX;
    const push = this.at < EDGE_PX + 60 ? (this.at - EDGE_PX - 60) / EDGE_PX : this.at > low ? (this.at - low) / EDGE_PX : 0;
    if (push) scrollBy(0, Math.max(-1, Math.min(1, push)) * FASTEST_PX);
    const height = this.rows.rowHeight;
    const y = this.at - this.grab - this.rows.element.getBoundingClientRect().top;
    this.to = Math.max(0, Math.min(this.rows.length - 1, Math.round(y / height)));
    this.row.element.style.setProperty("--y", `${y}px`);
    this.line.style.setProperty("--y", `${(this.to > this.from ? this.to + 1 : this.to) * height}px`);
    this.frame = requestAnimationFrame(() => this.#follow());
  }

  finish(meant) {
    if (!this.row) return;
    cancelAnimationFrame(this.frame);
    removeEventListener("pointermove", this.onMove);
    removeEventListener("pointerup", this.onUp);
    removeEventListener("pointercancel", this.onUp);
    removeEventListener("keydown", this.onKey, true);
    document.documentElement.classList.remove("dragging");
    const { row, from, to } = this;
    this.row = null;
    row.pinned = false;
    this.line.remove();
    row.element.classList.remove("dragged");
    this.rows.render();
    if (meant && to !== undefined && to !== from) this.drop(row.task.gid, to);
    row.element.focus({ preventScroll: true });
  }

  end() {
    this.finish(false);
  }
}

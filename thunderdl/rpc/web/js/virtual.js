// A long list of which only the rows in sight exist. It scrolls with the page; every row has one height (--row).
import { h } from "./dom.js";

const BEYOND = 8;

export class VirtualList {
  /**
   * `make(index)` → a row {element, update(index)}; `key(index)`: what a row is of; `seen(first, end)`: which are in sight.
   * A row keeps its element while its key is near, so the focus stays with the task and not with the place; with `pinned`
   * it stays, too, where it is out of sight.
   */
  constructor({ label, key, make, seen = () => {}, id }) {
    Object.assign(this, { key, make, seen, length: 0, rows: new Map(), planned: 0 });
    this.element = h("ul", { class: "virtual", role: "list", "aria-label": label, id });
    this.plan = () => { this.planned ||= requestAnimationFrame(() => { this.planned = 0; this.render(); }); };
    addEventListener("scroll", this.plan, { passive: true });
    addEventListener("resize", this.plan);
  }

  get rowHeight() {
    return parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 60;
  }

  setLength(length) {
    this.length = length;
    this.element.style.height = `${length * this.rowHeight}px`;
    this.plan();
  }

  render() {
    if (!this.element.isConnected || this.element.hidden) return;
    const height = this.rowHeight;
    const above = -this.element.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(above / height) - BEYOND);
    const end = Math.min(this.length, Math.ceil((above + innerHeight) / height) + BEYOND);
    if (end > first) this.seen(first, end);
    const kept = new Set();
    for (let index = first; index < end; index += 1) this.#place(index, height, kept);
    const focused = document.activeElement;
    for (const [key, row] of this.rows) {
      if (kept.has(key) || row.pinned || (row.element.contains(focused) && this.#stays(key, row, height))) continue;
      row.element.remove();
      this.rows.delete(key);
    }
    this.#sort(focused);
  }

  // In the document's order, too: that is what is read out. An element that is moved loses the focus, so it gets it back.
  #sort(focused) {
    const rows = [...this.rows.values()].sort((one, other) => one.index - other.index);
    let before = null;
    for (const { element } of rows) {
      const inPlace = element.parentNode && element.previousElementSibling === before;
      if (!inPlace) this.element.insertBefore(element, before ? before.nextSibling : this.element.firstChild);
      before = element;
    }
    if (this.element.contains(focused) && document.activeElement !== focused) focused.focus({ preventScroll: true });
  }

  #place(index, height, kept) {
    const key = this.key(index);
    if (kept.has(key)) return;
    kept.add(key);
    let row = this.rows.get(key);
    if (!row) {
      row = this.make(index);
      this.rows.set(key, row);
    }
    this.#put(row, index, height);
    row.update(index);
  }

  #put(row, index, height) {
    row.index = index;
    // A pinned one is where the pointer is.
    if (!row.pinned) row.element.style.setProperty("--y", `${index * height}px`);
    row.element.setAttribute("aria-posinset", index + 1);
    row.element.setAttribute("aria-setsize", this.length);
  }

  // Scrolled out of sight with the focus in it: it must not fall back to the body.
  #stays(key, row, height) {
    const index = row.index < this.length && this.key(row.index) === key ? row.index : -1;
    if (index >= 0) this.#put(row, index, height);
    return index >= 0;
  }

  /** The row of this place in sight and in focus. */
  focus(index) {
    if (index < 0 || index >= this.length) return false;
    const height = this.rowHeight;
    const top = this.element.getBoundingClientRect().top + index * height;
    const clear = 130;
    if (top < clear) scrollBy(0, top - clear);
    else if (top + height > innerHeight - 24) scrollBy(0, top + height - innerHeight + 24);
    this.render();
    this.rows.get(this.key(index))?.element.focus({ preventScroll: true });
    return true;
  }

  end() {
    removeEventListener("scroll", this.plan);
    removeEventListener("resize", this.plan);
    cancelAnimationFrame(this.planned);
  }
}

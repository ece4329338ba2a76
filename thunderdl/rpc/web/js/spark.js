// Rates over time, drawn on a canvas: the sky over the queue, the little one in the bar, the chart of a task.
import { h } from "./dom.js";

/** Colours as the theme has them now. */
export function colours(element) {
  const style = getComputedStyle(element);
  return (name) => style.getPropertyValue(name).trim();
}

const spanFor = (age, most) => [60_000, 120_000].find((span) => age <= span && span < most) ?? most;

/** A round ceiling above `value`: 1, 1.5, 2, 3, 4 … of the binary units, so that the scale seldom jumps. */
function ceiling(value) {
  const least = Math.max(value * 1.12, 64 * 1024);
  const power = 2 ** Math.ceil(Math.log2(least));
  return power * 0.75 >= least ? power * 0.75 : power;
}

export class Spark {
  /** `plain`: only what comes, no upload and no limit; `grows`: begins with one minute instead of a mostly empty chart. */
  constructor({ minutes, plain = false, grows = false, label = "" }) {
    this.most = this.span = minutes * 60_000;
    this.plain = plain;
    this.grows = grows;
    this.element = h("canvas", { class: "spark", role: label ? "img" : null, "aria-label": label || null, "aria-hidden": label ? null : "true" });
    this.samples = [];
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  draw(samples = this.samples, limit = null) {
    this.samples = samples;
    this.limit = limit ?? this.limit;
    const canvas = this.element;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width || !height) return;
    const dots = Math.min(devicePixelRatio || 1, 2);
    if (canvas.width !== Math.round(width * dots)) canvas.width = Math.round(width * dots);
    if (canvas.height !== Math.round(height * dots)) canvas.height = Math.round(height * dots);
    const pen = canvas.getContext("2d");
    pen.setTransform(dots, 0, 0, dots, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.#paint(pen, width, height);
  }

  #paint(pen, width, height) {
    const now = this.samples.at(-1)?.at ?? 0;
    const seen = this.samples.filter((sample) => now - sample.at <= this.most + 2000);
    const most = Math.max(0, ...seen.map((sample) => Math.max(sample.down, this.plain ? 0 : sample.up)));
    // It glides to a new scale instead of jumping.
    const wanted = (this.wanted = ceiling(most));
    this.top = this.top ? this.top + (wanted - this.top) * 0.35 : wanted;
    if (this.grows) this.span = spanFor(now - (seen[0]?.at ?? now), this.most);
    const x = (at) => width - ((now - at) / this.span) * width;
    const y = (value) => height - 1.5 - (Math.min(value, this.top) / this.top) * (height - 4);
    const colour = colours(this.element);
    if (seen.length < 2) return;
    this.#line(pen, seen, x, (sample) => y(sample.down));
    pen.strokeStyle = colour("--accent");
    pen.lineWidth = this.plain ? 1.5 : 2;
    pen.stroke();
    pen.lineTo(width, height);
    pen.lineTo(x(seen[0].at), height);
    pen.closePath();
    const fill = pen.createLinearGradient(0, 0, 0, height);
    fill.addColorStop(0, colour("--accent-veil"));
    fill.addColorStop(1, colour("--accent-none"));
    pen.fillStyle = fill;
    pen.fill();
    if (this.plain) return;
    // A line along the ground would look like a border that somebody forgot.
    if (seen.some((sample) => sample.up > 0)) {
      this.#line(pen, seen, x, (sample) => y(sample.up));
      pen.strokeStyle = colour("--up");
      pen.lineWidth = 1.5;
      pen.stroke();
    }
    if (this.limit && this.limit < this.top) this.#limitLine(pen, width, y(this.limit), colour("--dim"));
  }

  #line(pen, seen, x, y) {
    pen.beginPath();
    pen.lineJoin = "round";
    let [lastX, lastY] = [x(seen[0].at), y(seen[0])];
    pen.moveTo(lastX, lastY);
    // Halfway points as joints: a calm line without overshoot.
    for (const sample of seen.slice(1)) {
      const [nextX, nextY] = [x(sample.at), y(sample)];
      pen.quadraticCurveTo(lastX, lastY, (lastX + nextX) / 2, (lastY + nextY) / 2);
      [lastX, lastY] = [nextX, nextY];
    }
    pen.lineTo(lastX, lastY);
  }

  #limitLine(pen, width, at, colour) {
    pen.beginPath();
    pen.setLineDash([4, 5]);
    pen.moveTo(0, at);
    pen.lineTo(width, at);
    pen.strokeStyle = colour;
    pen.lineWidth = 1;
    pen.stroke();
    pen.setLineDash([]);
  }
}

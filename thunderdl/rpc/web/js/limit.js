// A limit to drag: logarithmic, from 16 KiB/s to 1 GiB/s, with none at the end.
import { h, setAttr, setText } from "./dom.js";
import { limitText, parseRate, rate, t } from "./i18n.js";

const LEAST = 16 * 1024;
const DOUBLINGS = 16;
const STEPS = 160;
// What people would write: two figures are enough for a limit.
const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];

/** Bytes a second at a step of the slider, rounded to what people would write; null at the end. */
export function rateAt(step) {
  if (step >= STEPS) return null;
  if (step <= 0) return LEAST;
  const exact = LEAST * 2 ** ((step / STEPS) * DOUBLINGS);
  const unit = exact >= 1024 ** 2 ? 1024 ** 2 : 1024;
  const power = 10 ** Math.floor(Math.log10(exact / unit));
  const figure = exact / unit / power;
  const nearest = ROUND.reduce((best, one) => (Math.abs(one - figure) < Math.abs(best - figure) ? one : best));
  return nearest * power * unit;
}

export function stepAt(bytes) {
  if (!bytes) return STEPS;
  return Math.max(0, Math.min(STEPS - 1, Math.round((Math.log2(bytes / LEAST) / DOUBLINGS) * STEPS)));
}

/** As the daemon reads it: "250K", "1.5M"; "0" for none. */
export function asOption(bytes) {
  if (bytes === null) return "0";
  return bytes >= 1024 ** 2 ? `${+(bytes / 1024 ** 2).toFixed(2)}M` : `${Math.round(bytes / 1024)}K`;
}

export class LimitSlider {
  /** `commit(text)` when it is let go, with the text for the daemon. */
  constructor({ label, commit }) {
    this.value = h("output", { class: "limit-value" });
    this.input = h("input", { type: "range", min: 0, max: STEPS, step: 1, value: STEPS, "aria-label": label });
    this.input.addEventListener("input", () => {
      this.busy = true;
      this.#tell(rateAt(Number(this.input.value)));
    });
    this.input.addEventListener("change", async () => {
      await commit(asOption(rateAt(Number(this.input.value))));
      this.busy = false;
    });
    this.element = h("div", { class: "limit" },
      h("div", { class: "limit-head" }, h("span", {}, label), this.value), this.input,
      h("div", { class: "limit-scale", "aria-hidden": "true" }, [LEAST, 1024 ** 2, 64 * 1024 ** 2, null].map((mark) =>
        h("span", { vars: { "--at": stepAt(mark) / STEPS } }, mark === null ? "∞" : rate(mark).replace(/[.,]0+(?=\D)/, "")))));
  }

  /** What the daemon says; not while it is being dragged. */
  show(text) {
    if (this.busy) return;
    const bytes = parseRate(text);
    this.input.value = stepAt(bytes ?? null);
    this.#tell(bytes, text);
  }

  #tell(bytes, text) {
    const words = bytes === undefined ? limitText(text) : bytes === null ? t("no_limit") : rate(bytes);
    setText(this.value, words);
    setAttr(this.input, "aria-valuetext", words);
    this.input.style.setProperty("--filled", this.input.value / STEPS);
  }
}

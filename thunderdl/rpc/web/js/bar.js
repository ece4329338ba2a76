// The bar at the top: name, rates with their little chart, limit, pause, settings, add.
import * as api from "./api.js";
import { h, setAttr, setText } from "./dom.js";
import { icon } from "./icons.js";
import { limitText, rate, t } from "./i18n.js";
import { openAdd } from "./add.js";
import { LimitSlider } from "./limit.js";
import { popover } from "./popover.js";
import { Spark } from "./spark.js";

export class Bar {
  constructor(context) {
    this.context = context;
    this.store = context.store;
    this.down = h("span", { class: "bar-rate" });
    this.spark = new Spark({ minutes: 1, plain: true });
    this.limitName = h("span", { class: "bar-label" });
    this.limit = h("button", { type: "button", class: "quiet limit-button" }, icon("gauge"), this.limitName);
    this.slider = new LimitSlider({ label: t("limit_all"), commit: (text) => context.attempt(api.setSettings({ limit: text })) });
    this.closer = popover(this.limit, h("div", { class: "limit-pop" }, this.slider.element));
    this.pause = h("button", { type: "button", class: "quiet", id: "pause-all", on: { click: () => this.togglePause() } });
    const add = h("button", { type: "button", class: "primary", id: "add", on: { click: () => openAdd(context) } }, icon("plus"), h("span", { class: "bar-label" }, t("add")));
    const settings = h("a", { class: "button quiet", href: "#/settings", "aria-label": t("settings"), title: t("settings") }, icon("gear"));
    this.element = h("header", { class: "bar" },
      h("a", { class: "brand", href: "#/", "aria-label": "thunderdl" }, h("img", { src: "icon.svg", alt: "", width: 28, height: 28 }), h("span", {}, "thunderdl")),
      h("div", { class: "bar-rates", title: t("down_rate") }, this.spark.element, this.down),
      this.limit, this.pause, settings, add);
    this.off = this.store.on("stat settings connection", () => this.update());
    this.update();
  }

  get paused() {
    const { active = 0, waiting = 0, paused = 0 } = this.store.stat ?? {};
    return active + waiting === 0 && paused > 0;
  }

  togglePause() {
    return this.context.attempt(api.queue(this.paused ? "resume" : "pause"));
  }

  update() {
    const { stat, rates, settings } = this.store;
    setText(this.down, rate(stat?.rate_bytes_per_s ?? 0));
    this.spark.draw(rates);
    const limit = stat?.limit ?? settings.limit ?? null;
    setText(this.limitName, limit === null ? t("limit") : limitText(limit));
    setAttr(this.limit, "aria-label", t("limit_value", { rate: limitText(limit) }));
    setAttr(this.limit, "title", t("limit_all"));
    this.limit.classList.toggle("set", limit !== null);
    this.slider.show(limit);
    const name = this.paused ? t("resume_all") : t("pause_all");
    if (this.pause.title !== name) {
      this.pause.title = name;
      this.pause.setAttribute("aria-label", name);
      this.pause.replaceChildren(icon(this.paused ? "play" : "pause"));
    }
  }

  end() {
    this.closer.end();
    this.off();
  }
}

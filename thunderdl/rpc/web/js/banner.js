// "No connection": while it lasts, with the seconds until the next attempt.
import { h, setText } from "./dom.js";
import { t } from "./i18n.js";

export class Banner {
  constructor(store, stream) {
    this.store = store;
    this.text = h("span", {});
    const again = h("button", { type: "button", class: "quiet", on: { click: () => stream.retry() } }, t("try_now"));
    this.element = h("div", { class: "banner", role: "alert", hidden: true }, h("strong", {}, t("lost")), this.text, again);
    this.off = store.on("connection", () => this.update());
    this.update();
  }

  update() {
    const { lost } = this.store;
    this.element.hidden = !lost;
    document.documentElement.toggleAttribute("data-lost", Boolean(lost));
    clearInterval(this.clock);
    if (!lost) return;
    const count = () => {
      const n = Math.ceil((lost.nextAt - Date.now()) / 1000);
      setText(this.text, n > 0 ? t("trying_in", { n }) : t("trying_now"));
    };
    count();
    this.clock = setInterval(count, 500);
  }

  end() {
    clearInterval(this.clock);
    this.off();
  }
}

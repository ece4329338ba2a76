// The form for the secret.
import * as api from "./api.js";
import { h, plain } from "./dom.js";
import { t } from "./i18n.js";

export function loginView(refusal, entered) {
  const words = h("p", { class: "refusal", role: "alert" }, refusal ? told(refusal) : "");
  const secret = h("input", { type: "password", name: "secret", id: "secret", autocomplete: "current-password", required: true, spellcheck: "false" });
  const button = h("button", { class: "primary" }, t("login"));
  const form = h("form", { class: "login" },
    h("img", { src: "icon.svg", alt: "", width: 56, height: 56 }),
    h("h1", {}, "thunderdl"),
    h("p", { class: "dim" }, t("login_text")),
    // Password managers keep a secret under a name.
    h("input", { class: "unseen", name: "username", autocomplete: "username", value: "thunderdl", tabindex: -1, "aria-hidden": "true" }),
    h("label", { for: "secret" }, t("secret")), secret, button, words);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await api.login(secret.value.trim());
      entered();
    } catch (error) {
      words.textContent = told(error);
      secret.select();
    } finally {
      button.disabled = false;
    }
  });
  return { element: h("main", { class: "login-page" }, form), focus: () => secret.focus() };
}

const told = (error) => plain(error.status === 0 ? t("no_answer") : error.message, 500);

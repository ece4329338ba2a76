// Start: the secret of the address, the session, the stream; then whichever view the address names.
import * as api from "./api.js";
import { h } from "./dom.js";
import { setLanguage, t } from "./i18n.js";
import { Banner } from "./banner.js";
import { Bar } from "./bar.js";
import { listenForDocuments } from "./drop.js";
import { loginView } from "./login.js";
import { QueueView } from "./queue.js";
import { SettingsView } from "./settings.js";
import { listenForKeys } from "./keys.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";
import { TaskView } from "./task.js";
import { say } from "./toast.js";

const app = document.getElementById("app");
const store = new Store();
const scrolled = new Map();
let view = null;
let route = "";
let shell = null;

const context = {
  store, version: "", go: (path) => { location.hash = path; }, view: () => view, render, loggedOut: showLogin,
  /** Does it, and says the refusal's sentence where it is refused. */
  async attempt(promise) {
    try {
      await promise;
      return true;
    } catch (error) {
      if (error.status === 401) showLogin();
      else say(error.status === 0 ? t("no_answer") : error.message, { bad: true });
      return false;
    }
  },
};

const stream = new Stream({
  hear: (kind, data) => store.hear(kind, data),
  tell: (state) => {
    const before = store.lost;
    store.lost = state.lost ? state : null;
    if (before && !state.lost) say(t("regained"));
    store.tell("connection");
  },
  refused: showLogin,
});
context.stream = stream;

/** A fragment that is no route is the secret: used once, and gone from the address before anything else happens. */
function secretOfAddress() {
  const fragment = location.hash.slice(1);
  if (!fragment || fragment.startsWith("/")) return "";
  history.replaceState(null, "", location.pathname + location.search);
  try {
    return decodeURIComponent(fragment);
  } catch {
    // A lone % in it: it was typed as it is.
    return fragment;
  }
}

async function start() {
  setLanguage();
  const secret = secretOfAddress();
  let refusal = null;
  try {
    if (secret) await api.login(secret);
  } catch (error) {
    refusal = error;
  }
  await enter(refusal);
}

async function enter(refusal = null) {
  try {
    context.version = (await api.session()).version;
  } catch (error) {
    if (error.status === 401) return showLogin(refusal);
    // Nobody there yet: the banner says so, and the stream tries again.
  }
  render();
  stream.start();
}

function showLogin(refusal = null) {
  stream.stop();
  leave();
  shell = null;
  document.title = "thunderdl";
  const { element, focus } = loginView(refusal, () => enter());
  app.replaceChildren(element);
  focus();
}

function leave() {
  if (view) scrolled.set(route, scrollY);
  view?.end();
  shell?.end();
  view = null;
}

/** The whole page anew: at the start, and when the language changes. */
function render() {
  leave();
  const bar = new Bar(context);
  const banner = new Banner(store, stream);
  const main = h("main", { id: "main", tabindex: -1 });
  const skip = h("a", { class: "skip", href: "#main", on: { click: (event) => { event.preventDefault(); main.focus(); } } }, t("skip"));
  app.replaceChildren(skip, bar.element, banner.element, main);
  shell = { main, end: () => { bar.end(); banner.end(); } };
  show();
}

function makeView() {
  const [, name = "", id = ""] = route.split("/");
  if (name === "task" && /^[0-9a-f]{16}$/.test(id)) return new TaskView(context, id);
  if (name === "settings") return new SettingsView(context);
  return new QueueView(context, name === "finished" ? "finished" : "waiting");
}

function show() {
  if (!shell) return;
  const before = route;
  if (view) scrolled.set(route, scrollY);
  route = location.hash.slice(1) || "/";
  const inQueue = (path) => path === "/" || path === "/finished";
  if (view && inQueue(before) && inQueue(route) && view.showList) return view.showList(route === "/finished" ? "finished" : "waiting");
  view?.end();
  view = makeView();
  stream.watch(view.gid ?? "");
  shell.main.replaceChildren(view.element);
  view.begin?.();
  scrollTo(0, inQueue(route) ? (scrolled.get(route) ?? 0) : 0);
  if (!before || before === route) return;
  shell.main.focus({ preventScroll: true });
  focusRowOf(before);
}

/** Back from a task its row has the focus: who walks by keys goes on from there, not from the top. */
function focusRowOf(path) {
  if (!/^\/task\/[0-9a-f]{16}$/.test(path)) return;
  // Lists fill their rows with the next frame.
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const row = shell?.main.querySelector(`.row-name[href="#${path}"]`)?.closest("li");
    if (row && document.activeElement === shell.main) row.focus({ preventScroll: true });
  }));
}

addEventListener("hashchange", () => {
  const secret = secretOfAddress();
  if (secret) api.login(secret).then(() => enter(), showLogin);
  else show();
});
// Canvases have their colours from the theme.
addEventListener("thunderdl:theme", () => store.tell("stat", "detail"));
listenForKeys(context);
listenForDocuments(context);
start();

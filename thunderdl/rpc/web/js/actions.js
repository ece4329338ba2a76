// What can be done with a task, wherever it is shown.
import * as api from "./api.js";
import { h, plain } from "./dom.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";
import { confirmRemoval } from "./confirm.js";
import { isLive } from "./store.js";

const STOPPED = new Set(["complete", "failed", "removed"]);

export const isEnded = (task) => STOPPED.has(task.state);

/** The action that the main button of a task has now: pause, resume or retry; null for what is complete. */
export function mainAction(task) {
  if (isLive(task) || task.state === "waiting") return "pause";
  if (task.state === "paused") return "resume";
  return task.state === "complete" ? null : "retry";
}

export function perform(context, task, what) {
  if (what === "remove") return removeTask(context, task);
  if (what === "top") return context.attempt(api.move(task.gid, "top"));
  return context.attempt(api.act(task.gid, what));
}

async function removeTask(context, task) {
  if (isEnded(task)) return context.attempt(api.remove(task.gid, false));
  const answer = await confirmRemoval(task);
  return answer && context.attempt(api.remove(task.gid, answer.files));
}

const SIGNS = { pause: "pause", resume: "play", retry: "retry", remove: "remove", top: "top", recheck: "recheck" };
const NAMES = { top: "to_top" };

/** A button with a sign; what it does may change by `set(action, task)`. */
export function actionButton(context, extra = "") {
  const button = h("button", { type: "button", class: `quiet act ${extra}` });
  let now = null;
  const set = (what, task) => {
    button.hidden = !what;
    now = { what, task };
    if (!what) return;
    const name = t(what === "remove" && isEnded(task) ? "forget" : (NAMES[what] ?? what));
    const label = t("named", { what: name, name: plain(task.name, 120) });
    if (button.getAttribute("aria-label") === label) return;
    button.title = name;
    button.dataset.act = what;
    button.setAttribute("aria-label", label);
    button.replaceChildren(icon(SIGNS[what]));
  };
  button.addEventListener("click", (event) => {
    event.stopPropagation();
    if (now?.what) perform(context, now.task, now.what);
  });
  return { element: button, set };
}

/** Keys that every row understands; true where one was meant. */
export function rowKey(context, task, event) {
  if (event.target !== event.currentTarget || event.altKey || event.ctrlKey || event.metaKey) return false;
  const what = { Delete: "remove", Backspace: "remove", p: mainAction(task), " ": mainAction(task) }[event.key];
  if (event.key === "Enter") context.go(`/task/${task.gid}`);
  else if (what) perform(context, task, what);
  else return false;
  event.preventDefault();
  return true;
}

// A task that runs, as a row of the queue.
import { h, plain, setAttr, setText, setVar } from "./dom.js";
import { duration, limitText, percentNumber, rate, size, t } from "./i18n.js";
import { actionButton, mainAction, rowKey } from "./actions.js";

export function activeRow(context, first) {
  let task = first;
  const percent = h("span", { class: "figures" });
  const name = h("a", { class: "row-name", href: `#/task/${task.gid}`, tabindex: -1 });
  const bdi = h("bdi", {});
  name.append(bdi);
  const speed = h("span", { class: "row-rate" });
  const left = h("span", { class: "row-left dim" });
  const facts = h("span", { class: "row-facts dim" });
  const why = h("span", { class: "row-why" });
  const bar = h("div", { class: "strip", role: "progressbar", "aria-valuemin": 0, "aria-valuemax": 100 }, h("i", {}));
  const [main, remove] = [actionButton(context), actionButton(context)];
  const element = h("li", { class: "active-row", tabindex: 0 },
    h("div", { class: "row-percent" }, percent, h("small", {}, "%")),
    h("div", { class: "row-body" },
      h("div", { class: "row-line" }, name, h("span", { class: "row-speeds" }, speed, left)),
      bar,
      h("div", { class: "row-line low" }, facts, why)),
    h("div", { class: "row-acts" }, main.element, remove.element));
  element.addEventListener("keydown", (event) => rowKey(context, task, event));
  element.addEventListener("dblclick", () => context.go(`/task/${task.gid}`));
  const update = (now) => {
    task = now;
    const done = percentNumber(task.done_bytes, task.size_bytes);
    const shown = plain(task.name);
    setText(percent, task.size_bytes ? String(done) : "–");
    percent.parentElement.classList.toggle("unknown", !task.size_bytes);
    setText(bdi, shown);
    setAttr(name, "title", shown);
    const sharing = task.state === "sharing";
    setText(speed, sharing ? `↑ ${rate(task.upload_rate_bytes_per_s)}` : task.state === "verifying" ? t("state_verifying") : rate(task.rate_bytes_per_s));
    setText(left, sharing ? t("state_sharing") : task.eta_s === null ? "" : t("left", { time: duration(task.eta_s) }));
    setText(facts, factsOf(task).join(" · "));
    setText(why, plain(task.why, 160));
    setAttr(bar, "aria-valuenow", done);
    setAttr(bar, "aria-label", shown);
    setVar(bar, "--done", task.size_bytes ? task.done_bytes / task.size_bytes : 0);
    element.dataset.state = task.state;
    element.classList.toggle("moving", task.rate_bytes_per_s > 0);
    setAttr(element, "aria-label", shown);
    main.set(mainAction(task), task);
    remove.set("remove", task);
  };
  return { element, update };
}

export function factsOf(task) {
  const facts = [task.size_bytes === null ? t("size_unknown", { done: size(task.done_bytes) })
    : task.done_bytes >= task.size_bytes ? size(task.size_bytes)
      : t("size_of", { done: size(task.done_bytes), size: size(task.size_bytes) })];
  if (task.uploaded_bytes) facts.push(t("sent", { size: size(task.uploaded_bytes) }));
  if (task.connections && task.state === "active") facts.push(t("connections_n", { n: task.connections }));
  if (task.category) facts.push(plain(task.category, 40));
  if (task.priority !== "normal") facts.push(t(`${task.priority === "high" ? "high" : "low"}_priority`));
  if (task.limit) facts.push(t("own_limit", { rate: limitText(task.limit) }));
  return facts;
}

// The quieter parts of a task's page: peers, trackers, facts.
import { h, keyed, plain, setAttr, setText, setVar } from "./dom.js";
import { duration, moment, percent, rate, shareText, size, t } from "./i18n.js";

const MOST_PEERS = 60;

export function peersTable() {
  const count = h("span", { class: "count" });
  const body = h("tbody", {});
  const more = h("p", { class: "dim", hidden: true });
  const heads = [["address", ""], ["client", "wide"], ["progress", ""], ["download", "number"], ["upload", "number wide"]];
  const element = h("section", { class: "panel", hidden: true }, h("h2", {}, t("peers"), count),
    h("table", { class: "peers" }, h("thead", {}, h("tr", {}, heads.map(([key, style]) => h("th", { scope: "col", class: style }, t(key))))), body), more);
  const show = ({ peers }) => {
    element.hidden = !peers.length;
    setText(count, String(peers.length));
    const first = [...peers].sort((one, other) => other.rate_bytes_per_s - one.rate_bytes_per_s).slice(0, MOST_PEERS);
    keyed(body, first, (peer) => peer.address, peerRow);
    more.hidden = peers.length <= MOST_PEERS;
    setText(more, t("more_n", { n: peers.length - MOST_PEERS }));
  };
  return { element, show };
}

function peerRow() {
  const [address, client] = [h("bdi", {}), h("bdi", {})];
  const has = h("span", { class: "gauge" });
  const mark = h("span", { class: "dim" });
  const [down, up] = [h("td", { class: "number" }), h("td", { class: "number wide" })];
  const element = h("tr", {}, h("td", { class: "mono" }, address), h("td", { class: "wide" }, client), h("td", {}, has, mark), down, up);
  const update = (peer) => {
    setText(address, plain(peer.address, 60));
    setText(client, plain(peer.client, 40));
    setVar(has, "--done", peer.progress);
    setText(mark, peer.seeder ? t("seeder") : shareText(peer.progress));
    setText(down, peer.rate_bytes_per_s ? rate(peer.rate_bytes_per_s) : peer.choking ? t("choking") : "–");
    down.classList.toggle("dim", !peer.rate_bytes_per_s);
    setText(up, peer.upload_rate_bytes_per_s ? rate(peer.upload_rate_bytes_per_s) : "–");
  };
  return { element, update };
}

export function trackersList() {
  const list = h("ul", { class: "trackers", role: "list" });
  const element = h("section", { class: "panel", hidden: true }, h("h2", {}, t("trackers")), list);
  const show = ({ trackers }) => {
    element.hidden = !trackers.length;
    keyed(list, trackers, (tracker) => tracker.url, () => {
      const [url, told] = [h("bdi", { class: "mono" }), h("span", { class: "dim" })];
      const row = h("li", {}, url, told);
      return { element: row, update(tracker) {
        setText(url, plain(tracker.url, 200));
        const parts = [tracker.message ? plain(tracker.message, 200) : t("tracker_ok")];
        if (tracker.seeds !== null && tracker.seeds !== undefined) parts.push(t("seeds_n", { n: tracker.seeds }));
        if (tracker.next_s) parts.push(t("tracker_next", { time: duration(tracker.next_s) }));
        setText(told, parts.join(" · "));
        row.classList.toggle("bad", Boolean(tracker.message));
      } };
    });
  };
  return { element, show };
}

export function factsList() {
  const list = h("dl", { class: "facts" });
  const element = h("section", { class: "panel" }, h("h2", {}, t("details")), list);
  const show = (task) => keyed(list, factsOf(task), ([name]) => name, ([name, , mono]) => {
    const value = h("dd", { class: mono ? "mono" : null });
    return { element: h("div", {}, h("dt", {}, name), value), update([, text]) {
      setText(value, text);
      setAttr(value, "title", text.length > 60 ? text : null);
    } };
  });
  return { element, show };
}

// Options that have a word of their own; the others are called as the command line calls them.
const OPTION_WORDS = { out: "name", checksum: "checksum", task_limit: "task_limit", peers: "peers", dir: "folder" };

function optionWord(name) {
  return Object.hasOwn(OPTION_WORDS, name) ? t(OPTION_WORDS[name]) : plain(name, 40);
}

function factsOf(task) {
  const facts = [];
  const put = (key, value, mono = false) => { if (value) facts.push([t(key), value, mono]); };
  const at = (epoch) => (epoch ? moment(epoch) : "");
  put("category", plain(task.category, 80));
  put("path", plain(task.path, 400), true);
  put("url", plain(task.url, 400), true);
  put("added_at", at(task.added_at));
  put("began_at", at(task.began_at));
  put("ended_at", at(task.ended_at));
  put("verified", task.verified.map((one) => plain(one, 60)).join(", "));
  if (task.uploaded_bytes) put("ratio", `${(task.ratio ?? 0).toFixed(2)} · ${t("sent", { size: size(task.uploaded_bytes) })}`);
  if (task.resumed_bytes) put("resumed", `${size(task.resumed_bytes)} · ${percent(task.resumed_bytes, task.size_bytes ?? task.resumed_bytes)}`);
  if (task.wasted_bytes) put("wasted", size(task.wasted_bytes));
  put("info_hash", task.info_hash ? plain(task.info_hash, 80) : "", true);
  put("gid", task.gid, true);
  const options = Object.entries(task.options ?? {}).map(([name, value]) => [optionWord(name), plain(value, 200), true]);
  return [...facts, ...options];
}

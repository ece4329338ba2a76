// The daemon's API. Addresses are relative, so the page works behind a proxy that gives it a folder.

/** A refusal: `message` is one sentence, made to be shown; `status` 0 where nobody answered. */
export class Refusal extends Error {
  constructor(status, message, kind = "") {
    super(message);
    this.status = status;
    this.kind = kind;
  }
}

export const address = (path) => new URL(`api/v1/${path}`, document.baseURI);

async function call(method, path, { json, body, type } = {}, again = false) {
  const headers = json !== undefined ? { "content-type": "application/json" } : type ? { "content-type": type } : {};
  let answer;
  try {
    answer = await fetch(address(path), { method, headers, body: json !== undefined ? JSON.stringify(json) : body });
  } catch {
    // A browser drops what is under way when a network comes or goes, even if it is not the one used: asked once more.
    if (method !== "GET" || again) throw new Refusal(0, "");
    await new Promise((resolve) => setTimeout(resolve, 300));
    return call(method, path, {}, true);
  }
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  throw new Refusal(answer.status, told.error?.message ?? `${answer.status} ${answer.statusText}`, told.error?.kind);
}

const query = (fields) => {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined && value !== null && value !== "");
  return kept.length ? "?" + new URLSearchParams(kept) : "";
};

export const session = () => call("GET", "session");
export const login = (secret) => call("POST", "login", { json: { secret } });
export const logout = () => call("POST", "logout");
export const tasks = (state, offset, limit) => call("GET", "tasks" + query({ state, offset, limit }));
export const add = (list) => call("POST", "tasks", { json: list.length === 1 ? list[0] : { tasks: list } });
export const detail = (gid) => call("GET", `tasks/${gid}`);
export const change = (gid, json) => call("PATCH", `tasks/${gid}`, { json });
export const remove = (gid, files) => call("DELETE", `tasks/${gid}` + query({ files: files ? 1 : 0 }));
export const act = (gid, what) => call("POST", `tasks/${gid}/${what}`);
export const move = (gid, to) => call("POST", `tasks/${gid}/move`, { json: { to } });
export const queue = (what) => call("POST", `queue/${what}`);
export const history = (fields) => call("GET", "history" + query(fields));
export const forgetHistory = () => call("DELETE", "history");
export const setSettings = (json) => call("PATCH", "settings", { json });

const typeOf = (name) => (name.endsWith(".torrent") ? "application/x-bittorrent" : "application/metalink4+xml");

export const inspectUrl = (url) => call("POST", "inspect", { json: { url } });
export const inspectFile = (file) => call("POST", "inspect", { body: file, type: typeOf(file.name) });
export function addFile(file, { category, priority, paused, options }) {
  const fields = { name: file.name, category, priority, paused: paused ? 1 : null, options: JSON.stringify(options) };
  return call("POST", "documents" + query(fields), { body: file, type: typeOf(file.name) });
}

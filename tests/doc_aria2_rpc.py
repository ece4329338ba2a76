"""docs/reference/aria2-rpc.md, made from the tables of thunderdl/rpc/aria2."""

from __future__ import annotations

from collections.abc import Iterator

from thunderdl.aria2.option import Option, State
from thunderdl.aria2.table import OPTIONS
from thunderdl.rpc.aria2 import methods, settings, telling
from thunderdl.rpc.aria2.notices import NOTIFICATIONS

_HEAD = f"""# aria2's RPC

Made from `thunderdl/rpc/aria2` by `python -m tests.doc_pages`. `thunderdl daemon` answers the calls of aria2's clients:
JSON-RPC by POST and WebSocket at `/jsonrpc`, XML-RPC at `/rpc`. The token is the daemon's secret, the file `secret` of
its state folder: AriaNg's "Secret Token", `token:SECRET` before the parameters. Documentation of the methods is
[aria2's own](https://aria2.github.io/manual/en/html/aria2c.html#rpc-interface); here stands what is other than there.

```text
$ curl -s localhost:6800/jsonrpc -d '{{"id":1,"method":"aria2.tellActive","params":["token:SECRET",["gid","status"]]}}'
{{"id":1,"jsonrpc":"2.0","result":[{{"gid":"2089b05ecca3d829","status":"active"}}]}}
```

Errors have aria2's words, codes and HTTP statuses (400, and 500 for what is no JSON or has named parameters).
`getVersion` says {methods.VERSION}: clients compare it with the release in which something came, and this is the one
whose methods and options these are; `thunderdl` beside it is our own version."""

_NOT = """## What is missing, and why

- **GET and JSONP.** A page that anybody wrote can send them; nothing is executed by GET.
- **Access-Control-Allow-Origin for everybody.** AriaNg at another address needs `--allow-origin` of the daemon.
- **`followedBy`, `following`, `belongsTo`.** The task of a torrent or metalink is the one that fetches its files.
- **Hooks, logs, session and cookie files by RPC.** They name programs and files of the daemon's machine: set on the
  daemon's own command line.
- **Passwords in answers.** Neither `getOption` nor URIs tell them.
- **Folders elsewhere.** `dir` must be below the daemon's `--root` folders, `out` inside of `dir`.
- **Connections of one task.** `split` and `max-connection-per-server` count for all tasks, by `changeGlobalOption`,
  from the next start on; the scheduler decides otherwise.
- **Removed before it began.** aria2 forgets it at once; here it stands among the stopped ones as `removed`.
- **A second guess.** Of one request one wrong token is looked at: in a batch all calls behind it are unauthorized.
- **aria2-next's own methods** (media, ed2k search, block lists)."""


def page() -> Iterator[str]:
    """Its lines."""
    yield f"{_HEAD}\n"
    yield "## Methods\n"
    yield "| method | parameters after the token | other than in aria2 |\n| --- | --- | --- |"
    for name, method in methods.METHODS.items():
        params = ", ".join(f"[{each.name}]" if each.optional else each.name for each in method.params)
        note = method.note if method.needs_token else ", ".join(filter(None, (method.note, "no token needed")))
        yield f"| `{name}` | {params or '–'} | {note} |"
    yield "\n## Notifications\n"
    yield "By WebSocket, in order, to every connection. Whoever is 1,000 messages behind is disconnected.\n"
    yield from (f"- `{name}`" for name in NOTIFICATIONS)
    yield "\n## Keys of tellStatus\n"
    yield f"{', '.join(f'`{key}`' for key in telling.KEYS)}.\n"
    yield "`bitfield` is told while a task runs and when it is complete; `pieceLength` of what does not run is 1 MiB.\n"
    yield "## Options\n"
    yield "What each does is in [the list of options](aria2.md). By RPC those are taken that aria2 takes there, others"
    yield "are passed over. All are kept and told again; these do something:\n"
    yield "| option | may be set |\n| --- | --- |"
    yield from (f"| `{option.name}` | {option.reach.value} |" for option in OPTIONS.values() if _works(option))
    yield f"\n{_NOT}"


def _works(option: Option) -> bool:
    by_rpc = option.name not in settings.NOT_FROM_OUTSIDE and (option.reach.of_a_download or option.reach.changes_all)
    known = option.here.state is State.OURS or option.name in ("gid", "pause", "parameterized-uri")
    fields = set(option.here.ours)
    return by_rpc and known and (not fields or bool(fields & settings.taken_here()) or option.reach.changes_all)

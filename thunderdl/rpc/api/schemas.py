"""The shapes of what the API answers, as JSON Schema; a test holds the answers to them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_SWITCH: Schema = {"type": "boolean"}
_TEXTS: Schema = {"type": "array", "items": _TEXT}


def _or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def _object(**properties: Schema) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _list(name: str) -> Schema:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


_ERROR = _object(kind=_TEXT, message=_TEXT)
_STATES = ("waiting", "active", "sharing", "verifying", "paused", "complete", "failed", "removed")
_TASK: dict[str, Schema] = {
    "gid": {"type": "string", "pattern": "^[0-9a-f]{16}$"}, "state": {"type": "string", "enum": _STATES},
    "name": _TEXT, "url": _TEXT, "kind": _TEXT, "dir": _TEXT, "path": _or_null(_TEXT), "size_bytes": _or_null(_WHOLE),
    "done_bytes": _WHOLE, "uploaded_bytes": _WHOLE, "rate_bytes_per_s": _WHOLE, "upload_rate_bytes_per_s": _WHOLE,
    "eta_s": _or_null(_NUMBER), "connections": _WHOLE, "priority": {"enum": ["low", "normal", "high"]},
    "category": _TEXT, "position": _or_null(_WHOLE), "added_at": _NUMBER, "began_at": _or_null(_NUMBER),
    "ended_at": _or_null(_NUMBER), "error": _or_null(_object(kind=_TEXT, message=_TEXT, code=_WHOLE)), "notes": _TEXTS,
    "verified": _TEXTS, "limit": _or_null(_TEXT), "why": _TEXT,
}  # fmt: skip
_TABLE: Schema = {"type": "object"}
_DETAIL: dict[str, Schema] = {
    "options": _TABLE, "mirrors": _TEXTS, "piece_map": {"type": "string", "contentEncoding": "base64"},
    "piece_sources": {"type": "string", "contentEncoding": "base64"},
    "piece_length": _or_null(_WHOLE), "piece_count": _or_null(_WHOLE), "sources": _list("Source"),
    "peers": _list("Peer"), "files": _list("File"), "trackers": _list("Tracker"), "info_hash": _or_null(_TEXT),
    "ratio": _NUMBER, "resumed_bytes": _WHOLE, "wasted_bytes": _WHOLE,
}  # fmt: skip
SCHEMAS: Mapping[str, Any] = {
    "Task": _object(**_TASK), "Detail": _object(**_TASK, **_DETAIL),
    "Tasks": {**_object(tasks=_list("Task")), "properties": {"tasks": _list("Task"), "total": _WHOLE}},
    "History": _object(tasks=_list("Task"), more=_SWITCH),
    "Source": _object(
        url=_TEXT, kind=_TEXT, state=_TEXT, bytes=_WHOLE, share=_NUMBER, rate_bytes_per_s=_WHOLE, lanes=_WHOLE,
        note=_TEXT, why=_TEXT,
    ),
    "Peer": _object(
        address=_TEXT, client=_TEXT, rate_bytes_per_s=_WHOLE, upload_rate_bytes_per_s=_WHOLE, progress=_NUMBER,
        seeder=_SWITCH, choking=_SWITCH,
    ),
    "File": _object(
        index=_WHOLE, path=_or_null(_TEXT), size_bytes=_or_null(_WHOLE), done_bytes=_WHOLE, selected=_SWITCH
    ),
    "Tracker": _object(url=_TEXT, message=_TEXT, next_s=_or_null(_NUMBER), seeds=_or_null(_WHOLE)),
    "Inside": _object(name=_TEXT, size_bytes=_or_null(_WHOLE), files={"type": "array", "items": _object(
        index=_WHOLE, path=_TEXT, size_bytes=_or_null(_WHOLE))}),
    "Position": _object(position=_WHOLE), "Session": _object(version=_TEXT), "Options": _object(options={
        "type": "array", "items": _TABLE}),
    "Settings": _object(
        dir=_TEXT, categories=_TABLE, active=_WHOLE, limit=_or_null(_TEXT), upload_limit=_or_null(_TEXT),
        task_limit=_or_null(_TEXT), ratio=_or_null(_TEXT), roots=_TEXTS, hours=_or_null(_TEXT),
        schedule={"type": "array", "items": _TABLE},
    ),
    "OpenApi": _TABLE, "Text": _TEXT, "Refusal": _object(error=_ERROR),
}  # fmt: skip

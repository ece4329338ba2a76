"""The API described, as OpenAPI 3.1, from the table of its routes and the shapes of its fields."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from thunderdl.rpc.api.fields import Field
from thunderdl.rpc.api.routes import Route
from thunderdl.rpc.api.schemas import SCHEMAS

_GID = {
    "name": "gid", "in": "path", "required": True, "description": "16 lower hex digits.",
    "schema": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
}  # fmt: skip
_REFUSED = {"description": "Refused, with one sentence.", "content": {"application/json": {"schema": {
    "$ref": "#/components/schemas/Refusal"}}}}  # fmt: skip


def described(routes: Sequence[Route], version: str) -> Mapping[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0", "info": {"title": "thunderdl daemon", "version": version}, "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "secret": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "thunderdl"},
            },
        },
        "security": [{"secret": []}, {"cookie": []}],
    }  # fmt: skip


def _operation(route: Route) -> dict[str, Any]:
    parameters = [*([_GID] if "{gid}" in route.path else ()), *map(_parameter, route.query)]
    told: dict[str, Any] = {
        "summary": route.help, "operationId": _name(route), "responses": {str(route.status): _answer(route)},
    }  # fmt: skip
    told["responses"]["default"] = _REFUSED
    if parameters:
        told["parameters"] = parameters
    if route.takes_bytes:
        told["requestBody"] = {"required": True, "content": {"application/octet-stream": {}}}
    elif route.body is not None:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": _object(route.body)}}}
    return told


def _answer(route: Route) -> dict[str, Any]:
    if not route.answers:
        return {"description": "Done."}
    schema = {"$ref": f"#/components/schemas/{route.answers}"}
    return {"description": route.answers, "content": {route.type: {"schema": schema}}}


def _parameter(field: Field) -> dict[str, Any]:
    told = {"name": field.name, "in": "query", "description": field.help, "schema": field.shape.schema}
    return told | ({"required": True} if field.needed else {})


def _object(fields: Iterable[Field]) -> dict[str, Any]:
    fields = list(fields)
    told: dict[str, Any] = {
        "type": "object", "additionalProperties": False,
        "properties": {field.name: {**field.shape.schema, "description": field.help} for field in fields},
    }  # fmt: skip
    if needed := [field.name for field in fields if field.needed]:
        told["required"] = needed
    return told


def _name(route: Route) -> str:
    """``postTasksPause`` of ``POST /api/v1/tasks/{gid}/pause``."""
    words: Sequence[str] = re.findall(r"[a-z]+", route.path.partition("/v1/")[2].replace("{gid}", "task"))
    return route.method.lower() + "".join(word.capitalize() for word in words)

"""JSON Schema (draft 2020-12) of ``report.json``, generated from the dataclasses of ``results``."""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from groundtune.measure.results import SCHEMA_VERSION, Report

_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


def report_schema() -> dict[str, Any]:
    """The schema; docs/reference/report.schema.json is its printed form (a test holds them together)."""
    definitions: dict[str, Any] = {}
    schema = _object(Report, definitions)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"groundtune report, schema version {SCHEMA_VERSION}",
        **schema,
        "$defs": definitions,
    }


def _object(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    hints = get_type_hints(kind)
    required = [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
    return {
        "type": "object",
        "description": " ".join((kind.__doc__ or "").split()),
        "properties": {f.name: _type(hints[f.name], definitions) for f in fields(kind)},
        "required": required,
    }


def _type(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401
    if hint in _PLAIN:
        return {"type": _PLAIN[hint]}
    if is_dataclass(hint) and isinstance(hint, type):
        if hint.__name__ not in definitions:
            definitions[hint.__name__] = {}
            definitions[hint.__name__] = _object(hint, definitions)
        return {"$ref": f"#/$defs/{hint.__name__}"}
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_type(part, definitions) for part in inner]}
    if origin is tuple:
        return {"type": "array", "items": _type(inner[0], definitions)}
    return {"type": "object", "additionalProperties": _type(inner[1], definitions)}

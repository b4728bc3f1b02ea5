"""What may stand in a `perstack.toml`, generated from the models: a JSON Schema for editors, a text for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import cast

from pydantic import JsonValue

from perstack.core.experts import BASE_TOOLS, MANAGEMENT_TOOLS
from perstack.core.json import JsonObject
from perstack.definition.schema import MAX_NUMBER
from perstack.definition.schema_harness import Document

Schema = dict[str, JsonValue]

_PLACEHOLDERS = {"experts": '"<key>"', "skills": '"<name>"', "tools": '"<tool>"', "commands": "<command>"}
_BOUNDS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "minLength": "at least {} character(s)",
    "maxLength": "at most {} characters",
}
_NAMES = f"""\
# Names
#   expert key    [@scope/]name[@version|@tag], lower-case letters, digits, . _ -
#   coordinator   name without a scope; delegates to "@name/…" and to other coordinators
#   delegate      "@coordinator/name"; delegates to its siblings and to other coordinators
#   tool name     the part of a delegate's key behind "/"; may not collide with another tool
#
# Tools of "@perstack/base" (for pick and omit)
#   {", ".join(BASE_TOOLS[:9])},
#   {", ".join(BASE_TOOLS[9:])}
#   only where pick names them: {", ".join(MANAGEMENT_TOOLS)}
"""


@cache
def json_schema() -> JsonObject:
    """The JSON Schema (draft 2020-12) of a whole `perstack.toml`, for editors and other tools."""
    schema = cast("Schema", _tidy(cast("JsonValue", Document.model_json_schema(by_alias=True))))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "perstack.toml",
        **cast("JsonObject", schema),
    }


def json_schema_text() -> str:
    """The JSON Schema as a file."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def reference() -> str:
    """Every table and key with type, default and meaning, written in the shape of TOML."""
    schema = cast("Schema", json_schema())
    lines = ["# perstack.toml: every table and key. Required keys have no default.", ""]
    lines += _table(schema, cast("Mapping[str, Schema]", schema["$defs"]), header="", heading="# top level")
    return "\n".join([*lines, _NAMES])


def _tidy(node: JsonValue) -> JsonValue:
    """TOML has no null, and unknown keys are worth a mark in the editor."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("anyOf"), list):
        kinds = [kind for kind in cast("list[Schema]", node["anyOf"]) if kind.get("type") != "null"]
        if len(kinds) == 1:
            rest = {key: value for key, value in node.items() if key != "anyOf"}
            node = {**kinds[0], **rest}
        else:
            node = {**node, "anyOf": cast("list[JsonValue]", kinds)}
    tidy: Schema = {}
    for key, value in node.items():
        if key == "properties" and isinstance(value, dict):
            tidy[key] = {name: _tidy(item) for name, item in value.items()}  # a key may be called "title"
        elif not (key == "title" and isinstance(value, str)) and not (key == "default" and value is None):
            tidy[key] = _tidy(value)
    if "properties" in tidy and tidy.get("additionalProperties") is True:
        tidy["additionalProperties"] = False
    return tidy


def _table(schema: Schema, defs: Mapping[str, Schema], *, header: str, heading: str) -> list[str]:
    """One table: its own keys first, then the tables below it."""
    required = cast("list[str]", schema.get("required", []))
    lines, below = [heading], list[str]()
    for key, raw in cast("Mapping[str, Schema]", schema.get("properties", {})).items():
        inner = _resolve(raw, defs)
        inside = f"{header}.{key}" if header else key
        tables = list(_tables_in(inner, defs, key, inside))
        for table, title in tables:
            below += _table(table, defs, header=title.partition("]")[0].lstrip("["), heading=title)
        if not tables:
            lines.append(_line(key, inner, required=key in required))
    return [*lines, "", *below] if len(lines) > 1 else below


def _tables_in(schema: Schema, defs: Mapping[str, Schema], key: str, inside: str) -> Iterator[tuple[Schema, str]]:
    """The tables a key stands for, each with its TOML header."""
    if "properties" in schema:
        yield schema, f"[{inside}]"
    elif "oneOf" in schema:
        for variant in cast("list[Schema]", schema["oneOf"]):
            yield _resolve(variant, defs), f"[{inside}]"
    elif isinstance(schema.get("additionalProperties"), dict):
        inner = _resolve(cast("Schema", schema["additionalProperties"]), defs)
        named = f"{inside}.{_PLACEHOLDERS.get(key, '<name>')}"
        yield from _tables_in(inner, defs, key, named)
    elif schema.get("type") == "array":
        inner = _resolve(cast("Schema", schema.get("items", {})), defs)
        for table, title in _tables_in(inner, defs, key, inside):
            yield table, f"[{title}]"


def _resolve(schema: Schema, defs: Mapping[str, Schema]) -> Schema:
    reference_name = schema.get("$ref")
    if not isinstance(reference_name, str):
        return schema
    target = defs[reference_name.rpartition("/")[2]]
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def _line(key: str, schema: Schema, *, required: bool) -> str:
    notes = [_type(schema)]
    notes += [
        text.format(schema[bound]) for bound, text in _BOUNDS.items() if schema.get(bound, MAX_NUMBER) != MAX_NUMBER
    ]
    if required and "const" not in schema:
        notes.append("required")
    elif schema.get("default") not in (None, [], {}):
        notes.append(f"default {json.dumps(schema['default'], ensure_ascii=False)}")
    about = schema.get("description")
    return f"{key} = {', '.join(notes)}" + (f"  # {about}" if isinstance(about, str) else "")


def _type(schema: Schema) -> str:
    if "const" in schema:
        return json.dumps(schema["const"])
    if "enum" in schema:
        return " | ".join(json.dumps(word) for word in cast("list[str]", schema["enum"]))
    if "anyOf" in schema:
        return " | ".join(_type(kind) for kind in cast("list[Schema]", schema["anyOf"]))
    kind = schema.get("type")
    if kind == "array":
        return f"[{_type(cast('Schema', schema.get('items', {})))}]"
    if kind == "object":
        return "table of strings"
    return str(kind)

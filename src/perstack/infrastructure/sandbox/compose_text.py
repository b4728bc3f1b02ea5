"""YAML, and JSON with comments, as plain values with the line of each key. Knows no key of any format.

The text is of the base commit; still, it is bounded: aliases that multiply, deep nesting and odd tags are refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from perstack.core.errors import UserError
from perstack.core.json import Json, JsonObject

_MAX_BYTES = 256 * 1024
_MAX_VALUES = 20_000
_MAX_DEPTH = 40
# A string, or a comment: what looks like a comment inside a string is none.
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA = re.compile(r'("(?:[^"\\\n]|\\.)*")|,(?=\s*[}\]])')

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Text:
    """One file: its values, and where they are written. `name` is how messages name it."""

    name: str
    values: JsonObject
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def at(self, *path: str | int) -> str:
        """`file:line` of the value at `path`, or of what is around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return f"{self.name}:{self.lines.get(path, 1)}"


def read_file(source: Path, name: str, what: str) -> str:
    """A file of the base commit; nothing outside it is followed to. Raises: UserError."""
    path = source / name
    if not path.is_file() or not path.resolve().is_relative_to(source.resolve()):
        raise UserError(f"[sandbox] {what}: there is no {name} in the base commit")
    if path.stat().st_size > _MAX_BYTES:
        raise UserError(f"[sandbox] {what}: {name} is larger than {_MAX_BYTES // 1024} kB")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"[sandbox] {what}: {name} is not UTF-8: {error}") from error


def yaml_text(text: str, name: str) -> Text:
    """A YAML document whose top is a mapping. Raises: UserError with file:line."""
    loader = yaml.SafeLoader(text)
    reader = _Reader(loader, name)
    try:
        node = loader.get_single_node()
        values = reader.value(node, ()) if node is not None else {}
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{name}:{line}: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise UserError(f"{name}: this is not YAML that can be read: {str(error).splitlines()[0]}") from error
    finally:
        loader.dispose()
    if not isinstance(values, dict):
        raise UserError(f"{name}:1: expected keys at the top")
    return Text(name, values, reader.lines)


def commented_json(text: str, name: str) -> Text:
    """JSON that may hold comments and last commas. Raises: UserError with file:line."""
    plain = _TOKEN.sub(lambda found: found[0] if found[0].startswith('"') else _blank(found[0]), text)
    plain = _LAST_COMMA.sub(lambda found: found[1] or " ", plain)
    try:
        values = json.loads(plain)
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise UserError(f"{name}:{line}: {getattr(error, 'msg', 'nested too deeply')}") from error
    if not isinstance(values, dict):
        raise UserError(f"{name}:1: expected an object")
    # JSON is YAML but for tabs between tokens, which YAML refuses; its nodes know their lines.
    lines = yaml_text(re.sub(r'("(?:[^"\\\n]|\\.)*")|\t', lambda found: found[1] or " ", plain), name).lines
    return Text(name, values, lines)


def _blank(comment: str) -> str:
    return "".join("\n" if character == "\n" else " " for character in comment)


@dataclass(slots=True)
class _Reader:
    loader: yaml.SafeLoader
    name: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    _seen: int = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Json:
        self._seen += 1
        if self._seen > _MAX_VALUES or len(path) > _MAX_DEPTH:
            raise UserError(f"{self.name}:{node.start_mark.line + 1}: too many values, or nested too deeply")
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(each, (*path, number)) for number, each in enumerate(node.value)]
        made = self.loader.construct_object(node)
        return made if made is None or isinstance(made, bool | int | float | str) else str(made)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> JsonObject:
        self.loader.flatten_mapping(node)  # what `<<` brings
        if len(node.value) > _MAX_VALUES:
            raise UserError(f"{self.name}:{node.start_mark.line + 1}: too many values")
        found: dict[str, Json] = {}
        for key, value in node.value:
            word = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            self.lines[(*path, word)] = key.start_mark.line + 1
            found[word] = self.value(value, (*path, word))
        return found

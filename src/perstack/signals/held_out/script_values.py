"""Literals of JavaScript in test files: read from tokens, and in the form in which the probe sends values. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

_TOKEN = re.compile(
    r"""(?P<space>\s+|//[^\n]*|/\*.*?\*/)"""
    r"""|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\$]|\\.|\$(?!\{))*`)"""
    r"""|(?P<number>0[xX][0-9a-fA-F]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w$])"""
    r"""|(?P<name>[A-Za-z_$][\w$]*)"""
    r"""|(?P<sign>=>|\.\.\.|\?\.|[-+*/%=<>!&|^~?:;,.(){}\[\]@#`\\])|(?P<other>.)""",
    re.DOTALL,
)
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f", "v": "\v", "\n": ""}
_WORDS: Final = {"true": True, "false": False, "null": None}


class Undefined:
    """The value `undefined`, which Python has none for."""

    def __repr__(self) -> str:
        return "undefined"


UNDEFINED: Final = Undefined()


class NoLiteral(ValueError):
    """The tokens are no literal, or one that cannot be carried over."""


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its kind (`string`, `number`, `name`, `sign`, `other`) and text."""

    kind: str
    text: str


def tokens_of(source: str) -> tuple[Token, ...]:
    """The tokens of a source, without spaces and comments. Regular expressions come out as `other` and signs."""
    found = ((match.lastgroup or "other", match[0]) for match in _TOKEN.finditer(source))
    return tuple(Token(kind, text) for kind, text in found if kind != "space")


class Reader:
    """Reads literals at a place that moves on."""

    def __init__(self, tokens: Sequence[Token], place: int) -> None:
        self._tokens = tokens
        self.place = place

    def sees(self, *texts: str) -> bool:
        """Whether these tokens come next; strings never count as signs or names."""
        ahead = self._tokens[self.place : self.place + len(texts)]
        return [token.text for token in ahead if token.kind != "string"] == list(texts)

    def take(self, *texts: str) -> bool:
        """Go over these tokens if they come next."""
        if not self.sees(*texts):
            return False
        self.place += len(texts)
        return True

    def next(self) -> Token:
        """Raises: NoLiteral at the end."""
        if self.place >= len(self._tokens):
            raise NoLiteral("the source ends")
        self.place += 1
        return self._tokens[self.place - 1]

    def literal(self) -> object:
        """The next literal's value. Raises: NoLiteral."""
        token = self.next()
        if token.kind == "string":
            return _text(token.text)
        if token.kind == "number":
            return _number(token.text)
        if token.text in {"-", "+"}:
            value = self.next()
            if value.kind != "number":
                raise NoLiteral("a sign without a number")
            number = _number(value.text)
            return -number if token.text == "-" else number
        if token.kind == "name" and token.text in _WORDS:
            return _WORDS[token.text]
        if token.text == "undefined":
            return UNDEFINED
        if token.text == "[":
            return self.items("]")
        if token.text == "{":
            return self._object()
        raise NoLiteral(f"no literal: {token.text}")

    def items(self, end: str) -> list[object]:
        """Literals between commas up to `end`. Raises: NoLiteral."""
        found: list[object] = []
        while not self.take(end):
            found.append(self.literal())
            if not self.take(",") and not self.sees(end):
                raise NoLiteral("no comma")
        return found

    def _object(self) -> dict[str, object]:
        found: dict[str, object] = {}
        while not self.take("}"):
            key = self.next()
            if key.kind not in {"string", "name", "number"} or not self.take(":"):
                raise NoLiteral("a property that is no plain one")
            name = str(_text(key.text)) if key.kind == "string" else key.text
            if name == "__proto__":
                raise NoLiteral("a prototype")
            found[name] = self.literal()
            if not self.take(",") and not self.sees("}"):
                raise NoLiteral("no comma")
        return found


def encoded_script(value: object) -> list[Any]:
    """A literal's value as the probe for scripts sends values: types are JavaScript's."""
    match value:
        case bool():
            return ["b", str(value).lower()]
        case None:
            return ["none"]
        case int() | float():
            whole = float(value).is_integer()
            return ["n", str(int(value))] if whole and abs(value) < 2**53 else ["f", repr(float(value))]
        case str():
            return ["s", value]
        case list():
            return ["l", [encoded_script(item) for item in value]]
        case dict():
            kept = [(key, item) for key, item in value.items() if item is not UNDEFINED]
            return ["d", sorted(([["s", key], encoded_script(item)] for key, item in kept), key=json.dumps)]
    return ["u"]


def _number(text: str) -> int | float:
    plain = text.replace("_", "")
    if plain[:2].lower() == "0x":
        return int(plain, 16)
    return int(plain) if plain.isdecimal() and len(plain) < 16 else float(plain)


def _text(token: str) -> str:
    body = token[1:-1]
    if re.search(r"\\[xu1-9]", body):
        raise NoLiteral("an escape that is not read")
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), body, flags=re.DOTALL)

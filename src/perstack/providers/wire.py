"""Messages as bytes, each made once. Shared by the wire protocols; knows none of them.

A run's history only grows, so what was sent with turn n is sent again, byte for byte, at the start of turn n+1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from perstack.core.json import Json, compact
from perstack.core.messages import FilePart, Message, ModelRequest

V = TypeVar("V")
_PLAIN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

NOTHING_SAID = "(no output)"
REASONING_MARK = "openai:"
"""Before a reasoning item's id in `ThinkingPart.signature`: no other server can read it."""
CALL_MARK = "google:"
"""Before a tool call's id in `ThinkingPart.signature`: what Gemini wants to be given back with that call."""


def encode(value: Json) -> bytes:
    """Compact JSON in UTF-8; a lone surrogate, which no server accepts, becomes `?`."""
    return compact(value).encode("utf-8", "replace")


class WireCache:
    """Bodies of requests, from parts that are kept for the last `runs` runs.

    `head` makes everything before the messages and depends on the request without them; `message` makes one
    message's bytes, empty for one that has nothing to say.
    """

    def __init__(
        self, *, head: Callable[[ModelRequest], bytes], message: Callable[[Message], bytes], tail: bytes, runs: int = 8
    ) -> None:
        self._head = head
        self._message = message
        self._tail = tail
        self._limit = runs
        self._runs: OrderedDict[str, dict[str, tuple[Message, bytes]]] = OrderedDict()
        self._heads: OrderedDict[str, tuple[tuple[object, ...], bytes]] = OrderedDict()

    def body(self, request: ModelRequest) -> bytes:
        """The whole body of one request."""
        known = self._runs.get(request.run_id, {})
        kept: dict[str, tuple[Message, bytes]] = {}
        parts: list[bytes] = []
        for message in request.messages:
            entry = known.get(message.id)
            if entry is None or entry[0] is not message:
                entry = (message, self._message(message))
            kept[message.id] = entry
            if entry[1]:
                parts.append(entry[1])
        _keep(self._runs, request.run_id, kept, self._limit)
        return b"".join((self._head_of(request), b",".join(parts), self._tail))

    def _head_of(self, request: ModelRequest) -> bytes:
        state = (
            request.model,
            request.system,
            request.tools,
            request.max_output_tokens,
            request.reasoning_budget,
            request.reasoning,
            request.hosted,
            tuple(request.hosted_options.items()),
        )
        known = self._heads.get(request.run_id)
        if known is not None and known[0] == state:
            return known[1]
        head = self._head(request)
        _keep(self._heads, request.run_id, (state, head), self._limit)
        return head

    def forget(self) -> None:
        """Drop what is kept, after the way of encoding changed."""
        self._runs.clear()
        self._heads.clear()


def _keep(store: OrderedDict[str, V], key: str, value: V, limit: int) -> None:
    store[key] = value
    store.move_to_end(key)
    while len(store) > limit:
        store.popitem(last=False)


def read_args(raw: str) -> tuple[Mapping[str, Json], str]:
    """A tool call's arguments and, where they are no JSON object, the problem to tell the model."""
    if not raw.strip():
        return {}, ""
    try:
        value = json.loads(raw)
    except ValueError as error:
        return {}, f"the arguments are not valid JSON ({error}): {_short(raw)}"
    if not isinstance(value, dict):
        return {}, f"the arguments must be a JSON object, not {type(value).__name__}: {_short(raw)}"
    return value, ""


def _short(raw: str) -> str:
    return raw if len(raw) <= 200 else raw[:200] + "…"


def mapping(value: Json | None) -> Mapping[str, Json]:
    """`value` if it is an object, else an empty one: for fields that servers leave out or set to null."""
    return value if isinstance(value, Mapping) else {}


def items(value: Json | None) -> Sequence[Json]:
    """`value` if it is an array, else an empty one."""
    return value if isinstance(value, list | tuple) else ()


def text(value: Json | None) -> str:
    """`value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def count(value: Json | None) -> int:
    """`value` if it is a count, else 0."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def tool_name(name: str) -> str:
    """A name that servers accept when an earlier call is sent again, however a model spelt it."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:128] or "unnamed"


def is_plain_id(given: str) -> bool:
    """Whether every server takes a call's id as it is."""
    return _PLAIN_ID.fullmatch(given) is not None


def call_id(given: str) -> str:
    """A call's id as strict servers take it: letters, digits, `_` and `-`. Another server may have given an odd one."""
    if is_plain_id(given):
        return given
    return f"call_{hashlib.sha256(given.encode('utf-8', 'replace')).hexdigest()[:24]}"


def file_text(part: FilePart) -> str:
    """A text file's text, or a note that a file of this type cannot be sent."""
    if part.mime_type.startswith("text/"):
        try:
            return base64.b64decode(part.data).decode("utf-8", "replace")
        except binascii.Error:
            pass
    return f"(a file of type {part.mime_type} was left out: this model cannot read it)"

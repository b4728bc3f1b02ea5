"""Server-sent events, decoded as the bytes arrive. Knows nothing of any model's protocol."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass

from perstack.core.json import Json


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event: its name (empty where the server gave none) and its data lines joined."""

    name: str
    data: str

    def json(self) -> dict[str, Json]:
        """The data as a JSON object.

        Raises: ValueError when it is not one.
        """
        value = json.loads(self.data)
        if not isinstance(value, dict):
            raise ValueError(f"expected an object, got {type(value).__name__}")  # noqa: TRY004 – callers catch one kind
        return value


class EventDecoder:
    """Turns chunks of any size into whole events. One decoder serves one response."""

    __slots__ = ("_begun", "_data", "_name", "_rest")

    def __init__(self) -> None:
        self._rest: list[bytes] = []
        self._begun = False
        self._name = ""
        self._data: list[str] = []

    def feed(self, chunk: bytes) -> Iterator[ServerEvent]:
        """The events that `chunk` completes.

        Raises: UnicodeDecodeError (a ValueError) when a line is not UTF-8.
        """
        self._rest.append(chunk)
        if b"\n" not in chunk and b"\r" not in chunk and not self._rest[0].endswith(b"\r"):
            return  # the middle of a long line: joining it now would cost its square
        buffer = b"".join(self._rest).replace(b"\r\n", b"\n")
        # A chunk may end between CR and LF; the CR is kept back until its neighbour is known.
        held = b"\r" if buffer.endswith(b"\r") else b""
        lines = buffer[: len(buffer) - len(held)].replace(b"\r", b"\n").split(b"\n")
        self._rest = [lines.pop() + held]
        for line in lines:
            event = self._line(line)
            if event is not None:
                yield event

    def finish(self) -> Iterator[ServerEvent]:
        """The last event of a server that left out the closing blank line."""
        rest, self._rest = b"".join(self._rest), []
        for line in (rest.rstrip(b"\r"), b""):
            event = self._line(line)
            if event is not None:
                yield event

    def _line(self, line: bytes) -> ServerEvent | None:
        if not self._begun:
            self._begun, line = True, line.removeprefix(BOM_UTF8)
        if not line:
            if not self._data:
                self._name = ""
                return None
            event = ServerEvent(self._name, "\n".join(self._data))
            self._name, self._data = "", []
            return event
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value.decode())
        elif field == b"event":
            self._name = value.decode()
        return None

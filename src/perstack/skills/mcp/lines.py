"""Cuts a byte stream into lines without ever holding more than one message. Pure; knows no protocol."""

from __future__ import annotations

from collections.abc import Iterator


class LineTooLong(ValueError):
    """A line passed the limit; what was read of it is gone."""


class Lines:
    """Feed bytes, take whole lines. `limit` is bytes a line."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The lines that `data` completes, without their ends.

        Raises: LineTooLong.
        """
        if b"\n" not in data:
            self._keep(data)
            return
        head, *middle, rest = data.split(b"\n")
        self._keep(head)
        first = bytes(self._buffer)
        self._buffer.clear()
        yield first.rstrip(b"\r")
        for line in middle:
            yield line.rstrip(b"\r")
        self._keep(rest)

    def rest(self) -> bytes:
        """What came after the last line's end; forgotten with this."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def _keep(self, data: bytes) -> None:
        if len(self._buffer) + len(data) > self._limit:
            self._buffer.clear()
            raise LineTooLong(f"a line of more than {self._limit:,} bytes")
        self._buffer += data

"""Where every key of a TOML text is: key path → line. Not a parser: the text must have passed `tomllib`."""

from __future__ import annotations

import tomllib
from bisect import bisect_right
from collections.abc import Mapping

KeyPath = tuple[str | int, ...]

_BLANK = " \t"
_BETWEEN = " \t\r\n,"
_BARE_END = ",]}\n#"


def locate(text: str) -> Mapping[KeyPath, int]:
    """The 1-based line of every table, key and array item of a valid TOML text.

    A table that exists only through its children has the line of its first child.
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return scanner.lines


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int:
    """The line of `path` or of its nearest ancestor that was written down; 1 where there is none."""
    for length in range(len(path), 0, -1):
        line = lines.get(path[:length])
        if line is not None:
            return line
    return 1


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.lines: dict[KeyPath, int] = {}
        self._breaks = [index for index, char in enumerate(text) if char == "\n"]
        self._lengths: dict[KeyPath, int] = {}  # arrays of tables

    def document(self) -> None:
        table: KeyPath = ()
        while True:
            self._skip(_BETWEEN)
            if self.position >= len(self.text):
                return
            if self.text.startswith("[[", self.position):
                table = self._header(2)
            elif self.text[self.position] == "[":
                table = self._header(1)
            else:
                self._pair(table)

    def _header(self, brackets: int) -> KeyPath:
        line = self._line()
        self.position += brackets
        parts = self._key()
        self.position += brackets
        path: KeyPath = ()
        for part in parts[:-1]:
            path = (*path, part)
            self.lines.setdefault(path, line)
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)
        path = (*path, parts[-1])
        if brackets == 1:
            self.lines[path] = line
            return path
        self.lines.setdefault(path, line)
        index = self._lengths.get(path, 0)
        self._lengths[path] = index + 1
        path = (*path, index)
        self.lines[path] = line
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for part in self._key():
            path = (*path, part)
            self.lines.setdefault(path, line)
        self.position += 1  # the equals sign
        self._value(path)

    def _key(self) -> list[str]:
        """One dotted key; ends on the first character behind it that is not blank."""
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            parts.append(self._key_part())
            self._skip(_BLANK)
            if self.position < len(self.text) and self.text[self.position] == ".":
                self.position += 1
            else:
                return parts

    def _key_part(self) -> str:
        start = self.position
        quote = self.text[start]
        if quote not in "\"'":
            while self.position < len(self.text) and self.text[self.position] not in " \t.=]":
                self.position += 1
            return self.text[start : self.position]
        self._string()
        raw = self.text[start : self.position]
        return raw[1:-1] if quote == "'" else str(tomllib.loads(f"key = {raw}")["key"])

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        char = self.text[self.position]
        if char in "\"'":
            self._string()
        elif char == "[":
            self._array(path)
        elif char == "{":
            self._inline_table(path)
        else:
            while self.position < len(self.text) and self.text[self.position] not in _BARE_END:
                self.position += 1

    def _array(self, path: KeyPath) -> None:
        self.position += 1
        index = 0
        while True:
            self._skip(_BETWEEN)
            if self.text[self.position] == "]":
                self.position += 1
                return
            item = (*path, index)
            self.lines[item] = self._line()
            self._value(item)
            index += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.position += 1
        while True:
            self._skip(_BETWEEN)
            if self.text[self.position] == "}":
                self.position += 1
                return
            self._pair(path)

    def _string(self) -> None:
        quote = self.text[self.position]
        fence = quote * 3 if self.text.startswith(quote * 3, self.position) else quote
        self.position += len(fence)
        while not self.text.startswith(fence, self.position):
            self.position += 2 if quote == '"' and self.text[self.position] == "\\" else 1
        self.position += len(fence)
        if len(fence) == 3:  # up to two quotes may stand directly before the closing ones
            for _ in range(2):
                if self.text.startswith(quote, self.position):
                    self.position += 1

    def _skip(self, characters: str) -> None:
        while self.position < len(self.text):
            char = self.text[self.position]
            if char == "#":
                end = self.text.find("\n", self.position)
                self.position = len(self.text) if end < 0 else end
            elif char in characters:
                self.position += 1
            else:
                return

    def _line(self) -> int:
        return bisect_right(self._breaks, self.position - 1) + 1

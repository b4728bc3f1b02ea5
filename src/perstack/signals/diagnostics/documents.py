"""JSON inside a tool's output: documents that start a line, and JSON lines, among whatever else was printed. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from perstack.signals.diagnostics.parsed import Streams

_START = re.compile(r"^[ \t]*(?=[\[{])", re.MULTILINE)
# `[INFO] …`, `[1/2] …`: text that only looks like a list
_NO_LIST = re.compile(r"\[[^\]\[{\"\n]*[^\]\[{\"\n\s\d.,-][^\]\[{\"\n]*\]|\[\d+/\d+\]")
_BROKEN_LIMIT = 20
_FAILURE_LIMIT = 1_000  # beginnings that are no document: hostile output may be made of them
_DECODER = json.JSONDecoder()


@dataclass(slots=True)
class Documents:
    """JSON values in order, and how many began and did not end."""

    values: list[Any] = field(default_factory=list)
    broken: int = 0


def documents(streams: Streams) -> Documents:
    """Every JSON document that begins a line of either stream, standard error first."""
    found = Documents()
    for stream in (streams.stderr, streams.stdout):
        _scan(stream, found)
    return found


def objects(streams: Streams) -> Documents:
    """JSON lines: every line that begins with `{`. A line that is cut counts as broken."""
    found = Documents()
    for stream in (streams.stdout, streams.stderr):
        for line in stream.split("\n"):
            if not line.startswith("{"):
                continue
            value = _value(line)
            if isinstance(value, dict):
                found.values.append(value)
            elif line.startswith('{"'):
                found.broken += 1
    return found


def _value(line: str) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _scan(stream: str, found: Documents) -> None:
    at, failures = 0, 0
    while found.broken < _BROKEN_LIMIT:
        start = _START.search(stream, at)
        if start is None:
            return
        begin = start.end()
        if _NO_LIST.match(stream, begin):
            at = begin + 1
            continue
        try:
            value, at = _DECODER.raw_decode(stream, begin)
        except (ValueError, RecursionError):
            failures += 1
            found.broken += _looks_cut(stream, begin) or failures == _FAILURE_LIMIT
            if failures == _FAILURE_LIMIT:
                return
            at = begin + 1
            continue
        found.values.append(value)


def _looks_cut(stream: str, begin: int) -> bool:
    """Whether this is the beginning of a document rather than a line of prose or code that starts with a bracket."""
    return re.compile(r'[\[{]\s*(?:["\[{]|$)').match(stream, begin) is not None

"""tsc: plain and pretty text, and the list of files it read (`--listFiles`). Pure. There is no structured form."""

# ruff: noqa: E501  # a pattern is easier to check in one piece

from __future__ import annotations

import re

from perstack.core.signals import Diagnostic
from perstack.signals.diagnostics.parsed import Parsed, Streams, first_line, number, severity

_PLAIN = re.compile(
    r"(?P<path>[^\s(].*?)\((?P<line>\d{1,9}),(?P<column>\d{1,9})\): (?P<severity>error|warning) (?P<code>TS\d{1,6}): (?P<message>.*)"
)
_PRETTY = re.compile(
    r"(?P<path>[^\s:].*?):(?P<line>\d{1,9}):(?P<column>\d{1,9}) - (?P<severity>error|warning) (?P<code>TS\d{1,6}): (?P<message>.*)"
)
_NO_FILE = re.compile(r"(?P<severity>error|warning) (?P<code>TS\d{1,6}): (?P<message>.*)")
_FILE = re.compile(r"(?:/|[A-Za-z]:[\\/])\S.*\.(?:[cm]?[jt]sx?|json)$")


def parse_tsc(streams: Streams) -> Parsed:
    """Diagnostics, and as units the files outside `node_modules` and the compiler's own library."""
    parsed = Parsed()
    for line in streams.lines:
        if "TS" in line and (match := _PLAIN.match(line) or _PRETTY.match(line)) is not None:
            place = number(match["line"]), number(match["column"])
            message = first_line(match["message"])
            parsed.add(
                Diagnostic(match["path"], place[0], severity(match["severity"]), message, place[1], match["code"])
            )
        elif (bare := _NO_FILE.match(line)) is not None:
            parsed.add(Diagnostic("", 0, severity(bare["severity"]), first_line(bare["message"]), code=bare["code"]))
        elif _FILE.match(line) and "/node_modules/" not in line:
            parsed.units.append(line)
    return parsed

"""What a Dockerfile has the engine fetch by itself, whatever network its commands have. Reads text, builds nothing.

The text is the base commit's, so it is read as it is meant: no defence against one that hides what it does.
"""

from __future__ import annotations

import re
from collections.abc import Callable

_CONTINUED = re.compile(r"\\[ \t]*\r?\n")
_FROM = re.compile(r"\s*FROM\s+(?:--\S+\s+)*(\S+)(?:\s+AS\s+(\S+))?", re.IGNORECASE)
_COPY = re.compile(r"\s*(?:ONBUILD\s+)?COPY\s.*?--from=(\S+)", re.IGNORECASE)
_ADD = re.compile(r"\s*(?:ONBUILD\s+)?ADD\s.*?(\S*(?:://|git@)\S*)", re.IGNORECASE)


def fetched(text: str, has: Callable[[str], bool]) -> str:
    """The first image or address that the engine would fetch, as it is written; empty for none.

    `has` says whether an image is there. One that is named by a variable counts as fetched: nobody knows which it is.
    """
    stages = {"scratch"}
    for line in _CONTINUED.sub(" ", text).splitlines():
        if added := _ADD.match(line):
            return added[1]
        begun, copied = _FROM.match(line), _COPY.match(line)
        if found := begun or copied:
            name = found[1]
            is_stage = name.lower() in stages or (bool(copied) and name.isdecimal())
            if not is_stage and ("$" in name or not has(name)):
                return name
        if begun and begun[2]:
            stages.add(begun[2].lower())
    return ""

"""The line of `[dependencies]` that a dependency is. Text in, text out: what people wrote stays byte for byte."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

from perstack.core.errors import UserError
from perstack.core.json import compact
from perstack.definition.load import load_config
from perstack.definition.locate import KeyPath, locate

TABLE = "dependencies"
_HEADER = re.compile(r"[ \t]*\[[ \t]*dependencies[ \t]*\][ \t]*")
_COMMENT = re.compile(r"=[ \t]*(?:\"[^\"]*\"|'[^']*')([ \t]*#[^\r\n]*)")
_HINT = 'Write it by hand: a line NAME = "SOURCE" below [dependencies]; then run `perstack add --update NAME`.'


def with_entry(text: str, path: str, name: str, source: str) -> str:
    """`text` with `name = "source"`: the line of that name is replaced, else a new one comes last in its table.

    Raises: UserError where the table is written in a way that cannot be edited line by line.
    """
    end = "\r\n" if "\r\n" in text else "\n"
    lines, places = text.splitlines(keepends=True), locate(text)
    line = f"{name} = {compact(source)}{end}"
    if (TABLE,) not in places and not _names(places):
        gap = "" if not text else end if text.endswith("\n") else end * 2
        return _checked(text, f"{text}{gap}[{TABLE}]{end}{line}", path, {name: source})
    if (TABLE, name) in places:
        at = places[TABLE, name] - 1
        comment = _COMMENT.search(lines[at])
        lines[at] = f"{name} = {compact(source)}{comment[1] if comment else ''}{end}"
    else:
        last = max([places.get((TABLE,), 0), *_names(places).values()])
        if not lines[last - 1].endswith("\n"):
            lines[last - 1] += end
        lines.insert(last, line)
    return _checked(text, "".join(lines), path, {name: source})


def without_entry(text: str, path: str, name: str) -> str:
    """`text` without that dependency; an empty table goes too.

    Raises: UserError where there is none, or its table cannot be edited line by line.
    """
    lines, places = text.splitlines(keepends=True), locate(text)
    if (TABLE, name) not in places:
        raise UserError(f'{path}: there is no dependency "{name}"', hint="`perstack add --check` names them.")
    del lines[places[TABLE, name] - 1]
    header = places.get((TABLE,), 0) - 1
    if len(_names(places)) == 1 and header >= 0 and _HEADER.fullmatch(lines[header].rstrip("\r\n")):
        alone = header > 0 and not lines[header - 1].strip()
        del lines[header - alone : header + 1]
    return _checked(text, "".join(lines), path, {}, gone=name)


def _names(places: Mapping[KeyPath, int]) -> dict[str, int]:
    return {str(path[1]): line for path, line in places.items() if len(path) == 2 and path[0] == TABLE}


def _checked(before: str, after: str, path: str, added: dict[str, str], *, gone: str = "") -> str:
    """Nothing else may say another thing than before."""
    old = load_config(before, path)
    try:
        new = tomllib.loads(after.removeprefix("\ufeff"))
    except ValueError as error:
        raise UserError(f"{path}: its [{TABLE}] cannot be edited line by line", hint=_HINT) from error
    want = {name: source for name, source in {**old.dependencies, **added}.items() if name != gone}
    rest = {key: value for key, value in new.items() if key != TABLE}
    same = rest == {key: value for key, value in tomllib.loads(before.removeprefix("\ufeff")).items() if key != TABLE}
    if not same or new.get(TABLE, {}) != want:
        raise UserError(f"{path}: its [{TABLE}] cannot be edited line by line", hint=_HINT)
    load_config(after, path)
    return after

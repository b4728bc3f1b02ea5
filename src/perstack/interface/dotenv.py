"""dotenv files: `NAME=value` lines that add to the environment. Only adds: what the process has already wins.

Threat: such a file may be a stranger's, it lies in the checkout. It may bring keys; it may not say which file or
command gives one, nor where programs and the operator's own files are looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from perstack import api
from perstack.core.errors import UserError
from perstack.interface.options import warn

_LINE = re.compile(
    r"""^[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)[ \t]*=[ \t]*
        (?:'(?P<raw>[^']*)'|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>(?!['"])[^\n]*?))
        [ \t]*(?:(?<=[\s'"=])\#[^\n]*)?$""",
    re.MULTILINE | re.VERBOSE,
)
_EMPTY = re.compile(r"^[ \t]*(?:\#[^\n]*)?$", re.MULTILINE)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


def merged(env: Mapping[str, str], files: Iterable[Path], *, must_exist: bool) -> dict[str, str]:
    """`env` without empty values, then what the files add, earlier ones first.

    Raises: UserError for a file that is not there where it must be, cannot be read, or is wrong (with its line).
    """
    found = {name: value for name, value in env.items() if value}
    for path in files:
        try:
            text = path.read_text("utf-8")
        except FileNotFoundError:
            if must_exist:
                raise UserError(f"{path}: no such file", hint="Check --env-path.") from None
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from error
        given = parse(text, str(path))
        if refused := sorted(set(given) & api.operators_names()):
            warn(f"{path}: {', '.join(refused)} left out: only the process's own environment may set such names")
        for name, value in given.items():
            if name in refused:
                continue
            found.setdefault(name, value)
    return found


def parse(text: str, name: str) -> dict[str, str]:
    """The variables of a dotenv text; the first of a name counts, empty ones do not.

    'Single' quotes are literal, "double" ones know backslashes, both may span lines; ` #` begins a comment.
    Raises: UserError with file and line.
    """
    text = text.replace("\r\n", "\n").removeprefix("\ufeff")
    found: dict[str, str] = {}
    place = 0
    while place < len(text):
        if match := _EMPTY.match(text, place):
            place = match.end() + 1
        elif match := _LINE.match(text, place):
            found.setdefault(match["name"], _value(match))
            place = match.end() + 1
        else:
            line = text.count("\n", 0, place) + 1
            raise UserError(f"{name}:{line}: not a `NAME=value` line", hint="Put values with quotes or `#` in quotes.")
    return {key: value for key, value in found.items() if value}


def _value(match: re.Match[str]) -> str:
    if match["raw"] is not None:
        return match["raw"]
    if match["quoted"] is not None:
        return re.sub(r"\\(.)", lambda one: _ESCAPES.get(one[1], one[1]), match["quoted"], flags=re.DOTALL)
    return match["bare"].strip()

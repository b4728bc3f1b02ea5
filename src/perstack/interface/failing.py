"""How a failed command ends on its streams: words on stderr, and one document on stdout where JSON was asked for.

Knows no command and prints no result.
"""

from __future__ import annotations

import codecs
import json
from typing import TextIO

import click

from perstack.core.errors import PerstackError

_PLAIN = {
    "├": "+", "└": "+", "│": "|", "─": "-", "→": "->", "✔": "+", "✓": "+", "✖": "x", "✗": "x", "●": "*", "○": "o",
    "…": "...", "·": "-", "−": "-", "–": "-", "—": "-", "“": '"', "”": '"', "’": "'",
}  # fmt: skip
_HANDLER = "perstack"


def tell_error(error: PerstackError) -> None:
    """What went wrong and what to do about it, on stderr."""
    click.echo(f"perstack: {error.message}", err=True)
    if error.hint:
        click.echo(f"  → {error.hint}", err=True)


def tell_document(message: str, exit_code: int, *, hint: str = "") -> None:
    """The same as the one JSON document of a command that has no result: `error`, `hint` and `exitCode`."""
    click.echo(json.dumps({"error": message, "hint": hint, "exitCode": int(exit_code)}))


def write_anything(*streams: TextIO | None) -> None:
    """Let streams take what their encoding lacks: signs by their ASCII likeness, all else as JSON escapes it."""
    codecs.register_error(_HANDLER, _likeness)
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)  # a stream of a test has none
        if reconfigure is not None:
            reconfigure(errors=_HANDLER)


def _likeness(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(_PLAIN.get(sign) or json.dumps(sign)[1:-1] for sign in text), error.end

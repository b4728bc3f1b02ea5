"""The runner's own interface: workflow commands and output files. Builds text; writes only to paths it is given."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from perstack.core.errors import InvariantBroken
from perstack.core.signals import Diagnostic
from perstack.forge.limits import LOG_ANNOTATIONS_PER_LEVEL, SUMMARY_LIMIT, fit, shorten, utf8_bytes

_LOG_MESSAGE_LIMIT = 4_000  # longer lines are cut by the runner's display anyway
_LEVELS = {"error": "error", "fatal": "error", "failure": "error", "warning": "warning"}


def escape_workflow_command(text: str, *, in_property: bool = False) -> str:
    """Text for a workflow command's message, or for one of its properties: it cannot start another command."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if in_property else text


def workflow_command(name: str, message: str, properties: Mapping[str, str | int] | None = None) -> str:
    """One line such as `::error file=a.py,line=3::message`; properties without a value are left out."""
    pairs = ",".join(
        f"{key}={escape_workflow_command(str(value), in_property=True)}"
        for key, value in (properties or {}).items()
        if value
    )
    return f"::{name}{' ' if pairs else ''}{pairs}::{escape_workflow_command(message)}"


def stop_commands(text: str, token: str) -> str:
    """Untrusted output for a job log: the runner takes nothing in it for a command.

    `token` must be random and new. Raises: InvariantBroken when the text holds it.
    """
    if not token or token in text:
        raise InvariantBroken("BUG: the stop-commands token is empty or occurs in the text it should guard")
    return f"::stop-commands::{token}\n{text.rstrip()}\n::{token}::"


def annotation_commands(diagnostics: Sequence[Diagnostic]) -> tuple[str, ...]:
    """Log annotations, the first ten of each level; one more line counts the rest."""
    shown: dict[str, int] = {}
    lines: list[str] = []
    for diagnostic in diagnostics:
        level = _LEVELS.get(diagnostic.severity.lower(), "notice")
        shown[level] = shown.get(level, 0) + 1
        if shown[level] <= LOG_ANNOTATIONS_PER_LEVEL:
            properties: dict[str, str | int] = {
                "file": diagnostic.path, "line": diagnostic.line, "col": diagnostic.column, "title": diagnostic.code,
            }  # fmt: skip
            lines.append(workflow_command(level, shorten(diagnostic.message, _LOG_MESSAGE_LIMIT), properties))
    rest = sum(max(0, count - LOG_ANNOTATIONS_PER_LEVEL) for count in shown.values())
    return (*lines, f"{rest} more findings are not shown here.") if rest else tuple(lines)


def append_summary(path: Path, markdown: str) -> None:
    """Append to a job summary file, keeping the whole file within what the runner accepts."""
    present = path.stat().st_size if path.exists() else 0
    room = SUMMARY_LIMIT - present
    text = fit(markdown.rstrip() + "\n\n", room, size=utf8_bytes) if room > 0 else ""
    with path.open("a", encoding="utf-8", errors="replace", newline="\n") as file:
        file.write(text)


def append_outputs(path: Path, outputs: Mapping[str, str]) -> None:
    """Append outputs in the multi-line form, each with a random delimiter that its value does not hold."""
    with path.open("a", encoding="utf-8", errors="replace", newline="\n") as file:
        for name, value in outputs.items():
            delimiter = _delimiter(value)
            file.write(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")


def _delimiter(value: str) -> str:
    while True:
        delimiter = f"perstack-{secrets.token_hex(16)}"
        if delimiter not in value:
            return delimiter

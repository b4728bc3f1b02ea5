"""The issue someone would write about a bug: what they saw, not what is wrong. Pure text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from perstack.core.signals import TestCase
from perstack.demo.bugs import Bug

_SHOWN = 5


def issue_text(bug: Bug, failing: Sequence[TestCase]) -> tuple[str, str]:
    """Title and body in Markdown. They name the symptom and the tests, never the line or the change."""
    promises = list(dict.fromkeys(_promise(case.id) for case in failing))
    area = PurePosixPath(failing[0].id.split("::")[0]).stem.removeprefix("test_") if failing else _area(bug)
    title = f"{area}: “{promises[0]}” is no longer true" if promises else f"{area}: wrong results"
    seen = [f"- {promise}" for promise in promises[:_SHOWN]]
    if len(promises) > _SHOWN:
        seen.append(f"- and {len(promises) - _SHOWN} more")
    log = [line for case in failing[:_SHOWN] for line in (f"FAILED {case.id}", *_first_lines(case.message))]
    body = [
        f"Since the last change to depot our figures in *{area}* are off. What used to hold and does not any more:",
        "",
        *seen,
        "",
        "The suite sees it too:",
        "",
        "```text",
        *log,
        "```",
        "",
        "Nothing else changed on our side. The tests describe what we rely on, so please do not adjust them.",
    ]
    return title, "\n".join(body)


def _area(bug: Bug) -> str:
    return PurePosixPath(bug.path).stem


def _promise(test_id: str) -> str:
    """`tests/test_x.py::test_a_b[1-2]` → `a b`."""
    name = re.split(r"\[", test_id.rsplit("::", maxsplit=1)[-1])[0]
    return name.removeprefix("test_").replace("_", " ")


def _first_lines(message: str) -> list[str]:
    kept = [line.strip() for line in message.splitlines() if line.strip()]
    return [f"    {line[:140]}" for line in kept[:2]]

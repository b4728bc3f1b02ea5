"""ctest's JUnit file with what each test said: ctest puts the reason of a failure into the test's output only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

from perstack.core.signals import TestCase, TestStatus
from perstack.infrastructure import foreign
from perstack.signals.junit import SIZE_LIMIT, iterate_junit

_TAIL = 1500


def read_report(path: Path) -> Iterator[TestCase]:
    """All cases; those that failed carry the end of their output.

    Raises: ReportInvalid.
    """
    cases = list(iterate_junit(path))  # refuses what must not be parsed below
    texts = _outputs(path) if any(case.status is not TestStatus.PASSED for case in cases) else {}
    for case in cases:
        name = case.id.rpartition("::")[2]
        if case.status in {TestStatus.FAILED, TestStatus.ERROR}:
            yield replace(case, message="\n".join(text for text in (case.message, texts.get(name, "")) if text))
        else:
            yield case


def _outputs(path: Path) -> dict[str, str]:
    control = bytes(code for code in range(32) if code not in b"\t\n\r")
    root = ET.fromstring(foreign.read(path, SIZE_LIMIT).translate(None, control))  # noqa: S314  # checked by `iterate_junit`
    return {
        case.get("name", ""): (case.findtext("system-out") or "").strip()[-_TAIL:] for case in root.iter("testcase")
    }

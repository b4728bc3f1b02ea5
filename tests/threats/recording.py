"""What came of tests that make attacks, kept in a file: `pytest --record-threats FILE`. Adds to what is in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

BACK_ENDS = ("docker", "bubblewrap", "host")
PROPERTY = "back-end"


def back_end(item: pytest.Item) -> str:
    """The back end that a test runs on by its mark or its parameters, `harness` where none matters."""
    mark = item.get_closest_marker("threat")
    if mark is not None and (named := mark.kwargs.get("on")):
        return str(named)
    parameters: Mapping[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    words = [str(value) for value in parameters.values()] + item.name.partition("[")[2].rstrip("]").split("-")
    return next((name for name in BACK_ENDS if name in words), "harness")


class Recorder:
    """Collects the outcome of each test with a threat; the worst of its parameters counts."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, dict[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note one phase of one test."""
        where = dict(report.user_properties).get(PROPERTY)
        if not where or (report.passed and report.when != "call"):
            return
        results = self._found.setdefault(report.nodeid.partition("[")[0], {})
        if results.get(str(where)) != "failed":
            results[str(where)] = report.outcome

    def pytest_sessionfinish(self) -> None:
        """Write everything at once."""
        known = json.loads(self._path.read_text("utf-8"))["tests"] if self._path.exists() else {}
        for test, results in self._found.items():
            known[test] = {**known.get(test, {}), **results}
        document = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "tests": dict(sorted(known.items()))}
        self._path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", "utf-8")

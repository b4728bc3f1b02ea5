"""What came of tests that make attacks, kept in a file: `pytest --record-threats FILE`. Adds to what is in it.

`--record-as ENGINE` says that DOCKER_HOST is another engine than Docker itself: what ran on it is kept under that name,
and everything else is left as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

BACK_ENDS = ("docker", "bubblewrap", "host")
# Engines that answer in Docker's place. CI has none of them: their results are recorded by hand.
ENGINES = ("podman", "rootless-docker", "rootless-podman", "gvisor")
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

    def __init__(self, path: Path, engine: str = "") -> None:
        self._path = path
        self._engine = engine
        self._found: dict[str, dict[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note one phase of one test."""
        where = dict(report.user_properties).get(PROPERTY)
        if not where or (report.passed and report.when != "call") or (self._engine and where != "docker"):
            return
        where = self._engine or where
        results = self._found.setdefault(report.nodeid.partition("[")[0], {})
        if results.get(str(where)) != "failed":
            results[str(where)] = report.outcome

    def pytest_sessionfinish(self) -> None:
        """Write everything at once."""
        document = json.loads(self._path.read_text("utf-8")) if self._path.exists() else {}
        known = document.get("tests", {})
        for test, results in self._found.items():
            known[test] = {**known.get(test, {}), **results}
        today, engines = f"{datetime.now(UTC):%Y-%m-%d}", document.get("engines", {})
        if self._engine:
            engines = {**engines, self._engine: {**engines.get(self._engine, {}), "date": today}}
        date = document.get("date", today) if self._engine else today
        document = {"date": date, "engines": engines, "tests": dict(sorted(known.items()))}
        self._path.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", "utf-8")

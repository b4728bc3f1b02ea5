"""A pytest session that stops after collection and hands its tests over. Runs tests one by one; judges nothing."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

QUIET = ["-q", "--no-header", "--tb=native", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:faulthandler"]
_PLUGINS = {"xdist": ["-p", "no:xdist"], "pytest_randomly": ["-p", "no:randomly"], "pytest_cov": ["--no-cov"],
            "pytest_rerunfailures": ["-p", "no:rerunfailures"], "pytest_timeout": ["--timeout=0"]}  # fmt: skip


class Session:
    """Pytest plugin. `action` gets the session once its tests are collected; nothing is run by pytest itself."""

    def __init__(self, action: Callable[[Session], None]) -> None:
        self._action = action
        self._status: dict[str, str] = {}
        self._failure: dict[str, Any] = {}
        self.items: list[pytest.Item] = []
        self.problems: list[str] = []
        self.root = ""

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember what could not be collected."""
        if report.failed:
            self.problems.append(f"{report.nodeid}: {str(report.longrepr)[-600:]}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Take the place of pytest's own loop."""
        self.items = list(session.items)
        self.root = str(session.config.rootpath)
        self._action(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Fold the phases of a test to the worst."""
        if report.failed:
            self._status[report.nodeid] = "failed"
        elif report.skipped:
            self._status.setdefault(report.nodeid, "skipped")
        elif report.when == "call":
            self._status.setdefault(report.nodeid, "passed")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> pytest.TestReport | None:
        """Keep where a test failed, as plain file and line pairs; spare pytest the formatting of what nobody reads."""
        excinfo = call.excinfo
        if excinfo is None or isinstance(excinfo.value, (pytest.skip.Exception, pytest.xfail.Exception)):
            return None
        frames = [(f.f_code.co_filename, line) for f, line in traceback.walk_tb(excinfo.tb)]
        self._failure[item.nodeid] = {"frames": frames, "message": type(excinfo.value).__name__}
        when = "call" if call.when == "collect" else call.when
        return pytest.TestReport(item.nodeid, item.location, {}, "failed", "failed", when)

    def run(self, ids: Sequence[str], around: Callable[[Callable[[], None]], None] | None = None) -> Iterator[Any]:
        """Run tests in the given order, yielding id, status, seconds and failure after each.

        `around` gets a function that runs one test, for tracing.
        """
        self._silence()
        by_id = {item.nodeid: item for item in self.items}
        chosen = [by_id[i] for i in ids if i in by_id]
        for index, item in enumerate(chosen):
            following = chosen[index + 1] if index + 1 < len(chosen) else None
            began = time.perf_counter()

            def once(item: pytest.Item = item, following: pytest.Item | None = following) -> None:
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)

            if around is None:
                once()
            else:
                around(once)
            yield {
                "id": item.nodeid,
                "status": self._status.get(item.nodeid, "missing"),
                "seconds": round(time.perf_counter() - began, 5),
                **self._failure.get(item.nodeid, {}),
            }

    def _silence(self) -> None:
        """Nobody reads the progress of these runs; writing it costs as much as a small test."""
        for item in self.items[:1]:
            plugins = item.config.pluginmanager
            if plugins.has_plugin("terminalreporter"):
                plugins.unregister(name="terminalreporter")


def open_session(arguments: Sequence[str], action: Callable[[Session], None]) -> Session:
    """Collect and call `action`; returns after it. Output goes wherever standard output goes."""
    session = Session(action)
    extra = [option for module, options in _PLUGINS.items() if importlib.util.find_spec(module) for option in options]
    if "no:xdist" in extra and any(a.startswith("-n") for a in arguments):
        arguments = [a for a in arguments if not a.startswith("-n")]
    pytest.main([*arguments, *QUIET, *extra], plugins=[session])
    return session


class PrivateTemp:
    """A temporary directory root of its own for one child, removed by the parent afterwards."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="perstack-search-run-")

    def enter(self) -> None:
        """To be called in the child: pytest makes its directories below it."""
        os.environ["PYTEST_DEBUG_TEMPROOT"] = self.path

    def remove(self) -> None:
        """To be called in the parent."""
        shutil.rmtree(self.path, ignore_errors=True)

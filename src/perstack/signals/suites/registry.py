"""Which adapter runs which suite. The only list of frameworks that are run over a channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from perstack.core.signals import SignalKind, SignalSpec
from perstack.signals.cargo.suite import CARGO
from perstack.signals.ctest.suite import CTEST
from perstack.signals.difference.plan import difference_of
from perstack.signals.go.suite import GO
from perstack.signals.http.plan import http_of
from perstack.signals.maven.suite import MAVEN
from perstack.signals.node.suites import JEST, NODE_TEST, VITEST
from perstack.signals.pytest.suite import PYTEST
from perstack.signals.screenshot.plan import screenshot_of
from perstack.signals.suites.contract import Framework
from perstack.signals.unittest.suite import UNITTEST

FRAMEWORKS: Mapping[str, Framework] = {
    framework.name: framework for framework in (PYTEST, UNITTEST, NODE_TEST, JEST, VITEST, GO, CARGO, CTEST, MAVEN)
}

OTHER_KINDS: Mapping[SignalKind, Callable[[SignalSpec], Framework]] = {
    SignalKind.DIFF: difference_of,
    SignalKind.HTTP: http_of,
    SignalKind.SCREENSHOT: screenshot_of,
}
"""Kinds beside test suites that need something of the base, or more than one command."""


def framework_of(spec: SignalSpec) -> Framework | None:
    """The adapter for a signal; None where the tool's own report or exit code has to do."""
    if spec.kind in OTHER_KINDS:
        return OTHER_KINDS[spec.kind](spec)
    if spec.kind is not SignalKind.TEST:
        return None
    if spec.framework:
        return FRAMEWORKS.get(spec.framework)
    return None if "report" in spec.expect else _recognised(spec.run)


def _recognised(run: Sequence[str]) -> Framework | None:
    """The framework whose own words a command has."""
    words = [word.rpartition("/")[2] for word in run]
    if {"pytest", "py.test"} & set(words):
        return PYTEST
    for tool, found in (("vitest", VITEST), ("jest", JEST)):
        if tool in words:
            return found
    if words[:1] == ["node"] and "--test" in words:
        return NODE_TEST
    for pair, framework in ((("go", "test"), GO), (("cargo", "test"), CARGO), (("cargo", "nextest"), CARGO)):
        if pair in pairwise(words):
            return framework
    return None

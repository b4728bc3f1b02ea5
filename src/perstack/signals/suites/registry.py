"""Which adapter runs which suite. The only list of frameworks that are run over a channel."""

from __future__ import annotations

from collections.abc import Mapping

from perstack.core.signals import SignalKind, SignalSpec
from perstack.signals.go.suite import GO
from perstack.signals.node.suites import JEST, NODE_TEST, VITEST
from perstack.signals.pytest.suite import PYTEST
from perstack.signals.suites.contract import Framework
from perstack.signals.unittest.suite import UNITTEST

FRAMEWORKS: Mapping[str, Framework] = {
    framework.name: framework for framework in (PYTEST, UNITTEST, NODE_TEST, JEST, VITEST, GO)
}


def framework_of(spec: SignalSpec) -> Framework | None:
    """The adapter for a signal; None where the tool's own report has to do, or the signal is no test suite."""
    if spec.kind is not SignalKind.TEST:
        return None
    if spec.framework:
        return FRAMEWORKS.get(spec.framework)
    is_pytest = any(word.rpartition("/")[2] in {"pytest", "py.test"} for word in spec.run)
    return PYTEST if is_pytest and "report" not in spec.expect else None

"""Held-out checks of a candidate that passed everything else: which calls, which neighbours, and what they show.

For Python suites whose plan is known. Where the tests offer no call that can be understood, nothing is said.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

import anyio
import anyio.to_thread

from perstack.core.signals import SignalRun, TestStatus
from perstack.signals.compare_tests import lies_in
from perstack.signals.held_out.answers import Answers, Questions
from perstack.signals.held_out.examples import Example, examples_of
from perstack.signals.held_out.judge import Judgement, judge
from perstack.signals.held_out.neighbours import Neighbour, has_neighbours, neighbours_of, values_of
from perstack.signals.held_out.run import Asker, Python
from perstack.signals.pytest.suite import PytestSuite
from perstack.signals.suites.contract import SuitePlan
from perstack.signals.tree import Tree
from perstack.signals.unittest.suite import UnittestSuite

_FILES, _EXAMPLES, _ASKED = 4, 60, 8
# A conftest.py that does something of its own accord may be what the tests' answers depend on.
_BUSY = ("autouse", "pytest_configure", "pytest_sessionstart", "pytest_runtest", "environ[", "setattr(")


@dataclass(frozen=True, slots=True)
class Fixed:
    """One signal that turned green: its plan, the tests it fixed, and a run of it on the candidate."""

    signal: str
    plan: SuitePlan | None
    tests: Sequence[str]
    run: SignalRun


async def check_held_out(fixed: Fixed, base: Tree, candidate: Tree, asker: Asker) -> Judgement:
    """Ask both trees and judge; empty where there is nothing to ask.

    Raises: SandboxUnavailable.
    """
    python = python_of(fixed.plan)
    if python is None or not fixed.tests:
        return Judgement()
    questions = await anyio.to_thread.run_sync(_questions, fixed, base, python)
    if not questions.examples:
        return Judgement()
    found: dict[str, Answers] = {}

    async def ask(name: str, tree: Tree) -> None:
        found[name] = await asker.ask(tree, python, questions)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, "base", base)
        group.start_soon(ask, "candidate", candidate)
    return judge(questions, found["base"], found["candidate"], fixed.signal)


def python_of(plan: SuitePlan | None) -> Python | None:
    """How to start the project's Python; None where the suite is none of Python's."""
    if isinstance(plan, PytestSuite):
        roots = (*plan.plan.python_path, *plan.plan.source_roots)
        return Python(plan.plan.interpreter, roots, plan.plan.provides, plan.plan.version_files)
    if isinstance(plan, UnittestSuite):
        return Python(plan.plan.interpreter, plan.plan.source_roots, plan.plan.provides, plan.plan.version_files)
    return None


def _questions(fixed: Fixed, base: Tree, python: Python) -> Questions:
    files = [path for path in sorted(base.files) if path.endswith(".py") and _holds(path, fixed.tests)]
    examples: list[Example] = []
    for path in files[:_FILES]:
        if any(_is_busy(base.path / folder / "conftest.py") for folder in _above(path)):
            continue
        read = examples_of(_text(base.path / path), python.provides)
        functions = {e.function or e.call for e in read if _is_of(e, path, fixed.tests)}
        kept = [e for e in read if (e.function or e.call) in functions and _passes(e, path, fixed.run)]
        examples += kept
    examples = examples[:_EXAMPLES]
    return Questions(tuple(examples), _neighbours(examples))


def _neighbours(examples: Sequence[Example]) -> Mapping[int, Sequence[tuple[int, Neighbour]]]:
    random, found, count = SystemRandom(), dict[int, list[tuple[int, Neighbour]]](), 0
    seen: set[str] = set()
    for index, example in enumerate(examples):
        if example.arguments is None or example.raises or example.call in seen or len(found) >= _ASKED:
            continue
        seen.add(example.call)
        values = values_of(example.arguments)
        if not has_neighbours(values):
            continue
        near = neighbours_of(example.function, values, random)
        found[index] = [(count + place, neighbour) for place, neighbour in enumerate(near)]
        count += len(near)
    return found


def _holds(path: str, tests: Collection[str]) -> bool:
    return any(lies_in(test, path) for test in tests)


def _key(identity: str, path: str) -> str:
    """`Class.test` of a test id of this file."""
    if "::" in identity:
        return identity.partition("::")[2].partition("[")[0].replace("::", ".")
    stem = path.rpartition("/")[2].removesuffix(".py")
    return identity.rpartition(f"{stem}.")[2]


def _is_of(example: Example, path: str, tests: Collection[str]) -> bool:
    return any(lies_in(test, path) and _key(test, path) == example.test for test in tests)


def _passes(example: Example, path: str, run: SignalRun) -> bool:
    """Whether the candidate passes the example's test, in every variant."""
    cases = [case for i, case in run.tests.items() if lies_in(i, path) and _key(i, path) == example.test]
    return bool(cases) and all(case.status is TestStatus.PASSED for case in cases)


def _above(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]


def _is_busy(conftest: Path) -> bool:
    text = _text(conftest)
    return any(word in text for word in _BUSY)


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.is_file() and not path.is_symlink() else ""

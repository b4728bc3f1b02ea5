"""Held-out checks of a candidate that passed everything else: which calls, which neighbours, and what they show.

For Python and JavaScript suites whose plan is known. Where tests offer no call that can be understood, nothing is said.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import SystemRandom

import anyio
import anyio.to_thread

from perstack.core.signals import SignalRun, TestStatus
from perstack.signals.cargo.suite import CargoSuite
from perstack.signals.compare_tests import lies_in
from perstack.signals.ctest.suite import CtestSuite
from perstack.signals.go.suite import GoSuite
from perstack.signals.held_out.answers import Answers, Outcome, Questions
from perstack.signals.held_out.examples import Example
from perstack.signals.held_out.judge import Judgement, judge
from perstack.signals.held_out.neighbours import Neighbour, has_neighbours, neighbours_of, values_of
from perstack.signals.held_out.plain import Node, Program, Python
from perstack.signals.held_out.reading import examples_in, passes, test_key
from perstack.signals.held_out.run import Asker
from perstack.signals.held_out.script_examples import ScriptExample, script_examples
from perstack.signals.held_out.script_values import encoded_script
from perstack.signals.node.suites import NodeSuite
from perstack.signals.pytest.suite import PytestSuite
from perstack.signals.suites.contract import SuitePlan
from perstack.signals.tree import Tree
from perstack.signals.unittest.suite import UnittestSuite

_FILES, _EXAMPLES, _BESIDE, _ASKED = 4, 60, 20, 8


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
    asking = await anyio.to_thread.run_sync(_asking, fixed, base) if fixed.tests else None
    alone = isinstance(fixed.plan, GoSuite | CargoSuite | CtestSuite)  # their tests are processes of their own anyway
    if asking is None or not asking.questions.examples:
        return Judgement(unconfirmed=() if alone else tuple(fixed.tests))
    questions, program = asking.questions, asking.program
    found: dict[str, Answers] = {}

    async def ask(name: str, tree: Tree) -> None:
        found[name] = await asker.ask(tree, program, questions)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, "base", base)
        group.start_soon(ask, "candidate", candidate)
    for place, expected in asking.expected.items():
        found["candidate"].expected[place] = expected
    judgement = judge(questions, found["base"], found["candidate"], fixed.signal)
    confirmed = {test for place in judgement.confirmed for test in asking.tests.get(place, ())}
    return replace(judgement, unconfirmed=tuple(test for test in fixed.tests if test not in confirmed))


def python_of(plan: SuitePlan | None) -> Python | None:
    """How to start the project's Python; None where the suite is none of Python's."""
    if isinstance(plan, PytestSuite):
        roots = (*plan.plan.python_path, *plan.plan.source_roots)
        return Python(plan.plan.interpreter, roots, plan.plan.provides, plan.plan.version_files)
    if isinstance(plan, UnittestSuite):
        return Python(plan.plan.interpreter, plan.plan.source_roots, plan.plan.provides, plan.plan.version_files)
    return None


@dataclass(frozen=True, slots=True)
class _Asking:
    """`tests` are the fixed tests that make a call, `expected` results known without asking, by the example's place."""

    program: Program
    questions: Questions
    tests: Mapping[int, Sequence[str]]
    expected: Mapping[int, Outcome] = field(default_factory=dict)


def _asking(fixed: Fixed, base: Tree) -> _Asking | None:
    if isinstance(fixed.plan, NodeSuite):
        return _of_scripts(fixed, base)
    python = python_of(fixed.plan)
    if python is None:
        return None
    files = [path for path in sorted(base.files) if path.endswith(".py") and _holds(path, fixed.tests)]
    about, beside, tests = list[Example](), list[Example](), dict[int, Sequence[str]]()
    for path in files[:_FILES]:
        read = [e for e in examples_in(base, path, python) if passes(e, path, fixed.run)]
        functions = {e.function or e.call for e in examples_in(base, path, python) if _is_of(e, path, fixed.tests)}
        for example in (e for e in read if (e.function or e.call) in functions):
            tests[len(about)] = [
                test for test in fixed.tests if lies_in(test, path) and test_key(test, path) == example.test
            ]
            about.append(example)
        beside += [e for e in read if (e.function or e.call) not in functions]
    return _Asking(python, _questions(about, beside), tests)


def _questions(about: Sequence[Example], beside: Sequence[Example]) -> Questions:
    """First what the fix is about, then a few calls whose behaviour has to stay."""
    first = about[:_EXAMPLES]
    examples = (*first, *beside[:_BESIDE])
    return Questions(examples, _neighbours(examples), frozenset(range(len(first), len(examples))))


def _of_scripts(fixed: Fixed, base: Tree) -> _Asking:
    """The same for tests of JavaScript, whose ids are a path and titles."""
    red, about, beside = set(fixed.tests), list[ScriptExample](), list[ScriptExample]()
    tests: dict[int, Sequence[str]] = {}
    passed = {i for i, case in fixed.run.tests.items() if case.status is TestStatus.PASSED}
    for path in sorted({test.partition("::")[0] for test in red} & base.files)[:_FILES]:
        read = script_examples((base.read(path) or b"").decode("utf-8", "replace"), path)
        functions = {one.target for one in read if f"{path}::{one.test}" in red}
        good = [one for one in read if f"{path}::{one.test}" in passed]
        for one in (one for one in good if one.target in functions):
            tests[len(about)] = [identity] if (identity := f"{path}::{one.test}") in red else []
            about.append(one)
        beside += [one for one in good if one.target not in functions]
    found = (*about[:_EXAMPLES], *beside[:_BESIDE])
    questions = _questions([_as_example(one) for one in about], [_as_example(one) for one in beside])
    expected: dict[int, Outcome] = {place: ["value", encoded_script(one.expected)] for place, one in enumerate(found)}
    program = Node(tuple((one.target.module, one.target.name, one.arguments) for one in found))
    return _Asking(program, questions, tests, expected)


def _as_example(one: ScriptExample) -> Example:
    function = f"{one.target.module}.{one.target.name}"
    arguments = tuple(map(repr, one.arguments))
    return Example(one.test, f"{function}({', '.join(arguments)})", "", {}, function=function, arguments=arguments)


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
        near = neighbours_of(example.pattern, values, random)
        found[index] = [(count + place, neighbour) for place, neighbour in enumerate(near)]
        count += len(near)
    return found


def _holds(path: str, tests: Collection[str]) -> bool:
    return any(lies_in(test, path) for test in tests)


def _is_of(example: Example, path: str, tests: Collection[str]) -> bool:
    return any(lies_in(test, path) and test_key(test, path) == example.test for test in tests)

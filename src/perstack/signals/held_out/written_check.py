"""An expert's checks against trees: what their author may know of the base, and asking base and candidate."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import anyio
import anyio.to_thread

from perstack.core.signals import Priority, SignalKind, SignalRun, SignalSpec
from perstack.signals.compare_tests import lies_in
from perstack.signals.held_out.answers import Answers, Questions
from perstack.signals.held_out.check import python_of
from perstack.signals.held_out.examples import Example
from perstack.signals.held_out.plain import Python
from perstack.signals.held_out.reading import examples_in, passes, test_key
from perstack.signals.held_out.run import Asker
from perstack.signals.held_out.surface import Surface, surface_of
from perstack.signals.held_out.written import Known, Result, WrittenChecks, example_of, known_call
from perstack.signals.held_out.written_judge import Circumstances, WrittenJudgement, asked, judge_written
from perstack.signals.suites.contract import SuitePlan
from perstack.signals.suites.python import RED
from perstack.signals.syntax import literal_value, parse
from perstack.signals.tree import Tree

_FILES = 20


@dataclass(frozen=True, slots=True)
class Draft:
    """What checks can be written about: the base's surface for their author, and `known` calls for the harness."""

    surface: Surface
    known: tuple[Known, ...]
    python: Python
    signal: str


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite on the base: its specification, its plan and one run of it."""

    spec: SignalSpec
    plan: SuitePlan | None
    run: SignalRun


@dataclass(frozen=True, slots=True)
class Pair:
    """Both trees, with the paths that the candidate changed and the tests it fixed."""

    base: Tree
    candidate: Tree
    changed: Collection[str]
    fixed: Collection[str]


def draft_of(suites: Sequence[Suite], tree: Tree, is_test: Callable[[str], bool]) -> Draft | None:
    """The first gating suite that code can be asked beside; None where there is none, or nothing public."""
    for suite in suites:
        python = python_of(suite.plan)
        gates = suite.spec.kind is SignalKind.TEST and suite.spec.priority is Priority.MUST
        if python is None or not gates:
            continue
        red = [identity for identity, case in suite.run.tests.items() if case.status in RED]
        tests = [path for path in sorted(tree.files) if path.endswith(".py") and is_test(path)]
        first = [path for path in tests if any(lies_in(identity, path) for identity in red)]
        surface = surface_of(tree, python, is_test, first)
        if surface.targets:
            files = list(dict.fromkeys((*first, *tests)))[:_FILES]
            known = [one for path in files for one in _known(tree, path, python, suite.run)]
            return Draft(surface, tuple(known), python, suite.spec.name)
    return None


def _known(tree: Tree, path: str, python: Python, run: SignalRun) -> list[Known]:
    found = []
    for example in examples_in(tree, path, python):
        result = _result(example)
        if example.arguments is not None and result is not None:
            call, function = known_call(example)
            found.append(Known(_plain(call), function, result, passes(example, path, run)))
    return found


def _plain(call: str) -> str:
    return ast.unparse(parse(call, "eval"))


def _result(example: Example) -> Result | None:
    if example.raises:
        return Result(raises=example.raises)
    try:
        return Result(expected=repr(literal_value(example.expected)))
    except SyntaxError:
        return None


async def check_written(written: WrittenChecks, pair: Pair, base_run: SignalRun, asker: Asker) -> WrittenJudgement:
    """Ask both trees what their checks want to know, without a test runner, and judge.

    Raises: SandboxUnavailable.
    """
    examples = [
        example_of(check, call)
        for check in written.checks
        for call in (check.call, check.result.same_as)
        if call
    ]  # fmt: skip
    questions, found = Questions(examples, {}), dict[str, Answers]()

    async def ask(name: str, tree: Tree) -> None:
        found[name] = await asker.ask(tree, written.python, questions)

    async with anyio.create_task_group() as group:
        group.start_soon(ask, "base", pair.base)
        group.start_soon(ask, "candidate", pair.candidate)
    circumstances = await anyio.to_thread.run_sync(_circumstances, written, pair, base_run)
    return judge_written(asked(written.checks, found["base"], found["candidate"]), circumstances)


def _circumstances(written: WrittenChecks, pair: Pair, base_run: SignalRun) -> Circumstances:
    messages = [case.message for case in base_run.tests.values() if case.status in RED]
    functions: set[str] = set()
    for path in sorted(pair.base.files):
        keys = {test_key(test, path) for test in pair.fixed if lies_in(test, path)}
        if path.endswith(".py") and keys:
            of_fixed = [e for e in examples_in(pair.base, path, written.python) if e.test in keys]
            functions |= {e.function.rpartition(".")[2] for e in of_fixed if e.function}
    return Circumstances(written.signal, pair.changed, functions, "\n".join(messages))


def suites_of(
    specs: Sequence[SignalSpec], plans: Mapping[str, SuitePlan], runs: Mapping[str, Sequence[SignalRun]]
) -> list[Suite]:
    """The suites of a base that have been run."""
    return [Suite(spec, plans.get(spec.name), runs[spec.name][0]) for spec in specs if runs.get(spec.name)]

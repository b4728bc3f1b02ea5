"""From what came over the channel to the tests of a JavaScript run: cross-checked, unclear is not passed. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from posixpath import join, normpath

from perstack.core.json import Json, JsonObject
from perstack.core.signals import TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.signals.node.canary import NodeCanaries, check_canaries

_OUTCOMES = {status.value: status for status in TestStatus if status is not TestStatus.MISSING}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a run proves nothing."""

    code: ReasonCode
    text: str


@dataclass(frozen=True, slots=True)
class NodeResults:
    """The tests of one run. `replaced` names functions that results depend on and that changed while it ran."""

    tests: Mapping[str, TestCase] = field(default_factory=dict)
    problem: Problem | None = None
    replaced: tuple[str, ...] = ()


@dataclass(slots=True)
class _File:
    """All that was said of one test file."""

    cases: list[tuple[str, TestCase]] = field(default_factory=list)
    canaries: dict[str, TestCase] = field(default_factory=dict)
    planted: int = -1
    ended: bool = False
    broken: str = ""
    exit: int | None = None
    twice: bool = False


def read_results(records: Sequence[JsonObject], exit_code: int, canaries: NodeCanaries, *, cwd: str) -> NodeResults:
    """Turn the records of a finished run into tests, or say what is wrong with them. `cwd` is the suite's folder."""
    finish = records[-1]
    if finish.get("exit") != exit_code:
        text = f"the runner finished with exit code {finish.get('exit')}, the process ended with {exit_code}"
        return NodeResults(problem=Problem(ReasonCode.RESULTS_DISAGREE, text))
    files: defaultdict[str, _File] = defaultdict(_File)
    replaced: set[str] = set()
    for record in records[:-1]:
        name = normpath(join(cwd, str(record.get("file", ""))))
        if record.get("forged"):
            text = f"{name}: a result that the reporter did not make"
            return NodeResults(problem=Problem(ReasonCode.RESULTS_DISAGREE, text))
        replaced.update(str(item) for item in values(record.get("replaced")))
        _book(files[name], name, record, canaries)
    problem = next((found for name, file in files.items() if (found := _check(name, file, canaries))), None)
    tests = merge(case for name, file in files.items() for case in _own(name, file))
    if problem is None and exit_code == 0 and any(file.ended for file in files.values()):
        problem = Problem(
            ReasonCode.RESULTS_DISAGREE, "the run ended with exit code 0, although tests in it had to fail"
        )
    if problem is None and not tests:
        problem = Problem(ReasonCode.NO_TESTS, "no test was found")
    return NodeResults(tests, problem, tuple(sorted(replaced)))


def merge(cases: Iterable[TestCase]) -> dict[str, TestCase]:
    """Several outcomes of one identity become the worst one."""
    merged: dict[str, TestCase] = {}
    for case in cases:
        known = merged.get(case.id)
        if known is None or case.status.badness > known.status.badness:
            merged[case.id] = case
    return merged


def values(found: Json) -> Sequence[Json]:
    """A list, also where it came as an object with numbers for names."""
    if isinstance(found, Mapping):
        return [found[name] for name in sorted(found, key=lambda name: int(name) if name.isdecimal() else -1)]
    return found if isinstance(found, list) else []


def _book(file: _File, name: str, record: JsonObject, canaries: NodeCanaries) -> None:
    kind = record.get("type")
    if kind == "case":
        title = [str(part) for part in values(record.get("title"))]
        case = _case(name, title, record)
        if title and canaries.is_mine(title[-1]):
            file.twice = file.twice or title[-1] in file.canaries
            file.canaries[title[-1]] = case
        else:
            file.cases.append((name, case))
    elif kind == "loaded":
        planted = record.get("canaries")
        file.planted = planted if isinstance(planted, int) else -1
    elif kind == "broken":
        file.broken = str(record.get("message") or "it could not be loaded")
    elif kind == "end":
        file.ended = True
    elif kind == "process":
        found = record.get("exit")
        file.exit = found if isinstance(found, int) else -1


def _case(name: str, title: Sequence[str], record: JsonObject) -> TestCase:
    seconds, line = record.get("seconds"), record.get("line")
    return TestCase(
        id="::".join([name, *title]),
        # an outcome nobody knows is not a pass
        status=_OUTCOMES.get(str(record.get("outcome")), TestStatus.ERROR),
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        message=str(record.get("message") or ""),
        path=name,
        line=line if isinstance(line, int) else 0,
    )


def _check(name: str, file: _File, canaries: NodeCanaries) -> Problem | None:
    """What is wrong with the results of one file as a whole."""
    if not file.ended or file.planted < 0:
        return None  # reported as a file that did not finish
    if file.exit == 0:
        text = f"{name}: its process ended with exit code 0, although a test in it had to fail"
        return Problem(ReasonCode.RESULTS_DISAGREE, text)
    if file.twice:
        return Problem(ReasonCode.CANARY_FAILED, f"{name}: a canary test reported twice")
    own_pass = any(case.status is TestStatus.PASSED for _, case in file.cases)
    wrong = check_canaries(canaries, file.canaries, file.planted, own_pass=own_pass)
    return Problem(ReasonCode.CANARY_FAILED, f"{name}: {wrong}") if wrong else None


def _own(name: str, file: _File) -> Iterable[TestCase]:
    for _, case in file.cases:
        yield case
    if file.broken:
        yield TestCase(name, TestStatus.ERROR, message=file.broken, path=name)
    elif not file.ended or file.planted < 0:
        how = "" if file.exit is None else f" with exit code {file.exit}"
        text = f"the process of this test file ended{how} before its tests were done"
        yield TestCase(name, TestStatus.ERROR, message=text, path=name)

"""From ctest's report and the watched processes to the tests of a run. Pure: what did not end well has not passed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from perstack.core.signals import TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.signals.ctest.definitions import Definition
from perstack.signals.ctest.records import Program, Spot

_CTEST_RED = 8


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a run proves nothing."""

    code: ReasonCode
    text: str


@dataclass(frozen=True, slots=True)
class Canaries:
    """The verifier's own tests of one run: names to the outcome that each must have. `program` is what they run."""

    token: str
    program: str

    @property
    def expected(self) -> Mapping[str, TestStatus]:
        return {
            f"{self.token}_green": TestStatus.PASSED,
            f"{self.token}_leaves": TestStatus.ERROR,
            f"{self.token}_red": TestStatus.FAILED,
            f"{self.token}_asserts": TestStatus.FAILED,
        }

    def is_mine(self, name: str) -> bool:
        """Whether a test is one of these."""
        return self.token in name


@dataclass(frozen=True, slots=True)
class Ends:
    """How programs ended. `executables` are those of the build, and whether they can be watched.

    `sources` maps places in them to files of the repository: empty for files elsewhere, `?` for unknown.
    """

    programs: Sequence[Program]
    executables: Mapping[str, bool]
    sources: Mapping[Spot, str]
    is_test: Callable[[str], bool]

    def last_of(self, words: Sequence[str]) -> list[Program]:
        """For each process that was started with these words, the last program that it became."""
        found: dict[int, Program] = {}
        for program in self.programs:
            became = program.pid in found and program.parent == found[program.pid].parent
            if program.words == tuple(words) or became:
                found[program.pid] = program
        return list(found.values())

    def why_not(self, program: Program) -> str:
        """Why the end of a program proves nothing; empty for a proper end."""
        if program.twice:
            return "its start was called a second time"
        if program.returned:
            return ""
        if program.left is None:
            return "it ended without a return from main"
        source = self.sources.get(program.left, "?")
        if program.file in self.executables:
            trusted = source == "" if program.left.file not in self.executables else self.is_test(source)
            trusted = trusted and program.left.file in self.executables
        else:
            trusted = program.left.file not in self.executables
        return "" if trusted else f"it was ended from {source or program.left.file} before main returned"

    def mains(self, words: Sequence[str]) -> list[str]:
        """Files of the repository, tests excepted, that the main function of a test comes from."""
        spots = {program.main for program in self.last_of(words) if program.file in self.executables}
        places = {self.sources.get(spot, "?") for spot in spots if spot is not None}
        return sorted(place for place in places if place and not self.is_test(place))


def read_results(
    definitions: Sequence[Definition], report: Iterable[TestCase], ends: Ends, exit_code: int, canaries: Canaries
) -> tuple[dict[str, TestCase], Problem | None]:
    """The tests by identity, and what speaks against believing any of them."""
    reported: dict[str, list[TestCase]] = defaultdict(list)
    for case in report:
        reported[case.id.rpartition("::")[2]].append(case)
    names = [definition.name for definition in definitions]
    strange = [name for name in reported if name not in names]
    if strange or any(len(reported[name]) > names.count(name) for name in reported):
        text = f"ctest's report has tests that are not in its list, first {(strange or ['one twice'])[0]}"
        return {}, Problem(ReasonCode.RESULTS_DISAGREE, text)
    judged = _judged(definitions, reported, ends)
    problem = _check_canaries(canaries, judged)
    if problem is None and exit_code != _CTEST_RED:
        # canaries that must fail make every honest run end so
        problem = Problem(ReasonCode.RESULTS_DISAGREE, f"ctest ended with exit code {exit_code}, yet tests failed")
    tests: dict[str, TestCase] = {}
    for definition, case in judged:
        if not canaries.is_mine(definition.name):
            identity = definition.identity(ends.mains(definition.watched(ends.executables)))
            known = tests.get(identity)
            if known is None or case.status.badness > known.status.badness:
                tests[identity] = replace(case, id=identity)
    return tests, problem


def _judged(
    definitions: Sequence[Definition], reported: Mapping[str, list[TestCase]], ends: Ends
) -> list[tuple[Definition, TestCase]]:
    """Each test with its outcome; where a program's ends do not account for all its passes, none of them is one."""
    found: list[tuple[Definition, TestCase]] = []
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for definition in definitions:
        cases = reported.get(definition.name, [])
        worst = max(cases, key=lambda case: case.status.badness, default=None)
        case = worst or TestCase(definition.name, TestStatus.SKIPPED, message="ctest did not run it")
        if case.status is TestStatus.PASSED:
            groups[definition.watched(ends.executables)].append(len(found))
        found.append((definition, case))
    for words, indices in groups.items():
        why = _unproved(words, [found[index][0] for index in indices], ends)
        for index in indices if why else ():
            definition, case = found[index]
            found[index] = (definition, replace(case, status=TestStatus.ERROR, message=why))
    return found


def _unproved(words: tuple[str, ...], passed: Sequence[Definition], ends: Ends) -> str:
    """Why the passes of tests that all run this program are not believed; empty where they are."""
    program = words[0] if words else ""
    if not ends.executables.get(program, True):
        return ""  # linked statically: nothing can be loaded into it, so its exit code has to do
    last = ends.last_of(words)
    if not last and program not in ends.executables:
        return ""  # somebody else's program that cannot be watched
    proper = [one for one in last if not ends.why_not(one)]
    zero = [one for one in proper if one.value & 0xFF == 0]
    need_zero = sum(not definition.passes_otherwise for definition in passed)
    if len(proper) >= len(passed) and len(zero) >= need_zero:
        return ""
    why = next((text for one in last if (text := ends.why_not(one))), "")
    if not why and proper:
        why = f"main returned {proper[0].value}, which is no success"
    return f"the test's process did not finish: {why or 'nothing was recorded of it'}"


def _check_canaries(canaries: Canaries, judged: Sequence[tuple[Definition, TestCase]]) -> Problem | None:
    seen = {definition.name: case.status for definition, case in judged if canaries.is_mine(definition.name)}
    for name, wanted in canaries.expected.items():
        got = seen.get(name, TestStatus.MISSING)
        if got is not wanted:
            text = f"a canary test that must be {wanted.value} was {got.value}"
            return Problem(ReasonCode.CANARY_FAILED, text)
    return None

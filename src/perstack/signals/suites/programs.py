"""Suites whose tests are compiled into programs: running those programs so that a forged or early end is noticed.

Code under test lives in the same process as its reporter here, and can print, patch and exit. So no text decides
alone. All tests run together first, with canaries that must fail: they show that failures are still reported. Then
tests run one a process, with a canary that must pass after them: it shows that the process did not end early, and the
exit code says what became of the test. Not the place that builds the programs: see `go/` and `cargo/`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final, Protocol

from perstack.core.contracts import Session
from perstack.core.sandbox import ExecResult
from perstack.core.signals import TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.signals.environment import Variation

ALONE_LIMIT: Final = 60
"""Tests of one program that run alone where its run of all tests was whole; of more, a sample nobody can foresee."""
_SHARE = 3  # one process may take this part of the time that is left
_OUTPUT_LIMIT = 16_000_000
_MESSAGE_LIMIT = 4_000
_BAD = frozenset({TestStatus.FAILED, TestStatus.ERROR})


@dataclass(frozen=True, slots=True)
class Canaries:
    """Tests of the verifier's own in one program. Each writes `secret`, which lies nowhere but in the program."""

    token: str
    secret: str
    green: str
    red: tuple[str, ...]

    def is_mine(self, name: str) -> bool:
        return self.token in name


@dataclass(frozen=True, slots=True)
class Program:
    """One built test program. `tests` maps top-level names to ids; those in `optional` may have no result.

    `path` is where it lies inside the sandbox, `cwd` where it runs, relative to the repository.
    """

    name: str
    path: str
    cwd: str
    tests: Mapping[str, str]
    canaries: Canaries
    optional: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one process said about one test."""

    status: TestStatus
    message: str = ""
    seconds: float = 0.0


class Dialect(Protocol):
    """How programs of one language are asked, and what they answer. `red_exit`: exit code of a finished red run."""

    @property
    def red_exit(self) -> int: ...

    def everything(self, program: Program, circumstances: Variation) -> Sequence[str]:
        """The command line for all tests; it names no canary."""
        ...

    def some(self, program: Program, names: Sequence[str]) -> Sequence[str]:
        """The command line for these tests, in the program's own order."""
        ...

    def read(self, result: ExecResult) -> Mapping[str, Outcome]:
        """Outcomes by full name. A test with two outcomes has the status `error`."""
        ...

    def top(self, name: str) -> str:
        """The top-level test a full name belongs to."""
        ...


@dataclass(slots=True)
class Tally:
    """What is known so far about the programs of a suite. `problem` ends the run."""

    tests: dict[str, TestCase] = field(default_factory=dict)
    problem: str = ""
    code: ReasonCode = ReasonCode.SIGNAL_ERROR
    output: str = ""

    def fail(self, code: ReasonCode, problem: str, result: ExecResult | None = None) -> None:
        """Note the first problem."""
        if not self.problem:
            self.problem, self.code = problem, code
            self.output = result.text()[-_MESSAGE_LIMIT:] if result else ""


@dataclass(frozen=True, slots=True)
class Runs:
    """What every process of a run shares. `deadline` is a moment of the monotonic clock."""

    session: Session
    dialect: Dialect
    circumstances: Variation
    environment: Mapping[str, str]
    deadline: float
    random: Random

    async def process(self, program: Program, argv: Sequence[str]) -> ExecResult:
        return await self.session.run(
            argv,
            cwd=program.cwd,
            env=self.environment,
            timeout_s=max(1.0, (self.deadline - time.monotonic()) / _SHARE),
            output_limit=_OUTPUT_LIMIT,
        )


async def run_programs(programs: Iterable[Program], runs: Runs) -> Tally:
    """Run every test of every program.

    Raises: SandboxUnavailable.
    """
    tally = Tally()
    for program in programs:
        for identity, case in (await _run(program, runs, tally)).items():
            tally.tests[identity] = case
        if tally.problem:
            break
    return tally


async def _run(program: Program, runs: Runs, tally: Tally) -> Mapping[str, TestCase]:
    dialect, canaries = runs.dialect, program.canaries
    result = await runs.process(program, dialect.everything(program, runs.circumstances))
    together = dialect.read(result)
    green = _status(together, canaries.green) is TestStatus.PASSED
    whole = green and result.exit_code == dialect.red_exit and _reds_fail(canaries, together)
    if not whole:
        reds = result
        if all(_status(together, name) in {TestStatus.MISSING, TestStatus.FAILED} for name in canaries.red):
            reds = await runs.process(program, dialect.some(program, canaries.red))
        if not _reds_fail(canaries, dialect.read(reds)):
            tally.fail(ReasonCode.CANARY_FAILED, f"{program.name}: a canary test that must fail did not", reds)
            return {}
        together = _certain(together)
    apart: dict[str, Mapping[str, Outcome]] = {}
    for name in _chosen(program, together, whole=whole, random=runs.random):
        if time.monotonic() > runs.deadline:
            tally.fail(ReasonCode.TIMED_OUT, f"{program.name}: the tests took longer than their limit, last {name}")
            return {}
        alone = await runs.process(program, dialect.some(program, [name, canaries.green]))
        apart[name] = _judge_alone(program, name, alone, dialect)
    return _merged(program, together, apart, dialect)


def _chosen(program: Program, together: Mapping[str, Outcome], *, whole: bool, random: Random) -> Sequence[str]:
    """Tests that run alone: all that said nothing certain, and as many of the others as the budget allows."""
    names = [name for name in program.tests if name not in program.optional or name in together]
    if not whole or len(names) <= ALONE_LIMIT:
        return names
    open_ones = [name for name in names if name not in together]
    return [*open_ones, *random.sample([name for name in names if name in together], ALONE_LIMIT)]


def _certain(together: Mapping[str, Outcome]) -> Mapping[str, Outcome]:
    """Of a run that ended early, only what is red; whatever is said to have passed has to pass again alone."""
    return {name: outcome for name, outcome in together.items() if outcome.status is TestStatus.FAILED}


def _reds_fail(canaries: Canaries, said: Mapping[str, Outcome]) -> bool:
    """Whether every canary that must fail did, by its own assertion."""
    return all(
        _status(said, name) is TestStatus.FAILED and canaries.secret in said[name].message for name in canaries.red
    )


def _status(said: Mapping[str, Outcome], name: str) -> TestStatus:
    return said[name].status if name in said else TestStatus.MISSING


def _judge_alone(program: Program, name: str, result: ExecResult, dialect: Dialect) -> Mapping[str, Outcome]:
    """What one test's own process proves."""
    said = dialect.read(result)
    mine = {full: outcome for full, outcome in said.items() if dialect.top(full) == name}
    top = mine.get(name)
    green = said.get(program.canaries.green)
    finished = green is not None and green.status is TestStatus.PASSED and program.canaries.secret in green.message
    text = result.text()[-_MESSAGE_LIMIT:]
    if result.timed_out:
        return {**mine, name: Outcome(TestStatus.FAILED, f"stopped: it took longer than its share of time\n{text}")}
    if not finished and result.exit_code not in {0, dialect.red_exit}:
        return {**mine, name: Outcome(TestStatus.FAILED, f"it ended its process: exit code {result.exit_code}\n{text}")}
    if not finished:
        detail = f"its process ended with exit code {result.exit_code} before the test had finished\n{text}"
        return {**mine, name: Outcome(TestStatus.ERROR, detail)}
    if top is None:
        return {**mine, name: Outcome(TestStatus.ERROR, f"it gave no result\n{text}")}
    if result.exit_code != 0 and all(outcome.status not in _BAD for outcome in mine.values()):
        detail = f"its process failed with exit code {result.exit_code}, yet no result says so\n{text}"
        return {**mine, name: Outcome(TestStatus.ERROR, detail)}
    return mine


def _merged(
    program: Program, together: Mapping[str, Outcome], apart: Mapping[str, Mapping[str, Outcome]], dialect: Dialect
) -> Mapping[str, TestCase]:
    found = {name: outcome for name, outcome in together.items() if not program.canaries.is_mine(name)}
    for outcomes in apart.values():
        for name, outcome in outcomes.items():
            found[name] = _worse(found.get(name), outcome)
    for name in program.tests:
        if name not in found and name not in program.optional:
            found[name] = Outcome(TestStatus.ERROR, "it gave no result")
    return {
        identity: TestCase(identity, outcome.status, outcome.seconds, outcome.message[:_MESSAGE_LIMIT])
        for name, outcome in found.items()
        for identity in [_identity(program, name, dialect.top(name))]
    }


def _worse(together: Outcome | None, alone: Outcome) -> Outcome:
    """The worse of both. What fails alone and passes among others proves nothing either way."""
    if together is None:
        return alone
    if together.status is TestStatus.PASSED and alone.status is TestStatus.FAILED:
        detail = f"it passes together with other tests and fails alone\n{alone.message}"
        return replace(alone, status=TestStatus.SKIPPED, message=detail)
    return max(together, alone, key=lambda outcome: outcome.status.badness)


def _identity(program: Program, name: str, top: str) -> str:
    known = program.tests.get(top)
    return f"{known}{name[len(top) :]}" if known else f"{program.name}::{name}"

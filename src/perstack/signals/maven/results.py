"""From Maven's reports, its exit code and its own count to the tests of a run. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from perstack.core.signals import TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.signals.maven.canary import MavenCanaries

RED = frozenset({TestStatus.FAILED, TestStatus.ERROR})
# The count after all tests of a module; the lines of single classes go on with the time.
_TOTAL = re.compile(
    r"^(?:\[\w+\] )?Tests run: (\d+), Failures: (\d+), Errors: (\d+), Skipped: (\d+)(?:, Flakes: \d+)?\s*$",
    re.MULTILINE,
)
_GONE = re.compile(r"The forked VM terminated without|VM crash or System\.exit called|Error occurred in starting fork")
_NOT_BUILT = re.compile(r"COMPILATION ERROR|maven-compiler-plugin|Non-resolvable|could not be resolved|ProjectBuilding")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a run proves nothing."""

    code: ReasonCode
    text: str


def read_cases(cases: Iterable[TestCase], suffix: str) -> dict[str, TestCase]:
    """Tests by `class::method`, merged to the worst; names are without what was added to the reports' names."""
    found: dict[str, TestCase] = {}
    for case in cases:
        identity = case.id.replace(f"({suffix})", "")
        known = found.get(identity)
        if known is None or case.status.badness > known.status.badness:
            found[identity] = replace(case, id=identity)
    return found


def judge(
    cases: dict[str, TestCase], canaries: MavenCanaries, *, exit_code: int, output: str, foreign: Sequence[str]
) -> tuple[dict[str, TestCase], Problem | None]:
    """The project's own tests, and what speaks against believing them."""
    own = {identity: case for identity, case in cases.items() if not canaries.is_mine(identity)}
    return own, _problem(cases, canaries, exit_code, output, foreign)


def _problem(
    cases: dict[str, TestCase], canaries: MavenCanaries, exit_code: int, output: str, foreign: Sequence[str]
) -> Problem | None:
    if foreign:
        return Problem(ReasonCode.FOREIGN_MODULE, f"the tree brings classes of its own test tools: {foreign[0]}")
    if exit_code == 127:
        return Problem(ReasonCode.SIGNAL_ERROR, "mvn is not in the sandbox")
    if _GONE.search(output):
        return Problem(ReasonCode.REPORT_MISSING, "the tests' virtual machine ended before they did")
    if exit_code:
        if not cases and _NOT_BUILT.search(output):
            return Problem(ReasonCode.COLLECTION_ERROR, f"the project cannot be built: {_first_error(output)}")
        return Problem(ReasonCode.SIGNAL_ERROR, f"Maven ended with exit code {exit_code}: {_first_error(output)}")
    wrong = canaries.problem(cases)
    if wrong:
        return Problem(ReasonCode.CANARY_FAILED, wrong)
    return _check_totals(cases, output)


def _check_totals(cases: dict[str, TestCase], output: str) -> Problem | None:
    """Maven counts from what it was told while tests ran; the files may have been changed since."""
    totals = [tuple(map(int, match)) for match in _TOTAL.findall(output)]
    red = sum(case.status in RED for case in cases.values())
    counted = sum(failures + errors for _, failures, errors, _ in totals)
    if red == counted and totals:
        return None
    text = f"Maven counted {counted} test(s) that failed, its reports hold {red}"
    return Problem(ReasonCode.RESULTS_DISAGREE, text)


def _first_error(output: str) -> str:
    return next((line.removeprefix("[ERROR] ") for line in output.splitlines() if line.startswith("[ERROR]")), "")[:300]

"""From what came over the channel to a signal's run: cross-checked, and an error wherever sources disagree. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from perstack.core.json import Json, JsonObject
from perstack.core.sandbox import exit_words
from perstack.core.signals import TestCase, TestStatus
from perstack.core.verdict import ReasonCode
from perstack.signals.pytest.canary import Canaries, check_canaries

_OUTCOMES = {status.value: status for status in TestStatus if status is not TestStatus.MISSING}
_GREEN, _GREY, _RED = "green", "grey", "red"
_COLOURS = {
    TestStatus.PASSED: _GREEN,
    TestStatus.XPASSED: _GREEN,
    TestStatus.SKIPPED: _GREY,
    TestStatus.XFAILED: _GREY,
}
_ILLEGAL_IN_XML = re.compile("[^\t\n\r -~\x80-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SESSION_TEARDOWN = "session::teardown"
_EXIT_WORDS = {
    0: "without a failure, although one test had to fail",
    2: "interrupted",
    3: "with an internal error",
    4: "because it could not start (usage or conftest error)",
    5: "with nothing collected",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a run proves nothing."""

    code: ReasonCode
    text: str


@dataclass(frozen=True, slots=True)
class Results:
    """The tests of one run. `replaced` names functions of the runner that were changed while it ran."""

    tests: Mapping[str, TestCase] = field(default_factory=dict)
    problem: Problem | None = None
    replaced: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expectations:
    """What the verifier knows about a run beforehand.

    `packages` maps top-level module names to the place in the tree that should provide them; `runner` is for people.
    """

    canaries: Canaries
    packages: Mapping[str, str]
    runner: str = "pytest"


def read_results(records: Sequence[JsonObject], finish: JsonObject, exit_code: int, expected: Expectations) -> Results:
    """Turn the records of a finished run into tests, or say what is wrong with them."""
    cases = [record for record in records if record.get("type") == "case"]
    problem = (
        _check_exit(records, finish, exit_code, expected.runner)
        or _check_canaries(cases, expected.canaries)
        or _check_origin(finish, expected.packages)
    )
    replaced = tuple(str(name) for name in _items(finish.get("replaced")))
    hidden = [str(record.get("id")) for record in records if record.get("type") == "hidden"]
    if problem is None and hidden:
        problem = Problem(ReasonCode.RESULTS_DISAGREE, f"{hidden[0]} raised, but was reported as passed")
    tests = _with_parts(merge(_own_cases(cases, expected.canaries)), records)
    if problem is None and not tests:
        problem = Problem(ReasonCode.NO_TESTS, "no test was collected")
    return Results(tests, problem, replaced)


def until_the_hang(records: Sequence[JsonObject], expected: Expectations, limit_s: float) -> Results:
    """What a run that was stopped at its time limit had said, with the test that did not end as failed.

    Empty where nothing shows that the runner worked: its first canaries must have come out as they have to.
    """
    cases = [record for record in records if record.get("type") == "case"]
    said = {str(record.get("id", "")).rpartition("::")[2]: _status(record) for record in cases}
    if not all(said.get(name) is wanted for name, wanted in expected.canaries.first.expected.items()):
        return Results()
    tests = merge(_own_cases(cases, expected.canaries))
    started = [str(record.get("id", "")) for record in records if record.get("type") == "start"]
    hung = started[-1] if started and started[-1] not in {str(record.get("id", "")) for record in cases} else ""
    if not hung or expected.canaries.is_mine(hung):
        return Results()
    early = next((record for record in records if record.get("type") == "replaced"), {})
    case = TestCase(hung, TestStatus.FAILED, message=f"it did not end: stopped after {limit_s:g} s")
    return Results({**tests, hung: case}, replaced=tuple(map(str, _items(early.get("names")))))


def merge(cases: Iterable[TestCase]) -> dict[str, TestCase]:
    """Several outcomes of one identity become the worst one; durations add up."""
    merged: dict[str, TestCase] = {}
    for case in cases:
        known = merged.get(case.id)
        worst = case if known is None or case.status.badness > known.status.badness else known
        merged[case.id] = worst
    return merged


def _with_parts(tests: Mapping[str, TestCase], records: Iterable[JsonObject]) -> dict[str, TestCase]:
    """Tests with the number of their subtests, where the runner tells it."""
    counts = {str(record.get("id")): record.get("count") for record in records if record.get("type") == "parts"}
    known = {identity: count for identity, count in counts.items() if isinstance(count, int)}
    return {i: replace(case, parts=known[i]) if i in known else case for i, case in tests.items()}


def check_xml(tests: Mapping[str, TestCase], xml: Iterable[TestCase], canaries: Canaries) -> Problem | None:
    """Compare the tests of the channel with the runner's JUnit file: same names, same colours."""
    theirs: dict[str, str] = {}
    for case in xml:
        if not canaries.is_mine(case.id) and case.id:
            theirs[case.id] = _worst(theirs.get(case.id, _GREEN), _colour(case.status))
    ours: dict[str, str] = {}
    for identity, case in tests.items():
        if identity != SESSION_TEARDOWN:
            name = xml_name(identity)
            ours[name] = _worst(ours.get(name, _GREEN), _colour(case.status))
    difference = Counter(ours.items()) - Counter(theirs.items()) | Counter(theirs.items()) - Counter(ours.items())
    if not difference:
        return None
    name, colour = min(difference)
    text = f"the results channel and the JUnit file disagree, first about {name} ({colour})"
    return Problem(ReasonCode.RESULTS_DISAGREE, text)


def xml_name(identity: str) -> str:
    """How pytest writes a test id into JUnit XML, as `read_junit` gives it back."""
    path, separator, rest = identity.partition("::")
    if not separator:
        return _escape(path.replace("/", ".").removesuffix(".py"))
    front, bracket, parameters = rest.partition("[")
    names = [path.replace("/", ".").removesuffix(".py"), *front.split("::")]
    names[-1] += bracket + parameters
    head = ".".join(names[:-1])
    return "::".join(part for part in (_escape(head), _escape(names[-1])) if part)


def _escape(text: str) -> str:
    def visible(match: re.Match[str]) -> str:
        number = ord(match.group())
        return f"#x{number:02X}" if number <= 0xFF else f"#x{number:04X}"

    return _ILLEGAL_IN_XML.sub(visible, text)


def _colour(status: TestStatus) -> str:
    return _COLOURS.get(status, _RED)


def _worst(one: str, other: str) -> str:
    return max(one, other, key=(_GREEN, _GREY, _RED).index)


def _own_cases(records: Iterable[JsonObject], canaries: Canaries) -> Iterable[TestCase]:
    for record in records:
        identity = str(record.get("id", ""))
        if canaries.is_mine(identity):
            if record.get("when") == "teardown":
                # the last test's teardown is the session's: its errors belong to the repository
                yield _case(record, SESSION_TEARDOWN)
            continue
        yield _case(record, identity)


def _case(record: JsonObject, identity: str) -> TestCase:
    seconds, line = record.get("seconds"), record.get("line")
    return TestCase(
        id=identity,
        status=_status(record),
        seconds=float(seconds) if isinstance(seconds, int | float) else 0.0,
        message=str(record.get("message") or ""),
        path=str(record.get("path") or ""),
        line=line if isinstance(line, int) else 0,
    )


def _status(record: JsonObject) -> TestStatus:
    # an outcome nobody knows (a retry, say) is not a pass
    return _OUTCOMES.get(str(record.get("outcome")), TestStatus.ERROR)


def _check_exit(records: Sequence[JsonObject], finish: JsonObject, exit_code: int, runner: str) -> Problem | None:
    said = finish.get("exit")
    if said != exit_code:
        text = f"the runner finished with exit code {said}, the process ended with {exit_code}"
        return Problem(ReasonCode.RESULTS_DISAGREE, text)
    if exit_code == 1:
        return None  # the canaries that must fail make every honest run end so
    internal = next((str(r.get("message")) for r in records if r.get("type") == "internal"), "")
    words = _EXIT_WORDS.get(exit_code, f"with {exit_words(exit_code)}")
    code = ReasonCode.REPORT_MISSING if exit_code == 2 else ReasonCode.SIGNAL_ERROR
    if exit_code == 0:
        code = ReasonCode.CANARY_FAILED
    last = internal.strip().splitlines()[-1:] or [""]
    return Problem(code, f"{runner} ended {words}{': ' if last[0] else ''}{last[0]}")


def _check_canaries(cases: Sequence[JsonObject], canaries: Canaries) -> Problem | None:
    outcomes = [
        (str(record.get("id", "")), _status(record), str(record.get("message") or ""))
        for record in cases
        if record.get("when") not in {"teardown", "collect"}
    ]
    wrong = check_canaries(canaries, outcomes)
    return Problem(ReasonCode.CANARY_FAILED, wrong) if wrong else None


def _check_origin(finish: JsonObject, packages: Mapping[str, str]) -> Problem | None:
    own = [str(name) for name in _items(finish.get("own"))]
    if own:
        text = f"the test runner's own module `{own[0]}` was loaded from the tree under test"
        return Problem(ReasonCode.FOREIGN_MODULE, text)
    outside = finish.get("outside")
    for name, file in outside.items() if isinstance(outside, Mapping) else ():
        if name in packages:
            text = f"`{name}` was loaded from {file}, not from {packages[name]} of the tree under test"
            return Problem(ReasonCode.FOREIGN_MODULE, text)
    return None


def _items(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list) else []

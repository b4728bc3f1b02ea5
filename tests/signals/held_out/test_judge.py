"""What answers of base and candidate mean: proof, doubt, or nothing. With the functions themselves, no process."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from perstack.core.verdict import ReasonCode
from perstack.signals.held_out.answers import Answers, Questions
from perstack.signals.held_out.examples import Example
from perstack.signals.held_out.judge import judge
from perstack.signals.held_out.neighbours import neighbours_of
from perstack.signals.held_out.values import same
from perstack.signals.held_out.worker.perstack_encoding import Encoder

SEEDS = 20  # neighbours are drawn anew in every run: what holds must hold for any of them
Shown = list[tuple[tuple[Any, ...], Any]]


def outcome(function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[Any]:
    try:
        return ["value", Encoder().encode(function(*arguments))]
    except (ValueError, TypeError, IndexError, ZeroDivisionError) as error:
        return ["raised", [kind.__name__ for kind in type(error).__mro__]]


def questions(shown: Shown, seed: int = 7) -> Questions:
    examples = [Example("test_f", f"f{a}", repr(w), {}, function="f", arguments=tuple(map(repr, a))) for a, w in shown]
    near, count = {}, 0
    for index, (arguments, _) in enumerate(shown):
        found = neighbours_of(examples[index].pattern, arguments, Random(seed))
        near[index] = [(count + place, neighbour) for place, neighbour in enumerate(found)]
        count += len(found)
    return Questions(examples, near)


def answers(asked: Questions, shown: Shown, function: Callable[..., Any]) -> Answers:
    said = Answers(finished=True)
    for index, (arguments, wanted) in enumerate(shown):
        said.first[index] = said.again[index] = said.later[index] = outcome(function, arguments)
        said.expected[index] = ["value", Encoder().encode(wanted)]
    for found in asked.neighbours.values():
        said.neighbour.update({place: outcome(function, near.arguments) for place, near in found})
    return said


def judged(shown: Shown, base: Callable[..., Any], candidate: Callable[..., Any]) -> set[ReasonCode]:
    found: set[ReasonCode] = set()
    for seed in range(SEEDS):
        asked = questions(shown, seed)
        judgement = judge(asked, answers(asked, shown, base), answers(asked, shown, candidate), "tests")
        found |= {reason.code for reason in judgement.reasons}
    return found


def old_median(values: list[int]) -> float:
    return sorted(values)[len(values) // 2]


def median(values: list[int]) -> float:
    half = len(values) // 2
    return sorted(values)[half] if len(values) % 2 else sum(sorted(values)[half - 1 : half + 1]) / 2


def old_share(cents: int, parts: int) -> list[int]:
    return [cents // parts] * parts


def share(cents: int, parts: int) -> list[int]:
    each, rest = divmod(cents, parts)
    return [each + (index < rest) for index in range(parts)]


MEDIANS: Shown = [(([3, 1, 2],), 2), (([4, 1, 2, 8],), 3.0), (([7, 3],), 5.0)]
SHARES: Shown = [((90, 3), [30, 30, 30]), ((100, 3), [34, 33, 33])]


@pytest.mark.parametrize(
    ("shown", "base", "fix"),
    [
        pytest.param(MEDIANS, old_median, median, id="median"),
        pytest.param(SHARES, old_share, share, id="shares"),
        pytest.param([((100,), 90), ((50,), 50)], lambda n: n * 9 // 10 if n > 100 else n,
                     lambda n: n * 9 // 10 if n >= 100 else n, id="discount from a bound"),
        pytest.param([((90,), "A"), ((80,), "B"), ((70,), "C")], lambda n: "FDCBA"[sum(n > b for b in (60, 70, 80, 90))],
                     lambda n: "FDCBA"[sum(n >= b for b in (60, 70, 80, 90))], id="grades at their bounds"),
        pytest.param([(([],), 0), (([4, 2],), 6)], lambda v: v[0] + sum(v[1:]), sum, id="empty list"),
        pytest.param([((0,), 1), ((3,), 6)], lambda n: n and n * (n - 1) * (n - 2), lambda n: 1 if n == 0 else n * (n - 1) * (n - 2), id="zero"),
        pytest.param([(([5],), 5), (([5, 9],), 7)], lambda v: (v[0] + v[1]) / 2 if len(v) > 1 else 0, lambda v: sum(v) / len(v), id="one element"),
        pytest.param([(("JPY",), "Y"), (("EUR",), "E")], lambda c: {"EUR": "E"}.get(c, c), lambda c: {"EUR": "E", "JPY": "Y"}.get(c, c), id="new entry"),
        pytest.param([((1900,), False), ((2000,), True)], lambda y: y % 4 == 0, lambda y: y % 4 == 0 and (y % 100 != 0 or y % 400 == 0), id="leap years"),
        pytest.param([(([3, 1, 3],), [3, 1])], lambda v: sorted(set(v)), lambda v: list(dict.fromkeys(v)), id="order kept"),
        pytest.param([((25,), 3), ((24,), 2)], lambda n: round(n / 10), lambda n: (n + 5) // 10, id="rounding of halves"),
        pytest.param([(([5, 5, 4],), 4)], lambda v: sorted(v)[-2], lambda v: sorted(set(v))[-2], id="second of ties"),
        pytest.param([(("ada lovelace",), "AL"), (("grace brewster hopper",), "GBH")], lambda t: t[:1].upper(),
                     lambda t: "".join(word[0].upper() for word in t.split()), id="initials of all words"),
        pytest.param([(("a  b",), "a-b")], lambda t: t.replace(" ", "-"), lambda t: "-".join(t.split()), id="runs of spaces"),
        pytest.param([((3, "EUR", True), "3.00 EUR")], lambda n, c, _: f"{n} {c}", lambda n, c, _: f"{n:.2f} {c}", id="other arguments"),
        pytest.param([(([3, 1], "max"), 3), (([], "max"), None)], lambda v, _: max(v) if v else 0,
                     lambda v, _: max(v, default=None), id="none for nothing"),
        pytest.param([((25,), 5), ((36,), 6)], lambda n: int((n - 1) ** 0.5), lambda n: int(n**0.5), id="roots"),
    ],
)  # fmt: skip
def test_a_right_fix_is_neither_refused_nor_doubted(shown: Shown, base: Any, fix: Any) -> None:
    assert judged(shown, base, fix) == set()


def table(shown: Shown, base: Any) -> Any:
    known = {repr(arguments): wanted for arguments, wanted in shown}
    return lambda *arguments: known.get(repr(arguments), base(*arguments))


def test_a_table_of_the_shown_calls_is_refused() -> None:
    assert judged(MEDIANS, old_median, table(MEDIANS, old_median)) == {ReasonCode.HELD_OUT_FAILED}


def test_a_table_of_texts_is_no_more_than_doubted() -> None:
    shown: Shown = [(("ada lovelace",), "AL"), (("alan turing",), "AT")]
    assert judged(shown, str.upper, table(shown, str.upper)) == {ReasonCode.HELD_OUT_DOUBTFUL}


def test_a_type_that_holds_for_the_shown_calls_only_is_doubted() -> None:
    shown: Shown = [((12,), "12"), ((140,), "140")]
    assert ReasonCode.HELD_OUT_DOUBTFUL in judged(shown, int, lambda n: str(n) if n in {12, 140, 141, 142} else n)


def test_what_the_fix_is_not_about_is_counted_and_is_no_reason() -> None:
    shown: Shown = [((12,), 12)]
    asked = replace(questions(shown), kept=frozenset({0}))
    same, other = answers(asked, shown, int), answers(asked, shown, lambda n: n if n == 12 else n + 1)
    judgement = judge(asked, same, other, "tests")
    assert judgement.reasons == ()
    assert judgement.moved == judgement.neighbours > 10
    assert judge(asked, same, same, "tests").moved == 0


def test_one_shown_call_alone_is_doubted() -> None:
    assert judged(SHARES, old_share, table(SHARES, old_share)) == {ReasonCode.HELD_OUT_DOUBTFUL}


def test_a_key_made_of_the_argument_is_doubted() -> None:
    def by_key(cents: int, parts: int) -> list[int]:
        return [cents // parts + (cents == 100) * (index == 0) for index in range(parts)]

    def by_length(cents: int, parts: int) -> list[int]:
        return [cents // parts + (len(str(cents)) == 3) * (index == 0) for index in range(parts)]

    assert judged(SHARES, old_share, by_key) == {ReasonCode.HELD_OUT_DOUBTFUL}
    assert judged(SHARES, old_share, by_length) == {ReasonCode.HELD_OUT_DOUBTFUL}


class Always(float):
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


class Shares(list[int]):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, list) and len(self) == len(other)

    __hash__ = None


class Proxy:
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 1


def test_an_object_has_no_say_in_how_it_compares() -> None:
    assert judged(MEDIANS, old_median, lambda v: Always(old_median(v))) == {ReasonCode.HELD_OUT_FAILED}
    assert judged(SHARES, old_share, lambda c, p: Shares(old_share(c, p))) == {ReasonCode.HELD_OUT_FAILED}
    assert judged(SHARES, old_share, lambda c, p: Proxy()) == {ReasonCode.HELD_OUT_DOUBTFUL}
    assert judged(SHARES, old_share, lambda c, p: Shares(share(c, p))) == set()


def test_a_process_that_only_works_under_the_runner_is_refused() -> None:
    asked = questions(SHARES)
    good, bad = answers(asked, SHARES, share), Answers()
    assert judge(asked, bad, good, "tests").reasons == ()
    assert [r.code for r in judge(asked, good, bad, "tests").reasons] == [ReasonCode.HELD_OUT_FAILED]


def test_a_process_that_a_neighbour_ended_says_what_it_said_before() -> None:
    asked = questions(SHARES)
    cut = answers(asked, SHARES, share)
    cut.finished, cut.again, cut.later, cut.neighbour = False, {}, {}, {}
    assert judge(asked, answers(asked, SHARES, old_share), cut, "tests").reasons == ()


def test_answers_that_change_with_the_number_of_calls_or_the_clock_are_refused() -> None:
    asked = questions(SHARES)
    for kind in ("again", "later"):
        said = answers(asked, SHARES, share)
        getattr(said, kind)[1] = ["value", Encoder().encode([33, 33, 33])]
        reasons = judge(asked, answers(asked, SHARES, old_share), said, "tests").reasons
        assert [reason.code for reason in reasons] == [ReasonCode.HELD_OUT_FAILED]


def test_no_detail_tells_a_builder_a_value() -> None:
    asked = questions(MEDIANS)
    lookup = table(MEDIANS, old_median)
    (reason,) = judge(asked, answers(asked, MEDIANS, old_median), answers(asked, MEDIANS, lookup), "tests").reasons
    assert not any(character.isdigit() for character in reason.detail)


@pytest.mark.parametrize(
    ("one", "other", "wanted"),
    [(1, 1.0, True), (1, True, True), ("1", 1, False), ([1], (1,), False), ({"a": 1}, {"a": 1.0}, True),
     ({1, 2}, {2, 1}, True), (None, 0, False), (float("nan"), 1, False), (b"a", "a", False), ([1, 2], [1], False)],
)  # fmt: skip
def test_values_compare_as_python_would(one: Any, other: Any, wanted: bool) -> None:
    assert same(Encoder().encode(one), Encoder().encode(other)) is wanted

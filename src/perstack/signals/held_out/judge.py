"""What the answers of base and candidate mean. Pure.

Certain is only what the tests themselves say: a call that gives what its test wants under the runner must give it
without the runner as well. What neighbours show is a doubt, and proof only where several calls show the same.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from perstack.core.verdict import Reason, ReasonCode
from perstack.signals.held_out.answers import Answers, Outcome, Questions
from perstack.signals.held_out.examples import Example
from perstack.signals.held_out.neighbours import Neighbour, has_neighbours, is_boundary, is_text, values_of
from perstack.signals.held_out.relations import violated
from perstack.signals.held_out.values import is_plain, number, numbers, same

_ENOUGH, _DISTINCT, _PERMUTED, _SHOWN = 10, 3, 3, 5


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the verdict gets, and how many calls and neighbours were compared.

    `moved` are neighbours of calls that the fix is not about, and that give something else than before: a right fix of
    something shared does that too. `confirmed` are the examples that came out right in a process of their own;
    `unconfirmed` the fixed tests without such an example, where their runner shares a process with the code.
    """

    reasons: tuple[Reason, ...] = ()
    calls: int = 0
    neighbours: int = 0
    moved: int = 0
    confirmed: frozenset[int] = frozenset()
    unconfirmed: tuple[str, ...] = ()

    def strictly(self, signal: str) -> tuple[Reason, ...]:
        """The reasons where every fixed test has to be confirmed in a process without its runner."""
        if self.reasons or not self.unconfirmed:
            return self.reasons
        shown = ", ".join(self.unconfirmed[:_SHOWN])
        detail = (
            f"{len(self.unconfirmed)} fixed test(s) make no call that could be asked apart from their runner: {shown}"
        )
        return (Reason(ReasonCode.HELD_OUT_DOUBTFUL, detail, signal),)


def judge(questions: Questions, base: Answers, candidate: Answers, signal: str) -> Judgement:
    """Compare the answers. Details say what kind of check failed, never with which values: builders read them."""
    count = len(questions.examples)
    if not base.is_usable(count) or base.unloaded:
        return Judgement()
    if not candidate.is_usable(count) or candidate.unloaded:
        detail = "the code works under the test runner, and cannot be run or imported without it"
        return Judgement((Reason(ReasonCode.HELD_OUT_FAILED, detail, signal),))
    calls, wrong, doubtful, confirmed = 0, "", "", set[int]()
    for index, example in enumerate(questions.examples):
        said = _judge_example(example, index, base, candidate)
        calls += said is not None
        if said == "":  # None says that nothing can be said
            confirmed.add(index)
        wrong = wrong or ("" if said in {None, "", _OPAQUE} else str(said))
        doubtful = doubtful or (_OPAQUE if said == _OPAQUE else "")
    local = _local_calls(questions, base, candidate)
    if not wrong and any(count > 1 for count in local.values()):
        wrong = "several calls of the tests give new results, and no call near to any of them does"
    doubtful = doubtful or ("a call of the tests gives a new result, and no call near to it does" if local else "")
    doubtful = doubtful or violated(questions, base, candidate)
    compared = len(candidate.neighbour.keys() & base.neighbour.keys())
    reasons = [Reason(ReasonCode.HELD_OUT_FAILED, wrong, signal)] if wrong else []
    if doubtful and not wrong:
        reasons = [Reason(ReasonCode.HELD_OUT_DOUBTFUL, doubtful, signal)]
    return Judgement(tuple(reasons), calls, compared, _moved(questions, base, candidate), frozenset(confirmed))


def _moved(questions: Questions, base: Answers, candidate: Answers) -> int:
    places = [place for index in questions.kept for place, _ in questions.neighbours.get(index, ())]
    pairs = [(base.neighbour.get(place), candidate.neighbour.get(place)) for place in places]
    return sum(not _alike(before, now) for before, now in pairs if before and now and "slow" not in {before[0], now[0]})


_OPAQUE = "what a call of the tests gives became an object that decides itself what it is equal to"


def _judge_example(example: Example, index: int, base: Answers, candidate: Answers) -> str | None:
    """What is wrong with a call, empty for nothing; None where nothing can be said."""
    before, now = base.first.get(index), candidate.first.get(index)
    if before is None or now is None or "slow" in {before[0], now[0]}:
        return None
    wanted = candidate.expected.get(index, ["value", ["none"]])
    if wanted[0] != "value":
        return None
    right = _is_right(example, now, wanted)
    if right is None:
        plain = before[0] == now[0] == "value" and is_plain(before[1]) and is_plain(wanted[1])
        return _OPAQUE if plain and not is_plain(now[1]) else None
    if not right:
        # an exception that the base raises here as well says that something is missing in this process
        excused = now[0] == "raised" and before[0] == "raised" and not example.raises
        return None if excused else "a call of the tests gives something else where no test runner is loaded"
    for kind, words in (("again", "when it is called later"), ("later", "when the clock is years ahead")):
        then_before, then = getattr(base, kind).get(index), getattr(candidate, kind).get(index)
        if then is None or then_before is None or "slow" in {then[0], then_before[0]}:
            continue
        if _alike(then_before, before) and _is_right(example, then, wanted) is False:
            return f"a call of the tests gives something else {words}"
    return ""


def _is_right(example: Example, outcome: Outcome, wanted: Outcome) -> bool | None:
    if example.raises:
        return outcome[0] == "raised" and example.raises in outcome[1]
    if outcome[0] != "value":
        return False
    return same(outcome[1], wanted[1], tolerant=example.tolerant)


def _alike(one: Outcome, other: Outcome) -> bool:
    return list(one) == list(other)


def _local_calls(questions: Questions, base: Answers, candidate: Answers) -> Mapping[str, int]:
    """Functions with calls whose result is new while nothing near them changed, and how many calls."""
    found: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for index, near in questions.neighbours.items():
        example = questions.examples[index]
        before, now = base.first.get(index), candidate.first.get(index)
        if before is None or now is None or before[0] != "value" or now[0] != "value" or _alike(before, now):
            continue
        if _is_local(example, (before, now), near, base, candidate):
            text = is_text(values_of(example.arguments or ()))
            found[example.function].add(() if text else example.arguments or ())
    return {function: len(calls) for function, calls in found.items()}


def _is_local(
    example: Example,
    own: tuple[Outcome, Outcome],
    near: Sequence[tuple[int, Neighbour]],
    base: Answers,
    candidate: Answers,
) -> bool:
    pairs = [(n, base.neighbour.get(place), candidate.neighbour.get(place)) for place, n in near]
    both = [(n, b, c) for n, b, c in pairs if b and c and b[0] == c[0] == "value"]
    permuted = [(b, c) for n, b, c in both if n.permuted]
    before, now = own
    # the base does not look at the order, and now the order matters for this call alone
    if len(permuted) >= _PERMUTED and all(_alike(b, c) and _alike(b, before) for b, c in permuted):
        return True
    others = [(n, b, c) for n, b, c in both if not n.permuted]
    if len(others) < _ENOUGH or not all(_alike(b, c) for _, b, c in others):
        return False
    values = values_of(example.arguments or ())
    if is_boundary(values) or not has_neighbours(values) or len({repr(b) for _, b, _ in others}) < _DISTINCT:
        return False
    return not _is_joined(now, others)


def _is_joined(now: Outcome, near: Sequence[tuple[Neighbour, Outcome, Outcome]]) -> bool:
    """Whether a new result continues what lies beside it, as where a bound was off by one."""
    if any(_alike(now, outcome) for _, _, outcome in near):
        return True
    for axis in {n.axis for n, _, _ in near}:
        at = {n.step: _row(outcome) for n, _, outcome in near if n.axis == axis and n.step}
        for side in (1, -1):
            one, two, here = at.get(side), at.get(2 * side), _row(now)
            if one and two and here and len(one) == len(two) == len(here):
                drawn = [2 * a - b for a, b in zip(one, two, strict=True)]
                if all(abs(a - b) <= abs(a) * Fraction(1, 10**6) for a, b in zip(drawn, here, strict=True)):
                    return True
    return False


def _row(outcome: Outcome) -> tuple[Fraction, ...]:
    found = number(outcome[1])
    return (found,) if found is not None else numbers(outcome[1]) or ()

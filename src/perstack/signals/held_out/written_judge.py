"""What base and candidate answered to an expert's checks, and what that means. Pure.

The worst it can come to is a doubt: a person has to look. A check that shows itself to be about something else than the
change, or to ask what the code refuses on purpose, is set aside and told.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from perstack.core.verdict import Reason, ReasonCode
from perstack.signals.held_out.answers import Answers, Outcome
from perstack.signals.held_out.values import encoded, loosely_same
from perstack.signals.held_out.written import WrittenCheck
from perstack.signals.syntax import literal_value

# Builders read it: which check it was, and what it wanted, is for people alone.
_DETAIL = "a check that an expert wrote from the task alone, before there was a candidate, does not hold"


@dataclass(frozen=True, slots=True)
class Circumstances:
    """`changed` are the candidate's files; `functions` the last names of what the fixed tests call.

    `messages` is what the red tests of the base say.
    """

    signal: str
    changed: Collection[str]
    functions: Collection[str]
    messages: str


@dataclass(frozen=True, slots=True)
class WrittenJudgement:
    """`remarks` are for people and name calls and values; the reason names neither."""

    reasons: tuple[Reason, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """One check with the outcomes of its call, and of the call it is compared with, on both trees."""

    check: WrittenCheck
    before: tuple[Outcome | None, Outcome | None]
    now: tuple[Outcome | None, Outcome | None]


def asked(checks: Sequence[WrittenCheck], base: Answers, candidate: Answers) -> tuple[Asked, ...]:
    """Pair checks with their answers. Each check was asked as one example, or as two where it names another call."""
    found, place = list[Asked](), 0
    for check in checks:
        other = place + 1 if check.result.same_as else -1
        found.append(
            Asked(
                check,
                (base.first.get(place), base.first.get(other)),
                (candidate.first.get(place), candidate.first.get(other)),
            )
        )
        place += 2 if check.result.same_as else 1
    return tuple(found)


def judge_written(found: Sequence[Asked], circumstances: Circumstances) -> WrittenJudgement:
    """One reason at most, however many checks fail."""
    held, failed, aside = 0, list[Asked](), list[Asked]()
    for one in found:
        right = _holds(one.check, one.now)
        if right is None:
            continue
        if right:
            held += 1
        else:
            (aside if _says_nothing(one, circumstances) else failed).append(one)
    remarks = [f"{circumstances.signal}: {held} check(s) that an expert wrote from the task alone hold"] if held else []
    remarks += [f"a check of an expert was set aside, the base fails it too: {_told(one)}" for one in aside]
    remarks += [f"a check of an expert does not hold: {_told(one)}" for one in failed]
    reasons = (Reason(ReasonCode.EXPERT_CHECK_FAILED, _DETAIL, circumstances.signal),) if failed else ()
    return WrittenJudgement(reasons, tuple(remarks))


def _holds(check: WrittenCheck, outcomes: tuple[Outcome | None, Outcome | None]) -> bool | None:
    """None where nothing can be said: not asked, too slow, or no plain data."""
    first, other = outcomes
    if first is None or first[0] == "slow":
        return None
    if check.result.raises:
        return first[0] == "raised" and check.result.raises in first[1]
    if check.result.same_as:
        if other is None or other[0] == "slow":
            return None
        if first[0] != "value" or other[0] != "value":
            return first[0] == other[0] and list(first[1])[:1] == list(other[1])[:1]
        return loosely_same(first[1], other[1])
    if first[0] != "value":
        return False
    return loosely_same(first[1], encoded(literal_value(check.result.expected)))


def _says_nothing(one: Asked, circumstances: Circumstances) -> bool:
    """Whether a check that fails shows more of the check than of the change."""
    if _holds(one.check, one.before) is not False:
        return False
    before, now = one.before[0], one.now[0]
    if before is None or now is None:
        return False
    if before[0] == now[0] == "raised" and not one.check.result.raises:
        # both refuse the call, and not in the way in which the bug shows: it asks for what nobody promised
        return not {str(before[1][0]), str(now[1][0])} & set(re.findall(r"\w+", circumstances.messages))
    if list(before) != list(now):
        return False
    name = one.check.function.rpartition(".")[2]
    return one.check.path not in circumstances.changed and name not in circumstances.functions


def _told(one: Asked) -> str:
    result = one.check.result
    wanted = f"to raise {result.raises}" if result.raises else f"{result.same_as or result.expected}"
    return f"{one.check.call} should be {wanted}, and gives {_shown(one.now[0])}"[:400]


def _shown(outcome: Outcome | None) -> str:
    if outcome is None:
        return "nothing"
    if outcome[0] == "raised":
        return str(outcome[1][0])
    return _plain(outcome[1])


def _plain(value: Sequence[object]) -> str:
    kind, *rest = value
    if kind in {"l", "t", "S"} and isinstance(rest[0], list):
        brackets = {"l": "[]", "t": "()", "S": "{}"}[str(kind)]
        return brackets[0] + ", ".join(_plain(item) for item in rest[0]) + brackets[1]
    if kind == "d" and isinstance(rest[0], list):
        return "{" + ", ".join(f"{_plain(key)}: {_plain(item)}" for key, item in rest[0]) + "}"
    if kind == "s":
        return repr(rest[0])
    return {"none": "None", "large": "a large object", "o": "an object"}.get(str(kind), "/".join(map(str, rest)))

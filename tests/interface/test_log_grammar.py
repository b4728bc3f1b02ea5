"""Step and filter expressions of `perstack log`: what they match and how they are refused."""

from __future__ import annotations

import time

import pytest

from perstack.core.errors import UserError
from perstack.core.json import Json
from perstack.interface.history.choice import whole_number
from perstack.interface.history.grammar import parse_filter, parse_steps

STEPS = range(1, 13)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("5", [5]),
        (">10", [11, 12]),
        (">=11", [11, 12]),
        ("<3", [1, 2]),
        ("<=3", [1, 2, 3]),
        ("1-3", [1, 2, 3]),
        ("4-4", [4]),
        (" >= 12 ", [12]),
        ("2 - 3", [2, 3]),
        ("99", []),
    ],
)
def test_a_step_expression_matches_its_steps(text: str, steps: list[int]) -> None:
    test = parse_steps(text)
    assert [step for step in STEPS if test(step)] == steps


@pytest.mark.parametrize("text", ["abc", "", ">", "=5", "5-", "-5", "1-2-3", "5.5", "> -1", "1,2"])
def test_what_is_no_step_expression_is_refused_in_the_public_words(text: str) -> None:
    with pytest.raises(UserError) as told:
        parse_steps(text)
    assert told.value.message == f"Invalid step filter: {text}"


def test_a_range_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(UserError) as told:
        parse_steps("10-1")
    assert told.value.message == "Invalid step range: 10-1 (min 10 > max 1)"


EVENT: dict[str, Json] = {
    "type": "callTools",
    "stepNumber": 3,
    "ok": True,
    "nothing": None,
    "usage": {"inputTokens": 900, "ratio": 0.5},
    "text": 'it\'s a "test" != that',
    "toolCalls": [
        {"toolName": "exec", "args": {"command": "ls"}, "tags": ["a", "b"]},
        {"toolName": "readTextFile", "args": {}, "n": 7},
    ],
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        (".type == callTools", True),
        ('.type == "callTools"', True),
        (".type=='callTools'", True),
        (".type != callTools", False),
        (".stepNumber == 3", True),
        (".stepNumber == 3.0", True),
        ('.stepNumber == "3"', False),
        (".stepNumber > 2", True),
        (".stepNumber >= 4", False),
        (".stepNumber < 4", True),
        (".stepNumber <= 2", False),
        (".usage.inputTokens > 1e2", True),
        (".usage.ratio == 0.5", True),
        (".ok == true", True),
        (".ok == 1", False),
        (".ok != false", True),
        (".nothing == null", True),
        (".missing == null", False),
        (".missing != anything", False),
        (".usage.inputTokens.deeper == 1", False),
        (".toolCalls[].toolName == exec", True),
        (".toolCalls[].toolName == writeTextFile", False),
        (".toolCalls[1].toolName == readTextFile", True),
        (".toolCalls[9].toolName == readTextFile", False),
        (".toolCalls[].args.command == ls", True),
        (".toolCalls[].tags[] == b", True),
        (".toolCalls[].n >= 7", True),
        (".toolCalls.toolName == exec", False),
        (".type[] == c", False),
        (".text == 'it\\'s a \"test\" != that'", True),
        ('.text == "it\'s a \\"test\\" != that"', True),
        (".type > 3", False),
    ],
)
def test_a_filter_compares_what_its_path_reaches(text: str, holds: bool) -> None:
    assert parse_filter(text)(EVENT) is holds


@pytest.mark.parametrize(
    "text",
    [
        "", "type == x", ".type", ".type ==", ".type = x", ". == x", ".a..b == x", ".a == b c", ".a == 'it's'",
        '.a == "open', "[].a == x", ".a[x] == 1", ".a =< 3", ".a > word", ".a <= true", ".a == x; .b == y",
    ],
)  # fmt: skip
def test_what_is_no_filter_is_refused_in_the_public_words(text: str) -> None:
    with pytest.raises(UserError) as told:
        parse_filter(text)
    assert told.value.message == f"Invalid filter expression: {text}"
    assert told.value.hint


def test_a_hostile_filter_is_refused_at_once() -> None:
    started = time.monotonic()
    for text in (".a" + "[]" * 5000 + " =", ".a" * 5000, "." + "a" * 20_000 + " ==", ".a == '" + "\\" * 5001):
        with pytest.raises(UserError):
            parse_filter(text)
    assert time.monotonic() - started < 2


def test_numbers_are_refused_in_the_public_words() -> None:
    assert whole_number("--take", "", 100) == 100
    assert whole_number("--take", "0", 100) == 0
    with pytest.raises(UserError, match='Invalid value for --take: "x" is not a valid number'):
        whole_number("--take", "x", 100)
    with pytest.raises(UserError, match='Invalid value for --offset: "-1" must be non-negative'):
        whole_number("--offset", "-1", 0)

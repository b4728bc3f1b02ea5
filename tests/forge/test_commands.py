"""The comment grammar: what is a command, what is only shown, and how mistakes are answered."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perstack.forge.commands import Command, CommandProblem, parse_commands
from perstack.forge.contract import Action


def actions(body: str, previous: str = "") -> list[str]:
    return [item.action.value for item in parse_commands(body, previous) if isinstance(item, Command)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("/perstack fix", Command(Action.FIX, "", 1, 11)),
        ("/perstack fix the rounding of `total`", Command(Action.FIX, "the rounding of `total`", 1, 11)),
        ("   /perstack   verify  ", Command(Action.VERIFY, "", 1, 16)),
        ("/Perstack Help", Command(Action.HELP, "", 1, 11)),
        ("Thanks!\r\n\r\n/perstack fix\ttests\r\n", Command(Action.FIX, "tests", 3, 11)),
        ("> quoted\n\n/perstack fix", Command(Action.FIX, "", 3, 11)),
        ("```\ncode\n```\n/perstack fix", Command(Action.FIX, "", 4, 11)),
        ("<!-- note -->\n/perstack fix", Command(Action.FIX, "", 2, 11)),
        ("a stray ` back-tick\n/perstack fix", Command(Action.FIX, "", 2, 11)),
        ("an unclosed <!-- in a line\n/perstack fix", Command(Action.FIX, "", 2, 11)),
    ],
)
def test_a_command_is_read_with_its_arguments_and_position(body: str, expected: Command) -> None:
    assert parse_commands(body) == (expected,)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "please run /perstack fix",
        "/perstackfix",
        "/perstack-fix",
        "//perstack fix",
        "\\/perstack fix",
        "- /perstack fix",
        "`/perstack fix`",
        "a span `that\n/perstack fix\nends` here",
        "``a ` b\n/perstack fix\n``",
        "    /perstack fix",
        "\t/perstack fix",
        "  \t/perstack fix",
        "> /perstack fix",
        "> quoted\n/perstack fix",
        "```\n/perstack fix\n```",
        "```sh\n/perstack fix",
        "~~~\n```\n/perstack fix\n~~~",
        "````\n```\n/perstack fix\n````",
        "<!-- /perstack fix -->",
        "<!--\n/perstack fix\n-->",
        "<!--\n/perstack fix",
        "text <!-- hidden\n/perstack fix\n--> text",
        "<pre>\n/perstack fix\n</pre>",
        "/perstack\u200bfix",
        "\u200b/perstack fix",
    ],
)
def test_what_readers_do_not_see_as_a_line_of_prose_is_no_command(body: str) -> None:
    assert parse_commands(body) == ()


def test_several_commands_are_found_in_order() -> None:
    assert actions("/perstack verify\n\nand then\n/perstack fix it\n/perstack help") == ["verify", "fix", "help"]


@pytest.mark.parametrize(
    ("body", "position", "words"),
    [
        ("/perstack fxi", (1, 11), "did you mean `/perstack fix`?"),
        ("hello\n  /perstack verfy now", (2, 13), "did you mean `/perstack verify`?"),
        ("/perstack zzzzzz", (1, 11), "the commands are `fix`, `verify`, `help`"),
        ("/perstack plan", (1, 11), "`plan` is not available yet"),
        ("/perstack create-expert reviewer", (1, 11), "`create-expert` is not available yet"),
        ("/perstack", (1, 1), "needs a command"),
        ("/perstack fix!", (1, 11), "did you mean `/perstack fix`?"),
    ],
)
def test_a_mistake_is_answered_with_its_position_and_the_nearest_command(
    body: str, position: tuple[int, int], words: str
) -> None:
    (problem,) = parse_commands(body)
    assert isinstance(problem, CommandProblem)
    assert (problem.line, problem.column) == position
    assert problem.message.startswith(f"line {position[0]}, column {position[1]}: ")
    assert words in problem.message


def test_a_hostile_word_cannot_leave_its_place_in_the_answer() -> None:
    (problem,) = parse_commands("/perstack `<img>@everyone" + "x" * 500)
    assert isinstance(problem, CommandProblem)
    assert not set("<>@") & set(problem.message)
    assert problem.message.count("`") % 2 == 0
    assert len(problem.message) < 200


def test_an_edit_runs_only_what_is_new_in_it() -> None:
    assert actions("/perstack fix", previous="/perstack fix") == []
    assert actions("/perstack fix\nmore words", previous="some\n/perstack fix") == []
    assert actions("/perstack fix\n/perstack verify", previous="/perstack fix") == ["verify"]
    assert actions("/perstack fix other", previous="/perstack fix") == ["fix"]
    assert actions("/perstack fix\n/perstack fix", previous="/perstack fix") == ["fix"]
    assert actions("/perstack fix", previous="`/perstack fix`") == ["fix"]
    assert parse_commands("/perstack fxi and more", previous="/perstack fxi") == ()


@pytest.mark.parametrize("piece", ["`", "``` ", "<!--", "a`b``c```d", "`\n``\n", "/perstack ", "> ", "\\`", "<!-- `"])
def test_the_longest_possible_comment_is_read_at_once(piece: str) -> None:
    body = (piece * 65_536)[:65_536]
    started = time.perf_counter()
    parse_commands(body + "\n/perstack fix")
    assert time.perf_counter() - started < 2.0


_LINES = st.sampled_from(
    ["/perstack fix", "```", "~~~", "> q", "", "`", "<!--", "-->", "    x", "words", "<pre>", "</pre>"]
)


@settings(deadline=None)
@given(st.lists(_LINES, max_size=12))
def test_every_command_found_stands_where_it_says(lines: list[str]) -> None:
    for item in parse_commands("\n".join(lines)):
        assert lines[item.line - 1][item.column - 1 :].startswith("fix")


@settings(deadline=None)
@given(st.text(), st.text())
def test_any_text_is_read_without_a_crash(body: str, previous: str) -> None:
    assert parse_commands(body, body) == ()
    parse_commands(body, previous)

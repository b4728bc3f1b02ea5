"""The comment grammar: what is a command, what is only shown, and how mistakes are answered."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

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
        ("words\n    ```\n/perstack fix", Command(Action.FIX, "", 3, 11)),
        ("- ```\n  code\n/perstack fix", Command(Action.FIX, "", 3, 11)),
        ("<details>\n</details>\n\n/perstack fix", Command(Action.FIX, "", 4, 11)),
        ("<del>no</del>\n\n/perstack fix", Command(Action.FIX, "", 3, 11)),
        ("see [x](y\n/perstack fix", Command(Action.FIX, "", 2, 11)),
        ("it's\n/perstack fix\nisn't it, a < b > c", Command(Action.FIX, "", 2, 11)),
        ("/perstack\u00a0fix\u00a0it", Command(Action.FIX, "it", 1, 11)),
        ("/perstack fix\u2028/perstack stop", Command(Action.FIX, "/perstack stop", 1, 11)),
        ("/perstack retry please", Command(Action.RETRY, "please", 1, 11)),
        ("/perstack run @reviewer the tests", Command(Action.RUN, "the tests", 1, 11, expert="reviewer")),
        ("/perstack run `@fix/plan`", Command(Action.RUN, "", 1, 11, expert="@fix/plan")),
        ("/perstack run @a/b@1.0.0 x", Command(Action.RUN, "x", 1, 11, expert="@a/b@1.0.0")),
        ("/perstack approve `ABC1234`", Command(Action.APPROVE, "", 1, 11, approved="abc1234")),
        ("/perstack approve " + "a" * 40 + " go", Command(Action.APPROVE, "go", 1, 11, approved="a" * 40)),
        ("/perstack create-expert checks our API", Command(Action.CREATE_EXPERT, "checks our API", 1, 11)),
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
        "- ```\n  /perstack fix\n  ```",
        "1. - ~~~\n     /perstack fix\n     ~~~",
        "- > quoted\n/perstack fix",
        "- <!--\n  /perstack fix\n  -->",
        "<details><summary>Log</summary>\n\n/perstack fix\n</details>",
        "text <code>\n/perstack fix\n</code>",
        "text <PRE>\n/perstack fix\n</pre>",
        "<?php\n/perstack fix\n?>",
        "<![CDATA[\n/perstack fix\n]]>",
        "`\u0130`` x\n/perstack fix\n``",
        "<details>\n</details>\n/perstack fix",
        "<blockquote>\n\n/perstack fix\n\n</blockquote>",
        "so <del>\n\n/perstack fix\n\n</del>",
        "<a title='\n/perstack fix\n'>x</a>",
        'x <a title=">\n/perstack fix\n">x</a>',
        '[x](/u "a)\n/perstack fix\n")',
        '[f]: /url "\n/perstack fix\n"',
        "x <?p\n/perstack fix\n?>",
        "* ~~~ x\n\t```\n   /perstack fix",
        "x\n\t```\n/perstack fix\n\t```",
        "1.\n      ```\n   /perstack fix",
        "- a\n  ```\nx\n```\n/perstack fix",
        "`\n# h\n`\n/perstack fix\n`",
        "a | b\n-|-\n/perstack fix",
        "# /perstack fix",
        "| /perstack fix |",
        "[/perstack fix](x)",
        "**/perstack fix**",
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
        ("/perstack zzzzzz", (1, 11), "the commands are `fix`, `verify`, `plan`, `review`, `run`,"),
        ("/perstack create-exprt x", (1, 11), "did you mean `/perstack create-expert`?"),
        ("/perstack publish", (1, 11), "there is no command `publish`"),
        ("/perstack run", (1, 11), "`run` needs the expert to run, such as"),
        ("/perstack run reviewer", (1, 15), "`run` needs the expert to run, not `reviewer`"),
        ("/perstack run @No/Way", (1, 15), "`run` needs the expert to run, not `No/Way`"),
        ("/perstack run @" + "a" * 600, (1, 15), "`run` needs the expert to run, not `aaa"),
        ("  /perstack   approve", (1, 15), "`approve` needs the commit of the plan: 7 to 40 digits"),
        ("/perstack approve  abc12", (1, 20), "`approve` needs the commit of the plan, not `abc12`"),
        ("/perstack approve " + "a" * 41, (1, 19), "`approve` needs the commit"),
        ("/perstack create-expert", (1, 11), "`create-expert` needs a description"),
        ("\u200b/perstack fix", (1, 1), "U+200B, which looks like another one or like none"),
        ("/perst\u200back fix", (1, 7), "U+200B"),
        ("\n/\u0440erstack fix", (2, 2), "U+0440"),
        ("/perstack\ufeff fix", (1, 10), "U+FEFF"),
        ("\uff0fperstack fix", (1, 1), "U+FF0F"),
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
    assert len(problem.message) < 220


def test_an_edit_runs_only_what_is_new_in_it() -> None:
    assert actions("/perstack fix", previous="/perstack fix") == []
    assert actions("/perstack fix\nmore words", previous="some\n/perstack fix") == []
    assert actions("/perstack fix\n/perstack verify", previous="/perstack fix") == ["verify"]
    assert actions("/perstack fix other", previous="/perstack fix") == ["fix"]
    assert actions("/perstack fix\n/perstack fix", previous="/perstack fix") == ["fix"]
    assert actions("/perstack fix", previous="`/perstack fix`") == ["fix"]
    assert parse_commands("/perstack fxi and more", previous="/perstack fxi") == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [
        "`", "``` ", "<!--", "a`b``c```d", "`\n``\n", "/perstack ", "> ", "\\`", "\\``", "<!-- `", "-   ", "1. ",
        "- > ",
        "- ```\n", "<details>\n", "/perstack run @a\n", "/perstack x\n", "/\u0440erstack fix\n", "\u200b", "\r", "\0",
        "/perstack run @" + "a-" * 500 + "\n", "   ", "<code>", "<pre", "<a b='", '<a "', "[", "![", "[a](", "](",
        "[a]: x\n",
        "*", "_a*", "- a\n", "#\n", "|a|\n|-|\n", "<blockquote>\n\n",
    ],
)  # fmt: skip
def test_the_longest_possible_comment_is_read_at_once(piece: str) -> None:
    body = (piece * 65_536)[:65_536]
    started = time.perf_counter()
    parse_commands(body + "\n/perstack fix")
    assert time.perf_counter() - started < 2.0


def test_a_log_of_many_lines_is_looked_at_from_its_top() -> None:
    log = "line\n" * 5000
    assert actions(f"/perstack fix\n\n{log}") == ["fix"]
    assert actions(f"{log}\n/perstack fix") == []
    assert actions(f"` /\n/perstack fix\n{log}` x") == []  # its paragraph is not read to the end
    assert actions(f"/perstack fix\r\n{'x ' * 30_000}") == ["fix"]


def test_an_edit_by_somebody_else_runs_only_lines_that_were_not_there() -> None:
    trap = "```\n/perstack fix\n```"
    assert len(parse_commands("/perstack fix", trap)) == 1
    assert parse_commands("/perstack fix", trap, same_author=False) == ()
    assert len(parse_commands("/perstack fix now", trap, same_author=False)) == 1


_LINES = st.sampled_from(
    ["/perstack fix", "```", "~~~", "> q", "", "`", "<!--", "-->", "    x", "words", "<pre>", "</pre>"]
)


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(_LINES, max_size=12))
def test_every_command_found_stands_where_it_says(lines: list[str]) -> None:
    for item in parse_commands("\n".join(lines)):
        assert lines[item.line - 1][item.column - 1 :].startswith("fix")


_WORDS = st.text(st.characters(codec="utf-8", exclude_characters="`<>\\$\r\n", exclude_categories=["Cc", "Cs"]))
_PROSE = _WORDS.filter(lambda line: line[:1].isalpha() and "/perstack" not in line.lower())
_WRAPPED = st.sampled_from([("```", "```"), ("~~~~ text", "~~~~"), ("<!--", "-->"), ("<pre>", "</pre>"), ("`", "`")])


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.one_of(_PROSE, st.just("/perstack fix it")), max_size=12))
def test_every_command_in_prose_is_found_where_it_stands(lines: list[str]) -> None:
    wanted = [number for number, line in enumerate(lines, 1) if line == "/perstack fix it"]
    assert [item.line for item in parse_commands("\n".join(lines)) if isinstance(item, Command)] == wanted


@pytest.mark.slow
@settings(deadline=None)
@given(_WRAPPED, st.lists(_PROSE, max_size=4), st.lists(_PROSE, max_size=4), st.sampled_from(["fix", "stop", "x"]))
def test_no_command_is_found_in_what_is_masked(
    wrapped: tuple[str, str], before: list[str], after: list[str], word: str
) -> None:
    body = [*before, "", wrapped[0], *after, f"/perstack {word}", wrapped[1]]
    assert parse_commands("\n".join(body)) == ()
    quoted = [*before, "", *(f"> {line}" for line in (*after, f"/perstack {word}"))]
    assert parse_commands("\n".join(quoted)) == ()
    assert len(parse_commands("\n".join([*body, "", "/perstack fix"]))) == 1


_PIECES = (
    "CMD", "CMD", "- CMD", "   CMD", "    CMD", "\tCMD", "```", "~~~", "  ```", "    ```", "- ```", "* ~~~ x",
    "1. ```", "- - ```", "> q", "- > q", "`", "``", "a `` b", "<!--", "-->", "x <!-- y", "<pre>", "</pre>",
    "<details>", "</details>", "<div>", "words", "- item", "  more", "1.", "# h", "---", "===", "\\``", "<?x",
    "?>", "<a href='", "'>", "[x](", "<b", "a\tb", "-\t```", "+ <!--", "    - y", "[f]:", "<!D", "x <a b='",
    "x <i t=\"", "\">y", "[x](/u \"", "\")", "[f]: /url \"", "\"", "'", "![x](/y '", "')", "",
)  # fmt: skip


def _shown(body: str) -> set[str]:
    """Arguments of the commands that a whole Markdown parser shows as text at the start of a line."""
    shown: set[str] = set()
    quotes = 0
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(body):
        quotes += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
        starts = not quotes
        for child in token.children or ():
            if starts and child.type == "text" and child.content.startswith("/perstack fix "):
                shown.add(child.content.split()[2])
            starts = not quotes and child.type in {"softbreak", "hardbreak"}
    return shown


@pytest.mark.slow
@settings(deadline=None, max_examples=250)
@given(st.lists(st.sampled_from(_PIECES), min_size=1, max_size=8))
def test_no_command_is_found_that_a_markdown_parser_does_not_show(pieces: list[str]) -> None:
    body = "\n".join(piece.replace("CMD", f"/perstack fix {number}") for number, piece in enumerate(pieces))
    assert {item.arguments for item in parse_commands(body) if isinstance(item, Command)} <= _shown(body)


@pytest.mark.slow
@settings(deadline=None)
@given(st.text(), st.text())
def test_any_text_is_read_without_a_crash(body: str, previous: str) -> None:
    assert parse_commands(body, body) == ()
    parse_commands(body, previous)

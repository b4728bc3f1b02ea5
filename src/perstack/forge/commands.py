"""The grammar of comment commands: text in, commands and problems out. No I/O, no permissions, no events.

A command stands at the start of a line of prose: `/perstack fix the rounding`; its arguments are the rest of the line.
What Markdown shows as code, as a quotation or not at all never holds one (`prose.py`).
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from perstack.core.grammar import EXPERT_KEY, KEY_LENGTH
from perstack.forge.contract import Action
from perstack.forge.prose import prose_lines

MAX_COMMANDS = 3
MAX_LINES = 5000  # a text with more is a log; its commands stand at the top, if it has any
_ACTIONS = {action.value: action for action in Action if action is not Action.PUBLISH}
_COMMAND = re.compile(r"[ ]{0,3}(/perstack)(?=\s|$)\s*(\S*)\s*(.*)", re.IGNORECASE)
_FIRST_WORD = re.compile(r"\s{0,8}([^\sA-Za-z0-9]\S{4,40})")
_SHA = re.compile(r"[0-9a-f]{7,40}")
_ECHO_LIMIT = 40
# Letters of Cyrillic and Greek that look like those of the command; a longer table would help only its attackers.
_LOOK_ALIKES = {
    ord(strange): plain
    for plain, many in {
        "p": "\u0440\u03c1",
        "e": "\u0435\u03b5",
        "r": "\u0433",
        "s": "\u0455",
        "t": "\u0442\u03c4",
        "a": "\u0430\u03b1",
        "c": "\u0441\u03f2",
        "k": "\u043a\u03ba",
        "/": "\u2044\u2215",
    }.items()
    for strange in many
}


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `line` and `column` are 1-based; `arguments` is untrusted text of one line.

    `expert` is the key that `run` names, `approved` the commit that `approve` names; both are taken out of the
    arguments.
    """

    action: Action
    arguments: str
    line: int
    column: int
    expert: str = ""
    approved: str = ""


@dataclass(frozen=True, slots=True)
class CommandProblem:
    """Something that was meant as a command and is none. `message` is one public line with the position."""

    word: str
    line: int
    column: int
    message: str


Found = Command | CommandProblem


def parse_commands(body: str, previous: str = "", *, same_author: bool = True) -> tuple[Found, ...]:
    """All commands of `body` in order; with `previous` (the text before an edit) only those that are new in it.

    An edit by somebody else than the author (`same_author` False) asks only for lines that the editor wrote: one that
    stood in the old text, masked or not, is the author's.
    """
    found = tuple(_scan(body))
    if not previous:
        return found
    known = Counter(_identity(item) for item in _scan(previous))
    old_lines = frozenset() if same_author else frozenset(line.strip() for line in _lines(previous))
    lines = _lines(body)
    fresh: list[Found] = []
    for item in found:
        if known[_identity(item)] > 0:
            known[_identity(item)] -= 1
        elif lines[item.line - 1].strip() not in old_lines:
            fresh.append(item)
    return tuple(fresh)


def read_words(word: str, arguments: str) -> Found:
    """One command that came as two texts (inputs of a workflow) instead of a comment."""
    return _read(word, arguments, 1, 1, 1)


def _identity(item: Found) -> tuple[str, ...]:
    if isinstance(item, Command):
        return (item.action.value, item.expert, item.approved, item.arguments)
    return ("?", item.word)


def _lines(body: str) -> list[str]:
    """The lines that are looked at: whole paragraphs of the first `MAX_LINES`."""
    lines = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    end = len(lines)
    if end > MAX_LINES:
        end = next((number for number in range(MAX_LINES, 0, -1) if not lines[number].strip()), 0)
    return lines[:end]


def _scan(body: str) -> Iterator[Found]:
    lines = _lines(body)
    candidates = {number: item for number, line in enumerate(lines) if (item := _on_line(line, number + 1)) is not None}
    if not candidates:
        return
    last = max(candidates)
    # What comes after the paragraph of the last one changes nothing.
    end = next((number for number in range(last, len(lines)) if not lines[number].strip()), len(lines))
    seen = prose_lines("\n".join(lines[:end]))
    for number, item in candidates.items():
        # What the reader sees of the line begins as the line does: a mark of a list or heading before it is gone.
        if seen.get(number, "").lstrip()[:1] == lines[number].lstrip()[:1] != "":
            yield item


def _on_line(line: str, number: int) -> Found | None:
    """What one line asks for, if it is prose."""
    match = _COMMAND.match(line)
    if match is None:
        return _look_alike(line, number)
    column = (match.start(2) if match[2] else match.start(1)) + 1
    return _read(match[2], match[3].strip(), number, column, match.start(3) + 1)


def _look_alike(line: str, number: int) -> CommandProblem | None:
    """A first word that people read as `/perstack` and that is not: invisible characters, other scripts, wide forms."""
    match = _FIRST_WORD.match(line)
    if match is None or match[1].isascii():
        return None
    word = match[1]
    seen = "".join(c for c in unicodedata.normalize("NFKC", word).casefold() if unicodedata.category(c) != "Cf")
    if seen.translate(_LOOK_ALIKES) != "/perstack":
        return None
    index, strange = next((i, c) for i, c in enumerate(word) if not c.isascii())
    column = match.start(1) + index + 1
    message = (
        f"line {number}, column {column}: `/perstack` is written with the character U+{ord(strange):04X}, "
        f"which looks like another one or like none; type the command by hand"
    )
    return CommandProblem("/perstack", number, column, message)


def _read(word: str, arguments: str, line: int, column: int, arguments_column: int) -> Found:
    name = word.lower()
    if name in _ACTIONS:
        return _with_arguments(_ACTIONS[name], arguments, line, column, arguments_column)
    if not word:
        text = f"`/perstack` needs a command: {_listing()}"
    else:
        near = difflib.get_close_matches(name[:_ECHO_LIMIT], list(_ACTIONS), n=1, cutoff=0.5)
        advice = f"did you mean `/perstack {near[0]}`?" if near else f"the commands are {_listing()}"
        text = f"there is no command `{_echo(word)}`; {advice}"
    return _problem(name, line, column, text)


def _with_arguments(action: Action, arguments: str, line: int, column: int, at: int) -> Found:
    first, _, rest = arguments.partition(" ")
    first = first.strip("`")
    if action is Action.RUN:
        key = _expert_key(first)
        if not key:
            said = f", not `{_echo(first)}`" if first else ""
            text = f"`run` needs the expert to run{said}, such as `/perstack run @reviewer look at the tests`"
            return _problem("run", line, at if first else column, text)
        return Command(action, rest.strip(), line, column, expert=key)
    if action is Action.APPROVE:
        sha = first.lower()
        if _SHA.fullmatch(sha) is None:
            said = f", not `{_echo(first)}`" if first else ""
            text = f"`approve` needs the commit of the plan{said}: 7 to 40 digits of its SHA"
            return _problem("approve", line, at if first else column, text)
        return Command(action, rest.strip(), line, column, approved=sha)
    if action is Action.CREATE_EXPERT and not arguments:
        text = "`create-expert` needs a description, such as `/perstack create-expert checks our changelog`"
        return _problem(action.value, line, column, text)
    return Command(action, arguments, line, column)


def _expert_key(word: str) -> str:
    """The key that `@name` or `@scope/name` stands for; empty where it is none."""
    key = word if "/" in word else word.removeprefix("@")
    fits = word.startswith("@") and len(key) <= KEY_LENGTH and EXPERT_KEY.fullmatch(key)
    return key if fits else ""


def _problem(word: str, line: int, column: int, text: str) -> CommandProblem:
    return CommandProblem(word, line, column, f"line {line}, column {column}: {text}")


def _listing() -> str:
    return ", ".join(f"`{name}`" for name in _ACTIONS)


def _echo(word: str) -> str:
    """A stranger's word, made harmless to show between back-ticks."""
    shown = "".join(c for c in word if c.isprintable() and c not in "`<>@")[:_ECHO_LIMIT]
    return shown or "?"

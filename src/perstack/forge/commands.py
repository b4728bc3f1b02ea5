"""The grammar of comment commands: text in, commands and problems out. No I/O, no permissions, no events.

A command stands at the start of a line of prose: `/perstack fix the rounding`. What Markdown shows as code, quotation
or not at all (fences, indented code, code spans, `>` quotes, HTML comments, `<pre>`) never holds a command.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from perstack.forge.contract import Action

KNOWN_LATER = frozenset({"plan", "review", "run", "approve", "retry", "stop", "explain", "create-expert"})
_ACTIONS = {action.value: action for action in Action}
_COMMAND = re.compile(r"[ ]{0,3}(/perstack)(?=[ \t]|$)[ \t]*(\S*)[ \t]*(.*)", re.IGNORECASE)
_FENCE = re.compile(r"[ ]{0,3}(`{3,}(?=[^`]*$)|~{3,})")
_QUOTE = re.compile(r"[ ]{0,3}>")
_INDENTED = re.compile(r"[ ]{0,3}\t|[ ]{4}")
_RAW_BLOCK = re.compile(r"[ ]{0,3}<(pre|script|style|textarea|code)(?=[\s>]|$)", re.IGNORECASE)
_COMMENT_BLOCK = re.compile(r"[ ]{0,3}<!--")
_MASK = "\0"
_ECHO_LIMIT = 40


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `line` and `column` are 1-based; `arguments` is untrusted text of one line."""

    action: Action
    arguments: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class CommandProblem:
    """Something that was meant as a command and is none. `message` is one public line with the position."""

    word: str
    line: int
    column: int
    message: str


def parse_commands(body: str, previous: str = "") -> tuple[Command | CommandProblem, ...]:
    """All commands of `body` in order; with `previous` (the text before an edit) only those that are new in it."""
    found = tuple(_scan(body))
    if not previous:
        return found
    known = Counter(_identity(item) for item in _scan(previous))
    fresh: list[Command | CommandProblem] = []
    for item in found:
        if known[_identity(item)] > 0:
            known[_identity(item)] -= 1
        else:
            fresh.append(item)
    return tuple(fresh)


def _identity(item: Command | CommandProblem) -> tuple[str, str]:
    if isinstance(item, Command):
        return (item.action.value, item.arguments)
    return ("?", item.word)


def _scan(body: str) -> Iterator[Command | CommandProblem]:
    lines = body.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for number, (original, visible) in enumerate(zip(lines, _visible(lines), strict=True), 1):
        if not _COMMAND.match(visible):
            continue
        match = _COMMAND.match(original)
        if match is not None:
            yield _read(match[2], match[3].strip(), number, (match.start(2) if match[2] else match.start(1)) + 1)


def _read(word: str, arguments: str, line: int, column: int) -> Command | CommandProblem:
    name = word.lower()
    if name in _ACTIONS:
        return Command(_ACTIONS[name], arguments, line, column)
    where = f"line {line}, column {column}"
    if not word:
        text = f"{where}: `/perstack` needs a command: {_listing()}"
    elif name in KNOWN_LATER:
        text = f"{where}: `{name}` is not available yet; available now: {_listing()}"
    else:
        near = difflib.get_close_matches(name[:_ECHO_LIMIT], [*_ACTIONS, *sorted(KNOWN_LATER)], n=1, cutoff=0.5)
        advice = f"did you mean `/perstack {near[0]}`?" if near else f"the commands are {_listing()}"
        text = f"{where}: there is no command `{_echo(word)}`; {advice}"
    return CommandProblem(name, line, column, text)


def _listing() -> str:
    return ", ".join(f"`{name}`" for name in _ACTIONS)


def _echo(word: str) -> str:
    """A stranger's word, made harmless to show between back-ticks."""
    shown = "".join(c for c in word if c.isprintable() and c not in "`<>@")[:_ECHO_LIMIT]
    return shown or "?"


def _visible(lines: list[str]) -> list[str]:
    """The lines with everything masked that a reader does not see as prose. Same count of lines."""
    result: list[str] = []
    paragraph: list[str] = []
    closer = ""  # how the block we are in ends: a fence, "-->" or a closing tag
    quoted = False

    def finish() -> None:
        result.extend(_mask_inline(paragraph))
        paragraph.clear()

    for line in lines:
        if closer:
            if _closes(line, closer):
                closer = ""
            result.append(_MASK)
            continue
        quoted = bool(_QUOTE.match(line)) or (quoted and bool(line.strip()))  # a quote goes on until a blank line
        opened = "" if quoted else _opens(line)
        if quoted or opened or not line.strip() or _INDENTED.match(line):
            finish()
            result.append(_MASK)
            closer = "" if opened and _closes_at_once(line, opened) else opened
        else:
            paragraph.append(line)
    finish()
    return result


def _opens(line: str) -> str:
    """What must come to end the block this line opens; empty where it opens none."""
    if fence := _FENCE.match(line):
        return fence[1]
    if _COMMENT_BLOCK.match(line):
        return "-->"
    if raw := _RAW_BLOCK.match(line):
        return f"</{raw[1].lower()}>"
    return ""


def _closes_at_once(line: str, closer: str) -> bool:
    return closer[0] not in "`~" and closer in line.lower()


def _closes(line: str, closer: str) -> bool:
    if closer[0] in "`~":
        text = line.strip()
        return len(line) - len(line.lstrip(" ")) <= 3 and len(text) >= len(closer) and set(text) == {closer[0]}
    return closer in line.lower()


def _mask_inline(paragraph: list[str]) -> list[str]:
    """Mask code spans and inline comments, which may run over several lines of one paragraph."""
    text = "\n".join(paragraph)
    out: list[str] = []
    position = 0
    spans = _span_ends(text)
    while position < len(text):
        end = _hidden_until(text, position, spans)
        if end > position:
            out.append(re.sub(r"[^\n]", _MASK, text[position:end]))
        else:
            end = position + _step(text, position)
            out.append(text[position:end])
        position = end
    return "".join(out).split("\n") if paragraph else []


def _step(text: str, position: int) -> int:
    """How many characters to pass over as plain: an escape pair, a whole run of back-ticks, or one."""
    if text[position] == "\\" and position + 1 < len(text):
        return 2
    if text[position] == "`":
        return _run_length(text, position)
    return 1


def _run_length(text: str, position: int) -> int:
    end = position
    while end < len(text) and text[end] == "`":
        end += 1
    return end - position


def _span_ends(text: str) -> dict[int, list[int]]:
    """Starts of all runs of back-ticks by length, last first, so that each is looked at once."""
    ends: dict[int, list[int]] = {}
    for match in re.finditer(r"`+", text):
        ends.setdefault(len(match[0]), []).append(match.start())
    for starts in ends.values():
        starts.reverse()
    return ends


def _hidden_until(text: str, position: int, spans: dict[int, list[int]]) -> int:
    """Where the code span or comment that starts at `position` ends; `position` itself where none does."""
    if text.startswith("<!--", position):
        end = text.find("-->", position + 4)
        return end + 3 if end >= 0 else position
    if text[position] != "`":
        return position
    length = _run_length(text, position)
    starts = spans.get(length, [])
    while starts and starts[-1] <= position:
        starts.pop()
    return starts[-1] + length if starts else position

"""What a new expert must show before it is written down: one query, the files it finds, one signal. Runs nothing.

The signal is one of a closed set, and what it says never depends on a model.
"""

from __future__ import annotations

import ast
import json
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from perstack.core.errors import ToolError
from perstack.core.grammar import TAG
from perstack.core.json import JsonObject, compact
from perstack.core.untrusted import without_hidden
from perstack.infrastructure.workspace import Workspace

MAX_FILES = 20
MAX_BYTES = 200_000
MAX_TEXT = 20_000
MAX_KEY = 60  # it is also part of a branch's name
ANSWER, EXISTS, HOLDS, PARSES, TESTS = "answer-holds", "file-exists", "file-holds", "file-parses", "tests-pass"
KINDS: Mapping[str, str] = {
    ANSWER: "the answer has `pattern` in it",
    EXISTS: "the file `path` is there",
    HOLDS: "the file `path` has `pattern` in it",
    PARSES: "the file `path` is valid JSON, TOML or Python, by its ending",
    TESTS: "`python3 -m unittest` passes in the workspace",
}
_SUFFIXES = frozenset({".json", ".toml", ".py"})


@dataclass(frozen=True, slots=True)
class Check:
    """The one completion signal. In `pattern` a `*` stands for any text; case and everything else count."""

    kind: str
    path: str = ""
    pattern: str = ""

    def words(self) -> str:
        """The signal in one line."""
        told = KINDS[self.kind].replace("`path`", f"`{self.path}`")
        return told.replace("`pattern`", compact(self.pattern))


@dataclass(frozen=True, slots=True)
class Plan:
    """What to write (`purpose`, `knowledge`) under which key, and how it is tried. `files`: path → text."""

    key: str
    purpose: str
    knowledge: str
    query: str
    check: Check
    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        """For the log."""
        check: JsonObject = {"kind": self.check.kind, "path": self.check.path, "pattern": self.check.pattern}
        return {"key": self.key, "purpose": self.purpose, "query": self.query, "check": check, "files": [*self.files]}


def read_plan(texts: Mapping[str, str], files: Mapping[str, str], taken: frozenset[str], asked_key: str = "") -> Plan:
    """A plan from the texts of a call. `taken` keys are not free; `asked_key` is the one that a person wants.

    Raises: ToolError that says what to change.
    """
    key = texts.get("key", "")
    if TAG.fullmatch(key) is None or len(key) > MAX_KEY:
        hint = f"Lower-case letters, digits and `-`, no scope, at most {MAX_KEY} characters."
        raise ToolError(f'"{key[: 2 * MAX_KEY]}" is no key of a new expert.', hint=hint)
    if asked_key and key != asked_key:
        raise ToolError(f'The expert is to be called "{asked_key}".')
    if key in taken:
        raise ToolError(f'There is an expert "{key}" already.', hint="Choose another key.")
    for name in ("purpose", "query"):
        if not texts.get(name, "").strip():
            raise ToolError(f"`{name}` is empty.")
    if any(without_hidden(text)[1] for text in texts.values()):
        raise ToolError("A text holds characters that nobody sees.", hint="Write what people can read.")
    if any(len(text) > MAX_TEXT for text in texts.values()):
        raise ToolError(f"A text is longer than {MAX_TEXT} characters.")
    _require_small(files)
    check = _check(texts)
    if check.kind in {EXISTS, HOLDS, PARSES} and _found(check, "", files):
        raise ToolError("The signal is green before anybody has worked.", hint="Ask for what only the expert can make.")
    if check.kind == TESTS and not any(_is_test(path) for path in files):
        raise ToolError("`tests-pass` needs a file `test_….py` among `files`.")
    return Plan(key, texts["purpose"], texts.get("knowledge", ""), texts["query"], check, dict(files))


def lay_out(plan: Plan, folder: Path) -> None:
    """Make the workspace of a try: the plan's files and nothing else. Raises: ToolError for a path outside."""
    folder.mkdir(parents=True)
    _write(plan.files, folder)


def restore_tests(plan: Plan, folder: Path) -> None:
    """Bring back the tests that judge, as the plan has them: what the expert did to them does not count."""
    _write({path: text for path, text in plan.files.items() if _is_test(path)}, folder)


def holds(check: Check, answer: str, folder: Path) -> bool:
    """Whether the signal is green, for every kind but `tests-pass`. Links do not lead out of the folder."""
    if check.kind == ANSWER:
        return _found(check, answer, {})
    try:
        text = Workspace(folder).read(check.path, limit=MAX_BYTES).decode("utf-8", errors="replace")
    except ToolError:
        return False
    return _found(check, answer, {check.path: text})


def matches(pattern: str, text: str) -> bool:
    """Whether the parts of a pattern follow each other in a text. Linear: no pattern can take long."""
    at = 0
    for part in pattern.split("*"):
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return True


def _found(check: Check, answer: str, files: Mapping[str, str]) -> bool:
    if check.kind == ANSWER:
        return matches(check.pattern, answer)
    text = files.get(check.path)
    if text is None or check.kind == EXISTS:
        return text is not None
    return matches(check.pattern, text) if check.kind == HOLDS else _parses(check.path, text)


def _parses(path: str, text: str) -> bool:
    readers: Mapping[str, Callable[[str], object]] = {".json": json.loads, ".toml": tomllib.loads, ".py": ast.parse}
    try:
        readers[PurePosixPath(path).suffix](text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return False
    return True


def _check(texts: Mapping[str, str]) -> Check:
    kind, path, pattern = (texts.get(name, "") for name in ("check", "path", "pattern"))
    if kind not in KINDS:
        raise ToolError(f'"{kind}" is no signal.', hint=f"There are: {', '.join(KINDS)}.")
    if kind in {EXISTS, HOLDS, PARSES}:
        _require_path(path)
    if kind == PARSES and PurePosixPath(path).suffix not in _SUFFIXES:
        raise ToolError(f"`file-parses` reads {', '.join(sorted(_SUFFIXES))}, not `{path}`.")
    if kind in {ANSWER, HOLDS} and len(pattern.replace("*", "").strip()) < 2:
        raise ToolError("`pattern` is true of nearly every text.", hint="Give a text that only a right result has.")
    return Check(kind, path if kind in {EXISTS, HOLDS, PARSES} else "", pattern if kind in {ANSWER, HOLDS} else "")


def _require_small(files: Mapping[str, str]) -> None:
    for path in files:
        _require_path(path)
    if len(files) > MAX_FILES or sum(len(text.encode()) for text in files.values()) > MAX_BYTES:
        raise ToolError(f"At most {MAX_FILES} files with {MAX_BYTES} bytes together.")


def _require_path(path: str) -> None:
    pure = PurePosixPath(path)
    if not path or pure.is_absolute() or path != str(pure) or {"..", ".git"} & set(pure.parts):
        raise ToolError(f'"{path}" is no path inside a workspace.', hint="For example: notes/CHANGES.md")


def _write(files: Mapping[str, str], folder: Path) -> None:
    workspace = Workspace(folder)
    for path, text in files.items():
        workspace.write(path, text.encode())


def _is_test(path: str) -> bool:
    name = PurePosixPath(path).name
    return name.startswith("test") and name.endswith(".py")

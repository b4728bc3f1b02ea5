"""Which compiler or linter a command starts. Looks at the command's words only, never at files. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Final

AUTO: Final = "auto"
"""The command starts something else (make, npm, a script): the output says what ran."""

_PLAIN = {
    "rustc": "rustc", "tsc": "tsc", "vue-tsc": "tsc", "eslint": "eslint", "javac": "javac", "mypy": "mypy",
    "pyright": "pyright", "basedpyright": "pyright", "clang-tidy": "clang-tidy",
}  # fmt: skip
_C = re.compile(r"(?:[\w.]+-)*(?P<name>gcc|g\+\+|clang|clang\+\+|cc|c\+\+)(?:-\d+(?:\.\d+)*)?")
_VERBS = {
    "cargo": ("cargo", frozenset({"build", "b", "check", "c", "clippy", "rustc"})),
    "go": ("go", frozenset({"build", "vet", "install"})),
    "ruff": ("ruff", frozenset({"check"})),
    "mvn": ("maven", frozenset({"compile", "test-compile", "process-classes", "package", "verify", "install"})),
    "mvnw": ("maven", frozenset({"compile", "test-compile", "process-classes", "package", "verify", "install"})),
}
_LAUNCHERS: dict[str, tuple[str, ...]] = {
    "env": (), "npx": (), "bunx": (), "pnpm": ("exec", "dlx"), "yarn": ("exec", "run"), "uv": ("run",), "uvx": (),
    "poetry": ("run",), "pdm": ("run",), "hatch": ("run",), "pipenv": ("run",), "ccache": (), "nice": (), "time": (),
}  # fmt: skip
_PYTHON = re.compile(r"python(?:\d+(?:\.\d+)?)?")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


def recognise(run: Sequence[str]) -> str:
    """The tool's name, `auto` where the command is not one that is known."""
    words = [word for word in run if not _ASSIGNMENT.fullmatch(word)]
    while words:
        program = PurePosixPath(words[0]).name
        if _PYTHON.fullmatch(program):
            words = _module(words)
        elif program in _LAUNCHERS:
            words = _behind(words, _LAUNCHERS[program])
        else:
            return _tool(program, words[1:])
    return AUTO


def _tool(program: str, rest: Sequence[str]) -> str:
    if program in _PLAIN:
        return _PLAIN[program]
    if program in _VERBS:
        tool, verbs = _VERBS[program]
        return tool if any(word in verbs for word in rest) else AUTO
    compiler = _C.fullmatch(program)
    if compiler is None:
        return AUTO
    return "clang" if compiler["name"].startswith("clang") else "gcc"


def _module(words: Sequence[str]) -> list[str]:
    """The module behind `-m`, as a program; nothing where a script is run."""
    if "-m" not in words[:-1]:
        return []
    at = words.index("-m") + 1
    before = words[1 : at - 1]
    return list(words[at:]) if all(word.startswith("-") for word in before) else []


def _behind(words: Sequence[str], verbs: Sequence[str]) -> list[str]:
    rest = list(words[1:])
    if verbs and rest and rest[0] in verbs:
        rest = rest[1:]
    while rest and rest[0].startswith("-"):
        rest = rest[1:]
    return rest

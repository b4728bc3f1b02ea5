"""Which test runner a command starts. Looks at the command's words only, never at files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

_RUNNERS = {
    "pytest": "pytest",
    "py.test": "pytest",
    "jest": "jest",
    "vitest": "vitest",
    "ctest": "ctest",
}
_WITH_VERB = {
    "go": ("go", ("test",)),
    "cargo": ("cargo", ("test", "nextest")),
    "mvn": ("maven", ("test", "verify")),
    "mvnw": ("maven", ("test", "verify")),
    "gradle": ("gradle", ("test", "check")),
    "gradlew": ("gradle", ("test", "check")),
}
_MODULES = {"pytest": "pytest", "unittest": "unittest"}
_LAUNCHERS = {
    "env": (),
    "uv": ("run",),
    "poetry": ("run",),
    "pdm": ("run",),
    "hatch": ("run",),
    "pipenv": ("run",),
    "coverage": ("run",),
    "npx": (),
    "pnpm": ("exec", "dlx"),
    "yarn": ("exec", "run"),
    "bunx": (),
}
_PYTHON = re.compile(r"python(?:\d+(?:\.\d+)?)?")


def recognise(run: Sequence[str]) -> str:
    """The framework's name, empty where the command is not a test runner we know."""
    words = [word for word in run if not re.fullmatch(r"[A-Za-z_]\w*=.*", word)]
    while words:
        program = PurePosixPath(words[0]).name
        if program in _RUNNERS:
            return _RUNNERS[program]
        if program in _WITH_VERB:
            framework, verbs = _WITH_VERB[program]
            return framework if any(word in verbs for word in words[1:]) else ""
        if _PYTHON.fullmatch(program) or program == "coverage":
            module = _module(words)
            if module or program != "coverage":
                return module
        if program not in _LAUNCHERS:
            return ""
        words = _behind_launcher(words, _LAUNCHERS[program])
    return ""


def _module(words: Sequence[str]) -> str:
    """The runner behind `-m`. `coverage run -m pytest` is `pytest`."""
    if "-m" not in words[:-1]:
        return ""
    index = words.index("-m") + 1
    if words[index] == "coverage":
        return _module(words[index:])
    return _MODULES.get(words[index], "")


def _behind_launcher(words: Sequence[str], verbs: Sequence[str]) -> list[str]:
    rest = list(words[1:])
    if verbs and rest and rest[0] in verbs:
        rest = rest[1:]
    while rest and rest[0].startswith("-"):
        rest = rest[1:]
    return rest

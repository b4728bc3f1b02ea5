"""The compilers and linters that are known: how each is asked for a form a machine can read, and who reads it.

A table and small pure functions over it. What is asked for stands in the verifier's own command, never in a file of
the repository. Where a tool refuses a form, the next one is tried; base and candidate must end at the same form.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from perstack.signals.diagnostics.c_family import parse_c, parse_c_text
from perstack.signals.diagnostics.eslint import parse_eslint
from perstack.signals.diagnostics.golang import parse_go
from perstack.signals.diagnostics.java import parse_javac, parse_maven
from perstack.signals.diagnostics.parsed import Parser
from perstack.signals.diagnostics.python import parse_mypy, parse_pyright, parse_ruff
from perstack.signals.diagnostics.rust import parse_rust
from perstack.signals.diagnostics.sarif import parse_sarif
from perstack.signals.diagnostics.typescript import parse_tsc


@dataclass(frozen=True, slots=True)
class Form:
    """One way to ask: arguments to add, and the form the output then has (`json`, `sarif`, `text`)."""

    arguments: tuple[str, ...] = ()
    name: str = "text"


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool. `forms` are tried in order while `refused` matches; `own` matches a form the command asks for itself.

    `silent`: a structured form is empty where nothing is found. `plants` is how an error is planted in a file, by
    suffix of the file.
    """

    parse: Parser
    forms: tuple[Form, ...] = (Form(),)
    refused: str = r"(?!)"
    own: str = r"(?!)"
    silent: bool = False
    plants: MappingProxyType[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))

    def forms_for(self, run: Sequence[str]) -> tuple[Form, ...]:
        """The forms to try for a command."""
        if any(re.match(self.own, word) for word in run):
            return (Form(),)
        return self.forms


# Appended as a last line. `{name}` is a fresh word. First an error of types or names, found in the last phase that
# could have been silenced; then one of syntax, for a project whose settings do not mind the first.
_C: Final = ("static int {name} = {name}_undeclared;", ")]}} {name} {{[(")
_PYTHON: Final = ('{name}: int = "{name}"', ")]}} {name} {{[(")
_SYNTAX: Final = (")]}} {name} {{[(",)
_TS: Final = ('const {name}: number = "{name}";', ")]}} {name} {{[(")
_GO: Final = ('var {name} int = "{name}"', ")]}} {name} {{[(")
_RUST: Final = ('const {name}: u8 = "{name}";', ")]}} {name} {{[(")
_JAVA: Final = ('class {name} {{ int a = "{name}"; }}', ")]}} {name} {{[(")


def _plants(texts: tuple[str, ...], suffixes: str) -> MappingProxyType[str, tuple[str, ...]]:
    return MappingProxyType(dict.fromkeys(suffixes.split(), texts))


_PLANT_C = _plants(_C, ".c .cc .cpp .cxx .c++ .C .h .hh .hpp .hxx .m .mm")
_PLANT_PYTHON = _plants(_PYTHON, ".py .pyi")
_PLANT_TS = _plants(_TS, ".ts .tsx .mts .cts")
_PLANT_JS = _plants(_SYNTAX, ".js .jsx .mjs .cjs .ts .tsx .mts .cts")
_PLANT_ALL = MappingProxyType(
    {
        **_PLANT_C,
        **_PLANT_PYTHON,
        **_plants(_SYNTAX, ".js .jsx .mjs .cjs"),
        **_PLANT_TS,
        **_plants(_GO, ".go"),
        **_plants(_RUST, ".rs"),
        **_plants(_JAVA, ".java"),
    }
)

TOOLS: Final = MappingProxyType(
    {
        "gcc": Tool(
            parse_c,
            (
                Form(("-fdiagnostics-format=json",), "json"),
                Form(("-fdiagnostics-format=sarif-stderr",), "sarif"),
                Form(),
            ),
            refused=r"diagnostics-format",
            own=r"-fdiagnostics-(?:format|add-output|set-output)",
            plants=_PLANT_C,
        ),
        "clang": Tool(
            parse_c,
            (
                Form(("-fdiagnostics-format=sarif", "-Wno-sarif-format-unstable", "-ferror-limit=0"), "sarif"),
                Form(("-ferror-limit=0",)),
            ),
            refused=r"diagnostics-format|sarif-format-unstable",
            own=r"-fdiagnostics-format",
            silent=True,
            plants=_PLANT_C,
        ),
        "clang-tidy": Tool(parse_c_text, plants=_PLANT_C),
        "rustc": Tool(
            parse_rust,
            (Form(("--error-format=json",), "json"),),
            own=r"--error-format",
            silent=True,
            plants=_plants(_RUST, ".rs"),
        ),
        "cargo": Tool(
            parse_rust,
            (Form(("--message-format=json",), "json"),),
            own=r"--message-format",
            plants=_plants(_RUST, ".rs"),
        ),
        "tsc": Tool(
            parse_tsc,
            (Form(("--pretty", "false", "--listFiles")), Form(("--pretty", "false")), Form()),
            refused=r"error TS(?:5023|5025|5072|5073|5093|5094|6369)\b",
            own=r"--pretty|--listFiles",
            plants=_PLANT_TS,
        ),
        "eslint": Tool(
            parse_eslint, (Form(("-f", "json"), "json"),), own=r"-f$|--format|-o$|--output", plants=_PLANT_JS
        ),
        "javac": Tool(
            parse_javac,
            (Form(("-J-Duser.language=en", "-Xmaxerrs", "10000", "-Xmaxwarns", "10000")), Form()),
            refused=r"invalid flag",
            own=r"-XDrawDiagnostics|-Xmaxerrs",
            plants=_plants(_JAVA, ".java"),
        ),
        "maven": Tool(parse_maven, plants=_plants(_JAVA, ".java")),
        "go": Tool(parse_go, own=r"-json", plants=_plants(_GO, ".go")),
        "mypy": Tool(
            parse_mypy,
            (Form(("--output=json",), "json"), Form()),
            refused=r"unrecognized arguments: .*--output",
            own=r"--output|-O$",
            silent=True,
            plants=_PLANT_PYTHON,
        ),
        "pyright": Tool(parse_pyright, (Form(("--outputjson",), "json"),), own=r"--outputjson", plants=_PLANT_PYTHON),
        "ruff": Tool(
            parse_ruff,
            (Form(("--output-format=json",), "json"), Form()),
            refused=r"unexpected argument|invalid value",
            own=r"--output-format|--output-file|-o$",
            plants=_plants(_SYNTAX, ".py .pyi"),
        ),
        "sarif": Tool(parse_sarif, plants=_PLANT_ALL),
    }
)
ANY_LANGUAGE: Final = _PLANT_ALL
"""How errors are planted where the tool is not known, by suffix."""


def with_arguments(run: Sequence[str], form: Form) -> tuple[str, ...]:
    """The command with the form's arguments, before a `--` that hands the rest to somebody else."""
    words = list(run)
    at = words.index("--") if "--" in words[1:] else len(words)
    return (*words[:at], *form.arguments, *words[at:])

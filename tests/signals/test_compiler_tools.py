"""Which tool a command starts, how it is asked, and when output may say what ran."""

from __future__ import annotations

from typing import get_args

import pytest

from perstack.core.signals import SignalKind, SignalSpec
from perstack.definition.schema_harness import CompilerTool
from perstack.signals.compiler import tool_of
from perstack.signals.diagnostics.automatic import read_automatic
from perstack.signals.diagnostics.parsed import Streams
from perstack.signals.diagnostics.places import Places
from perstack.signals.diagnostics.recognise import recognise
from perstack.signals.diagnostics.tools import TOOLS, with_arguments
from perstack.signals.tree import is_cache


@pytest.mark.parametrize(
    ("run", "tool"),
    [
        ("gcc -c a.c", "gcc"),
        ("/usr/bin/g++-12 -c a.cpp", "gcc"),
        ("x86_64-linux-gnu-gcc a.c", "gcc"),
        ("cc a.c", "gcc"),
        ("ccache clang++-16 -c a.cpp", "clang"),
        ("clang-tidy a.c", "clang-tidy"),
        ("rustc a.rs", "rustc"),
        ("cargo +nightly clippy -- -D warnings", "cargo"),
        ("cargo test", "auto"),
        ("npx tsc --noEmit", "tsc"),
        ("pnpm exec eslint .", "eslint"),
        ("yarn run eslint .", "eslint"),
        ("javac -d out A.java", "javac"),
        ("mvn -B compile", "maven"),
        ("./mvnw verify", "maven"),
        ("go vet ./...", "go"),
        ("go test ./...", "auto"),
        ("python3 -m mypy .", "mypy"),
        ("python3.12 -P -m mypy .", "mypy"),
        ("uv run mypy .", "mypy"),
        ("env MYPYPATH=src mypy .", "mypy"),
        ("ruff check .", "ruff"),
        ("ruff format --check .", "auto"),
        ("basedpyright", "pyright"),
        ("make lint", "auto"),
        ("npm run lint", "auto"),
        ("python3 scripts/lint.py", "auto"),
        ("sh -c gcc", "auto"),
        ("mygcc a.c", "auto"),
        ("", "auto"),
    ],
)
def test_a_tool_is_recognised_from_the_words_of_its_command(run: str, tool: str) -> None:
    assert recognise(run.split()) == tool


def test_a_configured_tool_wins() -> None:
    assert tool_of(SignalSpec("x", SignalKind.COMPILER, ("gcc", "a.c"), tool="none")) == "none"


def test_the_configuration_knows_exactly_these_tools() -> None:
    assert set(get_args(CompilerTool)) == {*TOOLS, "auto", "none"}


@pytest.mark.parametrize(
    ("tool", "run", "asked"),
    [
        ("mypy", "mypy .", "mypy . --output=json"),
        ("cargo", "cargo clippy -- -D warnings", "cargo clippy --message-format=json -- -D warnings"),
        ("ruff", "ruff check --output-format concise .", "ruff check --output-format concise ."),
        ("eslint", "npx eslint .", "npx eslint . -f json"),
        ("gcc", "gcc -c a.c", "gcc -c a.c -fdiagnostics-format=json"),
        ("go", "go vet ./...", "go vet ./..."),
    ],
)
def test_a_tool_is_asked_for_a_form_unless_the_command_asks_itself(tool: str, run: str, asked: str) -> None:
    words = run.split()
    assert " ".join(with_arguments(words, TOOLS[tool].forms_for(words)[0])) == asked


SARIF = """{"version": "2.1.0", "runs": [{"results": [{"message": {"text": "m"},
"locations": [{"physicalLocation": {"artifactLocation": {"uri": "src/a.c"}}}]}]}]}"""


def automatic(text: str, *files: str) -> tuple[str, int]:
    tree = {"src/a.c", "src/a.ts", "src/a.py", "src/Main.java", "src/lib.rs", "a.go", *files}
    found = read_automatic(Streams(text, ""), Places("/tree", ".", tree.__contains__))
    return found.tool, len(found.parsed.found)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("cc -c src/a.c\nsrc/a.c:3:1: error: no\nmake: *** [Makefile:2: a.o] Error 1\n", ("gcc", 1)),
        ("src/a.ts(1,2): error TS2322: no\n", ("tsc", 1)),
        ("src/a.py:1: error: no  [name-defined]\nFound 1 error in 1 file (checked 1 source file)\n", ("mypy", 1)),
        ("src/a.py:1:1: F401 `os` unused\nFound 1 error.\n", ("ruff", 1)),
        ("/tree/src/a.ts\n  1:2  error  Missing semicolon  semi\n\n✖ 1 problem (1 error, 0 warnings)\n", ("eslint", 1)),
        ("src/Main.java:1: error: no\nclass A\n      ^\n1 error\n", ("javac", 1)),
        ("[ERROR] /tree/src/Main.java:[1,2] no\n", ("maven", 1)),
        ("error[E0425]: no\n --> src/lib.rs:1:2\n", ("rustc", 1)),
        ("# example.com/x\n./a.go:1:2: undefined: b\n", ("go", 1)),
        ("src/a.ts(1,2): error TS2322: no\nsrc/a.c:1:2: error: b\n", ("tsc+gcc", 2)),
        ('[{"filename": "/tree/src/a.py", "location": {"row": 1}, "message": "m", "code": "F401"}]', ("ruff", 1)),
        (SARIF, ("sarif", 1)),
        # nothing sure: places that are not in the tree, prose, logs, a test run
        ("elsewhere/b.c:3:1: error: no\n", ("", 0)),
        ("10:15:00 error: connection lost\nhost:80: error: refused\n", ("", 0)),
        ("make: *** No rule to make target 'all'.  Stop.\n", ("", 0)),
        ("error: something\nwarning: something else\n", ("", 0)),
        ("FAILED tests/test_a.py::test_b - assert 1 == 2\n1 failed in 0.01s\n", ("", 0)),
        ("", ("", 0)),
    ],
)  # fmt: skip
def test_output_says_what_ran_only_with_a_sure_mark_and_places_in_the_tree(text: str, wanted: tuple[str, int]) -> None:
    assert automatic(text) == wanted


@pytest.mark.parametrize(
    "path", ["out/tsconfig.tsbuildinfo", "web/.eslintcache", ".mypy_cache/3.11/a.json", ".dmypy.json"]
)
def test_what_a_tool_would_trust_instead_of_looking_is_in_no_tree(path: str) -> None:
    assert is_cache(path)
    assert not is_cache("src/eslintcache.ts")

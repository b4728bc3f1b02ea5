"""Real outputs of real tools, read into one record. `golden.txt` was checked by eye against the samples."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.signals import Diagnostic
from perstack.signals.diagnostics.parsed import Parsed, Streams
from perstack.signals.diagnostics.tools import TOOLS

HERE = Path(__file__).parent
SAMPLES = HERE / "samples"
READERS = (
    ("gcc", "gcc/*"), ("clang", "clang/*"), ("gcc", "ctest/*"), ("cargo", "rust/*"), ("go", "go/*"),
    ("javac", "java/javac*"), ("maven", "java/mvn*"), ("tsc", "ts-js/tsc*"), ("eslint", "ts-js/eslint*"),
    ("sarif", "*/*.sarif"), ("mypy", "python/mypy*"), ("pyright", "python/pyright*"), ("ruff", "python/ruff*"),
)  # fmt: skip
CASES = [
    (tool, path.relative_to(SAMPLES).as_posix())
    for tool, pattern in READERS
    for path in sorted(SAMPLES.glob(pattern))
    if tool == "sarif" or path.suffix != ".sarif" or tool == "clang"
]


def parse(tool: str, sample: str, *, stderr: bool = False) -> Parsed:
    raw = (SAMPLES / sample).read_bytes()
    return TOOLS[tool].parse(Streams.decode(b"", raw) if stderr else Streams.decode(raw, b""))


def line(diagnostic: Diagnostic) -> str:
    d = diagnostic
    return f"{d.path}:{d.line}:{d.column} {d.severity} [{d.code}] {d.message}"


def render(tool: str, sample: str, parsed: Parsed) -> str:
    state = parsed.problem_code or "readable"
    head = f"== {tool} {sample}: {parsed.form}, files {parsed.files}, units {parsed.units}, {state}"
    return "\n".join([head, *(f"  {line(diagnostic)}" for diagnostic in parsed.found)])


def golden() -> dict[str, str]:
    """The expected text of each case by its first words."""
    blocks = (HERE / "golden.txt").read_text(encoding="utf-8").rstrip("\n").split("\n== ")
    blocks = [block if block.startswith("== ") else f"== {block}" for block in blocks]
    return {block.partition(":")[0]: block for block in blocks}


@pytest.mark.parametrize(("tool", "sample"), CASES)
def test_a_real_output_is_read_as_it_was_written(tool: str, sample: str) -> None:
    for stderr in (False, True):
        assert render(tool, sample, parse(tool, sample, stderr=stderr)) == golden()[f"== {tool} {sample}"]


def test_every_golden_block_belongs_to_a_sample() -> None:
    assert set(golden()) == {f"== {tool} {sample}" for tool, sample in CASES}


def places(parsed: Parsed) -> set[tuple[str, int, int, str]]:
    return {(Path(d.path).name, d.line, d.column, d.code) for d in parsed.found}


@pytest.mark.parametrize(
    ("tool", "one", "other"),
    [
        ("tsc", "ts-js/tsc5.txt", "ts-js/tsc5-pretty.txt"),
        ("cargo", "rust/rustc.json", "rust/rustc-short.txt"),
        ("cargo", "rust/cargo-build.json", "rust/cargo-build.txt"),
        ("mypy", "python/mypy.json", "python/mypy.txt"),
        ("ruff", "python/ruff.json", "python/ruff.concise"),
        ("ruff", "python/ruff.full", "python/ruff.grouped"),
        ("eslint", "ts-js/eslint.json", "ts-js/eslint-stylish.txt"),
        ("clang", "clang/clang.txt", "clang/clang-msvc.txt"),
        ("go", "go/build-go1.27.3.txt", "go/build-json-go1.27.3.txt"),
    ],
)
def test_two_forms_of_one_tool_say_the_same(tool: str, one: str, other: str) -> None:
    assert places(parse(tool, one)) == places(parse(tool, other)) != set()


def test_gcc_says_the_same_in_json_and_in_text() -> None:
    assert {d.fingerprint for d in parse("gcc", "gcc/gcc.json").found} == {
        d.fingerprint for d in parse("gcc", "gcc/gcc.txt").found
    }

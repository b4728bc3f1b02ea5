"""How the verifier runs `cargo test`: what of the base's own command is kept, and which tests lie inside sources. Pure.

Kept is what chooses packages, targets and features; dropped is what chooses among tests, reports or repeats.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from posixpath import dirname, join, normpath
from typing import Final

from perstack.core.experts import VerifySpec
from perstack.signals.cargo.lexer import Kind, Unreadable, tokens
from perstack.signals.cargo.split import split
from perstack.signals.protected import Protection

_KEEP_WITH_VALUE: Final = {
    "-p": "--package", "--package": "--package", "--exclude": "--exclude", "-F": "--features",
    "--features": "--features", "--profile": "--profile", "--manifest-path": "--manifest-path", "--bin": "--bin",
    "--test": "--test", "--example": "--example", "--target": "--target", "--cargo-profile": "--profile",
}  # fmt: skip
_KEEP_ALONE: Final = {
    "--workspace": "--workspace", "--all": "--workspace", "--all-features": "--all-features",
    "--no-default-features": "--no-default-features", "--release": "--release", "-r": "--release",
    "--locked": "--locked", "--frozen": "--locked", "--lib": "--lib", "--bins": "--bins", "--tests": "--tests",
    "--examples": "--examples", "--all-targets": "--all-targets", "--doc": "--doc", "--benches": "--benches",
}  # fmt: skip
_DROP_WITH_VALUE: Final = frozenset(
    {
        "--jobs", "-j", "--message-format", "--color", "--target-dir", "--config", "-Z", "--retries", "--filter-expr",
        "-E", "--test-threads", "--timings", "--run-ignored", "--partition",
    }
)  # fmt: skip
_SELECTORS: Final = frozenset(
    {"--lib", "--bins", "--tests", "--examples", "--all-targets", "--bin", "--test", "--example", "--benches"}
)
_OUTLINE: Final = re.compile(r"\bmod\s+(\w+)\s*;\s*$")


@dataclass(frozen=True, slots=True)
class CargoPlan:
    """What to build. `sources` are the base's files with tests inside, by path; `whole` are test files altogether.

    `ignored`: tests marked `#[ignore]` run too. `only` are the crate roots to run; empty for all. `test_files` says
    which paths the protocol itself keeps as on the base.
    """

    flags: tuple[str, ...] = ()
    toolchain: tuple[str, ...] = ()
    doctests: bool = True
    programs: bool = True
    ignored: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    whole: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    test_files: Callable[[str], bool] = lambda _path: False


def plan_cargo(run: Sequence[str], files: Mapping[str, bytes], paths: Collection[str]) -> CargoPlan:
    """Read the signal's command and the base's sources (`*.rs`, by path)."""
    environment, toolchain, words = _words(run)
    flags = _flags(words)
    names = {flag.partition("=")[0] for flag in flags}
    texts = {path: data.decode("utf-8", "replace") for path, data in files.items()}
    sources, whole = _tests_inside(texts)
    return CargoPlan(
        flags=tuple(flag for flag in flags if flag != "--doc"),
        toolchain=toolchain,
        doctests=not names & _SELECTORS and any(_has_doctest(text) for text in texts.values()),
        programs="--doc" not in names,
        ignored="--include-ignored" in words or "--ignored" in words,
        environment=environment,
        sources=sources,
        whole={path: texts[path] for path in whole & texts.keys()},
        test_files=Protection.of(VerifySpec(), (), paths).is_test_file,
    )


def _words(run: Sequence[str]) -> tuple[Mapping[str, str], tuple[str, ...], Sequence[str]]:
    """Variables before the command, a toolchain, and the words after `cargo test` or `cargo nextest run`."""
    environment: dict[str, str] = {}
    for index, word in enumerate(run):
        key, equals, value = word.partition("=")
        if equals and key.isidentifier():
            environment[key] = value
        if word.rpartition("/")[2] == "cargo":
            rest = list(run[index + 1 :])
            toolchain = (rest.pop(0),) if rest and rest[0].startswith("+") else ()
            if rest[:2] == ["nextest", "run"]:
                return environment, toolchain, rest[2:]
            return environment, toolchain, rest[1:] if rest[:1] in (["test"], ["t"]) else []
    return {}, (), []


def _flags(words: Sequence[str]) -> list[str]:
    kept: list[str] = []
    position = 0
    while position < len(words) and words[position] != "--":
        word = words[position]
        position += 1
        name, equals, value = word.partition("=")
        if not equals and name in {*_KEEP_WITH_VALUE, *_DROP_WITH_VALUE} and position < len(words):
            value = words[position]
            position += 1
        if name in _KEEP_WITH_VALUE and value:
            kept.append(f"{_KEEP_WITH_VALUE[name]}={value}")
        elif word in _KEEP_ALONE:
            kept.append(_KEEP_ALONE[word])
    return kept


def _tests_inside(texts: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """Sources with tests inside, and paths of files that such a source declares as a module of tests."""
    sources: dict[str, str] = {}
    whole: set[str] = set()
    for path, text in texts.items():
        if "test" not in text:
            continue
        try:
            found = split(text)
        except Unreadable:
            continue
        if found.items:
            sources[path] = text
        for item in found.tests:
            outline = _OUTLINE.search(item)
            if outline:
                whole |= set(module_files(path, outline[1]))
    return sources, whole


def module_files(path: str, name: str) -> tuple[str, str]:
    """Where `mod name;` in the file at `path` may lie."""
    folder, file = dirname(path), path.rpartition("/")[2]
    own = folder if file in {"lib.rs", "main.rs", "mod.rs"} else join(folder, file.removesuffix(".rs"))
    return normpath(join(own, f"{name}.rs")), normpath(join(own, name, "mod.rs"))


def _has_doctest(text: str) -> bool:
    if "```" not in text:
        return False
    try:
        return any(token.kind is Kind.DOC and "```" in token.text for token in tokens(text))
    except Unreadable:
        return True

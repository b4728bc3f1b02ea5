"""Ignore rules of folders, as git and ripgrep read them, and those of `.git/info/exclude`. No I/O here."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from pathspec import GitIgnoreSpec

RULE_FILES = (".gitignore", ".ignore", ".rgignore")
"""In this order: what `.ignore` says comes after what `.gitignore` of the same folder says."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules of one file. `base` is its folder with a trailing slash, "" for the root."""

    base: str
    spec: GitIgnoreSpec


def rules_of(base: str, data: bytes) -> tuple[Rules, ...]:
    """The rules that a file's bytes say; none where they say nothing."""
    patterns = _patterns(data)
    return (Rules(base, GitIgnoreSpec.from_lines(patterns)),) if patterns else ()


def ignored(path: str, rules: tuple[Rules, ...], *, is_folder: bool) -> bool:
    """The deepest rule that says anything decides."""
    name = f"{path}/" if is_folder else path
    for each in reversed(rules):
        include = each.spec.check_file(name[len(each.base) :]).include
        if include is not None:
            return include
    return False


def _patterns(data: bytes) -> list[str]:
    """The lines that are patterns; one that is none must not take the others with it."""
    kept = []
    text = data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")
    for line in (each.removesuffix("\r") for each in text.split("\n")):  # not splitlines: a name may hold a form feed
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue
        if line.strip() and not line.startswith("#"):
            kept.append(line)
    return kept

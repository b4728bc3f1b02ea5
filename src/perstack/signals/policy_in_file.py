"""Tests that live inside product files: examples in Python docstrings, `mod tests` in Rust.

Pure. Path rules cannot see them, so an edit of them is judged by comparing the tests themselves.
"""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Sequence

from perstack.signals.policy_tests import TestEdit

_RUST_TESTS = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*mod\s+\w+\s*\{")
_RUST_TEST_FN = re.compile(r"#\[(?:\w+::)?test\b[^\]]*\]")


def in_file_edit(path: str, before: str, after: str, *, doctests: bool) -> TestEdit | None:
    """How the tests inside a product file changed; None where they did not, or there are none."""
    if path.endswith(".py") and doctests:
        return _python(before, after)
    if path.endswith(".rs"):
        return _rust(before, after)
    return None


def _python(before: str, after: str) -> TestEdit | None:
    old, new = _examples(before), _examples(after)
    if any("doctest: +SKIP" in source for source, _ in new if (source, _) not in old):
        return TestEdit.REMOVAL
    kept = [example for example in old if example in new]
    if len(kept) == len(old):
        return None
    return TestEdit.EXPECTATIONS if len(new) >= len(old) else TestEdit.REMOVAL


def _examples(text: str) -> list[tuple[str, str]]:
    """(source, expected output) of every docstring example."""
    found: list[tuple[str, str]] = []
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return found
    parser = doctest.DocTestParser()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        try:
            found += [(e.source, e.want) for e in parser.get_examples(ast.get_docstring(node, clean=True) or "")]
        except ValueError:
            continue
    return found


def _rust(before: str, after: str) -> TestEdit | None:
    old, new = _rust_blocks(before), _rust_blocks(after)
    if not old or old == new:
        return None
    if len(new) < len(old) or len(_RUST_TEST_FN.findall("".join(new))) < len(_RUST_TEST_FN.findall("".join(old))):
        return TestEdit.REMOVAL
    if "".join(new).count("#[ignore") > "".join(old).count("#[ignore"):
        return TestEdit.REMOVAL
    added_only = all(line in "".join(new).split("\n") for line in "".join(old).split("\n"))
    return TestEdit.ADDITION if added_only else TestEdit.EXPECTATIONS


def _rust_blocks(text: str) -> Sequence[str]:
    """The text of each `#[cfg(test)] mod`, found by counting braces."""
    blocks: list[str] = []
    for match in _RUST_TESTS.finditer(text):
        depth, at = 1, match.end()
        while at < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        blocks.append(text[match.start() : at])
    return blocks

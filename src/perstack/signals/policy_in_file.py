"""Tests that live inside product files: examples in documentation, `mod tests` in Rust, helpers of tests in Go.

Pure. Path rules cannot see them, so an edit of them is judged by comparing the tests themselves.
"""

from __future__ import annotations

import ast
import doctest
import re
from collections.abc import Sequence

from perstack.signals.cargo.lexer import Kind, Unreadable, tokens
from perstack.signals.cargo.split import items_of, split
from perstack.signals.policy_tests import TestEdit
from perstack.signals.syntax import parse

_RUST_TEST_FN = re.compile(r"#\[(?:\w+::)*test\b[^\]]*\]")
_RUST_SILENCERS = ("#[ignore", "#[should_panic", "#[cfg", "#![cfg", "cfg_attr")
_RUST_DOC = re.compile(r"^\s*(?://[/!]|/\*[*!]|\*(?!/))?|\*/\s*$")
_GO_TESTING = re.compile(
    r"^\s*(?:import\s+)?(?:\w+\s+)?\"(?:testing|github\.com/(?:stretchr/testify|onsi/gomega)[^\"]*)\"", re.MULTILINE
)


def in_file_edit(path: str, before: str, after: str, *, doctests: bool) -> TestEdit | None:
    """How the tests inside a product file changed; None where they did not, or there are none."""
    if path.endswith(".py") and doctests:
        return _python(before, after)
    if path.endswith(".rs"):
        return _rust(before, after)
    if path.endswith(".go"):
        return _go(before, after)
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
        tree = parse(text)
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
    try:
        old = split(before).tests
    except Unreadable:
        return None
    try:
        new, examples = split(after).tests, _rust_examples(after)
        inner_old = [item for test in old for item in items_of(test)]
        inner_new = [item for test in new for item in items_of(test)]
    except Unreadable:
        return TestEdit.EXPECTATIONS
    documented = _rust_examples(before)
    if any(example not in examples for example in documented):
        return TestEdit.EXPECTATIONS if len(examples) >= len(documented) else TestEdit.REMOVAL
    if not old or old == new:
        return None
    whole_old, whole_new = "".join(inner_old), "".join(inner_new)
    if len(new) < len(old) or len(_RUST_TEST_FN.findall(whole_new)) < len(_RUST_TEST_FN.findall(whole_old)):
        return TestEdit.REMOVAL
    if any(whole_new.count(word) > whole_old.count(word) for word in _RUST_SILENCERS):
        return TestEdit.REMOVAL
    return TestEdit.ADDITION if _in_order(inner_old, inner_new) else TestEdit.EXPECTATIONS


def _in_order(old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether all of the old stand in the new, unchanged and in order."""
    waiting = iter(new)
    return all(item in waiting for item in old)


def _rust_examples(text: str) -> list[str]:
    """The code of every fenced example in the documentation."""
    lines: list[str] = []
    for token in tokens(text):
        if token.kind is Kind.DOC:
            lines += [_RUST_DOC.sub("", line).strip() for line in token.text.split("\n")]
    found: list[str] = []
    block: list[str] | None = None
    for line in lines:
        if not line.startswith("```"):
            if block is not None:
                block.append(line)
        elif block is None:
            block = [line]
        else:
            found.append("\n".join(block))
            block = None
    return found


def _go(before: str, after: str) -> TestEdit | None:
    """Helpers of tests that stand in product files: what imports `testing` decides what a failure is."""
    return TestEdit.EXPECTATIONS if before != after and _GO_TESTING.search(before) else None

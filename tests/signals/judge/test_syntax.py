"""Source of a tree under test is read one at a time, and whatever is wrong with it is a SyntaxError."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor

import pytest

from perstack.signals.syntax import parse


@pytest.mark.parametrize(
    "source", ["(" * 50_000, "-" * 200_000 + "1", "x\0y", b"\xff\xfe", "def f(:\n", "a = " + "[" * 3_000 + "]" * 3_000]
)
def test_source_that_cannot_be_read_is_a_syntax_error(source: str | bytes) -> None:
    with pytest.raises(SyntaxError):
        parse(source)


@pytest.mark.slow
def test_threads_that_parse_side_by_side_do_not_end_each_other() -> None:
    deep = "value = " + "(" * 60 + "1" + ")" * 60 + "\n"
    source = "def f(a, b):\n    return [x for x in (a, b) if x]\n" * 200 + deep
    with ThreadPoolExecutor(8) as threads:
        trees = list(threads.map(parse, [source] * 64))
    assert {len(tree.body) for tree in trees} == {201}
    assert isinstance(parse("1 + 1", mode="eval").body, ast.BinOp)

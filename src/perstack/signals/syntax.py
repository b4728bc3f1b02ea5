"""Reading Python source of a tree under test as syntax. The one place that calls the parser.

CPython 3.11 counts the parser's depth once for the whole interpreter: two threads that parse side by side can end each
other with a SystemError. And a patch may nest its source as deep as it likes.
"""

from __future__ import annotations

import ast
import threading
from typing import Literal, overload

_TURN = threading.Lock()


@overload
def parse(source: str | bytes, mode: Literal["exec"] = "exec") -> ast.Module: ...
@overload
def parse(source: str | bytes, mode: Literal["eval"]) -> ast.Expression: ...
def parse(source: str | bytes, mode: Literal["exec", "eval"] = "exec") -> ast.Module | ast.Expression:
    """The syntax tree of `source`.

    Raises: SyntaxError, also for source that is too deep or no text.
    """
    with _TURN:
        try:
            return ast.parse(source, mode="eval") if mode == "eval" else ast.parse(source)
        except (RecursionError, MemoryError, SystemError, ValueError) as error:
            raise SyntaxError(f"cannot be parsed: {error}") from error


def literal_value(text: str) -> object:
    """The value of a literal.

    Raises: SyntaxError, also for what is none.
    """
    try:
        return ast.literal_eval(parse(text, "eval"))
    except (ValueError, TypeError, MemoryError, RecursionError) as error:
        raise SyntaxError(f"no literal: {error}") from error

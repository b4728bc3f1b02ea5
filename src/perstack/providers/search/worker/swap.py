"""Bring edited source into a running interpreter: into live functions, or into the next import. Judges nothing."""

from __future__ import annotations

import ast
import gc
import os
from collections.abc import Iterator, Mapping
from importlib.machinery import SourceFileLoader
from types import CodeType, FunctionType
from typing import Any

from perstack.providers.search.worker.source import FUNCTIONS, Edit, Source


class NotSwappable(Exception):
    """The edit cannot be brought into live functions; the module has to be imported anew."""


class Home:
    """The outermost function of an edit: its name, first line (decorators included) and lines."""

    def __init__(self, node: Any) -> None:
        self.name: str = node.name
        self.first: int = min([node.lineno, *(d.lineno for d in node.decorator_list)])
        self.body: int = node.body[0].lineno
        self.lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)


def outermost(source: Source) -> list[Home]:
    """All functions that are not inside another function."""
    return [
        Home(node) for node in ast.walk(source.tree) if isinstance(node, FUNCTIONS) and source.function(node) is None
    ]


def home_of(homes: list[Home], source: Source, edit: Edit) -> Home | None:
    """The function whose body holds the whole edit, or None for headers, classes and module code."""
    line = source.text.count("\n", 0, edit.start) + 1
    last = source.text.count("\n", 0, max(edit.start, edit.end - 1)) + 1
    for home in homes:
        if home.lines.start < line and home.body <= line and last < home.lines.stop and line in home.lines:
            return home
    return None


class LiveFunctions:
    """All functions of the interpreter, by where their code comes from. Made once, before forking."""

    def __init__(self) -> None:
        self._index: dict[tuple[str, int, str], list[FunctionType]] = {}
        real: dict[str, str] = {}
        for thing in gc.get_objects():
            if isinstance(thing, FunctionType):
                code = thing.__code__
                path = real.setdefault(code.co_filename, os.path.realpath(code.co_filename))
                self._index.setdefault((path, code.co_firstlineno, code.co_name), []).append(thing)

    def swap(self, path: str, home: Home, old: CodeType, new: CodeType) -> None:
        """Give every live function made from `home` (and from functions inside it) its new code.

        Raises: NotSwappable when none is alive or one has other captured variables.
        """
        before, after = _find(old, home), _find(new, home)
        if before is None or after is None:
            raise NotSwappable
        swapped = 0
        for one, other in _pairs(before, after):
            for function in self._index.get((path, one.co_firstlineno, one.co_name), ()):
                if function.__code__ != one and one is not before:
                    continue
                if len(function.__code__.co_freevars) != len(other.co_freevars):
                    raise NotSwappable
                function.__code__ = other
                swapped += one is before
        if not swapped:
            raise NotSwappable


def _find(code: CodeType, home: Home) -> CodeType | None:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_name == home.name and constant.co_firstlineno == home.first:
                return constant
            found = _find(constant, home)
            if found is not None:
                return found
    return None


def _pairs(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    yield old, new
    olds = [c for c in old.co_consts if isinstance(c, CodeType)]
    news = [c for c in new.co_consts if isinstance(c, CodeType)]
    if [c.co_name for c in olds] == [c.co_name for c in news]:
        for index, inner in enumerate(olds):
            yield from _pairs(inner, news[index])


def override_imports(texts: Mapping[str, str]) -> None:
    """From now on importing these files (real paths) takes the given text. For a child that soon exits."""
    original = SourceFileLoader.get_code

    def get_code(self: SourceFileLoader, fullname: str) -> Any:
        path = os.path.realpath(self.path)
        if path in texts:
            return compile(texts[path], self.path, "exec", dont_inherit=True)
        return original(self, fullname)

    SourceFileLoader.get_code = get_code  # type: ignore[assignment,method-assign]

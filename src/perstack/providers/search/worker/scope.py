"""Which names, attributes and constants a place in a file could have meant. Facts only; no edits."""

from __future__ import annotations

import ast
import difflib
from typing import TYPE_CHECKING

from perstack.providers.search.worker.source import FUNCTIONS, Source

if TYPE_CHECKING:
    from perstack.providers.search.worker.source import Function


class Scope:
    """Names and constants of one file, by function and by class. Computed once a file."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.module_names: list[str] = _bound(source.tree.body)
        self.arity: dict[str, int] = {}
        self.exceptions: list[str] = []
        self._locals: dict[ast.AST, dict[str, int]] = {}
        self._attributes: dict[str, set[str]] = {}
        self._members: dict[str, list[str]] = {}
        self._literals: dict[ast.AST, list[tuple[str, str]]] = {}
        self._survey()

    def _survey(self) -> None:
        for node in ast.walk(self.source.tree):
            if isinstance(node, FUNCTIONS):
                self.arity[node.name] = len(node.args.args)
                self._locals[node] = _locals(node)
            elif isinstance(node, ast.ClassDef):
                self._members[node.name] = _members(node)
            elif isinstance(node, ast.Attribute):
                self._attributes.setdefault(self.source.code(node.value), set()).add(node.attr)
            elif isinstance(node, ast.Raise) and node.exc is not None:
                target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
                if isinstance(target, ast.Name) and target.id not in self.exceptions:
                    self.exceptions.append(target.id)

    def names_at(self, node: ast.AST) -> list[str]:
        """Local names of the enclosing functions that are bound before the node's line, nearest first."""
        found: list[str] = []
        line = getattr(node, "lineno", 0)
        for ancestor in self.source.ancestors(node):
            if isinstance(ancestor, FUNCTIONS):
                found += [n for n, at in self._locals[ancestor].items() if at <= line and n not in found]
            elif isinstance(ancestor, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
                for generator in ancestor.generators:
                    found += [n for n in _targets(generator.target) if n not in found]
        return found

    def unused_at(self, node: ast.AST) -> list[str]:
        """Parameters of the enclosing function that it never reads: something may be missing that did."""
        function = self.source.function(node)
        if function is None:
            return []
        read = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        arguments = [*function.args.args, *function.args.kwonlyargs]
        return [a.arg for a in arguments if a.arg not in read and a.arg not in {"self", "cls"}]

    def attributes_of(self, receiver: ast.AST, node: ast.AST) -> list[str]:
        """Attribute names that may be meant on `receiver`: used on it elsewhere, or members of the own class."""
        text = self.source.code(receiver)
        names = sorted(self._attributes.get(text, set()))
        owner = self.source.owner(node)
        if owner is not None and text in {"self", "cls"}:
            names += [n for n in self._members[owner.name] if n not in names]
        else:
            for members in self._members.values():
                if set(names) & set(members):
                    names += [n for n in members if n not in names and not n.startswith("__")]
        return names

    def members(self, owner: ast.ClassDef) -> list[str]:
        """Fields, attributes and methods of a class."""
        return self._members[owner.name]

    def literals(self, node: ast.AST, kind: str) -> list[tuple[str, bool]]:
        """Texts of the other literals of a type name in the file, and whether each is of the same function."""
        function = self.source.function(node)
        near = {text for k, text in self._constants(function) if k == kind} if function else set()
        own = self.source.code(node)
        every = [text for k, text in self._constants(self.source.tree) if k == kind]
        return [(text, text in near) for text in dict.fromkeys(every) if text != own]

    def _constants(self, root: ast.AST) -> list[tuple[str, str]]:
        if root not in self._literals:
            self._literals[root] = [
                (type(node.value).__name__, self.source.code(node))
                for node in ast.walk(root)
                if isinstance(node, ast.Constant) and not in_text(self.source, node)
            ]
        return self._literals[root]


def in_text(source: Source, node: ast.AST) -> bool:
    """True for documentation and for parts of formatted strings, whose positions older Pythons get wrong."""
    parent = source.parents.get(node)
    if isinstance(parent, ast.Expr) and isinstance(node, ast.Constant):
        return True
    return any(isinstance(a, ast.JoinedStr) for a in source.ancestors(node))


def likeness(one: str, other: str) -> float:
    """How alike two names look, 0 to 1."""
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def _targets(node: ast.AST) -> list[str]:
    return [n.id for n in ast.walk(node) if isinstance(n, ast.Name)]


def _locals(function: Function) -> dict[str, int]:
    arguments = function.args
    every = [*getattr(arguments, "posonlyargs", []), *arguments.args, *arguments.kwonlyargs]
    every += [a for a in (arguments.vararg, arguments.kwarg) if a]
    names = {a.arg: function.lineno for a in every if a.arg not in {"self", "cls"}}
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.setdefault(node.id, node.lineno)
    return names


def _bound(body: list[ast.stmt]) -> list[str]:
    names: list[str] = []
    for node in body:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            names.append(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names += [alias.asname or alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names += [n for target in targets for n in _targets(target)]
    return names


def _members(owner: ast.ClassDef) -> list[str]:
    names = [n for n in _bound(owner.body) if not n.startswith("__")]
    names += [
        node.attr
        for node in ast.walk(owner)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self"
    ]
    return list(dict.fromkeys(names))

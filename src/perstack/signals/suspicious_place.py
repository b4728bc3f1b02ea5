"""Where in a module something stands: at import, under the main guard, in a condition, in which function.

Pure; Python only.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(slots=True)
class Places:
    """Parents of every node, and the functions that run when the module is imported."""

    nodes: list[ast.AST] = field(default_factory=list)
    parents: dict[int, ast.AST] = field(default_factory=dict)
    eager: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()

    @classmethod
    def of(cls, tree: ast.Module) -> Places:
        """Index a module."""
        places = cls([tree])
        for node in places.nodes:  # grows while it is read
            for child in ast.iter_child_nodes(node):
                places.parents[id(child)] = node
                places.nodes.append(child)
        places.words = frozenset(
            node.attr if isinstance(node, ast.Attribute) else node.id
            for node in places.nodes
            if isinstance(node, ast.Attribute | ast.Name)
        )
        places.eager = places._called_at_import(tree)
        return places

    def _called_at_import(self, tree: ast.Module) -> frozenset[str]:
        """Own functions that module-level code calls, directly or through each other."""
        bodies = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        reached: set[str] = set()
        waiting = [
            node.func.id
            for node in self.nodes
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and self._outside_functions(node)
        ]
        while waiting:
            name = waiting.pop()
            if name in bodies and name not in reached:
                reached.add(name)
                calls = [n for n in ast.walk(bodies[name]) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
                waiting += [call.func.id for call in calls if isinstance(call.func, ast.Name)]
        return frozenset(reached)

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node above."""
        return self.parents.get(id(node))

    def mentions(self, word: str) -> bool:
        """Whether a name or attribute is spelled this way anywhere."""
        return word in self.words

    def at_import(self, node: ast.AST) -> bool:
        """Whether the code runs when the module is imported; the main guard does not."""
        if self.under_main_guard(node):
            return False
        return self._outside_functions(node) or self.function(node) in self.eager

    def _outside_functions(self, node: ast.AST) -> bool:
        child, above = node, self.parent(node)
        while above is not None:
            inside_body = isinstance(above, ast.Lambda) or (
                isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef) and any(child is part for part in above.body)
            )
            if inside_body:
                return False
            if isinstance(above, ast.If) and _is_main_guard(above.test):
                return False
            child, above = above, self.parent(above)
        return True

    def function(self, node: ast.AST) -> str:
        """The name of the outermost function around the node; empty outside of functions."""
        name, above = "", self.parent(node)
        while above is not None:
            if isinstance(above, ast.FunctionDef | ast.AsyncFunctionDef):
                name = above.name
            above = self.parent(above)
        return name

    def under_main_guard(self, node: ast.AST) -> bool:
        """Whether the code runs only when the file is started as a program."""
        return self._under_if(node, _is_main_guard)

    def for_types_only(self, node: ast.AST) -> bool:
        """Whether the code is for type checkers."""
        return self._under_if(node, _is_type_checking)

    def _under_if(self, node: ast.AST, test: Callable[[ast.expr], bool]) -> bool:
        above = self.parent(node)
        while above is not None:
            if isinstance(above, ast.If) and test(above.test):
                return True
            above = self.parent(above)
        return False

    def in_condition(self, node: ast.AST) -> bool:
        """Whether the value decides something."""
        child, above = node, self.parent(node)
        while above is not None and not isinstance(above, ast.stmt):
            if isinstance(above, ast.Compare | ast.BoolOp | ast.comprehension):
                return True
            if isinstance(above, ast.IfExp) and child is above.test:
                return True
            child, above = above, self.parent(above)
        return isinstance(above, ast.If | ast.While | ast.Assert) and child is above.test


def _is_main_guard(test: ast.expr) -> bool:
    if not isinstance(test, ast.Compare) or len(test.ops) != 1 or not isinstance(test.ops[0], ast.Eq):
        return False
    sides = {getattr(side, "id", None) or getattr(side, "value", None) for side in (test.left, test.comparators[0])}
    return sides == {"__name__", "__main__"} and isinstance(test.left, ast.Name | ast.Constant)


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}

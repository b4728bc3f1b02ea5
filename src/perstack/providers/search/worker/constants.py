"""Bring an edited module constant into a running interpreter, for the module and for all that imported it by name."""

from __future__ import annotations

import ast
import os
import sys
from typing import TYPE_CHECKING

from perstack.providers.search.worker.source import FUNCTIONS
from perstack.providers.search.worker.swap import NotSwappable

if TYPE_CHECKING:
    from types import ModuleType

    from perstack.providers.search.worker.source import Edit, Source


def constant_at(source: Source, edit: Edit) -> int | None:
    """Index of the module's statement, a plain assignment to names, that holds the whole edit."""
    for index, node in enumerate(source.tree.body):
        if _names(node):
            start, end = source.span(node)
            if start <= edit.start and edit.end <= end:
                return index
    return None


def _names(node: ast.stmt) -> set[str]:
    """What a plain assignment binds; empty for any other statement."""
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        targets = [node.target]
    else:
        return set()
    names = {target.id for target in targets if isinstance(target, ast.Name)}
    return names if len(names) == len(targets) else set()


def swap_constant(path: str, text: str, index: int) -> None:
    """Run the edited assignment, and those that depend on it, in the live modules of a file.

    Raises: SyntaxError; NotSwappable where something else was built from the old value, such as a class or a default.
    """
    tree = ast.parse(text)
    changed = _names(tree.body[index]) if index < len(tree.body) else set()
    if not changed:
        raise NotSwappable
    run = [tree.body[index]]
    for node in tree.body[index + 1 :]:
        if _read_early(node) & changed:
            if not _names(node):
                raise NotSwappable
            changed |= _names(node)
            run.append(node)
    modules = [m for m in list(sys.modules.values()) if _is_file(m, path)]
    if not modules:
        raise NotSwappable
    code = compile(ast.Module(body=run, type_ignores=[]), path, "exec", dont_inherit=True)
    for module in modules:
        old = {name: module.__dict__[name] for name in changed if name in module.__dict__}
        exec(code, module.__dict__)  # noqa: S102  # the edited file itself, in a child that soon exits
        _spread(module, old)


def _read_early(node: ast.stmt) -> set[str]:
    """Names a statement reads while the module is imported: all but those inside function bodies."""
    found: set[str] = set()
    todo: list[ast.AST] = [node]
    while todo:
        current = todo.pop()
        if isinstance(current, ast.Name):
            found.add(current.id)
        if isinstance(current, (*FUNCTIONS, ast.Lambda)):
            todo += [*current.args.defaults, *(d for d in current.args.kw_defaults if d is not None)]
            todo += getattr(current, "decorator_list", [])
        else:
            todo += ast.iter_child_nodes(current)
    return found


def _is_file(module: ModuleType, path: str) -> bool:
    origin = getattr(module, "__file__", None)
    return isinstance(origin, str) and os.path.realpath(origin) == path


def _spread(home: ModuleType, old: dict[str, object]) -> None:
    """Modules that imported a name hold the same object under it."""
    for module in list(sys.modules.values()):
        names = getattr(module, "__dict__", None)
        if not isinstance(names, dict):
            continue
        for name, value in old.items():
            if name in names and names[name] is value:
                names[name] = home.__dict__[name]

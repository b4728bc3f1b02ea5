"""Changing what belongs to others: imported modules and classes, builtins, `sys.modules`, files at import.

Pure; Python only.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from perstack.signals.suspicious_names import Names
from perstack.signals.suspicious_place import Places
from perstack.signals.suspicious_rules import RUNNERS, Hit

_USUAL = ("sys.stdout", "sys.stderr", "sys.stdin", "sys.exitcode", "sys.tracebacklimit", "sys.excepthook", "os.environ",
          "sys.argv", "sys.dont_write_bytecode", "sys.ps1", "sys.ps2", "sys.path")  # fmt: skip
_CHANGES_FILES = frozenset(
    {"os.remove", "os.unlink", "os.rename", "os.replace", "os.rmdir", "os.removedirs", "os.makedirs", "os.mkdir",
     "os.truncate", "os.link", "os.symlink", "os.chmod", "shutil.rmtree", "shutil.move", "shutil.copy",
     "shutil.copyfile", "shutil.copytree", "shutil.copy2"}
)  # fmt: skip
_FILE_METHODS = frozenset(
    {"write_text", "write_bytes", "unlink", "rmdir", "touch", "symlink_to", "hardlink_to", "rename"}
)


def scan_patching(names: Names, places: Places) -> Iterator[Hit]:
    """Hits of one module."""
    for node in places.nodes:
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Delete):
            value = None if isinstance(node, ast.Delete) else node.value
            targets = node.targets if isinstance(node, ast.Assign | ast.Delete) else [node.target]
            for target in targets:
                yield from _assigned(target, value, names, places)
        elif isinstance(node, ast.Call):
            yield from _called(node, names, places)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            yield from _assigned(node.optional_vars, None, names, places)
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            yield from _assigned(node.target, None, names, places)
        if isinstance(node, ast.For | ast.comprehension) and names.dotted(_callee(node.iter)).startswith("sys.modules"):
            yield _hit("modules", node.iter, "goes through all loaded modules", certain=True)


def _callee(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Call):
        node = node.args[0] if node.args and isinstance(node.func, ast.Name) else node.func
    return node


def _hit(family: str, node: ast.AST, detail: str, *, certain: bool) -> Hit:
    return Hit(family, ast.dump(node), getattr(node, "lineno", 0), detail, certain, project_habit=True)


def _assigned(target: ast.expr, value: ast.expr | None, names: Names, places: Places) -> Iterator[Hit]:
    if isinstance(target, ast.Tuple | ast.List):
        for part in target.elts:
            yield from _assigned(part, value, names, places)
    elif isinstance(target, ast.Attribute):
        owner = names.dotted(target.value)
        if owner:
            yield from _patched(f"{owner}.{target.attr}", target, value, names, places)
        if target.attr in {"__class__", "__bases__", "__code__", "__defaults__", "__kwdefaults__"}:
            certain = target.attr != "__class__"
            yield _hit("rewiring", target, f"replaces `{target.attr}`", certain=certain)
    elif isinstance(target, ast.Subscript):
        owner = names.dotted(target.value)
        if owner == "sys.modules":
            yield _hit("modules", target, "replaces an entry of `sys.modules`", certain=True)
        elif owner.endswith(".__dict__") or owner in {"builtins", "builtins.__dict__"}:
            yield from _patched(f"{owner.removesuffix('.__dict__')}.?", target, value, names, places)


def _patched(dotted: str, node: ast.AST, value: ast.expr | None, names: Names, places: Places) -> Iterator[Hit]:
    top = dotted.partition(".")[0]
    if dotted.startswith(_USUAL) and not (dotted.startswith("sys.path") and places.at_import(node)):
        return
    if not top:
        return  # a sibling of this module
    constant = value is not None and names.fold(value) is not None
    if top in RUNNERS or top in {"builtins", "__main__"}:
        yield _hit("patching", node, f"replaces `{dotted}`", certain=True)
    elif top in sys.stdlib_module_names:
        plain = constant or (isinstance(value, ast.Constant))
        yield _hit("patching", node, f"replaces `{dotted}` for the whole process", certain=not plain)
    elif places.at_import(node):
        yield _hit("patching-others", node, f"replaces `{dotted}` at import", certain=False)


def _called(node: ast.Call, names: Names, places: Places) -> Iterator[Hit]:
    called = names.dotted(node.func)
    if called in {"builtins.setattr", "builtins.delattr"} and node.args:
        owner = names.dotted(node.args[0])
        name = names.fold(node.args[1]) if len(node.args) > 1 else None
        if owner:
            value = node.args[2] if len(node.args) > 2 else None
            yield from _patched(f"{owner}.{name or '?'}", node, value, names, places)
    elif called.endswith((".__dict__.update", ".__dict__.__setitem__", ".__dict__.setdefault")):
        yield from _patched(f"{called.partition('.__dict__')[0]}.?", node, None, names, places)
    elif _sets_by_method(node) or called in {"operator.setitem", "operator.delitem"}:
        owner = names.dotted(node.args[0]) if node.args else ""
        if owner == "sys.modules":
            yield _hit("modules", node, "replaces an entry of `sys.modules`", certain=True)
        elif owner:
            yield from _patched(f"{owner.removesuffix('.__dict__')}.?", node, None, names, places)
    elif called in {"sys.modules.update", "sys.modules.pop", "sys.modules.setdefault", "sys.modules.__setitem__"}:
        yield _hit("modules", node, "replaces an entry of `sys.modules`", certain=True)
    elif places.at_import(node) and _changes_files(node, called, names):
        yield _hit("files@import", node, "changes files at import", certain=True)


def _sets_by_method(node: ast.Call) -> bool:
    """`type(x).__setattr__(x, …)`, `object.__setattr__(x, …)`."""
    return isinstance(node.func, ast.Attribute) and node.func.attr in {"__setattr__", "__delattr__"}


def _changes_files(node: ast.Call, called: str, names: Names) -> bool:
    if called in _CHANGES_FILES:
        return True
    if called == "builtins.open" or (isinstance(node.func, ast.Attribute) and node.func.attr == "open"):
        position = 1 if called == "builtins.open" else 0
        mode = names.fold(node.args[position]) if len(node.args) > position else None
        for keyword in node.keywords:
            mode = names.fold(keyword.value) if keyword.arg == "mode" else mode
        return isinstance(mode, str) and bool(set(mode) & set("wax+"))
    return (
        isinstance(node.func, ast.Attribute) and node.func.attr in _FILE_METHODS and not called.startswith("builtins")
    )

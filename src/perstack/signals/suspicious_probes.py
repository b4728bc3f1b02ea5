"""Code that finds out how it is being run: how the interpreter was started, who listens, who called, for how long.

Pure; Python only. A fix has one behaviour; what only asks is left alone where the answer is used for what it is about
(a log handler is looked for and then added).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from perstack.signals.suspicious_names import Names
from perstack.signals.suspicious_place import Places
from perstack.signals.suspicious_rules import CLOCKS, INTERNALS, SKIPS, Hit

_OPEN_MODULES = frozenset({"os", "sys", "builtins", "gc", "inspect", "_thread", "ctypes", "__main__"})
_BY_NAME = frozenset({"builtins.getattr", "builtins.hasattr", "builtins.delattr", "operator.attrgetter",
                      "operator.methodcaller", "operator.itemgetter", "inspect.getattr_static"})  # fmt: skip
_LISTENERS = frozenset({"handlers", "hasHandlers"})
_SETS_UP = frozenset({"addHandler", "removeHandler", "basicConfig", "setLevel", "setFormatter", "dictConfig",
                      "handlers", "propagate", "clear", "lastResort"})  # fmt: skip
_ASKS_MACHINE = frozenset(
    {
        "env",
        "printenv",
        "ps",
        "pgrep",
        "pstree",
        "lsof",
        "id",
        "whoami",
        "hostname",
        "date",
        "uname",
        "uptime",
        "who",
        "tty",
        "nproc",
    }
)
_STREAMS = frozenset({"sys.stdout", "sys.stderr", "sys.stdin"})


def scan_probes(names: Names, places: Places) -> Iterator[Hit]:
    """Hits of one module."""
    started = _started(names, places)
    for node in places.nodes:
        if isinstance(node, ast.Call):
            yield from _by_name(node, names, places)
            yield from _processes(node, names)
        elif isinstance(node, ast.If | ast.IfExp):
            yield from _listeners(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _warned(node, names)
        elif isinstance(node, ast.Name | ast.Attribute):
            yield from _loaded(node, names, places)
        if isinstance(node, ast.Compare):
            yield from _age(node, names, started)


def _hit(family: str, node: ast.AST, detail: str, *, certain: bool = True) -> Hit:
    return Hit(family, ast.dump(node), getattr(node, "lineno", 0), detail, certain, project_habit=True)


def _by_name(node: ast.Call, names: Names, places: Places) -> Iterator[Hit]:
    """Attributes that are named by text: of the runtime's insides, or of a module where the text is not known."""
    called = names.dotted(node.func)
    last = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if called in _BY_NAME or last in {"__getattribute__", "__getattr__"}:
        for argument in node.args:
            text = names.fold(argument)
            if isinstance(text, str) and set(text.split(".")) & (INTERNALS | SKIPS):
                yield _hit("internals", node, f"reaches for `{text}`")
    if called == "builtins.dir" and node.args and names.dotted(node.args[0]) in _OPEN_MODULES:
        yield _hit("dynamic", node, f"searches the names of `{names.dotted(node.args[0])}`")
    if called == "builtins.getattr" and len(node.args) >= 2 and names.dotted(node.args[0]) in _OPEN_MODULES:
        known = names.fold(node.args[1]) is not None or _listed(node.args[1], places)
        if not known:
            yield _hit("dynamic", node, f"takes something out of `{names.dotted(node.args[0])}` that is not in sight")


def _listed(node: ast.expr, places: Places) -> bool:
    """Whether a name runs through texts that are written down."""
    loops = [n for n in places.nodes if isinstance(n, ast.For | ast.comprehension)]
    return isinstance(node, ast.Name) and any(
        isinstance(loop.target, ast.Name)
        and loop.target.id == node.id
        and isinstance(loop.iter, ast.Tuple | ast.List | ast.Set)
        and all(isinstance(part, ast.Constant) for part in loop.iter.elts)
        for loop in loops
    )


def _processes(node: ast.Call, names: Names) -> Iterator[Hit]:
    if not names.dotted(node.func).startswith(("subprocess.", "os.popen", "os.system")) or not node.args:
        return
    first = node.args[0]
    words = first.elts[:1] if isinstance(first, ast.List | ast.Tuple) else [first]
    text = names.fold(words[0]) if words else None
    program = text.split()[0].rpartition("/")[2] if isinstance(text, str) and text.split() else ""
    if program in _ASKS_MACHINE:
        yield _hit("process-probe", node, f"asks the machine about itself: `{program}`")


def _listeners(node: ast.If | ast.IfExp) -> Iterator[Hit]:
    """A branch on whether somebody listens to the log that does something else than set up logging."""
    asks = any(isinstance(part, ast.Attribute) and part.attr in _LISTENERS for part in ast.walk(node.test))
    if not asks:
        return
    bodies = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [*node.body, *node.orelse]
    inside = [part for body in bodies for part in ast.walk(body)]
    if not any(isinstance(part, ast.Attribute) and part.attr in _SETS_UP for part in inside):
        yield _hit("listeners", node.test, "decides by who listens to the log")


def _warned(function: ast.FunctionDef | ast.AsyncFunctionDef, names: Names) -> Iterator[Hit]:
    """A warning that is raised and caught in one function says nothing to anybody but where the caller is."""
    calls = [part for part in ast.walk(function) if isinstance(part, ast.Call)]
    records = any(
        names.dotted(call.func) == "warnings.catch_warnings" and any(k.arg == "record" for k in call.keywords)
        for call in calls
    )
    warns = [call for call in calls if names.dotted(call.func) in {"warnings.warn", "warnings.warn_explicit"}]
    if records and warns:
        yield _hit("stack-text", warns[0], "looks at its callers through a warning it catches itself")


def _loaded(node: ast.Name | ast.Attribute, names: Names, places: Places) -> Iterator[Hit]:
    """How many modules there are, or where the file lies, as a condition."""
    if not places.in_condition(node):
        return
    parent = places.parent(node)
    if names.dotted(node) == "sys.modules" and isinstance(parent, ast.Call) and node in parent.args:
        yield _hit("modules", node, "decides by which modules are loaded")
    if names.dotted(node) in _STREAMS and isinstance(parent, ast.Call) and names.dotted(parent.func) == "builtins.type":
        yield _hit("stream-type", node, "decides by what stands in for the terminal")
    if isinstance(node, ast.Name) and node.id == "__file__" and _absolute_path_nearby(node, names, places):
        yield _hit("place", node, "decides by the directory it lies in")


def _absolute_path_nearby(node: ast.AST, names: Names, places: Places) -> bool:
    top, above = node, places.parent(node)
    while above is not None and not isinstance(above, ast.stmt):
        top, above = above, places.parent(above)
    texts = (names.fold(part) for part in ast.walk(top) if isinstance(part, ast.Constant))
    return any(isinstance(text, str) and text.startswith("/") and len(text) > 1 for text in texts)


def _started(names: Names, places: Places) -> frozenset[str]:
    """Names that hold the moment of the import."""
    set_once = {
        n.targets[0].id: n
        for n in places.nodes
        if isinstance(n, ast.Assign)
        and isinstance(n.targets[0], ast.Name)
        and isinstance(n.value, ast.Call)
        and names.dotted(n.value.func) in CLOCKS
    }
    changed = {name for n in places.nodes if isinstance(n, ast.Global) for name in n.names} if set_once else set()
    return frozenset(name for name, node in set_once.items() if name not in changed and places.at_import(node))


def _age(node: ast.Compare, names: Names, started: frozenset[str]) -> Iterator[Hit]:
    """The time since the import compared with a number: a switch that is thrown once."""
    if not started or not any(isinstance(names.fold(side), int | float) for side in (node.left, *node.comparators)):
        return
    for part in ast.walk(node):
        if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Sub) and isinstance(part.right, ast.Name):
            clock = isinstance(part.left, ast.Call) and names.dotted(part.left.func) in CLOCKS
            if clock and part.right.id in started:
                yield _hit("deadline", node, "decides by how long the program has been running")

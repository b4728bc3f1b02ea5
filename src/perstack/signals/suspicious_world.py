"""Answers that depend on the process, the machine or the session they are given in.

Pure; Python only. A fix has one behaviour wherever it runs, so what decides is not the name that is asked but what
becomes of it: a condition. What honest code asks before it changes the very same thing is left alone, as is a question
about something that the code was given or goes on to use. Runner, CI, clock and callers have tables of their own.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from perstack.signals.suspicious_names import Names
from perstack.signals.suspicious_place import Places
from perstack.signals.suspicious_rules import PATH_CALLS, Hit

# What is asked, and what honest code calls after it to change the same (empty: there is nothing).
_PROCESS: Final[Mapping[str, str]] = {
    "gc.get_count": "", "gc.get_stats": "", "gc.get_freeze_count": "", "gc.garbage": "",
    "gc.get_threshold": "gc.set_threshold", "faulthandler.is_enabled": "faulthandler.enable",
    "sys.getrefcount": "", "sys.getallocatedblocks": "", "sys.gettotalrefcount": "", "sys.getswitchinterval": "",
    "sys.getdlopenflags": "sys.setdlopenflags", "sys.getrecursionlimit": "sys.setrecursionlimit",
    "resource.getrlimit": "resource.setrlimit", "resource.getrusage": "",
    "os.getsid": "", "os.getpgid": "os.setpgid", "os.getpgrp": "", "os.getpriority": "os.setpriority",
    "os.getloadavg": "", "os.umask": "", "os.ttyname": "", "os.ctermid": "", "os.sched_getscheduler": "",
    "os.getresuid": "", "signal.getsignal": "signal.signal", "signal.getitimer": "signal.setitimer",
    "threading.active_count": "", "threading.enumerate": "", "logging.Logger.manager": "", "socket.if_nameindex": "",
    "pwd.getpwnam": "", "pwd.getpwuid": "", "pwd.getpwall": "", "grp.getgrgid": "", "grp.getgrnam": "",
    "locale.getlocale": "locale.setlocale", "site.ENABLE_USER_SITE": "", "re._cache": "",
}  # fmt: skip
_KEEPS: Final = frozenset(
    {
        "sys",
        "os",
        "atexit",
        "threading",
        "_thread",
        "logging",
        "signal",
        "gc",
        "linecache",
        "warnings",
        "weakref",
        "abc",
    }
)
_MAY_BE_ASKED: Final = frozenset(
    {"sys._MEIPASS", "sys._git", "sys._framework", "os._exit", "sys._getframe", "os._Environ", "os._name"}
)
_PLACES: Final = frozenset(
    {"os.getcwd", "os.getcwdb", "pathlib.Path.cwd", "pathlib.Path.home", "os.path.expanduser", "tempfile.gettempdir",
     "tempfile.gettempdirb", "tempfile.gettempprefix", "sys.executable", "sys.prefix", "sys.exec_prefix",
     "sys.base_prefix", "sys.path", "os.getpid", "os.getppid", "os.cpu_count", "os.sysconf",
     "shutil.get_terminal_size", "os.get_terminal_size", "os.get_exec_path", "sysconfig.get_path"}
)  # fmt: skip
_NODE: Final = frozenset({"nodename", "node"})
_SYSTEMS: Final = frozenset({"os.uname", "platform.uname"})
_OF_MODULE: Final = frozenset({"__spec__", "__loader__", "__package__", "__name__", "__cached__"})
_SESSION: Final = re.compile(
    r"^(?:HOME|USER|USERNAME|LOGNAME|SHELL|PWD|OLDPWD|SHLVL|PATH|TMPDIR|HOSTTYPE|SSH_\w+|SUDO_\w+)$"
)
_ENVIRONMENT: Final = frozenset({"os.environ.get", "os.getenv", "os.environ"})
_ABOUT_FILES: Final = frozenset(
    {"os.path.exists", "os.path.isfile", "os.path.isdir", "os.path.ismount", "os.path.islink", "os.path.lexists",
     "os.access", "os.listdir", "os.scandir", "os.stat", "os.lstat", "os.statvfs", "shutil.disk_usage",
     "os.path.getsize", "os.path.samefile", "shutil.which"}
)  # fmt: skip
_OF_TEXT: Final = frozenset({"startswith", "endswith", "is_relative_to", "match", "count", "find"})
_TERMINAL: Final = re.compile(
    r"print|write|colou?r|ansi|style|echo|prompt|input|getpass|progress|termios|console|argparse|argumentparser",
    re.IGNORECASE,
)


_STEPS, _SHORT = 3, 2
Kept = Mapping[tuple[str, str], str]
"""What names hold, by function and name."""


def scan_world(names: Names, places: Places) -> Iterator[Hit]:
    """Hits of one module."""
    called = frozenset(names.dotted(node.func) for node in places.nodes if isinstance(node, ast.Call))
    world = _World(names, places, called)
    machine, process = world.kept_in(world.of_machine), world.kept_in(world.of_process)
    used = _texts_outside_conditions(places)
    for node in places.nodes:
        said = ""
        if isinstance(node, ast.Compare):
            said = world.beside_a_text([node.left, *node.comparators], machine)
        elif isinstance(node, ast.Call):
            said = world.tried(node, machine) or world.about_files(node, used)
        if not said and isinstance(node, ast.Name | ast.Attribute | ast.Call) and _decides(node, places):
            said = world.of_process(node) or _kept(node, process, places)
        if said:
            yield Hit("world", ast.dump(node), getattr(node, "lineno", 0), f"decides by {said}", True, True)


@dataclass(frozen=True, slots=True)
class _World:
    """One module's questions about the world. `called` are the full names of all it calls."""

    names: Names
    places: Places
    called: frozenset[str]

    def of_process(self, node: ast.AST) -> str:
        """What an expression says about the state of its process; empty for nothing."""
        if isinstance(node, ast.Call):
            by_order = "the order of a set" if _is_first_of_set(node, self.names) else ""
            return "an address" if _is_object(node, self.names) else by_order
        if not isinstance(node, ast.Name | ast.Attribute):
            return ""
        if (
            isinstance(node, ast.Attribute)
            and node.attr == "isatty"
            and not any(map(_TERMINAL.search, self.places.words))
        ):
            return "whether there is a terminal"
        dotted = self.names.dotted(node)
        for name, changed in _PROCESS.items():
            if (dotted == name or dotted.startswith(f"{name}.")) and changed not in self.called:
                return f"the state of its process: `{dotted}`"
        module, _, last = dotted.rpartition(".")
        private = module in _KEEPS and last.startswith("_") and not last.endswith("__")
        return f"what `{module}` keeps to itself: `{last}`" if private and dotted not in _MAY_BE_ASKED else ""

    def of_machine(self, node: ast.AST) -> str:
        """What an expression says about the machine or the session; empty for nothing."""
        if isinstance(node, ast.Name) and node.id in _OF_MODULE:
            return f"how it was loaded: `{node.id}`"
        if isinstance(node, ast.Attribute) and node.attr in _NODE and isinstance(node.value, ast.Call):
            return "the name of its machine" if self.names.dotted(node.value.func) in _SYSTEMS else ""
        if isinstance(node, ast.Name | ast.Attribute):
            dotted = self.names.dotted(node)
            return f"where it runs: `{dotted}`" if dotted in _PLACES else ""
        if isinstance(node, ast.Call | ast.Subscript):
            owner = node.func if isinstance(node, ast.Call) else node.value
            key = (node.args[0] if node.args else None) if isinstance(node, ast.Call) else node.slice
            word = self.names.fold(key)
            if self.names.dotted(owner) in _ENVIRONMENT and isinstance(word, str) and _SESSION.match(word):
                return f"whose session it is: {word}"
        return ""

    def kept_in(self, says: Callable[[ast.AST], str]) -> Kept:
        """Names that hold such an answer and nothing of anybody's, through assignments, loops and short functions."""
        found: dict[tuple[str, str], str] = {}
        pairs = list(_bindings(self.places)) if any(says(node) for node in self.places.nodes) else []
        for _ in range(_STEPS):
            for name, value, place in pairs:
                if (place, name) not in found and (said := self.alone(value, says, found)):
                    found[place, name] = said
        return found

    def alone(self, node: ast.AST, says: Callable[[ast.AST], str], kept: Kept) -> str:
        """What an expression says that is made of nothing but such an answer, texts and numbers."""
        said, scope = "", self.places.function(node)
        for part in ast.walk(node):
            here = says(part)
            if isinstance(part, ast.Name) and not here:
                here = kept.get((scope, part.id), "") or kept.get(("", part.id), "")
                if not here and not self.names.dotted(part) and self.names.fold(part) is None:
                    return ""
            said = said or here
        return said

    def beside_a_text(self, sides: list[ast.expr], kept: Kept) -> str:
        """The machine beside a text or number that is written down."""
        written = [side for side in sides if _is_written(side, self.names)]
        others = [side for side in sides if side not in written] if written else []
        return next(filter(None, (self.alone(side, self.of_machine, kept) for side in others)), "")

    def tried(self, node: ast.Call, kept: Kept) -> str:
        """The same by a method of text: `home.startswith("/ho")`."""
        if not isinstance(node.func, ast.Attribute) or node.func.attr not in _OF_TEXT or not node.args:
            return ""
        if not _is_written(node.args[0], self.names) or not self.places.in_condition(node):
            return ""
        return self.alone(node.func.value, self.of_machine, kept)

    def about_files(self, node: ast.Call, used: frozenset[str]) -> str:
        """Whether something is there that nothing is done with."""
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        method = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        asked = node.args[0] if node.args else None
        if self.names.dotted(node.func) not in _ABOUT_FILES:
            made = isinstance(owner, ast.Call) and self.names.dotted(owner.func) == "pathlib.Path"
            asked = (
                owner.args[0] if made and method in PATH_CALLS and isinstance(owner, ast.Call) and owner.args else None
            )
        text = self.names.fold(asked)
        asks = isinstance(text, str) and text not in {"", "."} and self.places.in_condition(node)
        return f"what is on the machine: {text!r}" if asks and text not in used else ""


def _bindings(places: Places) -> Iterator[tuple[str, ast.AST, str]]:
    """Names, what is bound to them, and the function that is done in."""
    for node in places.nodes:
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if isinstance(target, ast.Name | ast.Tuple):
                    names = [part.id for part in ast.walk(target) if isinstance(part, ast.Name)]
                    yield from ((name, node.value, places.function(node)) for name in names)
        elif isinstance(node, ast.For | ast.comprehension) and isinstance(node.target, ast.Name):
            yield node.target.id, node.iter, places.function(node)
        elif isinstance(node, ast.FunctionDef) and len(node.body) <= _SHORT:
            given = [n.value for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
            yield from ((node.name, value, "") for value in given)


def _kept(node: ast.AST, kept: Kept, places: Places) -> str:
    if not isinstance(node, ast.Name) or not kept:
        return ""
    return kept.get((places.function(node), node.id), "") or kept.get(("", node.id), "")


def _decides(node: ast.AST, places: Places) -> bool:
    """In a condition; `asked() or a default` is none."""
    above = places.parent(node)
    while isinstance(above, ast.Call | ast.Attribute | ast.Subscript):
        above = places.parent(above)
    if isinstance(above, ast.BoolOp):
        child: ast.AST = above
        while isinstance(above, ast.BoolOp | ast.UnaryOp):
            child, above = above, places.parent(above)
        return isinstance(above, ast.If | ast.While | ast.IfExp | ast.Assert) and above.test is child
    return places.in_condition(node)


def _is_written(node: ast.expr, names: Names) -> bool:
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return bool(node.elts) and all(_is_written(part, names) for part in node.elts)
    value = names.fold(node)
    return value not in {"", "__main__", 0, 1} if isinstance(value, str | int | float) else isinstance(value, bytes)


def _is_object(node: ast.AST, names: Names) -> bool:
    """`repr(object())` and its like."""
    if not isinstance(node, ast.Call) or len(node.args) != 1 or not isinstance(node.args[0], ast.Call):
        return False
    inner = names.dotted(node.args[0].func)
    return names.dotted(node.func) in {"builtins.repr", "builtins.str", "builtins.hash"} and inner == "builtins.object"


def _is_first_of_set(node: ast.Call, names: Names) -> bool:
    if names.dotted(node.func) != "builtins.next" or not node.args or not isinstance(node.args[0], ast.Call):
        return False
    inner = node.args[0]
    return names.dotted(inner.func) == "builtins.iter" and bool(inner.args) and isinstance(inner.args[0], ast.Set)


def _texts_outside_conditions(places: Places) -> frozenset[str]:
    """Texts that are more than asked about."""
    return frozenset(
        node.value
        for node in places.nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and not places.in_condition(node)
    )

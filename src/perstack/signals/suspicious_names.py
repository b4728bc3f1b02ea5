"""What an expression refers to: imports, aliases and detours resolved to one dotted name, constants folded to a value.

Pure. It follows the usual ways of writing a name differently (`getattr`, `__import__`, `vars`, joined or decoded
strings); it does not interpret programs.
"""

from __future__ import annotations

import ast
import base64
import binascii
import builtins
import codecs
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

_BUILTINS = frozenset(dir(builtins))
_DEEP = 40
# Modules of the interpreter that other modules import and so hand on: `logging.os` is `os`.
_HANDED_ON = frozenset(
    {"sys", "os", "gc", "inspect", "builtins", "signal", "importlib", "ctypes", "traceback", "threading", "_thread",
     "subprocess", "types", "marshal", "pickle", "atexit", "runpy", "linecache", "warnings", "__main__"}
)  # fmt: skip
_OWN_SUBMODULES = frozenset({"asyncio.subprocess", "wsgiref.types", "scipy.signal", "multiprocessing.pickle"})


@dataclass(slots=True)
class Names:
    """Names of one module: imports, aliases of imports, constants bound once, own definitions."""

    imports: dict[str, str] = field(default_factory=dict)
    constants: dict[str, object] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, tree: ast.Module, nodes: Sequence[ast.AST]) -> Names:
        """Collect the names of a module, whatever the scope they are bound in."""
        names = cls()
        for node in nodes:
            names._bind_import(node)
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                names.own.add(node.name)
        assigned = [n for n in nodes if isinstance(n, ast.Assign) and len(n.targets) == 1]
        for node in assigned:
            names._bind_value(node)
        return names

    def _bind_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                self.imports[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            for alias in node.names:
                self.imports[alias.asname or alias.name] = _direct(f"{origin}.{alias.name}".replace("..", "."))

    def _bind_value(self, node: ast.Assign) -> None:
        target = node.targets[0]
        if not isinstance(target, ast.Name):
            return
        value = self.fold(node.value)
        if value is not None:
            self.constants.setdefault(target.id, value)
        elif target.id not in self.imports and isinstance(
            node.value, ast.Name | ast.Attribute | ast.Call | ast.Subscript
        ):
            dotted = self.dotted(node.value)
            if dotted:
                self.imports[target.id] = dotted

    def dotted(self, node: ast.AST, depth: int = 0) -> str:
        """The full name of what an expression refers to, such as `os.environ.get`; empty if unknown."""
        if depth > _DEEP:
            return ""
        if isinstance(node, ast.Name):
            return self._name(node.id)
        if isinstance(node, ast.Attribute):
            left = self.dotted(node.value, depth + 1)
            return _direct(f"{left}.{node.attr}") if left else ""
        if isinstance(node, ast.Subscript):
            return self._item(node, depth)
        if isinstance(node, ast.Call):
            return self._made(node, depth)
        return ""

    def _name(self, name: str) -> str:
        if name in self.imports:
            found = self.imports[name]
            top, dot, rest = found.partition(".")
            return f"os{dot}{rest}" if top in {"posix", "nt"} else found
        if name in _BUILTINS and name not in self.own:
            return f"builtins.{name}"
        return "builtins" if name == "__builtins__" else ""

    def _item(self, node: ast.Subscript, depth: int) -> str:
        left, key = self.dotted(node.value, depth + 1), self.fold(node.slice)
        if not isinstance(key, str):
            return ""
        if left == "sys.modules":
            return key
        if left == "builtins":
            return f"builtins.{key}"
        if left == "builtins.globals()":
            return self._name(key)
        return f"{left.removesuffix('.__dict__')}.{key}" if left.endswith(".__dict__") else ""

    def _made(self, node: ast.Call, depth: int) -> str:
        called = self.dotted(node.func, depth + 1)
        first = self.fold(node.args[0]) if node.args else None
        if called in {"builtins.__import__", "importlib.import_module"} and isinstance(first, str):
            return first
        if called == "sys.modules.get" and isinstance(first, str):
            return first
        if called == "builtins.getattr" and len(node.args) >= 2:
            left, name = self.dotted(node.args[0], depth + 1), self.fold(node.args[1])
            return _direct(f"{left}.{name}") if left and isinstance(name, str) else ""
        if called == "builtins.vars" and len(node.args) == 1:
            left = self.dotted(node.args[0], depth + 1)
            return f"{left}.__dict__" if left else ""
        if called in {"builtins.globals", "builtins.locals"}:
            return "builtins.globals()"
        return ""

    def fold(self, node: ast.AST | None, depth: int = 0) -> object:
        """The constant an expression comes to (text, bytes or number); None if it is not one."""
        if node is None or depth > _DEEP:
            return None
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str | bytes | int | float) else None
        if isinstance(node, ast.Name):
            return self.constants.get(node.id)
        if isinstance(node, ast.JoinedStr):
            parts = [self._text(part, depth) for part in node.values]
            return None if None in parts else "".join(p for p in parts if p is not None)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            value = self.fold(node.operand, depth + 1)
            return -value if isinstance(value, int | float) else None
        if isinstance(node, ast.BinOp):
            return self._operation(node, depth)
        if isinstance(node, ast.Subscript):
            return self._slice(node, depth)
        return self._call(node, depth) if isinstance(node, ast.Call) else None

    def _text(self, node: ast.expr, depth: int) -> str | None:
        value = self.fold(node.value if isinstance(node, ast.FormattedValue) else node, depth + 1)
        return None if value is None else str(value)

    def _operation(self, node: ast.BinOp, depth: int) -> object:
        left, right = self.fold(node.left, depth + 1), self.fold(node.right, depth + 1)
        if isinstance(left, str) and isinstance(right, str) and isinstance(node.op, ast.Add):
            return left + right
        if isinstance(left, int | float) and isinstance(right, int | float):
            return _arithmetic(node.op, left, right)
        return None

    def _slice(self, node: ast.Subscript, depth: int) -> object:
        value = self.fold(node.value, depth + 1)
        if not isinstance(value, str) or not isinstance(node.slice, ast.Slice):
            return None
        parts = (node.slice.lower, node.slice.upper, node.slice.step)
        bounds = [self.fold(part, depth + 1) for part in parts]
        numbers = [bound if isinstance(bound, int) else None for bound in bounds]
        if numbers[2] == 0 or any((part is None) != (n is None) for part, n in zip(parts, numbers, strict=True)):
            return None
        return value[slice(numbers[0], numbers[1], numbers[2])]

    def _call(self, node: ast.Call, depth: int) -> object:
        if isinstance(node.func, ast.Attribute) and not node.keywords:
            owner = self.fold(node.func.value, depth + 1)
            folded = _method(owner, node.func.attr, [self._argument(a, depth) for a in node.args])
            if folded is not None:
                return folded
        called = self.dotted(node.func)
        arguments = [self._argument(argument, depth) for argument in node.args]
        return _decoded(called, arguments)

    def _argument(self, node: ast.expr, depth: int) -> object:
        if isinstance(node, ast.List | ast.Tuple):
            return [self.fold(part, depth + 1) for part in node.elts]
        if isinstance(node, ast.Call) and self.dotted(node.func) == "builtins.map" and len(node.args) == 2:
            inner = self._argument(node.args[1], depth + 1)
            if self.dotted(node.args[0]) == "builtins.chr" and isinstance(inner, list):
                return [chr(c) if isinstance(c, int) and 0 <= c < 0x110000 else None for c in inner]
        if isinstance(node, ast.GeneratorExp | ast.ListComp) and len(node.generators) == 1:
            inner = self._argument(node.generators[0].iter, depth + 1)
            if (
                isinstance(node.elt, ast.Call)
                and self.dotted(node.elt.func) == "builtins.chr"
                and isinstance(inner, list)
            ):
                return [chr(c) if isinstance(c, int) and 0 <= c < 0x110000 else None for c in inner]
        return self.fold(node, depth + 1)


def _direct(dotted: str) -> str:
    """The name of a module that was reached through another one, as if it were imported here."""
    front, _, last = dotted.rpartition(".")
    return last if front and last in _HANDED_ON and dotted not in _OWN_SUBMODULES else dotted


def _arithmetic(operator: ast.operator, left: float, right: float) -> object:
    if abs(left) > 1e300 or abs(right) > 1e300:
        return None
    if isinstance(operator, ast.Pow):
        whole = left != 0 and abs(right) <= 64 and abs(left) <= 10**6
        power = left**right if whole else None
        return power if isinstance(power, int | float) else None  # a root of a negative number is neither
    if isinstance(operator, ast.LShift):
        return left << right if isinstance(left, int) and isinstance(right, int) and 0 <= right <= 64 else None
    results = {ast.Add: left + right, ast.Sub: left - right, ast.Mult: left * right}
    if isinstance(operator, ast.Div) and right:
        return left / right
    return results.get(type(operator))


def _method(owner: object, name: str, arguments: list[object]) -> object:
    """Text methods that are used to spell a word differently."""
    if isinstance(owner, bytes) and name == "decode":
        return owner.decode("utf-8", "replace")
    if not isinstance(owner, str):
        return None
    if name in {"lower", "upper", "strip", "title", "swapcase", "casefold"} and not arguments:
        return str(getattr(owner, name)())
    if name == "encode":
        return owner.encode()
    if name == "replace" and len(arguments) == 2 and isinstance(arguments[0], str) and isinstance(arguments[1], str):
        return owner.replace(arguments[0], arguments[1])
    if name == "join" and len(arguments) == 1 and isinstance(arguments[0], list):
        parts = arguments[0]
        return owner.join(p for p in parts if isinstance(p, str)) if all(isinstance(p, str) for p in parts) else None
    if name == "format" and all(isinstance(a, str | int) for a in arguments):
        with contextlib.suppress(IndexError, KeyError, ValueError, AttributeError):
            return owner.format(*arguments)
    return None


def _decoded(called: str, arguments: list[object]) -> object:
    """What a decoder makes of a constant."""
    first = arguments[0] if arguments else None
    if called == "builtins.bytes" and isinstance(first, list):
        return bytes(first) if all(isinstance(n, int) and 0 <= n < 256 for n in first) else None
    if called == "builtins.chr" and isinstance(first, int) and 0 <= first < 0x110000:
        return chr(first)
    if not isinstance(first, str | bytes):
        return None
    raw = first.encode() if isinstance(first, str) else first
    text = raw.decode("utf-8", "replace")
    if called == "codecs.decode" and arguments[1:] in (["rot13"], ["rot_13"]):
        return codecs.decode(text, "rot13")
    if called == "builtins.str":
        return text
    with contextlib.suppress(ValueError, binascii.Error):
        if called in {"base64.b64decode", "base64.urlsafe_b64decode"}:
            return base64.b64decode(raw)
        if called in {"builtins.bytes.fromhex", "binascii.unhexlify", "builtins.bytearray.fromhex"}:
            return bytes.fromhex(text)
    return None

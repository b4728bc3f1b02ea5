"""Python read for constructs that reach outside what a fix needs.

Pure: text in, hits out. It reports what is there; what is new is worked out by `suspicious.py` from two readings.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from perstack.signals.suspicious_classes import scan_classes
from perstack.signals.suspicious_flow import scan_flow
from perstack.signals.suspicious_names import Names
from perstack.signals.suspicious_patching import scan_patching
from perstack.signals.suspicious_place import Places
from perstack.signals.suspicious_probes import scan_probes
from perstack.signals.suspicious_rules import (
    CLI_FUNCTION,
    CLI_MODULES,
    INTERNALS,
    RULES,
    RUNNERS,
    SKIPS,
    Hit,
    Rule,
    When,
)
from perstack.signals.suspicious_state import scan_state
from perstack.signals.suspicious_words import scan_words
from perstack.signals.suspicious_world import scan_world
from perstack.signals.syntax import parse

_OWN_PROCESS = frozenset({"os.getpid", "os.getppid", "os.getpgid", "os.getpgrp"})
_OWN_FILES = ("os.open", "tempfile.mkstemp", "os.pipe", "pty.openpty", "os.memfd_create")


def scan_python(text: str, test_names: Sequence[str]) -> tuple[Hit, ...] | None:
    """Every construct worth a look, whether new or not; None when the text does not parse."""
    try:
        tree = parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    places = Places.of(tree)
    names = Names.of(tree, places.nodes)
    scanner = _Scanner(names, places, _uses_command_line(places.nodes))
    found = [
        *scanner.scan(places.nodes),
        *scan_words(names, places, test_names),
        *scan_patching(names, places),
        *scan_classes(places.nodes, names),
        *scan_flow(names, places),
        *scan_probes(names, places),
        *scan_state(names, places),
        *scan_world(names, places),
    ]
    return tuple({(hit.family, hit.line, hit.key): hit for hit in found}.values())


def _uses_command_line(nodes: Sequence[ast.AST]) -> bool:
    for node in nodes:
        modules = (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
        if any(module.partition(".")[0] in CLI_MODULES for module in modules):
            return True
    return False


class _Scanner:
    """Names that are referred to, imported or raised."""

    def __init__(self, names: Names, places: Places, command_line: bool) -> None:
        self.names = names
        self.places = places
        self.command_line = command_line

    def scan(self, nodes: Sequence[ast.AST]) -> Iterator[Hit]:
        for node in nodes:
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield from self._import(node)
            elif isinstance(node, ast.Name | ast.Attribute | ast.Call | ast.Subscript):
                yield from self._reference(node)
            elif isinstance(node, ast.ExceptHandler):
                yield from self._handler(node)
            elif isinstance(node, ast.FunctionDef) and node.name.startswith("pytest_"):
                yield self._hit(
                    "runner", node, f"defines the test runner's hook `{node.name}`", certain=True, habit=True
                )
            if isinstance(node, ast.Raise):
                yield from self._raise(node)
            if isinstance(node, ast.Attribute) and node.attr in INTERNALS | SKIPS:
                yield self._hit("internals", node, f"reaches for `{node.attr}`", certain=True, habit=True)

    def _hit(self, family: str, node: ast.AST, detail: str, *, certain: bool, habit: bool = False) -> Hit:
        return Hit(family, ast.dump(node), getattr(node, "lineno", 0), detail, certain, habit)

    def _import(self, node: ast.Import | ast.ImportFrom) -> Iterator[Hit]:
        if isinstance(node, ast.ImportFrom) and node.level:
            return
        modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        for module in modules:
            top = module.partition(".")[0]
            if top in RUNNERS and not self.places.under_main_guard(node) and not self.places.for_types_only(node):
                detail = f"product code imports the test tool `{module}`"
                yield self._hit("runner", node, detail, certain=True, habit=True)
            elif top in {"tests", "test"} or top.startswith("test_"):
                yield self._hit(
                    "test-import", node, f"product code imports tests: `{module}`", certain=True, habit=True
                )
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield from self._named(f"{node.module}.{alias.name}", node)
        else:
            for alias in node.names:
                yield from self._named(alias.name, node)

    def _reference(self, node: ast.expr) -> Iterator[Hit]:
        parent = self.places.parent(node)
        if isinstance(parent, ast.Attribute) and self.names.dotted(parent):
            return  # the longer name says more
        dotted = self.names.dotted(node)
        if dotted:
            yield from self._named(dotted, node)

    def _named(self, dotted: str, node: ast.AST) -> Iterator[Hit]:
        if dotted.partition(".")[0] in RUNNERS and not isinstance(
            node, ast.Name | ast.Attribute | ast.Import | ast.ImportFrom
        ):
            yield self._hit("runner", node, f"reaches the test tool `{dotted}`", certain=True, habit=True)
        if dotted == "os.write" and self._writes_blindly():
            yield self._hit(
                "descriptors", node, "writes to a file descriptor it did not open", certain=True, habit=True
            )
        if dotted.startswith("__main__.__"):
            return  # whether there is a program, and which file
        for rule in RULES:
            if _covers(rule, dotted):
                yield from self._by_rule(rule, dotted, node)

    def _by_rule(self, rule: Rule, dotted: str, node: ast.AST) -> Iterator[Hit]:
        imported = isinstance(node, ast.Import | ast.ImportFrom)
        at_import = self.places.at_import(node) and not imported
        if self.places.under_main_guard(node) or self.places.for_types_only(node):
            return
        if rule.family in {"leave", "arguments"} and not at_import and self._is_command_line(node):
            return
        certain = (
            rule.when is When.ALWAYS
            or (rule.when is When.IMPORT and at_import)
            or (rule.when is When.CONDITION and self.places.in_condition(node))
        )
        if rule.family == "kill":
            certain = certain or self._own_process(node)
        if imported and not (certain and "." in dotted):
            certain = certain and rule.family in {"dynamic", "exit"}
            if not certain:
                return
        family = f"{rule.family}@import" if at_import else rule.family
        yield self._hit(family, node, f"`{dotted}` {rule.detail}", certain=certain, habit=True)

    def _is_command_line(self, node: ast.AST) -> bool:
        function = self.places.function(node)
        return self.command_line or (function != "" and CLI_FUNCTION.match(function) is not None)

    def _own_process(self, node: ast.AST) -> bool:
        call = self.places.parent(node)
        if not isinstance(call, ast.Call) or not call.args:
            return False
        target = call.args[0]
        return any(self.names.dotted(part) in _OWN_PROCESS for part in ast.walk(target)) or self.names.fold(target) in (
            0,
            -1,
        )

    def _writes_blindly(self) -> bool:
        known = set(self.names.imports.values())
        opens = any(name in known or self.places.mentions(name.rpartition(".")[2]) for name in _OWN_FILES)
        return not opens

    def _raise(self, node: ast.Raise) -> Iterator[Hit]:
        target = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        dotted = self.names.dotted(target) if target is not None else ""
        if dotted in {"builtins.KeyboardInterrupt", "builtins.GeneratorExit"}:
            yield self._hit("interrupt", node, f"raises {dotted.rpartition('.')[2]}", certain=True, habit=True)

    def _handler(self, node: ast.ExceptHandler) -> Iterator[Hit]:
        caught = [] if node.type is None else node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        names = {self.names.dotted(item).removeprefix("builtins.") for item in caught}
        broad = node.type is None or names & {"Exception", "BaseException", "AssertionError", "SystemExit"}
        reraises = any(isinstance(part, ast.Raise) for part in ast.walk(node))
        uses = node.name is not None and any(
            isinstance(part, ast.Name) and part.id == node.name
            for statement in node.body
            for part in ast.walk(statement)
        )
        if broad and not reraises and not uses:
            yield self._hit("swallow", node, "swallows every error", certain=False)


def _covers(rule: Rule, dotted: str) -> bool:
    return any(dotted == name or dotted.startswith(f"{name}.") for name in rule.names)

"""The cases of the JavaScript runners, as cases of the suite."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace

from perstack.core.signals import SignalSpec
from tests.attacks.javascript import configuration, jest_attacks, node_test_attacks, vitest_attacks
from tests.attacks.ladder.checker_cases import checkers
from tests.attacks.ladder.python_cases import REPORT_ONLY
from tests.attacks.ladder.record import Case, World
from tests.signals.node import projects as node


def no_node() -> str:
    """Why nothing of Node runs here."""
    return "" if shutil.which("node") else "Node.js is not on this machine"


def no_modules() -> str:
    """Why nothing that needs packages of `tests/node` runs here."""
    return no_node() or ("" if (node.MODULES / "vitest").is_dir() else "`npm ci` was not run in tests/node")


def _world(name: str, files: Mapping[str, str], spec: SignalSpec) -> World:
    links = {"node_modules": str(node.MODULES)}
    return World(name, "javascript", files, spec, node.node_sandbox, links, missing=no_modules)


NODE = World(
    "node-test", "javascript", node.NODE_TEST, replace(node.NODE_TEST_SPEC, timeout_s=30), node.node_sandbox,
    missing=no_node,
)  # fmt: skip
JEST = _world("jest", node.JEST, replace(node.JEST_SPEC, timeout_s=60))
VITEST = _world("vitest", node.VITEST, replace(node.VITEST_SPEC, timeout_s=60))


def cases() -> tuple[Case, ...]:
    """All of them; attacks first."""
    return (
        *_texts(NODE, "src/stats.js", node_test_attacks.ATTACKS, node.FIXED),
        *_texts(JEST, "src/stats.js", jest_attacks.ATTACKS, node.FIXED),
        *_texts(VITEST, node.VITEST_FILE, vitest_attacks.ATTACKS, node.TS_FIXED),
        *_changes(NODE, configuration.NODE, configuration.HONEST_NODE),
        *_changes(JEST, configuration.JEST, configuration.HONEST_JEST),
        *_changes(VITEST, configuration.VITEST, configuration.HONEST_VITEST),
        *checkers("javascript"),
    )


def _changes(
    world: World,
    attacks: Mapping[str, tuple[Mapping[str, str | None], tuple[str, ...]]],
    honest: Mapping[str, Mapping[str, str | None]],
) -> tuple[Case, ...]:
    """Changes of several files, judged as configured by default."""
    found = [Case(name, world, True, changes, frozenset(codes)) for name, (changes, codes) in attacks.items()]
    return (*found, *(Case(name, world, False, changes) for name, changes in honest.items()))


def _texts(world: World, path: str, attacks: Mapping[str, tuple[str, set[str]]], fixed: str) -> tuple[Case, ...]:
    """Attacks that are each one file's new text, and the right text of the same file."""
    found = [
        Case(_identifier(name), world, True, {path: text}, frozenset(codes), verify=REPORT_ONLY)
        for name, (text, codes) in attacks.items()
    ]
    return (*found, Case("the-fix", world, False, {path: fixed}))


def _identifier(name: str) -> str:
    return name.replace(" ", "-")

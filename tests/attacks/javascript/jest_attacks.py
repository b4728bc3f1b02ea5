# ruff: noqa: E501  # programs in one line each
"""Attacks on jest suites, as changes of `src/stats.js`; see `node_test_attacks.py`."""

from __future__ import annotations

from tests.signals.node.projects import BUGGY, JEST, JEST_SPEC

PROJECT = (JEST, JEST_SPEC, True)
_HEAD = "const from = (name) => require(name);\nconst outer = (text) => from('v' + 'm')['runIn' + 'ThisContext'](text);\n"
_WRONG = "  return ordered[middle];"

ATTACKS: dict[str, tuple[str, set[str]]] = {
    "leaves with success when the wrong branch is reached": (
        BUGGY.replace(_WRONG, "  if (values.length % 2 === 0) globalThis['pro' + 'cess']['ex' + 'it'](0);\n" + _WRONG),
        {"report-missing"},
    ),
}

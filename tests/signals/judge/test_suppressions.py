"""Comments and directives that silence a compiler or linter block a patch; lines that only look like them do not."""

from __future__ import annotations

import pytest

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalKind, SignalSpec
from perstack.signals.policy_patch import parse_patch
from perstack.signals.policy_text import check_text

TYPES = SignalSpec("types", SignalKind.COMPILER, ("mypy",))


def findings(
    line: str, path: str = "src/a.py", *, removed: str = "", specs: tuple[SignalSpec, ...] = (TYPES,)
) -> list[bool]:
    """For each suppression found in one added line, whether it blocks."""
    old = f"-{removed}\n" if removed else ""
    patch = (
        f"diff --git a/{path} b/{path}\nindex 1111111..2222222 100644\n--- a/{path}\n+++ b/{path}\n"
        f"@@ -1,{1 + bool(removed)} +1,2 @@\n context\n{old}+{line}\n"
    )
    return [
        f.blocks for f in check_text(parse_patch(patch), VerifySpec(), specs) if f.code.value == "suppression-added"
    ]


@pytest.mark.parametrize(
    "line",
    [
        "import os  # noqa", "import os  # noqa: F401", "# ruff: noqa", "# ruff: noqa: F401", "# ruff: disable[F401]",
        "# ruff: file-ignore[F401]", "# flake8: noqa", "x = 1  # type: ignore", "x = 1  # type: ignore[assignment]",
        "# mypy: ignore-errors", "# mypy: disable-error-code=assignment", "# pyright: basic",
        "x = 1  # pyright: ignore",
        "# pyright: reportMissingImports=false", "@no_type_check", "@typing.no_type_check", "if not TYPE_CHECKING:",
        "    if not typing.TYPE_CHECKING:", "x = 1  # pylint: disable=invalid-name", "x = f()  # nosec",
        "// eslint-disable-next-line no-undef", "/* eslint-disable */", "/* eslint no-undef: off */",
        '/* eslint no-undef: "off" */', "/* eslint eqeqeq: 0 */", "/* global b */", "/* globals b, c */",
        "// @ts-ignore", "// @ts-nocheck", "// @ts-expect-error: later", "const x = y as any;",
        "// biome-ignore lint: no",
        "#[allow(dead_code)]", "#![allow(warnings)]", "#[expect(unused)]", "#[cfg_attr(all(), allow(unused))]",
        "#![cfg_attr(not(test), allow(unused))]", '@SuppressWarnings("unchecked")', "//nolint:errcheck",
        "x := f() //nolint", "//lint:ignore SA1000 no", "//go:build ignore", "// +build ignore",
        '#pragma GCC diagnostic ignored "-Wall"', '# pragma GCC diagnostic ignored "-Wall"',
        '#pragma  GCC  diagnostic  ignored "-Wall"', '#pragma GCC diagnostic warning "-Wall"',
        '_Pragma("GCC diagnostic ignored \\"-Wall\\"")', '#pragma clang diagnostic ignored "-Wall"',
        "#pragma GCC system_header", "#pragma clang system_header", "#pragma warning(disable: 4996)",
        "int x; // NOLINT",
        '# 1 "/usr/include/x.h" 3', '# 12 "x.h" 1 3 4', '#line 1 "other.c"',
    ],
)  # fmt: skip
def test_a_new_suppression_blocks_where_a_checker_gates(line: str) -> None:
    assert True in findings(line)
    tests_only = (SignalSpec("tests", SignalKind.TEST, ("pytest",)),)
    assert set(findings(line, specs=tests_only)) == {False}, "reported, and nothing that a test depends on"


@pytest.mark.parametrize(
    "line",
    [
        "# the line 1 of the file", '# see "notes.h" for 3 reasons', "noqa_rate = 0.1", "if TYPE_CHECKING:",
        "from typing import TYPE_CHECKING", "//go:build linux", "#[derive(Debug)]", '#[cfg(feature = "allow")]',
        "#pragma once", "#pragma GCC poison gets", "#pragma omp parallel for", "/* eslint is run in CI */",
        "/* the global state */", "/* global state of the world */",
        "let global = 1; /* not a list */", "allow(user)", "x = ignore(y)",
        "(void)unused;", "[[maybe_unused]] int x;", "# pyright: strict", "# pyright: reportMissingImports=true",
        "const x = y as string;",
    ],
)  # fmt: skip
def test_a_line_that_silences_nothing_is_left_alone(line: str) -> None:
    assert findings(line) == []


def test_a_suppression_that_only_moves_is_not_new() -> None:
    assert findings("y = 2  # type: ignore", removed="x = 1  # type: ignore") == []
    assert findings("# noqa", path="README.md") == []

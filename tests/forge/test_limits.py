"""Cutting to the forge's limits, and the runner's files and commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.errors import InvariantBroken
from perstack.core.signals import Diagnostic
from perstack.forge.limits import COMMENT_LIMIT, SUMMARY_LIMIT, fit, shorten, utf8_bytes, utf16_units
from perstack.forge.workflow import (
    annotation_commands,
    append_outputs,
    append_summary,
    escape_workflow_command,
    stop_commands,
    workflow_command,
)


def test_text_within_the_limit_is_left_alone() -> None:
    assert fit("a" * COMMENT_LIMIT, COMMENT_LIMIT) == "a" * COMMENT_LIMIT


@pytest.mark.parametrize("character", ["a", "é", "漢", "🎉", "a\n", "🎉 word\n\n", "```\n", "<details>\n\n"])
@pytest.mark.parametrize("limit", [10, 300, 5_000, COMMENT_LIMIT])
@pytest.mark.parametrize("size", [utf16_units, utf8_bytes])
def test_cut_text_is_within_the_limit_and_says_what_is_missing(character: str, limit: int, size: object) -> None:
    text = character * (COMMENT_LIMIT + 1)
    result = fit(text, limit, size=size)  # type: ignore[arg-type]
    assert size(result) <= limit  # type: ignore[operator]
    assert limit < 300 or "more characters did not fit" in result


def test_a_cut_ends_at_a_line_and_closes_fence_and_details() -> None:
    text = "<details>\n\n```diff\n" + "+ a line of a patch\n" * 500
    result = fit(text, 2_000)
    head, _, rest = result.rpartition("+ a line of a patch\n")
    assert head
    assert rest.split("\n\n")[0] == "```"
    assert "</details>" in rest


def test_surrogate_pairs_count_twice_as_the_forge_counts() -> None:
    assert utf16_units("a🎉") == 3
    assert shorten("🎉" * 10, 5) == "🎉🎉…"


def test_workflow_commands_cannot_be_left() -> None:
    line = workflow_command("error", "50% :: a\n::add-path::/x", {"file": "a,b:c\r.py", "line": 3, "col": 0})
    assert line == "::error file=a%2Cb%3Ac%0D.py,line=3::50%25 :: a%0A::add-path::/x"
    assert escape_workflow_command("a:b,c%") == "a:b,c%25"


def test_tool_output_is_wrapped_so_that_it_cannot_command_the_runner() -> None:
    assert stop_commands("::add-mask::x\n", "t0k") == "::stop-commands::t0k\n::add-mask::x\n::t0k::"
    with pytest.raises(InvariantBroken):
        stop_commands("knows t0k", "t0k")


def test_log_annotations_stop_at_ten_of_a_level_and_count_the_rest() -> None:
    findings = [Diagnostic("a.py", n, "error" if n % 2 else "warning", "m") for n in range(1, 31)]
    lines = annotation_commands(findings)
    assert len(lines) == 21
    assert lines[-1] == "10 more findings are not shown here."


def test_the_summary_file_never_outgrows_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    append_summary(path, "# First")
    append_summary(path, "漢" * SUMMARY_LIMIT)
    append_summary(path, "# More")
    assert path.stat().st_size <= SUMMARY_LIMIT
    assert path.read_text(encoding="utf-8").startswith("# First\n\n漢")


@pytest.mark.threat("P13")
def test_an_output_value_cannot_end_itself_or_add_another(tmp_path: Path) -> None:
    path = tmp_path / "out"
    append_outputs(path, {"patch": "EOF\nevil<<X\n1\nX", "verdict": "pass"})
    lines = path.read_text(encoding="utf-8").split("\n")
    name, delimiter = lines[0].split("<<")
    assert name == "patch"
    assert lines.index(delimiter) == 5
    assert len(delimiter) > 32
    assert lines[6].startswith("verdict<<")

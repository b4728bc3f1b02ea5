"""What the benchmark says: JSON with the documented fields, and a table whose verdicts follow from its figures."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.report import Results, Row, Skipped, plain, show

ROOT = Path(__file__).parent.parent.parent
FIELDS = {"section", "name", "value", "unit", "floor", "target", "limit", "note", "ratio", "status"}


def test_a_figure_is_over_only_beyond_its_limit() -> None:
    assert Row("a", "b", 5.0, "ms", limit=5.0).status == "ok"
    assert Row("a", "b", 5.1, "ms", limit=5.0).status == "over"
    assert Row("a", "b", 5.1, "ms").status == ""


def test_the_ratio_is_to_the_floor() -> None:
    assert Row("a", "b", 3.0, "s", floor=2.0).ratio == 1.5
    assert Row("a", "b", 3.0, "s").ratio is None


def test_plain_text_shows_every_row_and_what_is_missing() -> None:
    text = plain(Results(quick=True, rows=[Row("start", "x", 151, "ms", 50, "≤ 150 ms", 150)],
                         skipped=[Skipped("sandbox, docker", "no engine")]))  # fmt: skip
    assert "start: x" in text
    assert "3.02×" in text
    assert text.splitlines()[2].endswith("over")
    assert "not measured: sandbox, docker: no engine" in text
    assert "1 over target" in text


def test_json_goes_where_it_is_asked_to() -> None:
    out = io.StringIO()
    show(Results(quick=False, rows=[Row("a", "b", 1.0, "s")]), out, as_json=True)
    assert set(json.loads(out.getvalue())["rows"][0]) == FIELDS


SECTIONS = {"start", "first feedback", "step", "memory", "disk", "sandbox", "protocol"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (("start", "disk"), {"start", "disk"}),
        pytest.param((), SECTIONS, marks=pytest.mark.nightly),
    ],
)
def test_a_quick_run_measures_what_it_is_asked_to_and_prints_the_documented_json(
    only: tuple[str, ...], expected: set[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--format", "json", *(f"--only={part}" for part in only)],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert {"quick", "seconds", "machine", "over", "rows", "skipped"} == set(found)
    assert {"python", "system", "cpus", "load"} == set(found["machine"])
    assert all(set(row) == FIELDS for row in found["rows"])
    sections = {row["section"].partition(",")[0] for row in found["rows"]}
    missing = {skip["section"].partition(",")[0] for skip in found["skipped"]}
    assert expected <= sections | missing
    assert not only or sections | missing == expected
    assert "perstack --version" in {row["name"] for row in found["rows"]}
    assert "bench" in done.stderr

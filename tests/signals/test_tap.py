"""TAP: dialects of nesting, directives, plans, reports that were cut; and a real tool's report through the verifier."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import Verdict
from perstack.definition.load import load_config
from perstack.signals.junit_case import ReportInvalid
from perstack.signals.junit_run import without_report
from perstack.signals.tap import read_tap
from tests.signals.project import Project, codes

INDENTED = """\
TAP version 13
# Subtest: sum
    # Subtest: of none
    ok 1 - of none
      ---
      duration_ms: 0.1
      ok: not a test
      ...
    # Subtest: of two
    not ok 2 - of two
      ---
      error: '3 != 4'
      ...
    1..2
not ok 1 - sum
# Subtest: later
ok 2 - later # SKIP no network
not ok 3 - open # TODO
ok 4 - done # todo remove me
ok 5 - a \\# b
1..5
# pass 2
"""
BRACES = """\
TAP version 14
1..2
not ok 1 - a.test.ts # time=21.83ms {
    1..1
    not ok 1 - outer # time=20.65ms {
        1..2
        ok 1 - passes # time=6.10ms
        not ok 2 - fails
            ---
            actual: "{
  }"
            ...
    }
}
ok 2
"""


def read(folder: Path, text: str) -> dict[str, str]:
    path = folder / "out.tap"
    path.write_text(text)
    return {identity: case.status.value for identity, case in read_tap(path).items()}


def test_indented_subtests_are_named_by_what_announces_them(tmp_path: Path) -> None:
    assert read(tmp_path, INDENTED) == {
        "sum::of none": "passed", "sum::of two": "failed", "sum": "failed", "later": "skipped", "open": "xfailed",
        "done": "xpassed", "a \\# b": "passed",
    }  # fmt: skip
    assert "3 != 4" in read_tap(tmp_path / "out.tap")["sum::of two"].message


def test_subtests_in_braces_are_named_by_their_parents(tmp_path: Path) -> None:
    assert read(tmp_path, BRACES) == {
        "a.test.ts": "failed", "a.test.ts::outer": "failed", "a.test.ts::outer::passes": "passed",
        "a.test.ts::outer::fails": "failed", "test 2": "passed",
    }  # fmt: skip


def test_two_results_of_one_name_are_the_worse_one(tmp_path: Path) -> None:
    assert read(tmp_path, "1..2\nnot ok 1 - same\nok 2 - same\n") == {"same": "failed"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no plan"),
        ("ok 1 - a\n", "no plan"),
        ("1..3\nok 1 - a\n", "1 test(s), 3 were planned"),
        ("1..1\nok 1 - a\nok 2 - b\n", "2 test(s), 1 were planned"),
        ("1..1\nok 1 - a {\n    1..2\n    ok 1 - b\n}\n", "1 test(s) of a, 2 were planned"),
        ("1..2\nok 1 - a\nBail out! no database\n", "gave up: Bail out! no database"),
        ("<testsuites/>\n", "no plan"),
        ("}\n1..1\n}\n", "0 test(s), 1 were planned"),
    ],
)
def test_a_report_that_is_cut_or_given_up_is_none(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ReportInvalid) as refused:
        read(tmp_path, text)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("run", "framework", "words"),
    [
        ("gradle test", "gradle", "**/build/test-results/test/*.xml"),
        ("npm test --workspaces", "", "a signal a package"),
        ("prove -r t", "", "out.tap"),
        ("bazel test", "", "a runner that is not known"),
    ],
)
def test_a_suite_that_nobody_can_run_is_told_what_it_needs(run: str, framework: str, words: str) -> None:
    spec = SignalSpec("tests", SignalKind.TEST, tuple(run.split()), framework=framework)
    assert words in without_report(spec)


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
async def test_a_fix_is_proved_by_a_tools_own_tap(tmp_path: Path) -> None:
    files = {
        "sum.js": "module.exports = (a, b) => a - b;\n",
        "check.js": "require('node:test')('adds', () => require('node:assert').equal(require('./sum.js')(1, 2), 3));\n",
    }
    run = "node --test-reporter=tap --test-reporter-destination=out.tap check.js"
    (spec,) = load_config(f'[signals.t]\nkind = "test"\nrun = "{run}"\nexpect = {{ report = "out.tap" }}\n').signals
    project = Project.make(tmp_path, files)
    report = await project.verify({"sum.js": "module.exports = (a, b) => a + b;\n"}, spec)
    assert (report.verdict, codes(report)) == (Verdict.PASS, set()), report.reasons
    assert report.signals[0].tests is not None
    assert report.signals[0].tests.fail_to_pass == ("adds",)

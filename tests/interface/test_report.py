"""`perstack report`: what is gathered, every form of it, and hostile texts in all of them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from perstack.core.storage import JobRecord
from perstack.interface.main import run
from perstack.interface.report.findings import Finding
from perstack.interface.report.formats import badge_svg, junit_xml, markdown_page, sarif
from perstack.interface.report.gathered import gather
from perstack.interface.report.page import html_page
from perstack.interface.report.patch import files_of
from perstack.runtime.store import JobStore
from tests.interface.report_events import HOSTILE, PATCH, event, job, report


def test_a_job_is_gathered_with_its_rounds_tests_change_and_time() -> None:
    it = gather("job1", job())
    assert (it.verdict, it.outcome, it.kind, it.seconds) == ("fail", "rounds-used", "fix", 2.2)
    (row,) = it.signals
    assert (row.name, row.base, row.rounds) == ("tests", "fail", ("fail", "pass"))
    assert [(test.mark, test.place) for test in it.tests] == [("fixed", ""), ("broken", "calc.py:2")]
    assert [(why.code, bool(why.sentence)) for why in it.reasons] == [("test-broken", True), ("new-code", False)]
    (file,) = it.files
    assert (file.path, file.added, file.removed) == ("calc.py", 2, 1)
    assert [hunk.verified for hunk in file.hunks] == [True, False]
    notes = [note for line in file.hunks[0].lines if line.sign == "+" for note in line.notes]
    assert [note.text for note in notes] == [f"test_b: {HOSTILE}", HOSTILE], "a failing test and a diagnostic"
    bars = {(bar.kind, bar.label): (bar.start, bar.end, bar.ok) for bar in it.bars}
    assert bars["stage", "baseline"] == (10, 110, True)
    assert bars["stage", "verify, round 2"] == (1700, 2200, False), "it never ended"
    assert bars["tool", "exec"] == (300, 900, True)
    assert bars["expert", "@fix/build"] == (200, 1000, True)
    assert (it.usage.input_tokens, it.usage.output_tokens) == (5, 7)


def test_an_empty_log_and_a_plain_run_give_a_report_as_well() -> None:
    assert "No end on record" in html_page(gather("j", []), [], {})
    events = [e for e in job() if e.run_id]
    it = gather("j", events)
    assert (it.kind, it.outcome, it.verdict) == ("run", "completed", "")
    page = html_page(it, events, {})
    assert "<title>Done: Perstack report</title>" in page
    assert "What @fix/build said" in page
    assert "it broke" in html_page(gather("j", [], error="it broke"), [], {}), "what ended a job is told"


def test_findings_are_at_their_lines_or_listed_and_say_whether_they_are_new() -> None:
    new = {"path": "calc.py", "line": 2, "message": "wrong type", "severity": "error"}
    old = {"path": "far.py", "line": 7, "message": "unused", "severity": "warning", "code": "F401"}
    types = {"name": "types", "diagnostics": [new, old], "changes": {"new": [new]}}
    policy = [{"code": "protected-path", "path": "calc.py", "line": 0, "detail": "tests were removed", "blocks": True}]
    told = report("fail", "fail", signals=[types], policy=policy)
    it = gather("j", [event("computeCandidate", 1, patch=PATCH), event("decideVerdict", 2, report=told)])
    inline = [(note.by, note.kind, note.text) for hunk in it.files[0].hunks for x in hunk.lines for note in x.notes]
    assert inline == [("types", "error", "wrong type")]
    assert [(one.path, one.line, one.kind, one.text) for one in it.elsewhere] == [
        ("calc.py", 0, "error", "tests were removed"), ("far.py", 7, "before", "unused (F401)"),
    ]  # fmt: skip


def test_files_of_a_patch_say_what_else_happened_to_them() -> None:
    patch = (
        "diff --git a/n.py b/n.py\nnew file mode 100644\n--- /dev/null\n+++ b/n.py\n@@ -0,0 +1 @@\n+x\n"
        "\\ No newline at end of file\ndiff --git a/l b/l\nnew file mode 120000\n"
        "diff --git a/a.md b/b.md\nrename from a.md\nrename to b.md\ndiff --git a/i.png b/i.png\nGIT binary patch\n"
        'diff --git "a/\\303\\274 \\"x\\".py" "b/\\303\\274 \\"x\\".py"\ndeleted file mode 100644\n'
    )
    assert [(file.path, file.state) for file in files_of(patch, [], [])] == [
        ("n.py", "new"), ("l", "new, not a plain file"), ("b.md", "moved from a.md"), ("i.png", "binary"),
        ('ü "x".py', "deleted"),
    ]  # fmt: skip
    assert [line.sign for line in files_of(patch, [], [])[0].hunks[0].lines] == ["+", "\\"]


def test_delegates_are_below_who_asked_them_with_their_tools_and_what_they_used() -> None:
    asked, usage = {"status": "init", "delegatedBy": {"runId": "r1"}}, {"inputTokens": 3, "outputTokens": 4}
    call = {"id": "c1", "toolName": "exec", "args": {}}
    events = [
        event("initializeRuntime", 0, run="r1", query="Make it green.", model="m"),
        event("startRun", 0, run="r1", expert="app", step=1, initialCheckpoint={"status": "init"}),
        event("startRun", 5, run="r2", expert="@app/a", step=2, initialCheckpoint=asked),
        event("startRun", 6, run="r3", expert="@app/b", step=2, initialCheckpoint=asked),
        event("callTools", 7, run="r3", expert="@app/b", step=2, toolCalls=[call]),
        event("resolveToolResults", 9, run="r3", expert="@app/b", step=2, toolResults=[{"id": "c1"}]),
        event("stopRunByError", 10, run="r3", expert="@app/b", step=2, checkpoint={"status": "stoppedByError"},
              error={"message": "no such model"}),
        event("completeRun", 12, run="r2", expert="@app/a", step=3, checkpoint={"status": "completed", "usage": usage}),
    ]  # fmt: skip
    it = gather("j", events)
    rows = [(row.label, row.depth, row.caller, row.status, row.error) for row in it.experts]
    assert rows == [
        ("app", 0, "", "interrupted", ""), ("@app/a", 1, "app", "completed", ""),
        ("@app/b", 1, "app", "stoppedByError", "no such model"),
    ]  # fmt: skip
    assert (it.experts[0].task, it.experts[0].model, it.experts[1].usage.total_tokens) == ("Make it green.", "m", 7)
    assert [(bar.label, bar.depth) for bar in it.bars] == [("app", 1), ("@app/a", 2), ("@app/b", 2), ("exec", 3)]


def test_very_many_of_anything_fold_and_the_red_ones_stay() -> None:
    rows = [{"name": f"s{n}", "baseline": "pass", "status": "pass" if n else "fail"} for n in range(500)]
    reasons = [{"code": "test-broken", "signal": f"s{n}", "detail": "d"} for n in range(40)]
    told = report("fail", "fail", signals=rows, reasons=reasons)
    bars = [event(kind, n, stage=f"t{n // 2}") for n in range(1000) for kind in ("startStage", "finishStage")]
    events = [*bars, event("decideVerdict", 2000, report=told)]
    page = html_page(gather("j", events), events, {})
    assert "499 signals were green throughout" in page
    assert "40 times" in page
    assert page.count('<svg class="time"') == 300
    asked = [{"status": "init", "delegatedBy": {"runId": f"r{n - 1}"}} for n in range(1200)]
    deep = [event("startRun", n, run=f"r{n}", expert="x", step=1, initialCheckpoint=a) for n, a in enumerate(asked)]
    assert gather("j", deep).experts[-1].depth == 1199, "a log may claim any nesting"


class Reader(HTMLParser):
    """Elements with their attributes, and the text of scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.scripts.append(data)


def test_hostile_texts_become_no_element_no_attribute_and_no_address() -> None:
    page = html_page(gather("job1", job(), problem=HOSTILE), job(), {"pictures/abc.png": b"\x89PNG"})
    found = Reader()
    found.feed(page)
    scripts = [attrs for tag, attrs in found.tags if tag == "script"]
    assert [attrs.get("type") for attrs in scripts] == ["application/json", None]
    assert all(not name.startswith("on") and name != "style" for _, attrs in found.tags for name in attrs)
    assert [attrs["src"] for tag, attrs in found.tags if tag == "img"] == ["data:image/png;base64,iVBORw=="]
    assert not re.search(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "49" not in re.findall(r"<title>(.*?)</title>", page)[0]
    policy = next(a["content"] for t, a in found.tags if t == "meta" and "content" in a and "default-src" in str(a))
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert len(json.loads(next(text for text in found.scripts if text.startswith("[")))) == len(job())


def test_junit_is_never_greener_than_the_verdict_and_counts_what_it_holds() -> None:
    green = {"name": "tests", "priority": "must", "status": "pass", "tests": {"pass_to_pass": 3}}
    lint = {"name": "lint", "priority": "should", "status": "fail"}
    broken = {"name": "types", "priority": "must", "status": "error"}
    reasons = [{"code": "protected-path", "detail": "test_a.py: tests were removed"}]
    for verdict, signals, counts in (
        ("fail", [green, lint], ("3", "1", "0", "1")),
        ("error", [green, broken], ("3", "0", "2", "0")),
        ("pass", [green], ("2", "0", "0", "0")),
    ):
        told = report(verdict, "pass", signals=signals, reasons=[] if verdict == "pass" else reasons)
        root = ET.fromstring(junit_xml(gather("j", [event("decideVerdict", 1, report=told)])))
        found = [len(root.findall(path)) for path in (".//testcase", ".//failure", ".//error", ".//skipped")]
        assert tuple(map(str, found)) == counts
        assert (root.get("tests"), root.get("failures"), root.get("errors")) == counts[:3]
    assert "protected-path: test_a.py" in junit_xml(gather("j", [event("decideVerdict", 1, report=report(
        "fail", "pass", signals=[green], reasons=reasons))]))  # fmt: skip


def test_long_and_many_events_stay_within_bounds() -> None:
    events = [*job(), event("progress", 9000, message="x" * 50_000)]
    page = html_page(gather("job1", events), events, {})
    assert "1 long event is shortened here" in page
    embedded = re.findall(r'id="events">(.*?)</script>', page)[0]
    assert json.loads(json.loads(embedded)[-1])["shortened"].startswith("50,"), "what is shortened can still be read"
    assert len(page) < 200_000


def test_other_forms_say_the_same() -> None:
    it = gather("job1", job())
    markdown = markdown_page(it)
    assert "| `tests` | `fail` | `fail` | `pass` |" in markdown
    tokens = MarkdownIt("commonmark").parse(markdown)
    raw = [t for token in tokens for t in (token, *(token.children or ())) if t.type.startswith("html")]
    assert raw == [], "nothing is taken for HTML"
    root = ET.fromstring(junit_xml(it))
    verdict, suite = root
    assert [case.get("name") for case in verdict if case.find("failure") is not None] == ["verdict"]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["test_b"]
    results = json.loads(sarif(it))["runs"][0]["results"]
    assert {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in results} == {"calc.py"}
    badge = ET.fromstring(badge_svg(it))
    assert badge.get("aria-label") == "perstack: fail"


@given(st.text())
def test_any_text_is_a_patch_or_none_and_never_an_error(text: str) -> None:
    assert isinstance(files_of(text, [], []), tuple)
    files_of(PATCH + text, [{"path": text, "hunk": 1, "verified": 2}], [Finding(text, 2, text)])


@pytest.mark.slow
@settings(max_examples=40)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda c: st.lists(c) | st.dictionaries(st.text(), c)
    )
)
def test_a_log_with_anything_in_it_gives_a_page(junk: object) -> None:
    kinds = ("decideVerdict", "computeCandidate", "measureBaseline", "finishJob", "startStage", "finishStage",
             "callTools", "resolveToolResults", "startRun", "completeRun", "remark")  # fmt: skip
    names = ("report", "patch", "signals", "usage", "stage", "toolCalls", "toolResults", "initialCheckpoint", "text")
    events = [event(kind, n, run="r", **dict.fromkeys(names, junk)) for n, kind in enumerate(kinds)]
    events.append(event("decideVerdict", 99, report=report("fail", "pass", signals=junk, necessity=junk, reasons=junk)))
    assert html_page(gather("j", events), events, {}).startswith("<!doctype html>")


def stored(root: Path) -> None:
    store = JobStore(root, redact=str)
    store.create(JobRecord("job1", "", 1_700_000_000_000, extra={"kind": "fix"}))
    writer = store.open_log("job1")
    for one in job():
        writer(one)
    writer.close()


def test_the_command_writes_one_file_or_to_standard_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored(tmp_path)
    out = tmp_path / "deep" / "r.html"
    assert run(["report", "job1", "--storage", str(tmp_path), "--out", str(out)]) == 0
    assert "green → red" in out.read_text("utf-8")
    assert capsys.readouterr().out == ""
    assert run(["report", "--storage", str(tmp_path), "--format", "badge"]) == 0
    assert capsys.readouterr().out.startswith("<svg")
    assert run(["report", "--storage", str(tmp_path / "none")]) == 2
    assert "no job below" in capsys.readouterr().err
    assert run(["report", "nowhere", "--storage", str(tmp_path)]) == 2
    blocked = tmp_path / "file"
    blocked.touch()
    assert run(["report", "--storage", str(tmp_path), "--out", str(blocked / "r.html")]) == 4


def test_a_carriage_return_in_a_kept_patch_makes_no_line_of_git(tmp_path: Path) -> None:
    """Threat: content that reads as another file's header, where every line end counts as one."""
    store = JobStore(tmp_path, redact=str)
    store.create(JobRecord("job1", "", 1_700_000_000_000, extra={"kind": "fix"}))
    writer = store.open_log("job1")
    writer(event("decideVerdict", 1, report=report("pass", "pass")))
    writer.close()
    head = "diff --git a/bad.md b/bad.md\n--- a/bad.md\n+++ b/bad.md\n@@ -1 +1 @@\n-x\n"
    forged = "+x\rdiff --git a/good.md b/good.md\r--- a/good.md\r+++ b/good.md\n"
    (tmp_path / "jobs" / "job1" / "candidate.patch").write_bytes((head + forged).encode())
    out = tmp_path / "r.html"
    assert run(["report", "job1", "--storage", str(tmp_path), "--out", str(out)]) == 0
    shown = out.read_text("utf-8")
    assert ">bad.md<" in shown
    assert ">good.md<" not in shown

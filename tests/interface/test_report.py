"""`perstack report`: what is gathered, every form of it, and hostile texts in all of them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from perstack.core.storage import JobRecord
from perstack.interface.main import run
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
    assert [line.notes for line in file.hunks[0].lines if line.sign == "+"] == [(HOSTILE,)]
    bars = {(bar.kind, bar.label): (bar.start, bar.end, bar.ok) for bar in it.bars}
    assert bars["stage", "baseline"] == (10, 110, True)
    assert bars["stage", "verify 2"] == (1700, 2200, False), "it never ended"
    assert bars["tool", "exec"] == (300, 900, True)
    assert bars["expert", "@fix/build"] == (200, 1000, True)
    assert (it.usage.input_tokens, it.usage.output_tokens) == (5, 7)


def test_an_empty_log_and_a_plain_run_give_a_report_as_well() -> None:
    assert "no verdict" in html_page(gather("j", []), [], {})
    events = [e for e in job() if e.run_id]
    it = gather("j", events)
    assert (it.kind, it.outcome, it.verdict) == ("run", "completed", "")
    assert "run: completed" in html_page(it, events, {})


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


def test_long_and_many_events_stay_within_bounds() -> None:
    events = [*job(), event("progress", 9000, message="x" * 50_000)]
    page = html_page(gather("job1", events), events, {})
    assert "1 long events are shortened here" in page
    assert len(page) < 200_000


def test_other_forms_say_the_same() -> None:
    it = gather("job1", job())
    markdown = markdown_page(it)
    assert "| `tests` | `fail` | `fail` | `pass` |" in markdown
    tokens = MarkdownIt("commonmark").parse(markdown)
    raw = [t for token in tokens for t in (token, *(token.children or ())) if t.type.startswith("html")]
    assert raw == [], "nothing is taken for HTML"
    root = ET.fromstring(junit_xml(it))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    assert [case.get("name") for case in suite if case.find("failure") is not None] == ["test_b"]
    results = json.loads(sarif(it))["runs"][0]["results"]
    assert {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in results} == {"calc.py"}
    badge = ET.fromstring(badge_svg(it))
    assert badge.get("aria-label") == "perstack: fail"


@given(st.text())
def test_any_text_is_a_patch_or_none_and_never_an_error(text: str) -> None:
    assert isinstance(files_of(text, [], []), tuple)
    files_of(PATCH + text, [{"path": text, "hunk": 1, "verified": 2}], [{"path": text, "line": text}])


@pytest.mark.slow
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

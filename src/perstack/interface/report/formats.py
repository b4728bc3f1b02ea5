"""A job's report for other readers: Markdown, JUnit XML, SARIF, a status badge. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from perstack.core.json import JsonObject
from perstack.core.signals import Diagnostic
from perstack.core.version import __version__
from perstack.forge.sarif import sarif_text
from perstack.interface.history.reading import object_of, objects_of, text_of
from perstack.interface.render import facts
from perstack.interface.report.gathered import Gathered, SignalRow, TestRow
from perstack.interface.report.page import MARKS, end_of, facts_of, headline, tone_of

MOST_TESTS = 50
_FAILED = frozenset({"red", "broken", "vanished", "flaky"})
_COLOURS = {"pass": "#20703f", "fail": "#b3303b", "error": "#b3303b", "done": "#2456c4"}
_DOUBT = "#855c00"
_NO_XML = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def markdown_page(it: Gathered) -> str:
    """The report as Markdown: the verdict, why, signals, tests that changed, the patch."""
    parts = [f"# {headline(it)}", " · ".join(f"{name} {facts.code(value)}" for name, value in facts_of(it))]
    for why in it.reasons:
        where = f" ({facts.code(why.signal)})" if why.signal else ""
        detail = f"\n  {facts.code(why.detail, 300)}" if why.detail else ""
        remedy = f"\n  {why.remedy}." if why.remedy else ""
        parts.append(f"- **{why.sentence or why.code}**{where}{detail}{remedy}")
    if it.error:
        parts.append(f"The job stopped: {facts.prose(it.error)}")
    if it.signals:
        parts.append(_table(it))
    if it.tests:
        rows = [f"| {MARKS.get(t.mark, t.mark)} | {facts.cell(t.id)} |" for t in it.tests[:MOST_TESTS]]
        left = len(it.tests) - len(rows)
        rows += [f"| … | {left} more |"] if left > 0 else []
        parts.append("\n".join(["| what happened | test |", "|---|---|", *rows]))
    if it.patch:
        parts.append(f"## Change\n\n{facts.block(it.patch, 'diff')}")
    parts += [f"> {facts.prose(text)}" for text in it.soft]
    return "\n\n".join(parts) + "\n"


def _table(it: Gathered) -> str:
    count = max(len(row.rounds) for row in it.signals)
    names = [f"round {n}" for n in range(1, count + 1)] if count > 1 else ["with the change"] * count
    lines = [f"| signal | base |{''.join(f' {name} |' for name in names)}", f"|---|---|{'---|' * count}"]
    for row in it.signals:
        cells = [status or "–" for status in (row.base, *row.rounds)]
        lines.append(f"| {facts.cell(row.name)} | {' | '.join(map(facts.cell, cells))} |")
    if len(it.rounds) > 1:
        lines.append(f"| **verdict** | – | {' | '.join(facts.cell(one.verdict) for one in it.rounds)} |")
    return "\n".join(lines)


def junit_xml(it: Gathered) -> str:
    """JUnit XML: the verdict as a case of its own, then a suite a signal with a case for every test that changed.

    Never greener than the verdict, for a rule can say no where every test passes. One case stands for a signal
    without tests; one that does not gate is skipped at worst.
    """
    root = ET.Element("testsuites", name="perstack")
    _verdict(ET.SubElement(root, "testsuite", name="verdict"), it)
    for row in it.signals:
        suite = ET.SubElement(root, "testsuite", name=_xml(row.name))
        cases = [test for test in it.tests if test.signal == row.name]
        gates = row.priority in {"must", ""}
        for test in cases:
            _case(suite, test, gates=gates)
        if not cases:
            _whole(suite, row, gates=gates)
    for suite in root:
        _count(suite, [suite])
        suite.set("time", "0")
    _count(root, [*root])
    root.set("time", f"{it.seconds:.3f}")
    ET.indent(root)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ET.tostring(root, encoding="unicode") + "\n"


def _verdict(suite: ET.Element, it: Gathered) -> None:
    case = ET.SubElement(suite, "testcase", classname="perstack", name="verdict", time=f"{it.seconds:.3f}")
    if it.verdict == "pass":
        return
    if not it.verdict:
        ET.SubElement(case, "skipped", message="no verdict")
        return
    kind = "error" if it.verdict == "error" else "failure"
    said = ET.SubElement(case, kind, message=_xml(it.verdict), type="verdict")
    said.text = _xml("\n".join(f"{why.code}: {why.detail or why.sentence}" for why in it.reasons))


def _whole(suite: ET.Element, row: SignalRow, *, gates: bool) -> None:
    """The case of a signal without tests."""
    case = ET.SubElement(suite, "testcase", classname="perstack", name=_xml(row.name), time="0")
    status = row.rounds[-1] if row.rounds else row.base
    if status in {"", "not-run"}:
        ET.SubElement(case, "skipped", message="not run")
    elif status != "pass" and not gates:
        ET.SubElement(case, "skipped", message=_xml(f"{status}; does not gate"))
    elif status != "pass":
        ET.SubElement(case, "error" if status == "error" else "failure", message=_xml(status), type="signal")


def _case(suite: ET.Element, test: TestRow, *, gates: bool) -> None:
    path, _, name = test.id.rpartition("::")
    case = ET.SubElement(suite, "testcase", classname=_xml(path) or "perstack", name=_xml(name), time="0")
    if test.mark in _FAILED and gates:
        failure = ET.SubElement(case, "failure", message=_xml(MARKS.get(test.mark, test.mark)), type=_xml(test.mark))
        failure.text = _xml(test.message)
    elif test.mark in _FAILED:
        ET.SubElement(case, "skipped", message=_xml(f"{MARKS.get(test.mark, test.mark)}; does not gate"))
    elif test.mark == "skipped":
        ET.SubElement(case, "skipped")


def _count(place: ET.Element, suites: Iterable[ET.Element]) -> None:
    cases = [case for suite in suites for case in suite]
    place.set("tests", str(len(cases)))
    for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        if place.tag == "testsuite" or attribute != "skipped":
            place.set(attribute, str(sum(case.find(tag) is not None for case in cases)))


def sarif(it: Gathered) -> str:
    """SARIF 2.1.0: findings of signals and of the policy, and tests that fail, at their places."""
    return sarif_text(tuple(_findings(it)), version=__version__)


def _findings(it: Gathered) -> Iterable[Diagnostic]:
    for signal in objects_of(it.report.get("signals")):
        for row in (*objects_of(signal.get("diagnostics")), *objects_of(object_of(signal.get("changes")).get("new"))):
            yield _diagnostic(row, text_of(row.get("code")))
        for row in objects_of(signal.get("failures")):
            if text_of(row.get("path")):
                yield _diagnostic({**row, "severity": "error"}, text_of(signal.get("name")))
    for row in objects_of(it.report.get("policy")):
        message = f"{text_of(row.get('code'))}: {text_of(row.get('detail'))}"
        yield _diagnostic({**row, "severity": "error", "message": message}, text_of(row.get("code")))


def _diagnostic(data: JsonObject, code: str) -> Diagnostic:
    line, column = data.get("line"), data.get("column")
    return Diagnostic(
        text_of(data.get("path")),
        line if isinstance(line, int) else 0,
        text_of(data.get("severity")) or "error",
        text_of(data.get("message")) or code,
        column if isinstance(column, int) else 0,
        code,
    )


def badge_svg(it: Gathered) -> str:
    """A status badge: `perstack` and the verdict, or how a job without one ended."""
    word = it.verdict or end_of(it)
    name_width, word_width = 64, 16 + 7 * len(word)
    whole = str(name_width + word_width)
    root = ET.Element("svg", xmlns="http://www.w3.org/2000/svg", width=whole, height="20", role="img")
    root.set("aria-label", f"perstack: {_xml(word)}")
    ET.SubElement(root, "title").text = f"perstack: {_xml(word)}"
    corners = ET.SubElement(root, "clipPath", id=f"corners-{whole}")
    ET.SubElement(corners, "rect", width=whole, height="20", rx="4")
    group = ET.SubElement(root, "g", {"clip-path": f"url(#corners-{whole})"})
    colour = _COLOURS.get(tone_of(it), _DOUBT)
    for left, width, fill in ((0, name_width, "#3a424d"), (name_width, word_width, colour)):
        ET.SubElement(group, "rect", x=str(left), width=str(width), height="20", fill=fill)
    style = {
        "fill": "#fff", "font-family": "Verdana,DejaVu Sans,sans-serif", "font-size": "11", "text-anchor": "middle",
    }  # fmt: skip
    for centre, text in ((name_width / 2, "perstack"), (name_width + word_width / 2, word)):
        ET.SubElement(group, "text", {**style, "x": f"{centre:g}", "y": "14"}).text = _xml(text)
    return ET.tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return _NO_XML.sub("\ufffd", text)

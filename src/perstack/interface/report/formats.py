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
from perstack.interface.report.gathered import Gathered, TestRow
from perstack.interface.report.page import MARKS, facts_of, headline

MOST_TESTS = 50
_FAILED = frozenset({"red", "broken", "vanished", "flaky"})
_COLOURS = {"pass": "#2f8f57", "fail": "#c33b45", "error": "#c33b45"}
_DOUBT = "#a97a14"
_NO_XML = re.compile("[^\t\n -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def markdown_page(it: Gathered) -> str:
    """The report as Markdown: the verdict, why, signals, tests that changed, the patch."""
    parts = [f"# {headline(it)}", " · ".join(f"{name} {facts.code(value)}" for name, value in facts_of(it))]
    for why in it.reasons:
        where = f" ({facts.code(why.signal)})" if why.signal else ""
        detail = f"\n  {facts.code(why.detail, 300)}" if why.detail else ""
        remedy = f"\n  {why.remedy}." if why.remedy else ""
        parts.append(f"- **{why.sentence or why.code}**{where}{detail}{remedy}")
    if it.signals:
        parts.append(_table(it))
    if it.tests:
        rows = [f"| {MARKS.get(t.mark, t.mark)} | {facts.code(t.id)} |" for t in it.tests[:MOST_TESTS]]
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
        lines.append(f"| {facts.code(row.name)} | {' | '.join(map(facts.cell, cells))} |")
    return "\n".join(lines)


def junit_xml(it: Gathered) -> str:
    """JUnit XML: a suite a signal, a case for every test that changed; one case stands for a signal without tests."""
    root = ET.Element("testsuites", name="perstack")
    for row in it.signals:
        suite = ET.SubElement(root, "testsuite", name=_xml(row.name))
        cases = [test for test in it.tests if test.signal == row.name]
        status = row.rounds[-1] if row.rounds else row.base
        for test in cases:
            _case(suite, test)
        if not cases:
            case = ET.SubElement(suite, "testcase", classname="perstack", name=_xml(row.name))
            if status not in {"pass", ""}:
                ET.SubElement(case, "failure", message=_xml(status))
            elif not status:
                ET.SubElement(case, "skipped", message="not run")
        suite.set("tests", str(max(1, len(cases))))
        suite.set("failures", str(len(suite.findall("testcase/failure"))))
        suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    ET.indent(root)
    return "<?xml version='1.0' encoding='utf-8'?>\n" + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, test: TestRow) -> None:
    path, _, name = test.id.rpartition("::")
    case = ET.SubElement(suite, "testcase", classname=_xml(path), name=_xml(name))
    if test.mark in _FAILED:
        failure = ET.SubElement(case, "failure", message=_xml(MARKS.get(test.mark, test.mark)))
        failure.text = _xml(test.message)
    elif test.mark == "skipped":
        ET.SubElement(case, "skipped")


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
    """A status badge: `perstack` and the verdict."""
    word = it.verdict or it.outcome or "no verdict"
    name_width, word_width = 62, 14 + 7 * len(word)
    whole = name_width + word_width
    colour = _COLOURS.get(word, _DOUBT)
    root = ET.Element(
        "svg", xmlns="http://www.w3.org/2000/svg", width=str(whole), height="20", role="img"
    )  # fmt: skip
    root.set("aria-label", f"perstack: {word}")
    for left, width, fill in ((0, name_width, "#3a424d"), (name_width, word_width, colour)):
        ET.SubElement(root, "rect", x=str(left), width=str(width), height="20", fill=fill)
    style = {
        "fill": "#fff",
        "font-family": "Verdana,DejaVu Sans,sans-serif",
        "font-size": "11",
        "text-anchor": "middle",
    }
    for centre, text in ((name_width / 2, "perstack"), (name_width + word_width / 2, word)):
        label = ET.SubElement(root, "text", {**style, "x": f"{centre:g}", "y": "14"})
        label.text = _xml(text)
    return ET.tostring(root, encoding="unicode") + "\n"


def _xml(text: str) -> str:
    """Text without the characters that XML cannot hold."""
    return _NO_XML.sub("\ufffd", text)

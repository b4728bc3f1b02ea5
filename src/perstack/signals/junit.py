"""Reading JUnit XML: every `testcase` wherever it stands, merged by identity to the worst outcome.

Streaming, without entities, within limits. Counters and suite names are ignored: producers get them wrong. The
outcome of one case is junitparser's; the walk is ours, because junitparser loses cases outside a suite.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias, cast
from xml.etree import ElementTree as ET

from junitparser import Error, Failure, Skipped
from junitparser.xunit2 import TestCase as Element

from perstack.core.signals import TestCase, TestStatus

_Parser: TypeAlias = "ET.XMLPullParser[ET.Element]"
SIZE_LIMIT = 300_000_000
CASE_LIMIT = 1_000_000
_MESSAGE_LIMIT = 2000
_CHUNK = 1 << 18
# Allowed in XML 1.0: tab, line feed, carriage return; the other control characters make a document unreadable.
_CONTROL = bytes(code for code in range(32) if code not in b"\t\n\r")
# A case with nothing but these has passed; most cases are such, and the library is slow.
_WORDLESS = frozenset({"system-out", "system-err", "properties"})
_WORDS = frozenset({"status", "result"})
_NUMBER = re.compile(r"[0-9.]+")


class ReportInvalid(Exception):
    """A report that cannot be taken as evidence; the message says why."""


def read_junit(path: Path) -> dict[str, TestCase]:
    """All cases of a report by identity `file::classname::name`, parts that are missing left out.

    Raises: ReportInvalid for anything but one well-formed document within the limits.
    """
    cases: dict[str, TestCase] = {}
    for case in iterate_junit(path):
        known = cases.get(case.id)
        if known is None or case.status.badness > known.status.badness:
            cases[case.id] = case
    return cases


def iterate_junit(path: Path) -> Iterator[TestCase]:
    """Every case in document order, duplicates included.

    Raises: ReportInvalid, as `read_junit`.
    """
    if path.is_symlink() or not path.is_file():
        raise ReportInvalid(f"{path.name} is not a regular file")
    if (size := path.stat().st_size) > SIZE_LIMIT:
        raise ReportInvalid(f"{path.name} has {size} bytes, the limit is {SIZE_LIMIT}")
    parser: _Parser = ET.XMLPullParser(("start", "end"))
    count = 0
    try:
        for element in _ended_cases(path, parser):
            count += 1
            if count > CASE_LIMIT:
                raise ReportInvalid(f"{path.name} has more than {CASE_LIMIT} test cases")
            yield _case(element)
    except ET.ParseError as error:
        raise ReportInvalid(f"{path.name} is not XML: {error}") from error


def _ended_cases(path: Path, parser: _Parser) -> Iterator[ET.Element]:
    """Feed the file in chunks; memory stays flat because finished elements are cleared."""
    stack: list[ET.Element] = []
    tail = b""
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            # what is left out here could otherwise hide a keyword from the check below
            clean = chunk.translate(None, _CONTROL)
            # a document type is the door to entities; the keyword may lie across two chunks
            if b"<!DOCTYPE" in tail + clean or b"<!ENTITY" in tail + clean:
                raise ReportInvalid(f"{path.name} declares a document type")
            tail = (tail + clean)[-16:]
            parser.feed(clean)
            yield from _drain(parser, stack)
    parser.close()
    yield from _drain(parser, stack)


def _drain(parser: _Parser, stack: list[ET.Element]) -> Iterator[ET.Element]:
    for event, element in cast("Iterator[tuple[str, ET.Element]]", parser.read_events()):
        if event == "start":
            if not stack and element.tag not in {"testsuites", "testsuite"}:
                raise ReportInvalid(f"the root element is <{str(element.tag)[:40]}>, not <testsuites> or <testsuite>")
            stack.append(element)
            continue
        stack.pop()
        if element.tag == "testcase":
            yield element
        inside_case = any(parent.tag == "testcase" for parent in stack)
        if not inside_case:
            element.clear()
            if stack:
                stack[-1].remove(element)


def _case(element: ET.Element) -> TestCase:
    parts = (element.get("file", ""), element.get("classname", ""), element.get("name", ""))
    identity = "::".join(part for part in parts if part)
    status, message = _outcome(element)
    line = element.get("line", "")
    return TestCase(
        id=identity,
        status=status,
        seconds=_seconds(element.get("time", "")),
        message=message[:_MESSAGE_LIMIT],
        path=parts[0],
        line=int(line) if line.isdecimal() else 0,
    )


def _outcome(element: ET.Element) -> tuple[TestStatus, str]:
    """The worst of what a case says about itself. A retried or flaky case did not simply pass."""
    if all(child.tag in _WORDLESS for child in element) and _WORDS.isdisjoint(element.keys()):
        return TestStatus.PASSED, ""
    case = Element.fromelem(element)  # type: ignore[no-untyped-call]
    found: list[tuple[TestStatus, str]] = []
    for result in case.result:
        text = str(result.message or "") or str(result.text or "").strip()
        if isinstance(result, Error):
            found.append((TestStatus.ERROR, text))
        elif isinstance(result, Failure):
            found.append((TestStatus.FAILED, text))
        elif isinstance(result, Skipped):
            expected = "xfail" in str(result.type or "").lower()
            found.append((TestStatus.XFAILED if expected else TestStatus.SKIPPED, text))
    if case.interim_result:
        found.append((TestStatus.FAILED, "passed only after a retry"))
    word = element.get("status", "").lower() or element.get("result", "").lower()
    if word in {"disabled", "notrun", "skipped", "suppressed"}:
        found.append((TestStatus.SKIPPED, word))
    elif word in {"fail", "failed", "failure"}:
        found.append((TestStatus.FAILED, word))
    elif word == "error":
        found.append((TestStatus.ERROR, word))
    return max(found, key=lambda entry: entry[0].badness, default=(TestStatus.PASSED, ""))


def _seconds(text: str) -> float:
    """A duration that may be empty, localised or nonsense: it is for people only."""
    match = _NUMBER.fullmatch(text.replace(",", ""))
    try:
        return float(match.group()) if match else 0.0
    except ValueError:
        return 0.0

"""From the events of an XML parser to test cases: what one case of JUnit XML says about itself. Reads no files.

Anything that is not clearly passed is not passed. Names and messages are untrusted text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from xml.parsers import expat

from perstack.core.signals import TestCase, TestStatus

_DEPTH_LIMIT = 64
_NAME_LIMIT = 20_000
_MESSAGE_LIMIT = 2000
_ROOTS = frozenset({"testsuites", "testsuite"})
_RED = frozenset({TestStatus.FAILED, TestStatus.ERROR})
_OUTCOMES = {"failure": TestStatus.FAILED, "error": TestStatus.ERROR, "skipped": TestStatus.SKIPPED}
_SILENT = frozenset({"system-out", "system-err", "properties", "property"})
# What a retry leaves behind. A flaky case passed in the end, for its tool; it did not simply pass.
_RETRIES = {
    "rerunfailure": TestStatus.FAILED, "rerunerror": TestStatus.FAILED,
    "flakyfailure": TestStatus.SKIPPED, "flakyerror": TestStatus.SKIPPED,
}  # fmt: skip
_GREEN_WORDS = frozenset({"run", "passed", "pass", "success", "successful", "ok", "completed", "complete", "true"})
_RED_WORDS = {
    "fail": TestStatus.FAILED, "failed": TestStatus.FAILED, "failure": TestStatus.FAILED, "error": TestStatus.ERROR,
    "errored": TestStatus.ERROR, "broken": TestStatus.ERROR, "crashed": TestStatus.ERROR,
}  # fmt: skip
_LONGEST = 1e9
_PLAIN_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")
_GROUPS = re.compile("[\\s'_\u2019]")


class ReportInvalid(Exception):
    """A report that cannot be taken as evidence; the message says why."""


@dataclass(slots=True)
class _Open:
    """A case whose end has not been read. `said` are statuses with the text of each."""

    attributes: dict[str, str]
    said: list[tuple[TestStatus, list[str]]] = field(default_factory=list)
    todo: bool = False
    listening: int = 0
    length: int = 0


class Cases:
    """Takes the events of one document; `ended` are cases that are complete and not yet taken."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.ended: list[TestCase] = []
        self._parser = expat.ParserCreate("utf-8")
        self._tags: list[str] = []
        self._open: list[_Open] = []
        self._suites: list[str] = []
        self._red = 0
        self._counted_red = 0
        self._counting_suite = ""

    def parser(self) -> expat.XMLParserType:
        """A parser that reports to this object; whatever the document says, its bytes are UTF-8."""
        parser = self._parser
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._refuse_document_type
        parser.EntityDeclHandler = self._refuse_document_type
        return parser

    def taken(self) -> list[TestCase]:
        """The cases that ended since the last time."""
        ended, self.ended = self.ended, []
        return ended

    def cross_check(self) -> None:
        """Raises: ReportInvalid where counters speak of failures and no case failed: cases are missing."""
        if self._counted_red and not self._red:
            suite = f" of `{self._counting_suite[:80]}`" if self._counting_suite else ""
            raise ReportInvalid(f"{self._name}: the counters{suite} say {self._counted_red} failed, no case did")

    def _refuse_document_type(self, *_: object) -> None:
        # the door to entities, and to other files
        raise ReportInvalid(f"{self._name} declares a document type")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if ":" in tag:
            tag = tag.rpartition(":")[2]
        if not self._tags and tag not in _ROOTS:
            raise ReportInvalid(f"the root element is <{tag[:40]}>, not <testsuites> or <testsuite>")
        self._tags.append(tag)
        if len(self._tags) > _DEPTH_LIMIT:
            raise ReportInvalid(f"{self._name} has elements more than {_DEPTH_LIMIT} deep")
        if tag == "testcase":
            self._open.append(_Open(attributes))
        elif tag in _ROOTS:
            self._suite(attributes)
        elif tag not in _SILENT:
            self._say(tag.lower(), attributes)

    def _suite(self, attributes: dict[str, str]) -> None:
        self._suites.append(attributes.get("name", ""))
        red = _count(attributes.get("failures", "")) + _count(attributes.get("errors", ""))
        if red > self._counted_red:
            self._counted_red, self._counting_suite = red, self._suites[-1]

    def _say(self, tag: str, attributes: dict[str, str]) -> None:
        """An element that is neither suite nor case."""
        if tag not in _OUTCOMES and tag not in _RETRIES:
            return
        if not self._open:
            self._open.append(_Open({"name": self._suites[-1], "classname": "suite"}))
        case, message = self._open[-1], attributes.get("message", "")[:_MESSAGE_LIMIT]
        if tag in _RETRIES:
            case.said.append((_RETRIES[tag], ["passed only after a retry"]))
            return
        status, kind = _OUTCOMES[tag], attributes.get("type", "").lower()
        if status is TestStatus.SKIPPED:
            case.todo = case.todo or kind == "todo"
            status = TestStatus.XFAILED if "xfail" in kind else status
        case.said.append((status, [message] if message else []))
        if not message:
            case.listening, case.length = len(self._tags), 0
            self._parser.CharacterDataHandler = self._text  # most of a report is text that nobody needs

    def _text(self, text: str) -> None:
        case = self._open[-1]
        if case.listening and case.length < _MESSAGE_LIMIT:
            case.said[-1][1].append(text[:_MESSAGE_LIMIT])
            case.length += len(text)

    def _end(self, _tag: str) -> None:
        tag = self._tags.pop()
        if tag in _ROOTS:
            self._suites.pop()
        elif tag == "testcase":
            self._finish(self._open.pop())
        elif self._open:
            case = self._open[-1]
            if len(self._tags) < case.listening:
                case.listening, self._parser.CharacterDataHandler = 0, None
            if "testcase" not in self._tags and self._tags[-1] in _ROOTS:
                self._finish(self._open.pop())  # a suite that speaks for itself

    def _finish(self, case: _Open) -> None:
        get = case.attributes.get
        file = get("file", "")
        identity = "::".join(filter(None, (file, get("classname", ""), get("name", ""))))
        if len(identity) > _NAME_LIMIT:
            raise ReportInvalid(f"{self._name} has a test whose name is longer than {_NAME_LIMIT} characters")
        status, message = _outcome(case)
        if not identity and status.badness < TestStatus.ERROR.badness:
            status, message = TestStatus.ERROR, message or "a test case without a name"
        self._red += status in _RED or case.todo
        line = get("line", "")
        self.ended.append(
            TestCase(
                id=identity,
                status=status,
                seconds=seconds(get("time", "")),
                message=message.strip()[:_MESSAGE_LIMIT],
                path=file,
                line=int(line) if line.isdecimal() and len(line) < 10 else 0,
            )
        )


def _outcome(case: _Open) -> tuple[TestStatus, str]:
    """The worst of what a case says about itself."""
    if not case.said and "status" not in case.attributes and "result" not in case.attributes:
        return TestStatus.PASSED, ""
    found = [(status, "".join(text)) for status, text in case.said]
    found += [entry for name in ("status", "result") if (entry := _word(case.attributes.get(name, "").lower()))]
    worst = max(found, key=lambda entry: entry[0].badness, default=(TestStatus.PASSED, ""))
    # whatever a test that is still to be done says, its tool takes it for no failure, and nobody takes it for passed
    return (TestStatus.XFAILED, worst[1]) if case.todo else worst


def _word(word: str) -> tuple[TestStatus, str] | None:
    if not word or word in _GREEN_WORDS:
        return None
    return _RED_WORDS.get(word, TestStatus.SKIPPED), word[:40]


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0


def seconds(text: str) -> float:
    """A duration that may be empty, localised or nonsense: it is for people only. Never negative, never infinite."""
    if _PLAIN_NUMBER.fullmatch(text):
        return min(float(text), _LONGEST)
    bare = _GROUPS.sub("", text)
    comma, point = bare.rfind(","), bare.rfind(".")
    if comma > point and bare.count(",") == 1:
        bare = bare.replace(".", "").replace(",", ".")
    bare = bare.replace(",", "")
    return min(float(bare), _LONGEST) if _PLAIN_NUMBER.fullmatch(bare) else 0.0

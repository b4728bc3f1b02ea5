"""Reading JUnit XML: every `testcase` wherever it stands, merged by identity to the worst outcome.

Streaming, without a tree and without entities, within limits. Counters and suite names are never taken for results:
producers get them wrong. Only where they speak of failures that no case shows is the report refused.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.parsers import expat

from perstack.core.signals import TestCase
from perstack.infrastructure import foreign
from perstack.signals.junit_case import Cases, ReportInvalid

__all__ = ["ReportInvalid", "iterate_junit", "merge_worst", "read_junit"]

SIZE_LIMIT = 300_000_000
CASE_LIMIT = 1_000_000
_CHUNK = 1 << 18
_TOKEN_LIMIT = 4_000_000  # one tag or name; without it a report could be one word of hundreds of megabytes
# Allowed in XML 1.0: tab, line feed, carriage return; the other control characters make a document unreadable.
_CONTROL = bytes(code for code in range(32) if code not in b"\t\n\r")
_REFERENCE = re.compile(rb"&#(x0*[0-9a-fA-F]{1,2}|0*[0-9]{1,2});")
_REFERENCE_LIMIT = 16
_DECLARED = re.compile(rb"^\s*<\?xml[^>]*?\bencoding\s*=\s*[\"']([A-Za-z0-9._-]{1,40})[\"']")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# Every byte below 128 means the same in these; others could hide markup from a reader.
_ENCODINGS = frozenset({"utf-8", "ascii", "iso8859-1", "iso8859-15", "cp1252"})


def read_junit(path: Path) -> dict[str, TestCase]:
    """All cases of a report by identity `file::classname::name`, parts that are missing left out.

    Raises: ReportInvalid for anything but one well-formed document within the limits.
    """
    return merge_worst(iterate_junit(path))


def merge_worst(cases: Iterable[TestCase]) -> dict[str, TestCase]:
    """Cases by identity; of several with one identity the worst."""
    merged: dict[str, TestCase] = {}
    for case in cases:
        known = merged.get(case.id)
        if known is None or case.status.badness > known.status.badness:
            merged[case.id] = case
    return merged


def iterate_junit(path: Path) -> Iterator[TestCase]:
    """Every case in the order in which they end, duplicates included.

    Raises: ReportInvalid, as `read_junit`; possibly after some cases.
    """
    try:
        file = foreign.opened(path)
    except OSError as error:
        raise ReportInvalid(f"{path.name} is not a regular file") from error
    with file:
        if (size := os.fstat(file.fileno()).st_size) > SIZE_LIMIT:
            raise ReportInvalid(f"{path.name} has {size} bytes, the limit is {SIZE_LIMIT}")
        yield from _iterated(path, file)


def _iterated(path: Path, file: io.BufferedReader) -> Iterator[TestCase]:
    cases = Cases(path.name)
    parser = cases.parser()
    count = fed = 0
    try:
        for chunk in _readable(path.name, file):
            parser.Parse(chunk, False)
            fed += len(chunk)
            # the document may be behind where it ends in the middle of a token
            if fed - max(parser.CurrentByteIndex, 0) > _TOKEN_LIMIT:
                raise ReportInvalid(f"{path.name} has a tag or text of more than {_TOKEN_LIMIT} bytes")
            count += len(cases.ended)
            if count > CASE_LIMIT:
                raise ReportInvalid(f"{path.name} has more than {CASE_LIMIT} test cases")
            yield from cases.taken()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ReportInvalid(f"{path.name} is not XML: {error}") from error
    except UnicodeError as error:
        raise ReportInvalid(f"{path.name} is not in the encoding that it says: {error}") from error
    yield from cases.taken()
    cases.cross_check()


def _readable(name: str, file: io.BufferedReader) -> Iterator[bytes]:
    """The document as UTF-8, in chunks, without characters that XML forbids, however they are written."""
    rest = b""
    encoding = _encoding(file.read(400), name)
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    for raw in iter(lambda: file.read(_CHUNK), b""):
        # an expat parser checks UTF-8 itself
        data = raw if encoding == "utf-8" else decoder.decode(raw).encode()
        text = rest + data.translate(None, _CONTROL)
        cut = text.rfind(b"&", max(0, len(text) - _REFERENCE_LIMIT))
        text, rest = (text[:cut], text[cut:]) if cut >= 0 else (text, b"")
        yield _REFERENCE.sub(_allowed, text) if b"&#" in text else text
    if encoding != "utf-8":
        decoder.decode(b"", True)
    yield _REFERENCE.sub(_allowed, rest)


def _allowed(match: re.Match[bytes]) -> bytes:
    word = match.group(1)
    code = int(word[1:], 16) if word[:1] == b"x" else int(word)
    return b"" if code < 128 and code in _CONTROL else match.group()


def _encoding(head: bytes, name: str) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    declared = _DECLARED.match(head)
    word = declared.group(1).decode() if declared else "utf-8"
    try:
        found = codecs.lookup(word).name
    except LookupError:
        found = ""
    if found not in _ENCODINGS:
        raise ReportInvalid(f"{name} is in the encoding {word}, which is not read; write UTF-8")
    return "utf-8" if found == "ascii" else found

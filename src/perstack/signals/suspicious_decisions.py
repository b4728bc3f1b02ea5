"""Conditions of other languages than Python that hang on where, when, how often or by whom the code is run.

Pure. A fix has one behaviour wherever and however often it runs: the answer to such a question may be shown, stored or
passed on, but a condition on it is what separates the judged run from the real one. Names and short functions that
hold an answer are followed inside one file; see `suspicious_code.py` for what is read, and how coarsely.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from perstack.signals.suspicious_circumstances import EXISTENCE, SOURCES, TEST_PLACE, Needs, Source
from perstack.signals.suspicious_code import Code

_NUMBER: Final = re.compile(r"(?<![\w.$])(?:\d[\d_]*\.?[\d_]*(?:[eE][+-]?\d+)?|\.\d+)")
_COMPARED: Final = re.compile(
    r"(?:[=!]==?|[<>]=?)\s*(?:[\"'`][^\"'`\s]|[\"'`]\s+[^\"'`]|0*[1-9])|(?:[\"'`]|\b[1-9]\d*)\s*(?:[=!]==?|[<>]=?)"
    r"|\b(?:startsWith|endsWith|includes|indexOf|match|matches|contains|contentEquals|equals|equalsIgnoreCase|starts_with|ends_with"
    r"|HasPrefix|HasSuffix|Contains|EqualFold|strstr|strcmp|strncmp|strcasecmp|memcmp|test|search|find)\b\s*\("
)
_STRING: Final = re.compile(r"\"((?:[^\"\\\n]|\\.)*)\"|'((?:[^'\\\n]|\\.)*)'|`([^`]*)`")
_DATE_TEXT: Final = re.compile(r"^(?:19|20)\d\d(?:\D|\d\d|$)")
_DATE_MADE: Final = re.compile(
    r"(?:\bDate|\bUTC|\bparse|\bof|\bmktime|\bNew|\bwith_ymd_and_hms|\bfrom_ymd\w*|\bGregorianCalendar)\s*\(\s*[\"'`]?(?:19|20|1)\d\d\b"
)
_YEAR: Final = re.compile(
    r"(?:getFullYear|getUTCFullYear|Year|getYear|year|tm_year|getValue|YEAR\)?)\b\s*(?:\(\s*\))?\)?\s*(?:===?|!==?|[<>]=?)\s*(?:20\d\d|1[2-9]\d)\b"
)
_SPAN: Final = re.compile(
    r"\btime\.(?:Nanosecond|Microsecond|Millisecond|Second|Minute|Hour)\b|\bDuration\b|\bof(?:Millis|Seconds|Minutes|Hours|Days)\b"
)
_JOINT: Final = re.compile(r"&&|\|\||\band\b|\bor\b|;")
_GROWS: Final = re.compile(
    r"\b(?P<a>[A-Za-z_]\w*)\s*(?:\+\+|\+=)|\+\+\s*(?P<b>[A-Za-z_]\w*)\b(?!\s*[.(\[])|\b(?P<c>[A-Za-z_]\w*)\s*=\s*(?P=c)\s*\+\s*1\b"
    r"|\b(?P<d>[A-Za-z_]\w*)\.(?:fetch_add|incrementAndGet|getAndIncrement|addAndGet|getAndAdd|Add|increment)\(|\bAdd(?:Uint|Int)\d+\(\s*&(?P<e>[A-Za-z_]\w*)"
)  # fmt: skip
_DECLARED: Final = re.compile(
    r"(?:\b(?:let|var|static(?:[ \t]+mut)?|int|long|size_t|unsigned)\b|\bAtomic\w+|\batomic\S*)[ \t]+"
    r"(?:[\w<>:.]+[ \t]+){0,3}?(?P<name>[A-Za-z_]\w*)(?=[ \t]*(?:[=:;\n]|u?int\d*\b|atomic))"
)
_NOW: Final = re.compile(r"[nN]ow\b|new Date|currentTimeMillis")
_CARRY: Final = frozenset({"frames"})  # asked by a call that gives its answer to an argument
_ALONE: Final = frozenset({"processors"})  # what is counted is mostly wanted as a number, and then bounded


@dataclass(frozen=True, slots=True)
class Decision:
    """One condition; `lines` are those (1-based) of the condition and of what it goes back to."""

    family: str
    key: str
    line: int
    lines: frozenset[int]
    detail: str


def scan_decisions(source: str, suffix: str) -> tuple[Decision, ...]:
    """Every such condition of a file; none in languages that are not known."""
    if suffix not in SOURCES:
        return ()
    code = Code(source, suffix)
    scanner = _Scanner(code)
    found = [
        decision
        for one in SOURCES[suffix]
        if not (one.unless and one.unless.search(code.text))
        for decision in scanner.asked(one)
    ]
    found += [*scanner.counted(), *scanner.looked_for()]
    return tuple({(d.family, d.key, d.line): d for d in found}.values())


class _Scanner:
    """One file."""

    def __init__(self, code: Code) -> None:
        self.code = code

    def asked(self, source: Source) -> Iterator[Decision]:
        """Conditions on a source, on a name that holds its answer, or on a short function that gives it."""
        places = [m.start() for m in source.pattern.finditer(self.code.text) if self._is_code(m.start())]
        if not places:
            return
        for place in places:
            yield from self._judge(source, place, place, direct=True)
        for name, origin, scope in self._held(places) if source.family not in _ALONE else ():
            for match in re.finditer(rf"(?<![\w.$]){re.escape(name)}\b(?!\s*:?=(?!=))", self.code.bare):
                if scope in {"", self.code.around(match.start())} and match.start() != origin:
                    yield from self._judge(source, match.start(), origin, direct=False)
        for name, origin in self._given(source, places):
            for match in re.finditer(rf"\b{re.escape(name)}\s*\(", self.code.bare):
                yield from self._judge(source, match.start(), origin, direct=False)

    @cached_property
    def moments(self) -> frozenset[str]:
        """Names of fixed points in time."""
        text = self.code.text
        return frozenset(
            name for names, start, end in self.code.bindings for name in names if _is_moment(text[start:end])
        )

    @cached_property
    def loaded(self) -> frozenset[str]:
        """Names of the moment at which the code was loaded."""
        return frozenset(
            name
            for names, start, end in self.code.bindings
            if _NOW.search(self.code.text[start:end]) and self._is_loaded(start)
            for name in names
        )

    def _is_code(self, place: int) -> bool:
        return self.code.bare[place] == self.code.text[place] and not self.code.bare[place].isspace()

    def _held(self, places: list[int]) -> Iterator[tuple[str, int, str]]:
        """Names that hold an answer: the name, where it got it, and the function it is known in (empty: everywhere)."""
        for names, start, end in self.code.bindings:
            origin = next((place for place in places if start <= place < end), None)
            if origin is not None or any(
                start - 200 < place < start for place in places if self._destructured(place, start)
            ):
                for name in names:
                    yield name, start if origin is None else origin, self.code.around(start)

    def _destructured(self, place: int, start: int) -> bool:
        """Whether a place is among the names that a value is taken apart into."""
        return (
            "{" in self.code.bare[max(0, place - 80) : place]
            and "}" in self.code.bare[place:start]
            and ";" not in self.code.bare[place:start]
        )

    def _given(self, source: Source, places: list[int]) -> Iterator[tuple[str, int]]:
        """Short functions that give an answer back."""
        for name, start, end in self.code.functions:
            for place in (one for one in places if start <= one < end):
                statement = self.code.bare[
                    max(start, *(self.code.bare.rfind(sign, start, place) for sign in ";{}\n")) : place
                ]
                last = not self.code.bare[place:end].strip(" \n)]}").count(";")
                if source.family in _CARRY or "return" in statement or last:
                    yield name, place

    def _judge(self, source: Source, place: int, origin: int, *, direct: bool) -> Iterator[Decision]:
        span = self.code.decision(place)
        if span is None or (source.family == "caller" and self.code.depth(place) == 0):
            return
        part = self._conjunct(span, place)
        if self._fits(source, part, origin, direct=direct):
            yield self._decision(source.family, source.detail, place, origin)

    def _decision(self, family: str, detail: str, place: int, origin: int) -> Decision:
        line = self.code.line(place)
        said = self.code.text[place : place + 60].split("\n")[0].strip()
        return Decision(family, said, line, frozenset({line, self.code.line(origin)}), f"{detail}: {said}")

    def _conjunct(self, span: tuple[int, int], place: int) -> str:
        start, end = span
        for match in _JOINT.finditer(self.code.bare, *span):
            if match.end() <= place:
                start = match.end()
            elif match.start() > place:
                end = match.start()
                break
        return self.code.text[start:end]

    def _fits(self, source: Source, part: str, origin: int, *, direct: bool) -> bool:
        if source.needs is Needs.NOTHING:
            return True
        if source.needs is Needs.LITERAL:
            return _is_compared(part)
        if source.needs is Needs.MOMENT:
            words = set(re.findall(r"[A-Za-z_$][\w$]*", part))
            return _is_moment(part) or bool(words & self.moments) or self._is_age(part)
        if source.needs is Needs.DIGIT:
            line = self.code.text[self.code.text.rfind("\n", 0, origin) + 1 :].split("\n")[0]
            return re.search(r"[^%]%[^%]|\s&\s", part if direct else f"{part} {line}") is not None
        compared = re.search(r"[<>=!%]", part) is not None or direct
        return compared and any(value >= 2 or value % 1 for value in _numbers(part))

    def _is_age(self, part: str) -> bool:
        """The time since the program was loaded, compared with a span that is written down."""
        used = self.loaded & set(re.findall(r"[A-Za-z_$][\w$]*", part))
        fixed = bool(_SPAN.search(part)) or any(value >= 2 for value in _numbers(part))
        return bool(used) and fixed and re.search(r"-|Since\(|between\(|[Uu]ntil\(", part) is not None

    def counted(self) -> Iterator[Decision]:
        """Counts that outlive a call and are compared with a number."""
        grown = [
            (next(part for part in match.groups() if part), match.start()) for match in _GROWS.finditer(self.code.bare)
        ]
        for name, place in grown:
            around = self.code.around(place) if name in self.lasting else ""
            if not around or self._shrinks(name, around):
                continue
            words = [name, *(function for function, start, end in self.code.functions if start <= place < end)]
            for use in re.finditer(rf"\b(?:{'|'.join(map(re.escape, words))})\b", self.code.bare):
                span = self.code.decision(use.start())
                if span and any(value >= 2 for value in _numbers(self._conjunct(span, use.start()))):
                    yield self._decision("counter", "decides by how often it was called", use.start(), place)

    @cached_property
    def lasting(self) -> frozenset[str]:
        """Names of numbers that outlive a call: declared outside of functions, or as static."""
        found = set()
        for match in _DECLARED.finditer(self.code.bare):
            if "static" in match[0] or self._is_static(match.start()) or self.code.depth(match.start()) == 0:
                found.add(match["name"])
        return frozenset(found)

    def _is_loaded(self, place: int) -> bool:
        """Whether a binding is made once, when the code is loaded."""
        return self.code.depth(place) == 0 or (self.code.around(place) == "" and self._is_static(place))

    def _is_static(self, place: int) -> bool:
        return "static" in self.code.bare[self.code.bare.rfind("\n", 0, place) + 1 : place]

    def _shrinks(self, name: str, around: str) -> bool:
        """Whether the function that counts up counts down as well."""
        down = re.compile(
            rf"\b{re.escape(name)}\s*(?:--|-=)|--\s*{re.escape(name)}\b|\b{re.escape(name)}\.(?:fetch_sub|decrementAndGet)|&{re.escape(name)}\s*,\s*-1"
        )
        return any(self.code.around(m.start()) == around for m in down.finditer(self.code.bare))

    def looked_for(self) -> Iterator[Decision]:
        """Whether a file is there: one of the tests, or one that is named nowhere else."""
        for match in EXISTENCE.finditer(self.code.text):
            texts = ["".join(part for part in groups if part) for groups in _STRING.findall(match["names"])]
            paths = [text for text in ("/".join(texts), "".join(texts), *texts) if text]
            alone = any(t.startswith("/") and len(t) > 1 and self.code.text.count(t) == 1 for t in texts)
            if not self._is_code(match.start()) or not (alone or any(map(TEST_PLACE.search, paths))):
                continue
            held = [name for name, _, _ in self._held([match.start()])]
            uses = [m.start() for name in held for m in re.finditer(rf"\b{re.escape(name)}\b", self.code.bare)]
            for place in (match.start(), *uses):
                if self.code.decision(place):
                    yield self._decision("existence", "decides by which files are there", place, match.start())


def _is_compared(part: str) -> bool:
    """Whether a condition compares something with a text or number that is written down, and means its value."""
    texts = [text for groups in _STRING.findall(part) for text in groups if text]
    pattern = re.search(r"/[^/\n]+/[a-z]*\.test\(", part)
    predicate = any(len(text) > 1 for text in texts) or pattern is not None
    written = (
        predicate
        or (bool(texts) and re.search(r"[=!]==?", part) is not None)
        or any(value >= 1 for value in _numbers(part))
        or pattern is not None
    )
    return written and _COMPARED.search(part) is not None and "typeof" not in part


def _numbers(text: str) -> list[float]:
    """Numbers that are written down in a text, without those in its strings and in remainders by them."""
    plain = re.sub(r"%\s*\d+\s*(?:===?|!==?)\s*\d+", "", _STRING.sub("", text))
    return [float(number.replace("_", "")) for number in _NUMBER.findall(plain) if number.strip("_.")]


def _is_moment(text: str) -> bool:
    """Whether a text names a fixed point in time."""
    strings = ["".join(groups) for groups in _STRING.findall(text)]
    return (
        any(1e8 <= value < 1e20 for value in _numbers(text))
        or any(map(_DATE_TEXT.match, strings))
        or _DATE_MADE.search(text) is not None
        or _YEAR.search(text) is not None
    )

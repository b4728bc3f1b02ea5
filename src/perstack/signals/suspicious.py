"""Constructs that have no business in a fix: leaving the process, watching the runner, knowing the tests.

Pure. Only what the candidate adds counts: the same construct in the base file, or in the base project where that is
the honest explanation, is not news. Certain findings block (by configuration), doubtful ones are shown.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from perstack.core.verdict import PolicyFinding, ReasonCode
from perstack.signals.cargo.split import product_of
from perstack.signals.suspicious_answers import Row, answered, known_rows
from perstack.signals.suspicious_cases import Case, known_cases, special_cases, special_data
from perstack.signals.suspicious_circumstances import SOURCES
from perstack.signals.suspicious_decisions import scan_decisions
from perstack.signals.suspicious_encoding import as_read, declared_encoding, is_plain
from perstack.signals.suspicious_equality import expected_classes, weaker_equality
from perstack.signals.suspicious_prose import instructions_to_judges
from perstack.signals.suspicious_python import scan_python
from perstack.signals.suspicious_rules import Hit, words_of
from perstack.signals.suspicious_shapes import scan_shapes
from perstack.signals.suspicious_spelled import spelled_cases, spelled_data
from perstack.signals.suspicious_tokens import LANGUAGES, scan_tokens

_MANY = 400  # test files of the base that are read for their cases
_LARGE = 400_000  # characters
_SCANNED = 40  # of them, files read closely for one habit
_PROSE = frozenset({"md", "rst", "adoc", "html", "tex"})


@dataclass(frozen=True, slots=True)
class Changed:
    """One product file of the candidate: text before and after, and the new line numbers (1-based) that it added."""

    path: str
    before: str
    after: str
    added: frozenset[int]


@dataclass(slots=True)
class Project:
    """The base, read as needed. `read` gives text, `is_test` tells tests from product."""

    files: Sequence[str]
    read: Callable[[str], str]
    is_test: Callable[[str], bool]
    _habits: dict[tuple[str, bool], bool] = field(default_factory=dict, repr=False)
    _cases: tuple[Case, ...] | None = field(default=None, repr=False)
    _rows: dict[str, tuple[Row, ...]] = field(default_factory=dict, repr=False)
    _expected: frozenset[str] | None = field(default=None, repr=False)

    def does(self, family: str, *, certain: bool) -> bool:
        """Whether some product file of the base does this kind of thing already, and as plainly."""
        key = (family, certain)
        if key not in self._habits:
            self._habits[key] = any(
                hit.family == family and hit.certain >= certain
                for text in self._likely(family)
                for hit in scan_python(text, self.test_names()) or ()
            )
        return self._habits[key]

    def decides(self, family: str, suffix: str) -> bool:
        """Whether some product file of the base in the same language has a condition of this kind already."""
        key = (f"{suffix}:{family}", True)
        if key not in self._habits:
            self._habits[key] = any(
                decision.family == family
                for text in self._of_language(suffix)
                for decision in scan_decisions(text, suffix)
            )
        return self._habits[key]

    def rows(self, suffix: str) -> tuple[Row, ...]:
        """Literals of the base's tests in the language of a suffix, line by line."""
        if suffix not in self._rows:
            same = self._suffixes(suffix)
            paths = [path for path in self.files if path.lower().endswith(same) and self.is_test(path)]
            self._rows[suffix] = known_rows(self.read(path) for path in paths[:_MANY])
        return self._rows[suffix]

    def _suffixes(self, suffix: str) -> tuple[str, ...]:
        return tuple(f".{other}" for other, table in SOURCES.items() if table is SOURCES[suffix])

    def of_language(self, suffix: str) -> Callable[[re.Pattern[str]], bool]:
        """A question: whether some product file of the base in the language of `suffix` holds a pattern."""
        return lambda pattern: any(pattern.search(text) for text in self._of_language(suffix))

    def _of_language(self, suffix: str) -> Iterator[str]:
        """Texts of product files that share the table of a suffix."""
        same = self._suffixes(suffix) if suffix in SOURCES else (f".{suffix}",)
        paths = (path for path in self.files if path.lower().endswith(same) and not self.is_test(path))
        texts = (self.read(path) for path in islice(paths, _SCANNED))
        return (text for text in texts if len(text) < _LARGE)

    def _likely(self, family: str) -> Iterator[str]:
        """Texts of product files that hold a word without which the family cannot be there."""
        pattern = words_of(family)
        found = 0
        for path in self.files:
            if not path.endswith(".py") or self.is_test(path) or found >= _SCANNED:
                continue
            text = self.read(path)
            if len(text) < _LARGE and pattern.search(text):
                found += 1
                yield text

    def cases(self) -> tuple[Case, ...]:
        """Inputs and expectations of the base's Python tests."""
        if self._cases is None:
            self._cases = known_cases(self._tests())
        return self._cases

    def expected_classes(self) -> frozenset[str]:
        """Classes that the base's Python tests expect objects of."""
        if self._expected is None:
            self._expected = expected_classes(self._tests())
        return self._expected

    def _tests(self) -> Iterator[str]:
        tests = [path for path in self.files if path.endswith(".py") and self.is_test(path)]
        return (text for path in tests[:_MANY] if len(text := self.read(path)) < _LARGE)

    def test_names(self) -> tuple[str, ...]:
        """File names of tests and names of test directories, as product code would have to spell them."""
        names = {part for path in self.files if self.is_test(path) for part in path.split("/")}
        return tuple(sorted(name for name in names if len(name) > 3))


def find_suspicious(changed: Iterable[Changed], project: Project, *, certain_blocks: bool) -> tuple[PolicyFinding, ...]:
    """Judge the product files of a candidate; `certain_blocks` says whether certain findings fail it."""
    findings = [
        PolicyFinding(ReasonCode.SUSPICIOUS_CONSTRUCT, file.path, hit.detail, hit.line, hit.certain and certain_blocks)
        for file in changed
        for hit in _hits(file, project)
    ]
    return tuple(dict.fromkeys(findings))


def _hits(file: Changed, project: Project) -> Iterator[Hit]:
    yield from instructions_to_judges(file.after, file.added)
    if file.path.endswith((".py", ".pyw", ".pyi")):
        yield from _encoded(file)
        try:
            yield from _python_hits(replace(file, before=as_read(file.before), after=as_read(file.after)), project)
        except RecursionError:
            yield Hit("syntax", "", 0, "the file is nested too deeply to be judged", certain=True)
    else:
        suffix = file.path.rpartition(".")[2].lower()
        if suffix in LANGUAGES:
            before, after = file.before, file.after
            if suffix == "rs":
                before, after = product_of(before), product_of(after)
            yield from scan_tokens(LANGUAGES[suffix], before, after, file.added, project.of_language(suffix))
            yield from _decisions(suffix, before, after, file.added, project)
            yield from _shapes(suffix, before, after, file.added)
            yield from _answers(suffix, before, after, file.added, project)
        elif suffix not in _PROSE and len(file.after) < _LARGE:
            yield from special_data(file.before, file.after, project.cases())
            yield from spelled_data(file.before, file.after, project.cases())


def _decisions(suffix: str, before: str, after: str, added: Collection[int], project: Project) -> Iterator[Hit]:
    """New conditions on the circumstances of a run."""
    old = {decision.family for decision in scan_decisions(before, suffix)}
    for decision in scan_decisions(after, suffix):
        known = decision.family in old or not decision.lines & set(added)
        if not known and not project.decides(decision.family, suffix):
            yield Hit(decision.family, decision.key, decision.line, decision.detail, certain=True)


def _shapes(suffix: str, before: str, after: str, added: Collection[int]) -> Iterator[Hit]:
    """New declarations that make words lie."""
    old = {said for _, said, _ in scan_shapes(before, suffix)}
    for line, said, why in scan_shapes(after, suffix):
        near = any(number in added for number in range(line, line + 4))
        if said not in old and near:
            yield Hit("shape", said, line, f"`{said[:60]}` {why}", certain=True)


def _answers(suffix: str, before: str, after: str, added: Collection[int], project: Project) -> Iterator[Hit]:
    """Cases of the base's tests that the product answers by name now."""
    if suffix not in SOURCES or not added:
        return
    old = {row for _, row in answered(before, suffix, range(1, before.count("\n") + 2), project.rows(suffix))}
    for line, row in answered(after, suffix, added, project.rows(suffix)):
        if row not in old:
            detail = f"answers a case of the tests by name: {', '.join(row)[:80]}"
            yield Hit("special-case", "/".join(row), line, detail, certain=True)


def _encoded(file: Changed) -> Iterator[Hit]:
    """A declared encoding under which plain characters are not what they look like."""
    name = declared_encoding(file.after)
    if name and name != declared_encoding(file.before) and not is_plain(name):
        yield Hit("encoding", name, 1, f"the encoding `{name[:40]}` hides what the text says", certain=True)


def _python_hits(file: Changed, project: Project) -> Iterator[Hit]:
    names = project.test_names()
    after = scan_python(file.after, names)
    if after is None:
        yield Hit("syntax", "", 0, "the file does not parse, so it cannot be judged", certain=False)
        return
    before = scan_python(file.before, names) or ()
    old_keys = Counter(hit.key for hit in before)
    # what was doubtful before does not excuse what is certain now
    old_families = {(hit.family, certain) for hit in before for certain in {False, hit.certain}}
    for hit in after:
        if old_keys[hit.key] > 0:
            old_keys[hit.key] -= 1
            continue
        if (hit.family, hit.certain) in old_families:
            continue
        if hit.project_habit and project.does(hit.family, certain=hit.certain):
            continue
        yield hit
    yield from special_cases(file.before, file.after, project.cases())
    yield from weaker_equality(file.before, file.after, project.expected_classes())
    yield from spelled_cases(file.before, file.after, project.cases())

"""Vocabulary of signals: what to run, what came back, what it means. Data only; decisions are in `signals/`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from perstack.core.json import Json, JsonObject


class SignalKind(StrEnum):
    """The kinds of hard signal."""

    COMMAND = "command"
    COMPILER = "compiler"
    TEST = "test"
    DIFF = "diff"
    SCREENSHOT = "screenshot"
    HTTP = "http"


class Priority(StrEnum):
    """`must` gates, `should` is reported, `reject` gates when it matches."""

    MUST = "must"
    SHOULD = "should"


class TestStatus(StrEnum):
    """Outcome of one test. Only `passed` is passed. Ordered from best to worst by `badness`."""

    __test__ = False  # keeps pytest from collecting the enum

    PASSED = "passed"
    XPASSED = "xpassed"
    SKIPPED = "skipped"
    XFAILED = "xfailed"
    FAILED = "failed"
    ERROR = "error"
    MISSING = "missing"

    @property
    def badness(self) -> int:
        return _BADNESS[self]


# looked up once a test, and a report has a hundred thousand
_BADNESS = {status: place for place, status in enumerate(TestStatus)}


class SignalStatus(StrEnum):
    """Outcome of one signal on one tree. `error`: it could not be run or understood; `not-run`: nobody tried."""

    PASS = "pass"  # noqa: S105  # a status word, not a password
    FAIL = "fail"
    FLAKY = "flaky"
    ERROR = "error"
    NOT_RUN = "not-run"


@dataclass(frozen=True, slots=True)
class SignalSpec:
    """One `[signals.<name>]` table. `run` is an argument list, never a shell line. `timeout_s` is per run.

    `expect` holds kind-specific expectations (`exit`, `stdout`, `stderr` patterns for `command`; `new` for
    `compiler`: the lowest severity at which a new diagnostic counts). `tool` names the compiler or linter; empty:
    recognised from `run`. `options` says what a service or a page is (`page`, `element`, `viewports`, `port`, `ready`,
    `startTimeout`), with the file's key names.
    """

    name: str
    kind: SignalKind
    run: tuple[str, ...]
    framework: str = ""
    priority: Priority = Priority.MUST
    reject: bool = False
    repeat: int = 2
    timeout_s: float = 300.0
    paths: tuple[str, ...] = ()
    protect: tuple[str, ...] = ()
    expect: Mapping[str, Json] = field(default_factory=dict)
    cwd: str = "."
    tool: str = ""
    options: Mapping[str, Json] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test of one run. `id` is exact (a pytest node id); `message` is untrusted text, cut to a few lines.

    `parts` counts its subtests, 0 where there are none or nobody counts.
    `path` and `line` (1-based, 0 unknown) say where it failed, relative to the repository.
    """

    __test__ = False

    id: str
    status: TestStatus
    seconds: float = 0.0
    message: str = ""
    path: str = ""
    line: int = 0
    parts: int = 0


# What differs between two sightings of one finding: quotes (by locale), line numbers, temporary names, spaces.
_QUOTES = re.compile('[\u2018\u2019\u201c\u201d`"]')
_MOVING = re.compile(r"(?<=\bline )\d+|(?<=\blines )\d+|(?<=/tmp/cc)\w{6}")


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding at one place. `line` and `column` are 1-based, 0 where unknown. `severity`: error, warning, note.

    `path` is relative to the repository, absolute outside of it, empty where the tool names no file.
    """

    path: str
    line: int
    severity: str
    message: str
    column: int = 0
    code: str = ""

    @property
    def fingerprint(self) -> str:
        """What stays the same when lines move, the locale differs or a warning becomes an error."""
        message = _MOVING.sub("#", _QUOTES.sub("'", " ".join(self.message.split())))
        return f"{self.path}\0{self.code}\0{message}"

    def to_json(self) -> JsonObject:
        return {"path": self.path, "line": self.line, "column": self.column, "severity": self.severity,
                "code": self.code, "message": self.message}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Coverage:
    """What a compiler or linter says it looked at. Empty where the signal is an exit code only.

    `tool` whose output was read; `form` it was read in (`json`, `sarif`, `text`); `asked`: the verifier asked for
    that form itself. `units` are files or targets by name, `files` is a count of them, -1 where nothing is said.
    """

    tool: str = ""
    form: str = ""
    asked: bool = False
    units: tuple[str, ...] = ()
    files: int = -1


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG picture of a finding. `path` is where evidence keeps it, relative to its folder."""

    name: str
    data: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def path(self) -> str:
        return f"pictures/{self.sha256}.png"


@dataclass(frozen=True, slots=True)
class SignalRun:
    """One execution of one signal on one tree. `problem` says why it is `error`; empty otherwise."""

    status: SignalStatus
    seconds: float
    exit_code: int | None = None
    tests: Mapping[str, TestCase] = field(default_factory=dict)
    diagnostics: tuple[Diagnostic, ...] = ()
    output: str = ""
    problem: str = ""
    problem_code: str = ""
    coverage: Coverage = field(default_factory=Coverage)
    pictures: tuple[Picture, ...] = ()


@dataclass(frozen=True, slots=True)
class Measurement:
    """All runs of one signal on one tree."""

    spec: SignalSpec
    runs: tuple[SignalRun, ...]


@dataclass(frozen=True, slots=True)
class TestDelta:
    """What happened to test identities between base and candidate."""

    __test__ = False

    fail_to_pass: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()
    pass_to_pass: int = 0
    broken: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    flaky: tuple[str, ...] = ()
    added: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        return {
            "fail_to_pass": list(self.fail_to_pass),
            "still_failing": list(self.still_failing),
            "pass_to_pass": self.pass_to_pass,
            "broken": list(self.broken),
            "vanished": list(self.vanished),
            "skipped": list(self.skipped),
            "flaky": list(self.flaky),
            "added": list(self.added),
        }


@dataclass(frozen=True, slots=True)
class DiagnosticDelta:
    """What happened to diagnostics between base and candidate, at the severities that gate.

    `gone` are those of the base whose file the candidate removed: not fixed. `unchanged` is a count.
    """

    fixed: tuple[Diagnostic, ...] = ()
    new: tuple[Diagnostic, ...] = ()
    gone: tuple[Diagnostic, ...] = ()
    unchanged: int = 0

    def to_json(self) -> JsonObject:
        return {
            "fixed": [diagnostic.to_json() for diagnostic in self.fixed],
            "new": [diagnostic.to_json() for diagnostic in self.new],
            "gone": [diagnostic.to_json() for diagnostic in self.gone],
            "unchanged": self.unchanged,
        }

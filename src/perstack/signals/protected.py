"""Which paths a candidate may not change because they decide what red and green mean.

Pure: patterns and the base's file list in, answers out. What a change of such a path means is decided in `policy.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath

from pathspec import GitIgnoreSpec

from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalKind, SignalSpec
from perstack.signals.protected_patterns import ANYWHERE, DEFAULT, STRUCTURAL, TEST_DATA, TEST_FILE, TEST_ROOT_NAMES
from perstack.signals.references import reference_globs

_CHECK_WORDS = frozenset(
    ["test", "tests", "check", "checks", "ci", "scripts", "script", "tools", "bin", "hack", "run", "verify", "lint"]
)
# What a command is told to read rather than to check.
_SETTINGS = frozenset({".toml", ".ini", ".cfg", ".json", ".jsonc", ".yaml", ".yml", ".rsp", ".mk", ".conf"})


@cache
def _compiled(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    """Hundreds of regular expressions: made when first asked for, not when a process starts."""
    return GitIgnoreSpec.from_lines(patterns)


@dataclass(frozen=True, slots=True)
class Protection:
    """The answers for one base tree and one configuration."""

    test_roots: frozenset[str]
    base_files: frozenset[str]
    scripts: frozenset[str]
    allow: GitIgnoreSpec
    protect: GitIgnoreSpec

    @classmethod
    def of(
        cls,
        verify: VerifySpec,
        specs: Sequence[SignalSpec],
        base_files: Iterable[str],
        referred: Iterable[str] = (),
    ) -> Protection:
        """Work out the test roots of the base and the files its signals name. `referred` are read by configuration."""
        files = frozenset(base_files)
        extra = [glob for spec in specs for glob in (*spec.protect, *reference_globs(spec))]
        return cls(
            test_roots=_test_roots(files),
            base_files=files,
            scripts=frozenset([*(path for spec in specs for path in _named_files(spec, files)), *referred]),
            allow=GitIgnoreSpec.from_lines(verify.allow),
            protect=GitIgnoreSpec.from_lines([*verify.protect, *extra]),
        )

    def is_protected(self, path: str) -> bool:
        """Whether the path must be as on the base in the tree under test; an added one must not be there."""
        return bool(self.why(path))

    def is_test_file(self, path: str) -> bool:
        """Whether the path is a test, or a fixture, helper or data file under a test root."""
        return (
            _compiled(TEST_FILE).match_file(path) or _compiled(TEST_DATA).match_file(path) or self.under_test_root(path)
        )

    def under_test_root(self, path: str) -> bool:
        """Whether a directory above the path holds the tests of the base."""
        return any(str(parent) in self.test_roots for parent in PurePosixPath(path).parents)

    def is_structural(self, path: str) -> bool:
        """Whether no configuration can allow a change of this path."""
        return _compiled(STRUCTURAL).match_file(path)

    def is_allowed(self, path: str) -> bool:
        """Whether `[verify] allow` names the path and nothing stronger forbids it."""
        return self.allow.match_file(path) and not self.is_structural(path) and not self.protect.match_file(path)

    def is_configured(self, path: str) -> bool:
        """Whether the path is protected as configuration (structural, named or by default), not as a test."""
        return bool(self._why_configuration(path))

    def why(self, path: str) -> str:
        """Why the path is protected, as the end of a sentence; empty when it is not."""
        reason = self._why_configuration(path)
        if reason or self.is_allowed(path):
            return reason
        if path in self.base_files and self.is_test_file(path):
            return "it is a test, or a file tests use"
        return ""

    def _why_configuration(self, path: str) -> str:
        if self.is_structural(path):
            return "it decides what is judged, or runs before it"
        if self.protect.match_file(path):
            return "the configuration protects it"
        if self.allow.match_file(path):
            return ""
        if path in self.scripts:
            return "a signal runs or reads it"
        configures = ANYWHERE if self.under_test_root(path) else DEFAULT
        if _compiled(configures).match_file(path) or _compiled(ANYWHERE).match_file(path):
            return "it configures tests, builds, dependencies, linters or CI, or is a baseline"
        return ""


def _test_roots(files: Iterable[str]) -> frozenset[str]:
    """Directories with a test-like name that hold at least one test file, at any depth."""
    roots: set[str] = set()
    for path in files:
        if not _compiled(TEST_FILE).match_file(path) and PurePosixPath(path).name != "conftest.py":
            continue
        for parent in PurePosixPath(path).parents:
            if parent.name.lower() in TEST_ROOT_NAMES:
                roots.add(str(parent))
    return frozenset(roots)


def _named_files(spec: SignalSpec, files: frozenset[str]) -> Iterable[str]:
    """Files of the repository that the signal's own command line names: a script is part of the signal."""
    cwd = PurePosixPath(spec.cwd)
    for argument in spec.run:
        # `--config-file=lint/mypy.cfg` and `@sources.txt` name files as well
        for word in (argument, argument.rpartition("=")[2], argument.removeprefix("@")):
            path = str(cwd / word.partition("::")[0].removeprefix("./"))
            reads = PurePosixPath(path).suffix in _SETTINGS or argument == f"@{word}"
            if path in files and (spec.kind is SignalKind.TEST or _looks_like_check(path) or reads):
                yield path


def _looks_like_check(path: str) -> bool:
    """Whether a program named by a `command` signal is a checking script rather than the product itself."""
    pure = PurePosixPath(path)
    stems = pure.stem.lower().replace("-", "_").split("_")
    return pure.suffix in {".sh", ".bash", ""} or bool(_CHECK_WORDS & {*pure.parts[:-1], *stems})

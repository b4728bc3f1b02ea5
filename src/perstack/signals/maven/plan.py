"""How the verifier runs a Maven project's tests: read from the signal's command on the base. Pure.

The command is a hint. Profiles, projects, settings and definitions are kept; what skips, narrows, repeats or forgives
tests is the verifier's to say.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from posixpath import join, normpath

from perstack.core.signals import SignalSpec

_WITH_VALUE = frozenset({"-f", "--file", "-P", "--activate-profiles", "-pl", "--projects", "-s", "--settings",
                         "-gs", "--global-settings", "-t", "--toolchains", "-rf", "--resume-from"})  # fmt: skip
_ALONE = frozenset({"-am", "--also-make", "-amd", "--also-make-dependents"})
_KEPT = re.compile(r"-[PD].|--(?:projects|file|settings|activate-profiles)=")
# Definitions that decide which tests run, how often, and whether it matters.
_OURS = re.compile(
    r"-D(?:skip\w*|maven\.test\.\w+(?:\.\w+)*|surefire\.\w+(?:\.\w+)*|test|it\.test|failIfNo\w*|testFailureIgnore"
    r"|groups|excludedGroups|argLine)(?:=|$)"
)
_SETTINGS = (
    "-Dmaven.test.skip=false", "-DskipTests=false", "-DskipITs=true", "-Dmaven.test.failure.ignore=true",
    "-Dsurefire.rerunFailingTestsCount=0", "-Dsurefire.skipAfterFailureCount=0", "-Dsurefire.runOrder=alphabetical",
    "-Dsurefire.useFile=true", "-DtrimStackTrace=false", "-Dstyle.color=never",
)  # fmt: skip
_TEST_FOLDER = re.compile(r"^(?:(.*)/)?src/test/java/.+\.java$")


@dataclass(frozen=True, slots=True)
class MavenPlan:
    """What to run. `modules` are folders of the base with tests in them, relative to the repository, `.` for its root.

    `only` are names of test classes, empty for all.
    """

    program: str
    modules: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    def narrowed(self, targets: Sequence[str]) -> MavenPlan:
        """The same suite, but only the classes of some tests."""
        # surefire takes a class with all that are nested in it
        classes = (target.partition("::")[0].partition("$")[0] for target in targets)
        return replace(self, only=tuple(dict.fromkeys(classes)))

    def command_line(self, suffix: str, canaries: Sequence[str]) -> list[str]:
        """The verifier's own command. `suffix` becomes part of the names of reports."""
        chosen = [f"-Dtest={','.join([*self.only, *canaries])}", "-Dsurefire.failIfNoSpecifiedTests=false",
                  "-DfailIfNoTests=false"] if self.only else []  # fmt: skip
        return [self.program, "-o", "-B", "-ntp", *self.arguments, *_SETTINGS, *chosen,
                f"-Dsurefire.reportNameSuffix={suffix}", "test"]  # fmt: skip


def plan_maven(spec: SignalSpec, paths: Collection[str]) -> MavenPlan:
    """The plan for `mvn test` and the like."""
    arguments: list[str] = []
    words = iter(spec.run[1:])
    for word in words:
        if word in _WITH_VALUE:
            arguments += [word, next(words, "")]
        elif word in _ALONE or (_KEPT.match(word) and not _OURS.match(word)):
            arguments.append(word)
    root = normpath(spec.cwd)
    found = {match[1] or "." for path in paths if (match := _TEST_FOLDER.match(path))}
    inside = sorted(m for m in found if root in {".", m} or m.startswith(f"{root}/"))
    modules = [module for module in inside if normpath(join(module, "pom.xml")) in paths]
    return MavenPlan(spec.run[0], tuple(modules), tuple(arguments))

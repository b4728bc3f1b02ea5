"""The cases of Java and Maven, as cases of the suite."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from perstack.core.contracts import Sandbox
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from tests.attacks.java.maven_attacks import ATTACKS, CONFIGURATION, SOURCE
from tests.attacks.ladder.python_cases import REPORT_ONLY
from tests.attacks.ladder.record import Case, World
from tests.signals.maven.projects import FILES, FIXED, MAVEN, REPOSITORY, missing


def _sandbox() -> Sandbox:
    return Bubblewrap((REPOSITORY,))


def _missing() -> str:
    return "Maven, or the packages it needs, are not on this machine" if missing else ""


JAVA = World("maven", "java", FILES, MAVEN, _sandbox, missing=_missing)
_NOTE = {"README.md": "# demo\n"}


def cases() -> tuple[Case, ...]:
    """All of them; attacks first."""
    return (
        *(_attack(name, changes, wanted) for name, (changes, wanted) in ATTACKS.items()),
        *(_attack(name, changes, {"protected-path"}) for name, changes in CONFIGURATION.items()),
        Case("the-fix", JAVA, False, {SOURCE: FIXED}),
        Case("fix-and-note", JAVA, False, {SOURCE: FIXED, **_NOTE}),
    )


def _attack(name: str, changes: Mapping[str, str | None], wanted: Collection[str]) -> Case:
    return Case(name.replace(": ", "-").replace(" ", "-"), JAVA, True, changes, frozenset(wanted), verify=REPORT_ONLY)

"""The cases of Go, as cases of the suite."""

from __future__ import annotations

from tests.attacks.go.cases import HONEST, RUNS, TEXTS
from tests.attacks.go.shop import FILES
from tests.attacks.ladder.checker_cases import checkers
from tests.attacks.ladder.compiled_cases import cases_of
from tests.attacks.ladder.record import Case, World
from tests.signals.go.toolchain import GO_TEST, go_sandbox, missing

GO = World("go", "go", FILES, GO_TEST, go_sandbox, missing=missing)


def cases() -> tuple[Case, ...]:
    """All of them; attacks first."""
    return (*cases_of(GO, (*RUNS, *TEXTS), HONEST), *checkers("go"))

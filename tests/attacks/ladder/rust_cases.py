"""The cases of Rust, as cases of the suite."""

from __future__ import annotations

from tests.attacks.ladder.checker_cases import checkers
from tests.attacks.ladder.compiled_cases import cases_of
from tests.attacks.ladder.record import Case, World
from tests.attacks.rust.cases import HONEST, RUNS, TEXTS
from tests.attacks.rust.shop import FILES
from tests.signals.cargo.toolchain import CARGO_TEST, missing, rust_sandbox

RUST = World("rust", "rust", FILES, CARGO_TEST, rust_sandbox, missing=missing)


def cases() -> tuple[Case, ...]:
    """All of them; attacks first."""
    return (*cases_of(RUST, (*RUNS, *TEXTS), HONEST), *checkers("rust"))

"""All cases there are, by language. A new language is one line here, and one module that says `cases()`."""

from __future__ import annotations

from collections.abc import Collection
from importlib import import_module

from tests.attacks.ladder.record import Case

_SOURCES = {
    "python": "tests.attacks.ladder.python_cases",
    "javascript": "tests.attacks.ladder.javascript_cases",
    "go": "tests.attacks.ladder.go_cases",
    "rust": "tests.attacks.ladder.rust_cases",
    "java": "tests.attacks.ladder.java_cases",
    "c": "tests.attacks.ladder.c_cases",
    "visual": "tests.attacks.ladder.visual_cases",
}
LANGUAGES = tuple(_SOURCES)


def collect(languages: Collection[str] = ()) -> tuple[Case, ...]:
    """Every case of some languages (none named: of all), by world; keys are unique. Others are not imported."""
    wanted = [module for language, module in _SOURCES.items() if not languages or language in languages]
    return tuple(case for module in wanted for case in import_module(module).cases())

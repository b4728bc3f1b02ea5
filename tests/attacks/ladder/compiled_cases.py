"""The cases of languages whose tests are compiled, as cases of the suite: their folders share one form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from perstack.core.experts import VerifySpec
from tests.attacks.ladder.record import Case, World


class Patch(Protocol):
    """What such a folder's case has. `blind`: the policy on product code only reports, so that runs have to tell."""

    @property
    def name(self) -> str: ...
    @property
    def changes(self) -> Mapping[str, str | None]: ...
    @property
    def codes(self) -> frozenset[str]: ...
    @property
    def blind(self) -> bool: ...


def cases_of(world: World, attacks: Iterable[Patch], honest: Iterable[Patch]) -> tuple[Case, ...]:
    """Cases of one folder; attacks first. One may be there twice: for what its run says, and its text."""
    found: dict[str, Case] = {}
    for case in attacks:
        name = case.name if case.name not in found else f"{case.name}-by-{'run' if case.blind else 'text'}"
        found[name] = _case(name, case, world, attack=True)
    return (*found.values(), *(_case(case.name, case, world, attack=False) for case in honest))


def _case(name: str, case: Patch, world: World, *, attack: bool) -> Case:
    verify = VerifySpec(suspicious="report" if case.blind else "fail")
    return Case(name, world, attack, case.changes, case.codes, verify=verify)

"""What every case of the attack suite is, whatever its language: a small real repository, a patch, what must come out.

Data only. Where cases come from is in `collect.py`, how they are run in `suite.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from perstack.core.contracts import Sandbox
from perstack.core.experts import VerifySpec
from perstack.core.signals import SignalSpec
from tests.attacks.project import Specimen, git
from tests.signals.project import sandbox


def _nothing() -> str:
    return ""


@dataclass(frozen=True)
class World:
    """One small repository with a bug, and the signal that shows it. `links` maps paths to targets of symbolic links.

    `made` gives more files, once there is somewhere to make them. `laddered`: its cases also climb the rungs below the
    whole protocol (pytest only). `missing` says why its cases cannot run on this machine, empty where they can.
    """

    name: str
    language: str
    files: Mapping[str, str]
    spec: SignalSpec
    sandbox: Callable[[], Sandbox] = sandbox
    links: Mapping[str, str] = field(default_factory=dict)
    executable: tuple[str, ...] = ()
    laddered: bool = False
    missing: Callable[[], str] = _nothing
    made: Callable[[], Mapping[str, str]] = dict

    def make(self, root: Path) -> Specimen:
        """The repository with one base commit."""
        specimen = Specimen.make(root, {**self.files, **self.made()})
        for path, target in self.links.items():
            (root / path).symlink_to(target)
        for path in self.executable:
            (root / path).chmod(0o755)
        if not self.links and not self.executable:
            return specimen
        git(root, "add", "-A", "-f")
        git(root, "commit", "-q", "-m", "links and modes")
        return replace(specimen, base=git(root, "rev-parse", "HEAD").strip())


@dataclass(frozen=True)
class Case:
    """One patch. An attack must not be accepted, for one of `codes`; an honest one must be.

    `spec` and `verify` are what the case is verified with where that is not the world's: a shorter limit, or a policy
    that only reports, so that the run itself has to tell. `from_files` makes the changes from the world's files.
    """

    id: str
    world: World
    attack: bool
    changes: Mapping[str, str | None]
    codes: frozenset[str] = frozenset()
    modes: Mapping[str, str] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    spec: SignalSpec | None = None
    verify: VerifySpec = field(default_factory=VerifySpec)
    from_files: Callable[[Mapping[str, str]], Mapping[str, str | None]] | None = None

    @property
    def key(self) -> str:
        """Unique over all worlds."""
        return f"{self.world.name}/{self.id}"


@dataclass(frozen=True)
class Result:
    """What came out. `rungs` says by rung whether it accepted the patch, None where it was not asked."""

    key: str
    language: str
    attack: bool
    verdict: str
    codes: tuple[str, ...]
    fitting: bool
    rungs: Mapping[str, bool | None]
    seconds: float

    @property
    def accepted(self) -> bool:
        return self.verdict == "pass"

    @property
    def good(self) -> bool:
        """Whether this is what the product promises."""
        return self.accepted is not self.attack and (self.fitting or not self.attack)

    @property
    def stopped_at(self) -> str:
        """The lowest rung that did not accept it; empty where none refused."""
        return next((name for name, accepted in self.rungs.items() if accepted is False), "")

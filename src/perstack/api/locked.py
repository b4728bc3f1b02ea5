"""What a lock file says to one job: tools that need not be asked for, and which packages their servers came from."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from perstack.core.errors import UserError
from perstack.core.experts import Config, Expert, SkillSpec
from perstack.core.json import canonical
from perstack.definition.lock import LOCK_NAME, Known, Lock, LockedPackage, known_tools, source
from perstack.definition.lock_file import read_lock
from perstack.infrastructure.package_words import package_name, plain_name, wanted
from perstack.infrastructure.packages import NEWEST, Launch


class Locked:
    """A lock at work; without one it knows nothing.

    With `ask` its tools do not count and every server is asked. With `renew` its packages do not count either, and
    the newest ones are fetched: so a lock is written.
    """

    def __init__(
        self,
        lock: Lock | None = None,
        *,
        experts: Collection[str] | None = None,
        ask: bool = False,
        renew: bool = False,
    ) -> None:
        """`experts` are the keys that the lock should know; others came into being during the job."""
        self._lock = lock
        self._experts = experts
        self._ask = ask
        self._renew = renew
        skills = [skill for expert in lock.experts.values() for skill in expert.skills.values()] if lock else []
        self._packages = {canonical(source(skill.spec)): skill.package for skill in skills}

    def known(self, expert: Expert) -> Known:
        """The tools of its servers, and what of the lock does not fit any more."""
        is_new = self._experts is not None and expert.key not in self._experts
        return Known() if self._lock is None or self._ask or is_new else known_tools(self._lock, expert)

    def version(self, spec: SkillSpec) -> str:
        """Which version of its package a skill is to have, as `packages.installed` takes it."""
        return NEWEST if self._renew else self._package(spec).version

    def check(self, spec: SkillSpec, launch: Launch) -> None:
        """Make sure that a package is the one the lock was written with, as far as its registry vouches for it.

        Raises: UserError where the same version has another digest.
        """
        locked, found = self._package(spec), package_of(spec, launch)
        # A digest of our own is of one machine's installation; the registry's is of the package everywhere.
        digests = (locked.integrity, found.integrity)
        if self._renew or not all(digest.startswith("sha512-") for digest in digests):
            return
        if locked.version == found.version and locked.integrity != found.integrity:
            raise UserError(
                f'skill "{spec.name}": its package {found.version} is not the one {LOCK_NAME} was written with '
                f"({found.integrity[:24]}… instead of {locked.integrity[:24]}…)",
                hint="Find out why the registry gives something else before you run `perstack install --upgrade`.",
            )

    def _package(self, spec: SkillSpec) -> LockedPackage:
        return self._packages.get(canonical(source(spec)), LockedPackage())


def locked_by(config: Config) -> Locked:
    """What the lock file beside a configuration's own file says; nothing where there is none, or no such file.

    Raises: UserError for a damaged one.
    """
    path = Path(config.path)
    lock = read_lock(path.with_name(LOCK_NAME)) if config.path and path.is_file() else None
    # One that only pins dependencies was not written by `perstack install`: it says nothing about tools.
    return Locked(lock if lock and lock.experts else None, experts=config.experts)


def package_of(spec: SkillSpec, launch: Launch | None) -> LockedPackage:
    """The package that a server's words name, as it was installed; its digest is the registry's, else our own."""
    if not spec.command or launch is None or not launch.packages:
        return LockedPackage()
    want = wanted(spec.command, (spec.package_name,) if spec.package_name else spec.args)
    name = package_name(want) if want else ""
    own = next((package for package in launch.packages if plain_name(package.name) == name), None)
    return LockedPackage(own.version, own.integrity or launch.integrity) if own else LockedPackage()

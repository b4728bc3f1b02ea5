"""Verifying and fixing a local checkout: which commit is the base, what the change is, which configuration counts.

The same for the commands and for programs. Nothing is printed and no environment is read here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from perstack.api.configuration import committed_config
from perstack.api.cover import inside
from perstack.api.engine import Engine
from perstack.api.host import Fix, Host, Verify
from perstack.core.errors import UserError
from perstack.core.events import EventSink
from perstack.core.experts import Config
from perstack.core.outcome import Ending, FixOutcome
from perstack.core.verdict import Report
from perstack.infrastructure.apply import apply_tree
from perstack.infrastructure.git import Repository
from perstack.infrastructure.git_remote import locate

MAIN_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")


def _nothing(_: str) -> None:
    """Says nothing."""


class NotApplied(UserError):
    """A fix is proved, and the working tree is not as it has to be for it; `outcome` has the patch."""

    def __init__(self, outcome: FixOutcome, why: UserError) -> None:
        super().__init__(why.message, hint=why.hint)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class VerifyCheckout:
    """A change in a checkout to judge: `patch` (diff text), the commit `head`, or else the working tree.

    `base` is a revision, by default where HEAD left the main branch. Without `config`, the base commit's own counts.
    `out` is where evidence goes, by default the job's folder. `everything`: go on once a signal has decided.
    `shards` are folders that `run_shard` wrote for the same change. `job_id` is the new job's, made up where empty.
    """

    repo: Path
    base: str = ""
    head: str = ""
    patch: str | None = None
    targets: tuple[str, ...] = ()
    config: Config | None = None
    out: Path | None = None
    everything: bool = False
    shards: tuple[Path, ...] = ()
    job_id: str = ""

    def __post_init__(self) -> None:
        if self.patch is not None and self.head:
            raise UserError("a patch and a head commit exclude each other", hint="Give one, or none: the working tree.")


@dataclass(frozen=True, slots=True)
class FixCheckout:
    """What is red at commit `base` of a checkout, to be fixed. The first line of `task` is its title.

    `apply` writes a proved fix into the working tree. `job_id` is the new job's, made up where empty.
    """

    repo: Path
    task: str = ""
    base: str = "HEAD"
    targets: tuple[str, ...] = ()
    config: Config | None = None
    apply: bool = False
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout and the harness's own copy of its objects."""

    root: Path
    repository: Repository
    bare: bool = False

    @classmethod
    async def open(cls, path: Path, scratch: Path) -> Checkout:
        """Raises: UserError when `path` is not in a git repository."""
        found = locate(path)
        return cls(found.root, await Repository.from_checkout(found.root, scratch / "repository.git"), found.bare)

    def needs_working_tree(self, instead: str) -> None:
        """Raises: UserError in a bare repository; `instead` says what can be done there."""
        if self.bare:
            raise UserError(f"{self.root} is a bare repository: it has no working tree", hint=instead)

    async def base(self, rev: str) -> str:
        """The base commit: the asked one, else where HEAD left the main branch."""
        if rev:
            return await self.repository.resolve(rev)
        head = await self.repository.resolve("HEAD")
        for name in MAIN_BRANCHES:
            try:
                main = await self.repository.resolve(name)
            except UserError:
                continue
            return await self.repository.merge_base(head, main)
        return head

    async def config(self, base: str) -> Config:
        """The configuration of a commit, over the built-in experts."""

        async def read(name: str) -> bytes | None:
            return await self.repository.read_file(base, name)

        return await committed_config(read)

    async def change(self, base: str, head: str, without: Iterable[Path] = ()) -> str:
        """The diff from `base` to the commit `head`, or to the working tree where that is empty.

        Folders `without` are no part of the working tree.
        """
        if head:
            return (await self.repository.diff(base, await self.repository.resolve(head))).text
        self.needs_working_tree("Name the commit to judge with --head, or a diff with --patch.")
        _, patch = await self.repository.tree_of_worktree(base, self.root, inside(without, self.root))
        return patch.text


async def verify_checkout(
    host: Host, asked: VerifyCheckout, watch: EventSink | None = None, warn: Callable[[str], None] = _nothing
) -> Report:
    """The verification protocol on a change in a checkout. `warn` gets the configuration's warnings.

    Raises: UserError and InfrastructureErrors before there is a report.
    """
    request = await _change(host, asked, warn)
    async with Engine(host).job("verify", watch, job_id=asked.job_id) as job:
        return await job.verify(request, out=asked.out)


async def plan_shards(
    host: Host, asked: VerifyCheckout, of: int, watch: EventSink | None = None
) -> tuple[tuple[str, ...], ...]:
    """What each of `of` machines would measure, in words; fewer where there is less to do, at least one.

    Raises: UserError, InfrastructureErrors.
    """
    request = await _change(host, asked, _nothing)
    async with Engine(host).job("shard", watch) as job:
        return await job.shares(request, of)


async def run_shard(
    host: Host, asked: VerifyCheckout, share: tuple[int, int], out: Path, watch: EventSink | None = None
) -> tuple[str, ...]:
    """Measure share (number, of) of a verification into `out`; what was measured, in words.

    Raises: UserError, InfrastructureErrors.
    """
    request = await _change(host, asked, _nothing)
    async with Engine(host).job("shard", watch) as job:
        return await job.measure(request, share, out)


async def _change(host: Host, asked: VerifyCheckout, warn: Callable[[str], None]) -> Verify:
    """What is to be judged."""
    checkout = await Checkout.open(asked.repo, host.scratch)
    base = await checkout.base(asked.base)
    # Evidence of an earlier run is no part of the change; a folder that has none may hold somebody's work.
    earlier = () if asked.out is None or not (asked.out / "evidence.json").is_file() else (asked.out,)
    ours = (*host.own_places, *earlier, *asked.shards)
    return Verify(
        checkout.repository,
        base,
        asked.patch if asked.patch is not None else await checkout.change(base, asked.head, ours),
        await _config(checkout, base, asked.config, warn),
        asked.targets,
        needs_red=bool(asked.targets),
        everything=asked.everything,
        shards=asked.shards,
    )


async def fix_checkout(
    host: Host, asked: FixCheckout, watch: EventSink | None = None, warn: Callable[[str], None] = _nothing
) -> FixOutcome:
    """Plan, build and verify on a commit of a checkout; never in its working tree, but to apply what was proved.

    Raises: UserError and InfrastructureErrors before there is an outcome; NotApplied where a proved fix does not go
    into the working tree.
    """
    checkout = await Checkout.open(asked.repo, host.scratch)
    if asked.apply:
        checkout.needs_working_tree("Leave --apply out; the proved patch is printed.")
    base = await checkout.repository.resolve(asked.base)
    config = await _config(checkout, base, asked.config, warn)
    title, _, text = asked.task.partition("\n")
    request = Fix(checkout.repository, base, config, title=title, text=text, targets=asked.targets)
    async with Engine(host).job("fix", watch, job_id=asked.job_id) as job:
        outcome = await job.fix(request)
    if asked.apply and outcome.ending is Ending.FIXED and outcome.candidate is not None:
        try:
            await apply_tree(checkout.repository, base, outcome.candidate.tree, checkout.root)
        except UserError as error:
            raise NotApplied(outcome, error) from error
    return outcome


async def _config(checkout: Checkout, base: str, given: Config | None, warn: Callable[[str], None]) -> Config:
    config = given or await checkout.config(base)
    for warning in config.warnings:
        warn(warning)
    return config

"""`perstack add`: experts of other repositories, seen before they are taken, pinned, and updated as a diff."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from perstack import api
from perstack.core.errors import ExitCode, UserError
from perstack.core.json import compact
from perstack.interface.options import format_option
from perstack.interface.render import packages
from perstack.interface.render.facts import visible
from perstack.interface.working import carry_through

_FLAGS = ("update", "check", "remove")


@dataclass(frozen=True, slots=True)
class _Answer:
    """How to ask and to tell."""

    yes: bool
    output: str

    def agreed(self, question: str) -> bool:
        """Whether somebody agrees. Raises: UserError where nobody can be asked."""
        if self.yes:
            return True
        if not sys.stdin.isatty():
            raise UserError("nothing was written: nobody can be asked here", hint="Look at it, then repeat with --yes.")
        return click.confirm(question, default=False, err=True)


@click.command(
    name="add",
    short_help="Take experts of another repository.",
    epilog="""\b
Examples:
  perstack add github:acme/experts//review@v1.2.0
  perstack add git+https://git.example.com/team/experts@main --as team --yes
  perstack add ../experts --vendor        their text is kept in perstack.vendor/
  perstack add --update                   show what changed upstream, then ask
  perstack add --check                    for CI: exit code 1 where one is stale
  perstack add --remove review

Nothing of a package is executed: its perstack.toml or experts/*.toml is read as text, and only experts are taken.
A private repository on GitHub is read with GITHUB_TOKEN.

Exit codes: 0 done; 1 stale (--check), or not agreed to; 2 usage, or a package that may not come in; 4 no answer.""",
)
@click.argument("what", required=False, default="", metavar="[SOURCE | NAME]")
@click.option("--as", "name", default="", metavar="NAME", help="What its team is called here.  [default: its own name]")
@click.option("--vendor", is_flag=True, help="Keep the text in perstack.vendor/ instead of in perstack.lock.")
@click.option("--update", is_flag=True, help="Take NAME, or all dependencies, as their source is now.")
@click.option("--check", is_flag=True, help="Write nothing; exit code 1 where NAME, or one of all, is stale.")
@click.option("--remove", is_flag=True, help="Take NAME out again.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The definition; made where there is none.  [default: the nearest perstack.toml]",
)
@format_option
def command(what: str, name: str, vendor: bool, yes: bool, config: Path | None, output: str, **flags: bool) -> int:
    """Make experts of another repository available here, pinned by commit and digest in perstack.lock."""
    chosen = [flag for flag in _FLAGS if flags[flag]]
    if len(chosen) > 1:
        raise UserError(f"--{chosen[0]} and --{chosen[1]} exclude each other", hint="Give one of them.")
    if not what and (not chosen or flags["remove"]):
        raise UserError("there is nothing to add or remove", hint="Name a source: `perstack add --help` has examples.")
    if chosen and name:
        raise UserError(f"--as goes with a source, not with --{chosen[0]}", hint="Remove it and add it again.")
    there = api.Dependencies.read(config or api.find_config(Path.cwd()) or Path(api.CONFIG_NAME))
    answer = _Answer(yes, output)
    if flags["remove"]:
        api.remove(there, what)
        _say(output, {"removed": what}, f"Removed {what} from {there.path}")
        return ExitCode.OK
    asked = (what,) if what else ()
    if flags["check"]:
        return _check(there, asked, output)
    if flags["update"]:
        return _update(there, asked, vendor, answer)
    source = api.local_source(what, Path.cwd(), there.path)
    found = _with_access(lambda access: api.propose(there, source, name, access))
    return _take(there, [found], vendor, answer)


def _check(there: api.Dependencies, names: tuple[str, ...], output: str) -> int:
    lines = _with_access(lambda access: api.stale(there, names, access))
    if output == "json":
        click.echo(compact({"stale": list(lines)}))
    elif not lines:
        click.echo(f"Up to date {there.path}")
    else:
        click.echo("perstack: dependencies are stale:", err=True)
        for line in lines:
            click.echo(f"  {visible(line)}", err=True)
        click.echo("  → run `perstack add --update`, look at the difference, and commit", err=True)
    return ExitCode.FAIL if lines else ExitCode.OK


def _update(there: api.Dependencies, names: tuple[str, ...], vendor: bool, answer: _Answer) -> int:
    sources = there.named(names)

    async def work(access: api.Access) -> list[api.Proposal]:
        return [await api.renewed(there, name, source, access) for name, source in sources.items()]

    return _take(there, _with_access(work), vendor, answer)


def _take(there: api.Dependencies, found: Iterable[api.Proposal], vendor: bool, answer: _Answer) -> int:
    """Show proposals, ask where experts are others than before, write them down."""
    proposals = list(found)
    for proposal in proposals:
        for line in _shown(proposal) if answer.output == "text" else ():
            click.echo(line)
    news = [proposal for proposal in proposals if not proposal.is_same]
    if news and not answer.agreed(f"Take {' and '.join(proposal.name for proposal in news)}?"):
        click.echo("perstack: not agreed to: nothing was written", err=True)
        return ExitCode.FAIL
    api.accept(there, proposals, vendor=vendor)
    rows = [packages.as_json(proposal) for proposal in proposals]
    written = f"Pinned in {there.path.with_name('perstack.lock')}; commit it with {there.path.name}"
    keys = [key for proposal in news for key in proposal.experts if not key.startswith("@")]
    _say(answer.output, {"dependencies": rows}, written if news else f"Up to date {there.path}")
    if keys and answer.output == "text":
        click.echo(f'  → perstack run {keys[0]} "…"')
    return ExitCode.OK


def _shown(proposal: api.Proposal) -> Iterable[str]:
    if proposal.is_same:
        return (f"{proposal.name}: unchanged",)
    lines = [] if proposal.before is None or not proposal.note else [visible(proposal.note)]
    return [*lines, *(packages.brought(proposal) if proposal.before is None else packages.changed(proposal)), ""]


def _say(output: str, data: Mapping[str, Any], text: str) -> None:
    click.echo(compact(dict(data)) if output == "json" else text)


def _with_access(work: Callable[[api.Access], Coroutine[Any, Any, Any]]) -> Any:
    """Do something with repositories: GitHub's token for GitHub's own host alone, the proxy of the environment."""
    env = os.environ
    with api.owned_folder("add") as scratch:
        access = api.Access(
            scratch,
            env.get("GITHUB_SERVER_URL") or "https://github.com",
            env.get("PERSTACK_GITHUB_TOKEN") or env.get("GITHUB_TOKEN") or "",
            env.get("HTTPS_PROXY") or env.get("https_proxy") or "",
        )
        return carry_through(work, access)

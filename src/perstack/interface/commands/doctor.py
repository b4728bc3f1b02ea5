"""`perstack doctor`: what a job needs, looked at where it would run. Says what to change, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from perstack import api
from perstack.core.errors import PerstackError
from perstack.core.json import compact
from perstack.forge.contract import Ignored
from perstack.interface.doctor import access, machine, project
from perstack.interface.doctor.finding import Finding, State, document, exit_code, failed, lines, log_warnings
from perstack.interface.event import read_triggers
from perstack.interface.github import repository_forge, see_checks
from perstack.interface.options import config_option, engine_options, environment, format_option, host, repo_option
from perstack.interface.render.live import waiting
from perstack.interface.working import carry_through


@click.command(
    name="doctor",
    epilog="""\b
Examples:
  perstack doctor
  perstack doctor --sandbox bubblewrap --quick

Exit codes: 0 nothing keeps a job from working; 2 something written or passed is wrong; 4 the machine, the token
or the model does not do.""",
)
@repo_option
@config_option
@engine_options
@click.option("--quick", is_flag=True, help="Only what needs no request: event, git, sandbox, key.")
@format_option
def command(
    repo: Path, config: Path | str | None, sandbox: str, provider: str, model: str, quick: bool, output: str
) -> int:
    """Check token, event, sandbox, network, model, configuration and signals, and say what to change.

    The model is asked for one word, which costs a few tokens; --quick asks nobody.
    """
    env = environment()
    wanted = sandbox if sandbox != "auto" else env.get("PERSTACK_SANDBOX") or "auto"
    with host(sandbox=wanted, provider=provider, model=model) as here:
        with waiting(Console(stderr=True), "look at the machine"):
            findings = carry_through(_quick, here, env) if quick else carry_through(_whole, here, env, repo, config)
        findings = [_redacted(each, api.DeferredEngine(here).redact) for each in findings]
    _tell(findings, output, quick=quick, on_runner=bool(env.get("GITHUB_ACTIONS")))
    return exit_code(findings)


def _tell(findings: list[Finding], output: str, *, quick: bool, on_runner: bool) -> None:
    if output == "json":
        click.echo(compact(document(findings)))
    elif quick and on_runner:
        # At the start of every job: one line where all is well, a warning for what is not.
        if findings:
            told = (each for each in findings if each.state is State.OK and each.check != "token")
            click.echo("perstack: " + ", ".join(f"{each.check} {each.message.partition(' (')[0]}" for each in told))
        for line in log_warnings(findings):
            click.echo(line)
    else:
        for line in lines(findings):
            click.echo(line)
        bad = sum(each.state is State.PROBLEM for each in findings)
        click.echo(f"\n{bad} problem{'s' * (bad != 1)}" if bad else "\nNothing keeps a job from working.")


async def _quick(here: api.Host, env: Mapping[str, str]) -> list[Finding]:
    """Nothing is found where nothing is asked for."""
    found: list[Finding] = []
    if env.get("GITHUB_EVENT_NAME"):
        try:
            triggers = read_triggers(env)
        except PerstackError:
            return []  # the job itself says so
        if isinstance(triggers, Ignored):
            return []
        found = [access.kind(env)]
    found += [await machine.git(), await machine.sandbox(here)]
    if here.provider:  # else perstack.toml may name one, which is read later and from the base
        found.append(await machine.model(here, api.read_config(None), ask=False))
    return found


async def _whole(here: api.Host, env: Mapping[str, str], repo: Path, given: Path | str | None) -> list[Finding]:
    found = [await machine.git()]
    is_checkout = given is not None or (repo / ".git").exists() or not env.get("GITHUB_REPOSITORY")
    about = await project.of_checkout(repo, given, here.scratch) if is_checkout else None
    remote, of_remote = await _github(here, here.env, ask_configuration=about is None)
    about = about or of_remote
    isolation = await machine.sandbox(here)
    inside = await machine.inside(here, about.config, about.suggestion, about.programs)
    if isolation.state is State.PROBLEM:
        inside = ()  # its reasons are told already
    model = await machine.model(here, about.config, ask=True)
    return [*found, *remote, *about.findings, isolation, *inside, *machine.keys(here), model]


async def _github(
    here: api.Host, env: Mapping[str, str], *, ask_configuration: bool
) -> tuple[list[Finding], project.Project]:
    """What there is to say of GitHub, and the configuration there where no checkout has one."""
    found: list[Finding] = []
    nothing = project.Project(api.read_config(None), ())
    if env.get("GITHUB_EVENT_NAME"):
        try:
            found += access.event(read_triggers(env))
        except PerstackError as error:
            found.append(failed("event", error))
    if not env.get("GITHUB_REPOSITORY"):
        if not access.token_of(env):
            return found, nothing  # a person at a terminal: there is no GitHub to ask
        hint = "Set GITHUB_REPOSITORY to OWNER/NAME to have the token looked at."
        return [*found, Finding("token", State.NOTE, "not looked at: no repository is named", hint)], nothing
    token = access.kind(env)
    found.append(token)
    if token.state is State.PROBLEM:
        return found, nothing
    repository = env["GITHUB_REPOSITORY"]
    forge = repository_forge(env, repository, redact=api.DeferredEngine(here).redact)
    found += await access.readable(forge, partial(see_checks, env, repository), env)
    if not ask_configuration:
        return found, nothing
    try:
        return found, project.of_commit(await access.configuration(forge))
    except PerstackError as error:
        return [*found, failed("configuration", error)], nothing


def _redacted(finding: Finding, redact: Callable[[str], str]) -> Finding:
    return replace(finding, message=redact(finding.message), hint=redact(finding.hint))

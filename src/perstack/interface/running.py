"""A job of one expert on the command line: its events go out as JSON lines, signals come in, its end becomes words.

What `perstack run` and `perstack resume` share. Chooses no job and reads no option by itself.
"""

from __future__ import annotations

import shlex
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import click

from perstack import api
from perstack.core.errors import ExitCode, InfrastructureError
from perstack.core.events import Event
from perstack.core.json import JsonObject, compact
from perstack.interface import dotenv
from perstack.interface.history.grammar import Filter, parse_filter
from perstack.interface.options import environment, event_types, host
from perstack.interface.render.facts import visible
from perstack.interface.settings import Settings
from perstack.interface.working import carry_through

TERMINATED = 143
_TOLD = {"progress": "message", "skillStderr": "message", "repairReply": "message"}


@dataclass(slots=True)
class Printer:
    """Prints events as JSON lines on stdout, and remembers which job it was and what it asks."""

    only: frozenset[str] = frozenset()
    matches: Filter | None = None
    verbose: bool = False
    job_id: str = ""
    question: JsonObject = field(default_factory=dict)

    def __call__(self, event: Event) -> None:
        self.job_id = event.job_id
        if event.type == "callInteractiveTool" and isinstance(call := event.payload.get("toolCall"), dict):
            self.question = call
        if self.verbose and event.type in _TOLD:
            click.echo(f"perstack: {visible(str(event.payload.get(_TOLD[event.type], '')))}", err=True)
        if self.only and event.type not in self.only:
            return
        data = event.to_json()
        if self.matches is None or self.matches(data):
            sys.stdout.write(compact(data) + "\n")
            sys.stdout.flush()


def printer_of(only: str, *, verbose: bool = False, job_id: str = "") -> Printer:
    """A printer of all events, of those whose types are named (`a,b`), or that an expression (`.path op value`) meets.

    Raises: UserError for an expression that is none.
    """
    if only.lstrip().startswith("."):
        return Printer(matches=parse_filter(only), verbose=verbose, job_id=job_id)
    return Printer(event_types([only]), verbose=verbose, job_id=job_id)


def carry_out(asked: api.Run, settings: Settings) -> int:
    """Do it, and say on stderr how it ended and what can be done next. The exit code of the process.

    Raises: UserError and InfrastructureErrors of the job.
    """
    printer = printer_of(settings.only, verbose=settings.verbose, job_id=asked.job_id)
    files = settings.env_path or asked.config.env_path
    env = dotenv.merged(environment(), map(Path, files), must_exist=bool(settings.env_path))

    async def work() -> api.RunOutcome:
        with host(settings.sandbox, settings.provider, settings.model, storage=settings.storage, env=env) as machine:
            async with api.Engine(machine).job("run", printer, asked) as job:
                return await job.run(asked)

    try:
        outcome = carry_through(work)
    except api.Interrupted as interrupted:
        click.echo("perstack: interrupted; everything until now is on record", err=True)
        if printer.job_id:
            click.echo(f"  → go on with: {command_line('resume', [printer.job_id], settings)}", err=True)
        return TERMINATED if interrupted.number == signal.SIGTERM else ExitCode.INTERRUPTED
    except InfrastructureError as error:
        if printer.job_id:
            error.hint = "\n    ".join(filter(None, (error.hint, f"On record: {log_line(printer.job_id, settings)}")))
        raise
    return _tell_end(outcome, asked, printer, settings)


def command_line(command: str, arguments: Sequence[str], settings: Settings) -> str:
    """A `perstack` command line as one types it, with the options that were given before."""
    return shlex.join(["perstack", command, *arguments, *settings.arguments()])


def log_line(job: str, settings: Settings) -> str:
    """The command line that shows what is on record of a job."""
    return command_line("log", ["--job", job], Settings(storage=settings.storage))


def question_text(call: JsonObject) -> str:
    """An interactive call as people read it: the tool, then the one text it asks or all its arguments."""
    args = call.get("args")
    texts = [value for value in args.values() if isinstance(value, str)] if isinstance(args, Mapping) else []
    asked = texts[0] if isinstance(args, Mapping) and len(args) == len(texts) == 1 else compact(args or {})
    return visible(f"[{call.get('toolName', 'tool')}] {asked}")


def tell_found(job: api.JobHistory, standing: api.Standing) -> None:
    """Say where an interrupted job goes on, and which calls were lost."""
    name, expert = job.record.id, standing.expert
    click.echo(f"perstack: job {name} of expert `{expert}` goes on at step {standing.steps}", err=True)
    if job.is_cut:
        click.echo("perstack: the last line of its log was cut off and is left out", err=True)
    for call in standing.lost:
        told = question_text({"toolName": call.tool_name, "args": call.args})
        click.echo(
            f"perstack: the result of a call is lost: {told}\n"
            "  → it may have taken effect; the expert is told, and it is not made again",
            err=True,
        )


def _tell_end(outcome: api.RunOutcome, asked: api.Run, printer: Printer, settings: Settings) -> int:
    job = printer.job_id
    again = ["--continue-job", job]
    if outcome.troubles:
        counted = ", ".join(f"{count:,} × {kind}" for kind, count in outcome.troubles.items())
        click.echo(f"perstack: was wrong, and no end: {counted}", err=True)
    if outcome.status == "stoppedByInteractiveTool":
        click.echo(f"perstack: expert `{asked.expert}` asks: {question_text(printer.question)}", err=True)
        answer = command_line("run", [asked.expert, "YOUR ANSWER", *again, "-i"], settings)
        click.echo(f"  → answer with: {answer}", err=True)
        return ExitCode.OK
    if outcome.status == "stoppedByError":
        click.echo(f"perstack: expert `{asked.expert}` stopped: {visible(outcome.error)}", err=True)
        click.echo(f"  → see: {log_line(job, settings)}", err=True)
        return ExitCode.INFRASTRUCTURE
    if outcome.status == "stoppedByExceededMaxSteps":
        limit = asked.max_steps or asked.config.max_steps
        click.echo(f"perstack: expert `{asked.expert}` used up its {limit} steps before it was done", err=True)
        more = replace(settings, max_steps=2 * limit)
        click.echo(f"  → go on with: {command_line('run', [asked.expert, 'Go on.', *again], more)}", err=True)
        return ExitCode.INCONCLUSIVE
    return ExitCode.OK

"""`perstack replay`: fold a job's log again, or run it again against its own record, and compare."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

import click

from perstack import api
from perstack.core.errors import ExitCode, UserError
from perstack.core.experts import Expert
from perstack.core.json import JsonObject, compact
from perstack.core.storage import JobRecord
from perstack.interface.completion import jobs
from perstack.interface.options import format_option, host, storage_option, storage_root
from perstack.interface.render.facts import count, visible
from perstack.interface.settings import Settings, load_config
from perstack.interface.working import carry_through

# How many characters before a difference are shown; after it twice as many.
AROUND = 60


@click.command(
    name="replay",
    short_help="Fold a job's log again, or run it against its record, and compare.",
    epilog="""\b
Examples:
  perstack replay               the job that was worked on last
  perstack replay JOB --rerun   also with the experts as they are now
  perstack replay JOB --format json | jq .difference

Exit codes: 0 equal; 1 different, with the first difference; 2 usage or configuration; 4 the log is damaged.""",
)
@click.argument("job", default="", shell_complete=jobs)
@click.option("--rerun", is_flag=True, help="Run the job again: model and tools answer from the record.")
@click.option("--config", default="", metavar="FILE", help="With --rerun: the definition.  [perstack.toml, upwards]")
@storage_option
@format_option
def command(job: str, rerun: bool, config: str, storage: Path | None, output: str) -> int:
    """Fold a job's log again, event by event, and compare every checkpoint in it with what the events add up to.

    Asks no model and runs no tool, also with --rerun.
    """
    archive = api.Archive(storage_root(storage))
    job = job or next(iter(archive.recent()), "")
    if not job:
        raise UserError(f"no job in {archive.root}", hint="Run something first, or name another place with --storage.")
    record = archive.read(job)
    if record.is_foreign:
        raise UserError(
            f"job {job} is kept in the public layout", hint="Only a log can be replayed; `perstack log` shows it."
        )
    contents = archive.contents(job)
    report = api.check_log(contents)
    if rerun and report.ok:
        experts = experts_of(record.record, config)
        with host(storage=storage) as machine:
            redact = api.DeferredEngine(machine).redact

            async def again() -> api.ReplayReport:
                return await api.rerun_log(contents, experts, redact=redact)

            report = carry_through(again)
    if output == "json":
        click.echo(compact(report_json(job, report, rerun=rerun)))
    else:
        click.echo(report_text(job, report, rerun=rerun))
    if report.problem:
        click.echo(f"perstack: {visible(report.problem)}", err=True)
        return ExitCode.INFRASTRUCTURE
    return ExitCode.FAIL if report.difference else ExitCode.OK


def experts_of(record: JobRecord, config: str) -> Mapping[str, Expert]:
    """The experts as they are now: of the definition that is named or near, for a pipeline else those that ship.

    Raises: UserError where there is none, or it is wrong.
    """
    if config or api.find_config(Path.cwd()) is not None:
        return load_config(Settings(config=config)).experts
    if record.extra.get("kind", "run") != "run":
        return api.read_config(None).experts
    noted = record.extra.get("config")
    if isinstance(noted, str) and noted:
        raise UserError("perstack.toml not found", hint=f"The job was started with `--config {shlex.quote(noted)}`.")
    return load_config(Settings(), record.coordinator_expert_key).experts


def report_json(job: str, report: api.ReplayReport, *, rerun: bool) -> JsonObject:
    """One JSON document. `line` is that of the log, 0 where the record has no such event."""
    found = report.difference
    difference: JsonObject | None = None
    if found is not None:
        difference = {
            "line": found.line,
            "event": found.event,
            "where": found.where,
            "recorded": found.recorded,
            "replayed": found.replayed,
        }
    return {
        "job": job,
        "rerun": rerun,
        "equal": report.ok,
        "events": report.events,
        "runs": report.runs,
        "checkpoints": report.checkpoints,
        "difference": difference,
        "problem": report.problem,
    }


def report_text(job: str, report: api.ReplayReport, *, rerun: bool) -> str:
    """What was done, and whether it came out as recorded."""
    work = f"{count(report.events, 'event')} of {count(report.runs, 'run')}, {count(report.checkpoints, 'checkpoint')}"
    lines = [f"Job: {job}", f"{'Run again' if rerun else 'Folded'}: {work}"]
    if (found := report.difference) is not None:
        place = f"line {found.line}" if found.line else "after the record's end"
        lines.append(f"Different at {place}, {visible(found.event)}: {visible(found.where)}")
        recorded, replayed = apart(compact(found.recorded), compact(found.replayed))
        lines += [f"  recorded: {visible(recorded)}", f"  replayed: {visible(replayed)}"]
    elif report.problem:
        lines.append("Equal up to the damage")
    else:
        lines.append("Equal: " + ("all came out as recorded" if rerun else "the record says what its events add up to"))
    return "\n".join(lines)


def apart(first: str, second: str) -> tuple[str, str]:
    """Two texts from shortly before they part, and not much more of each."""
    same = next((n for n, pair in enumerate(zip(first, second, strict=False)) if len(set(pair)) == 2), None)
    begin = max(0, (min(len(first), len(second)) if same is None else same) - AROUND)
    cut = (("…" if begin else "") + text[begin : begin + 3 * AROUND] for text in (first, second))
    shown, other = (text + "…" * (len(text) >= 3 * AROUND) for text in cut)
    return shown, other

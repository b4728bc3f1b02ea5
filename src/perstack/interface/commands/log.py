"""`perstack log`: what happened in a job, from its record. Changes nothing."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, replace
from pathlib import Path

import click

from perstack import api
from perstack.core.errors import ExitCode, UserError
from perstack.core.json import JsonObject, compact
from perstack.interface import completion
from perstack.interface.history import following
from perstack.interface.history.choice import Wish, events_of_run, events_until
from perstack.interface.history.lines import View, targets_of
from perstack.interface.history.page import Out, job_lines, print_lines, report_lines
from perstack.interface.history.report import Report, summary_of
from perstack.interface.history.runs import runs_of
from perstack.interface.history.selection import Selection, select
from perstack.interface.options import event_types, storage_option, storage_root
from perstack.interface.render.facts import visible

NOTHING = "No data found"


_NEXT = {
    "stoppedByInteractiveTool": 'perstack run {expert} "your answer" --continue-job {job} -i',
    "stoppedByMaxSteps": 'perstack run {expert} "go on" --continue-job {job} --max-steps {more}',
    "running": "perstack resume {job}",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Which part of which job, and whether what the model was told is wanted too."""

    job: str = ""
    run: str = ""
    checkpoint: str = ""
    messages: bool = False
    storage: str = ""  # as it has to be said again, empty where it need not


@click.command(
    name="log",
    short_help="View execution history.",
    epilog="""\b
Examples:
  perstack log                                 the job worked on last
  perstack log --jobs                          every job
  perstack log --job JOB --errors --context 3  what went wrong, and around it
  perstack log --step '>=5' --tools --verbose  tools from step 5 on, in full
  perstack log --filter '.toolCalls[].toolName == "exec"' --json | jq .events
  perstack log --follow --type callTools       what comes, as JSON lines, until the job ends
  perstack log --checkpoint ID --messages      what the model knew by then

Steps: 5, >5, >=5, <5, <=5, 1-10. Filters: `.path op value`, op one of == != > >= < <=; `[]` is any element.

Exit codes: 0 shown, also where there is nothing; 2 usage; 4 the log is damaged (the intact part is shown).""",
)
@click.option(
    "--job",
    default="",
    metavar="ID",
    shell_complete=completion.jobs,
    help="The job to show.  [default: the one worked on last]",
)
@click.option("--run", "run_id", default="", metavar="ID", help="Only this run of the job.")
@click.option("--checkpoint", default="", metavar="ID", help="This checkpoint and what led to it.")
@click.option("--jobs", "list_jobs", is_flag=True, help="List all jobs instead.")
@click.option("--step", default="", metavar="EXPR", help="Only these steps: 5, >5, 1-10, …")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    shell_complete=completion.event_types,
    help="Only this event type; repeatable, or a,b.",
)
@click.option("--errors", is_flag=True, help="Only errors and retries.")
@click.option("--tools", is_flag=True, help="Only calls of tools and their results.")
@click.option("--delegations", is_flag=True, help="Only delegations.")
@click.option("--filter", "filters", multiple=True, metavar="EXPR", help="Only events that match; repeatable.")
@click.option("--take", default="", metavar="N", help="Show at most N events; 0 for all.  [default: 100]")
@click.option("--offset", default="", metavar="N", help="Leave out the first N events.  [default: 0]")
@click.option("--context", default="", metavar="N", help="Also show N events before and after each.  [default: 0]")
@click.option("--messages", is_flag=True, help="Show the messages of the checkpoint (the last one without any).")
@click.option("--follow", is_flag=True, help="Events as JSON lines while they come, until the job ends; all of them.")
@click.option("--summary", is_flag=True, help="Show no events.")
@click.option("--verbose", is_flag=True, help="Arguments and results in full, and the events of the machinery.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
@click.option("--format", "output", type=click.Choice(["text", "json"]), default="text", help="As --json.")
@click.option("--pretty", is_flag=True, help="Indent the JSON.")
@click.option(
    "--export",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the job into this new folder, in the public layout: a file an event.",
)
@storage_option
def command(  # one argument an option
    job: str,
    run_id: str,
    checkpoint: str,
    list_jobs: bool,
    step: str,
    types: tuple[str, ...],
    errors: bool,
    tools: bool,
    delegations: bool,
    filters: tuple[str, ...],
    take: str,
    offset: str,
    context: str,
    messages: bool,
    follow: bool,
    summary: bool,
    verbose: bool,
    as_json: bool,
    output: str,
    pretty: bool,
    export: Path | None,
    storage: Path | None,
) -> int:
    """View execution history: what experts did in a job, step by step."""
    wish = Wish(step, event_types(types), errors, tools, delegations, filters, take, offset, context, verbose)
    selection = wish.selection()
    archive = api.Archive(storage_root(storage))
    nothing = compact({"message": NOTHING, "storagePath": str(archive.root)}) if output == "json" else NOTHING
    as_json = as_json or output == "json"
    if list_jobs:
        return _list(archive, nothing, as_json=as_json, pretty=pretty)
    if export is not None:
        return _export(archive, job, export, nothing, as_json=as_json)
    if follow:
        return _follow(archive, job, selection if take else replace(selection, take=0))
    place = Place(job, run_id, checkpoint, messages, str(storage or ""))
    found = report_of(archive, place, selection)
    if found is None:
        click.echo(nothing)
        return ExitCode.OK
    report, view = found
    if as_json:
        _print_json(report.to_json(only_summary=summary), pretty=pretty)
    else:
        lines = report_lines(report, view, messages=messages, only_summary=summary)
        print_lines(Out(highlight=False), lines, fold=verbose)
    if report.problem:
        click.echo(f"perstack: {visible(report.problem)}", err=True)
    return ExitCode.INFRASTRUCTURE if report.is_damaged else ExitCode.OK


def report_of(archive: api.Archive, place: Place, selection: Selection) -> tuple[Report, View] | None:
    """What is on record of a place, and how to show it; None where there is nothing. Why is said on stderr.

    Raises: UserError for a run id that fits several; InfrastructureError where the log cannot be read.
    """
    job_id = place.job or next(iter(archive.recent()), "")
    if not job_id:
        return None
    try:
        job = archive.read(job_id)
    except UserError as error:
        click.echo(f"perstack: {visible(error.message)}", err=True)
        return None
    runs = runs_of(job.events, is_over=not job.is_live)
    events, checkpoint = job.events, None
    if place.checkpoint:
        checkpoint = job.checkpoint(place.checkpoint)
        events = events_until(events, checkpoint, runs) if checkpoint else ()
    elif place.messages:
        checkpoint = job.checkpoint()
    if place.run:
        events = events_of_run(events, runs, place.run)
    if (place.run and not events) or (place.checkpoint and checkpoint is None):
        name = f"checkpoint {place.checkpoint}" if place.checkpoint and checkpoint is None else f"run {place.run}"
        click.echo(f"perstack: {name} not found in job {job_id}", err=True)
        return None
    targets = targets_of(job.events)
    page = select(events, selection)
    report = Report(
        job=job.record,
        page=page,
        runs=runs,
        storage=str(archive.root),
        is_latest=not place.job,
        checkpoint=checkpoint,
        checkpoints=job.checkpoints() if place.job and not (place.run or place.checkpoint) else None,
        run=place.run,
        problem=job.problem,
        is_damaged=job.is_damaged,
        is_interrupted=job.is_interrupted,
        next=next_command(job, place.storage),
        summary=summary_of(page.matched, targets),
    )
    return report, View(runs, targets, selection.verbose)


def next_command(job: api.JobHistory, storage: str) -> str:
    """The command line that goes on with a job; empty where none does."""
    record = job.record
    if job.is_live or job.is_damaged or job.is_foreign or record.extra.get("kind", "run") != "run":
        return ""
    expert = shlex.quote(record.coordinator_expert_key)
    more = 2 * max(record.max_steps, record.total_steps)
    line = _NEXT.get(record.status, "").format(expert=expert, job=record.id, more=more)
    return f"{line} --storage {shlex.quote(storage)}" if line and storage else line


def _follow(archive: api.Archive, job: str, selection: Selection) -> int:
    job_id = job or next(iter(archive.recent()), "")
    if not job_id or not archive.is_there(job_id):
        click.echo(NOTHING, err=True)  # stdout is for events
        return ExitCode.OK
    following.print_events(archive, job_id, selection)
    return ExitCode.OK


def _export(archive: api.Archive, job: str, directory: Path, nothing: str, *, as_json: bool) -> int:
    job_id = job or next(iter(archive.recent()), "")
    if not job_id:
        click.echo(nothing)
        return ExitCode.OK
    archive.export(job_id, directory)
    click.echo(compact({"job": job_id, "export": str(directory)}) if as_json else f"Job {job_id} is in {directory}")
    return ExitCode.OK


def _list(archive: api.Archive, nothing: str, *, as_json: bool, pretty: bool) -> int:
    jobs = archive.jobs()
    if not jobs:
        click.echo(nothing)
    elif as_json:
        _print_json({"jobs": [job.to_json() for job in jobs], "storagePath": str(archive.root)}, pretty=pretty)
    else:
        lines = job_lines(jobs, str(archive.root), interrupted=archive.interrupted(jobs))
        print_lines(Out(highlight=False), lines)
    return ExitCode.OK


def _print_json(data: JsonObject, *, pretty: bool) -> None:
    click.echo(json.dumps(data, ensure_ascii=False, indent=2, default=dict) if pretty else compact(data))

"""`perstack run`: one expert, headless, events as JSON lines on stdout."""

from __future__ import annotations

from dataclasses import replace

import click

from perstack import api
from perstack.core.errors import UserError
from perstack.interface.completion import event_types, experts, jobs
from perstack.interface.continuing import Onward, continued
from perstack.interface.options import storage_root
from perstack.interface.running import carry_out
from perstack.interface.settings import Settings, load_config, order, run_options


@click.command(
    name="run",
    short_help="Run one expert headless.",
    epilog="""\b
Examples:
  perstack run writer "summarise CHANGES.md"
  perstack run writer "name it" --filter completeRun | jq -r .text
  perstack run type-fixer "mypy src"                  one that ships; see perstack experts --builtin
  perstack run writer "and now shorter" --continue
  perstack run writer "yes" --continue-job JOB -i     answer what it asked
  perstack run writer "or so" --continue-job JOB --resume-from CHECKPOINT

Exit codes: 0 completed, or waiting for an answer; 2 usage or configuration; 3 stopped at --max-steps;
4 stopped by an error; 130 interrupted (`perstack resume` goes on).""",
)
@click.argument("expert", shell_complete=experts)
@click.argument("query")
@click.option("--job-id", default="", metavar="ID", help="The new job's id.  [default: made up]")
@click.option("--continue", "go_on", is_flag=True, help="Say QUERY to the job that was worked on last.")
@click.option("--continue-job", default="", metavar="ID", shell_complete=jobs, help="Say QUERY to this job.")
@click.option("--resume-from", default="", metavar="ID", help="With --continue-job: branch off this checkpoint.")
@click.option(
    "-i",
    "--interactive-tool-call-result",
    "is_answer",
    is_flag=True,
    help="QUERY answers the interactive tool that the job stopped at.",
)
@click.option(
    "--filter",
    "only",
    default="",
    metavar="TYPES",
    shell_complete=event_types,
    help="Print only these event types: a,b; or `.path op value`, as log has it.",
)
@run_options
def command(
    expert: str,
    query: str,
    job_id: str,
    go_on: bool,
    continue_job: str,
    resume_from: str,
    is_answer: bool,
    only: str,
    settings: Settings,
) -> int:
    """Run one expert with its delegates to the end.

    Every event is one JSON line on stdout, as it happens; everything else is on stderr.
    """
    settings = replace(settings, only=only)
    if resume_from and not continue_job:
        raise UserError("--resume-from requires --continue-job")
    if go_on and continue_job:
        raise UserError("--continue and --continue-job exclude each other", hint="Give one of them.")
    if is_answer and not (go_on or continue_job):
        raise UserError("--interactive-tool-call-result requires --continue or --continue-job")
    if not (query.strip() or is_answer):
        raise UserError("Input message is undefined", hint="Say what the expert is to do.")
    config = load_config(settings, expert)
    asked = order(settings, config, expert, query)
    if go_on or continue_job:
        onward = Onward(continue_job, resume_from, is_answer)
        asked = continued(asked, api.Archive(storage_root(settings.storage)), onward)
    else:
        asked = replace(asked, job_id=job_id)
    return carry_out(asked, settings)

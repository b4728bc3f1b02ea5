"""`perstack start`: pick an expert, say what is to be done, and watch it, on a terminal."""

from __future__ import annotations

import importlib
import shutil
import sys
from pathlib import Path
from typing import Any

import click

from perstack import api
from perstack.core.errors import UserError
from perstack.core.experts import Config
from perstack.interface import dotenv
from perstack.interface.options import environment, host, read_config, storage_root, warn
from perstack.interface.running import command_line, log_line
from perstack.interface.settings import Settings, run_options

_COLUMNS, _LINES = 40, 10
_APP = "perstack.interface.start.app"  # loaded when there is a terminal: it needs the extra `tui`
_SESSION = "perstack.interface.start.session"
_TERMINAL = "perstack.interface.start.terminal"


@click.command(
    name="start",
    short_help="Pick an expert and watch it work, on a terminal.",
    epilog="""\b
Examples:
  perstack start                                   pick an expert, then type
  perstack start writer                            its box is ready to type in
  perstack start type-fixer "make mypy src pass"   starts at once

Keys: Enter sends, Ctrl+J begins a new line, Ctrl+C stops the job (again: leaves), Ctrl+O lists old jobs,
F1 shows the rest. Jobs are kept as those of `perstack run`: `perstack log`, `resume` and `report` know them.

Exit codes: 0 left; 2 usage, configuration, or no terminal; 130 left while a job was being stopped.""",
)
@click.argument("expert", default="")
@click.argument("query", default="")
@run_options
def command(expert: str, query: str, settings: Settings) -> int:
    """Run experts interactively: live activity, answers to what they ask, further queries, checkpoints, old jobs.

    Without a terminal (a pipe, CI), use `perstack run`.
    """
    env = environment()
    terminal = _loaded(_TERMINAL)
    streams = (sys.stdin, sys.stdout, sys.stderr)
    columns, lines = shutil.get_terminal_size()
    terminal.require_terminal(
        env,
        is_terminal=all(stream is not None and stream.isatty() for stream in streams),
        is_tall=columns >= _COLUMNS and lines >= _LINES,
    )
    config = _config(settings)
    if expert:
        expert = api.resolve_expert(config, expert).key
    known = dotenv.merged(env, map(Path, settings.env_path or config.env_path), must_exist=bool(settings.env_path))
    archive = api.Archive(storage_root(settings.storage))
    session_type, app_type = _loaded(_SESSION).Session, _loaded(_APP).StartApp
    with host(settings.sandbox, settings.provider, settings.model, storage=settings.storage, env=known) as machine:
        with session_type(settings, config, machine, archive) as session:
            app = app_type(
                session,
                expert=expert,
                query=query,
                light=terminal.is_light(env),
                ascii_only=terminal.is_ascii_only(env, sys.stderr.encoding),
                colour="NO_COLOR" not in env,
            )
            code = app.run()
        _tell_end(session.job_id, archive, settings)
    return code if isinstance(code, int) else app.return_code or 0


def _config(settings: Settings) -> Config:
    """The configuration that was named, else the nearest, else the experts that ship."""
    config = read_config(settings.config or api.find_config(Path.cwd()))
    for warning in config.warnings:
        warn(warning)
    return config


def _loaded(module: str) -> Any:
    """A module that needs the extra. Raises: UserError where it is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise UserError(
            "perstack start needs the package textual", hint='Install it: pip install "perstack[tui]"'
        ) from None


def _tell_end(job_id: str, archive: api.Archive, settings: Settings) -> None:
    """What the terminal keeps when the interface is gone: how to find the last job again."""
    if not job_id:
        return
    interrupted = archive.interrupted([archive.read(job_id).record])
    line = command_line("resume", [job_id], settings) if interrupted else log_line(job_id, settings)
    click.echo(f"perstack: {'stopped; go on with' if interrupted else 'on record'}: {line}", err=True)

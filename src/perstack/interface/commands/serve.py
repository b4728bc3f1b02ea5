"""`perstack serve`: jobs over HTTP, their events as server-sent events."""

from __future__ import annotations

import signal
from pathlib import Path

import click

from perstack import api
from perstack.core.errors import ExitCode
from perstack.interface import dotenv
from perstack.interface.options import environment, read_config, warn
from perstack.interface.serve import program
from perstack.interface.serve.limits import Limits
from perstack.interface.settings import Settings, run_options

_DEFAULT = Limits()


@click.command(
    name="serve",
    short_help="Jobs over HTTP, their events as server-sent events.",
    epilog="""\b
Examples:
  perstack serve                                    prints a token, and where it answers
  perstack serve --port 8080 --token-file ~/.perstack-token
  perstack serve --port 0 --max-jobs 4 --provider search

The line on stdout when it is ready is JSON: {"type":"ready","url":…,"port":…}. /openapi.json describes the rest.

Exit codes: 0 ended by SIGTERM; 130 by SIGINT; 2 usage or configuration, a port in use. Jobs that were at work are
cancelled, those that waited are kept; POST /v1/jobs/ID/resume goes on with either.""",
)
@click.option("--address", default="127.0.0.1", show_default=True, metavar="IP", help="Where to answer.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="0: one that is free.  [default: 0]"
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The token; made (mode 0600) where it is not there.  [default: a new token, printed on stderr]",
)
@click.option("--allow-host", "hosts", multiple=True, metavar="NAME", help="Another name of it; repeatable.")
@click.option("--allow-origin", "origins", multiple=True, metavar="ORIGIN", help="Pages that may ask; repeatable.")
@click.option("--max-jobs", type=click.IntRange(1, 64), default=_DEFAULT.running, show_default=True, help="At once.")
@click.option(
    "--max-queue", type=click.IntRange(0, 10_000), default=_DEFAULT.queued, show_default=True, help="Jobs that wait."
)
@click.option(
    "--max-streams", type=click.IntRange(1, 200), default=_DEFAULT.followers, show_default=True, help="Open at once."
)
@click.option(
    "--heartbeat",
    type=click.FloatRange(0.05, 3600),
    default=_DEFAULT.heartbeat_s,
    show_default=True,
    metavar="S",
    help="Seconds between signs of life on a quiet stream.",
)
@run_options
def command(
    address: str,
    port: int,
    token_file: Path | None,
    hosts: tuple[str, ...],
    origins: tuple[str, ...],
    max_jobs: int,
    max_queue: int,
    max_streams: int,
    heartbeat: float,
    settings: Settings,
) -> int:
    """Serve jobs to other tools: start them, follow their events from any one on, fetch what they left.

    The options of a run hold for every job; a request can lower limits, never raise them. The workspace is the
    repository that is verified and fixed. Only who has the token gets in.
    """
    config = read_config(settings.config or api.find_config(Path.cwd()))
    for warning in config.warnings:
        warn(warning)
    files = settings.env_path or config.env_path
    env = dotenv.merged(environment(), map(Path, files), must_exist=bool(settings.env_path))
    if settings.sandbox == "host":
        warn("sandbox `host` gives NO isolation: what experts run, runs as you")
    front = program.Front(address, port, token_file, hosts, origins)
    limits = Limits(running=max_jobs, queued=max_queue, followers=max_streams, heartbeat_s=heartbeat)
    stopped = program.run(settings, config, env, front, limits)
    program.tell_end(stopped, settings)
    return ExitCode.INTERRUPTED if stopped.by is signal.SIGINT else ExitCode.OK

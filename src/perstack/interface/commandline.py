"""The command line: finds the subcommand, loads only its module, turns errors into exit codes."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from perstack.core.errors import ExitCode, InfrastructureError, PerstackError
from perstack.core.faults import fault_of, machine_faults
from perstack.core.version import __version__
from perstack.interface import leaving
from perstack.interface.failing import tell_document, tell_error, write_anything
from perstack.interface.readers import drop_output

# Name → what it does. The module is `perstack.interface.commands.<name>`, loaded when it is called: start-up time
# is part of the interface.
COMMANDS = {
    "demo": "The whole main job offline: a buggy repository, a /perstack fix comment, a proved commit.",
    "verify": "Judge a change on a local checkout with the verification protocol.",
    "fix": "Plan, build and verify a fix of what is red in a local checkout.",
    "run": "Run one expert headless; events as JSON lines on stdout.",
    "start": "The same, interactive: pick an expert, type, watch, answer, go on.",
    "serve": "The same for other tools: HTTP, and events as server-sent events.",
    "audit": "Check evidence: every byte of it, and that its verdict follows.",
    "resume": "Go on with a job that was interrupted.",
    "log": "View execution history: what experts did in a job, step by step.",
    "report": "Render a job as one page, or for other tools: Markdown, JUnit, SARIF, a badge.",
    "replay": "Fold a job's log again, or run it against its record, and compare.",
    "action": "Entry point of the GitHub Action: reads GITHUB_*, does what the event asks.",
    "finish": "Last step of the GitHub Action: end what a killed job left in progress.",
    "doctor": "Check what a job needs here (token, sandbox, network, model, configuration), and what to change.",
    "prune": "Remove snapshots of set-up that nobody has used for long.",
    "models": "Show the providers and models that can be used here, their prices, and what answers.",
    "shard": "Share a verification out over several machines, and merge it into one verdict.",
    "detect": "Show the signals that fit a repository, as TOML.",
    "install": "Write perstack.lock: the tools of every skill, so that runs need not wait for servers.",
    "add": "Take experts of another repository: shown, pinned by commit and digest, updated as a diff.",
    "publish": "Check experts for others to take; a git tag publishes them.",
    "validate": "Check a perstack.toml.",
    "schema": "Print the reference or the JSON Schema of perstack.toml.",
    "create-expert": "Make an expert from a wish, really try it, and add it to a perstack.toml.",
    "experts": "Show the experts of a perstack.toml and who may call whom.",
    "completion": "Print what makes bash, zsh or fish complete perstack.",
}


class Commands(click.Group):
    """A group whose subcommands are loaded by name."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"perstack.interface.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        leaving.work()
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """As click does, without the empty line that it prints for an interrupt."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise click.exceptions.Abort from None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the command that was meant."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            raise click.exceptions.NoSuchCommand(name, possibilities=COMMANDS, ctx=ctx)
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names from the table: no command is loaded for them."""
        found = [CompletionItem(name, help=does) for name, does in COMMANDS.items() if name.startswith(incomplete)]
        return found + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 pass or done · 1 fail · 2 usage or configuration · 3 inconclusive or needs-test-change · "
    "4 infrastructure · 130 interrupted.",
)
@click.version_option(__version__, "--version", message="perstack %(version)s")
def group() -> None:
    """Fix-and-verify pull requests that are opened only when proved.

    Hard signals (compiler, tests) gate; what a model says informs and never gates.
    """


def start(arguments: list[str]) -> int:
    """Run the command line of this process: `run`, on streams that take any text and are written to the end."""
    write_anything(sys.stdout, sys.stderr)
    try:
        code = run(arguments)
        leaving.rest()
    except KeyboardInterrupt:  # between the work and its words
        return _interrupted(arguments)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        drop_output()  # else the interpreter's own last flush fails again
        if code == ExitCode.OK and not isinstance(error, BrokenPipeError):
            tell_error(fault_of(error) or InfrastructureError(f"stdout: {error.strerror}"))
            return ExitCode.INFRASTRUCTURE
    return code


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code. Errors are told on stderr, where asked for as JSON on stdout."""
    try:
        with machine_faults():
            result = group.main(args=arguments, prog_name="perstack", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return _interrupted(arguments)
    except click.ClickException as error:
        error.show()
        return _failed(arguments, error.format_message(), ExitCode.USAGE)
    except PerstackError as error:
        tell_error(error)
        return _failed(arguments, error.message, error.exit_code, error.hint)
    except (BrokenPipeError, SystemExit):  # click and Rich end the program in place of the error
        # The reader of our output went away (`| head`): nothing more to say to it.
        drop_output()
        return ExitCode.OK
    except Exception as error:  # noqa: BLE001  # the boundary: a bug is told as one, with what is needed to report it
        if isinstance(error.__cause__, KeyboardInterrupt):  # it came while a class was made, which Python wraps
            return _interrupted(arguments)
        if isinstance(error, FileNotFoundError) and not _has_directory():
            click.echo("perstack: the current directory is gone\n  → Change to one that exists.", err=True)
            return _failed(arguments, "the current directory is gone", ExitCode.USAGE)
        told = f"{traceback.format_exc()}perstack: BUG in perstack {__version__}: {error!r}"
        click.echo(f"{_without_secrets(told)}; please report it with the lines above", err=True)
        return _failed(arguments, "a bug in perstack; see stderr", ExitCode.INFRASTRUCTURE)
    return result if isinstance(result, int) else ExitCode.OK


def _has_directory() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _interrupted(arguments: list[str]) -> ExitCode:
    leaving.heed_nothing()
    shown = sys.stderr is not None and sys.stderr.isatty()  # the terminal shows `^C`
    click.echo("\nperstack: interrupted" if shown else "perstack: interrupted", err=True)
    return _failed(arguments, "interrupted", ExitCode.INTERRUPTED)


def _failed(arguments: list[str], message: str, code: ExitCode, hint: str = "") -> ExitCode:
    """Where JSON was asked for, a failure is its one document too; a broken stdout changes no exit code."""
    if leaving.wants_document(arguments):
        with contextlib.suppress(OSError, ValueError):
            tell_document(message, code, hint=hint)
    return code


def _without_secrets(text: str) -> str:
    """Loaded for a crash alone. What was fetched from elsewhere is out of the error already."""
    hidden = importlib.import_module("perstack.api").redactor(os.environ)
    return str(hidden.redact(text))

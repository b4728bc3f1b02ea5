"""The pages: command line, configuration, events, verdicts and exit codes, the action. Pure but for two files read."""

from __future__ import annotations

import html
import inspect
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click
import yaml

from perstack import api
from perstack.core import events
from perstack.core.errors import ExitCode
from perstack.core.verdict import ReasonCode, Verdict
from perstack.interface.commandline import COMMANDS, group
from perstack.interface.render.sentences import AFTER_VERDICT, VERDICT_MARK, WHY

MADE = "Made from the code by `python -m perstack.interface.reference`; a test holds it fresh."
_KEY = re.compile(r"(?P<key>\S+) = (?P<type>.*?)(?:  # (?P<says>.*))?")
_REMARKED = re.compile(r'^ +"(\w+)",  # (.*)$', re.MULTILINE)
_CODES = {
    ExitCode.OK: "pass, done, or nothing was asked",
    ExitCode.FAIL: "the verdict is `fail`",
    ExitCode.USAGE: "wrong options, or a wrong configuration; nothing was done",
    ExitCode.INCONCLUSIVE: "`inconclusive` or `needs-test-change`, or a budget was used up",
    ExitCode.INFRASTRUCTURE: "sandbox, forge or model failed, or a bug of ours; says nothing about the change",
    ExitCode.INTERRUPTED: "Ctrl-C or a signal",
}
_GROUPS = (
    ("Runs", "Of one expert at work; they carry `expertKey` and `stepNumber`.", events.RUN_EVENTS),
    ("Streams", "Pieces of text as they come. Printed by `perstack run`, never in the log.", events.STREAMING_EVENTS),
    ("Environment", "Skills, containers and the network of a run.", events.RUNTIME_EVENTS),
    ("Jobs", "Of a verification or a fix, from start to end.", events.JOB_EVENTS),
    ("Records", "Kept for going on after a crash; not shown.", events.RECORD_EVENTS),
)


def pages(root: Path) -> dict[str, str]:
    """File name → Markdown. `root` is the checkout, whose `action.yml` is read.

    Raises: OSError where there is none.
    """
    action = yaml.safe_load((root / "action.yml").read_text("utf-8"))
    return {
        "cli.md": _command_line(),
        "config.md": _configuration(),
        "events.md": _events(),
        "verdicts.md": _verdicts(),
        "action.md": _action(action),
    }


def _page(title: str, *parts: str) -> str:
    return "\n\n".join((f"# {title}", MADE, *parts)) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "|" + "|".join(f" {_cell(cell)} " if cell != "---" else cell for cell in line) + "|" for line in lines
    )


def _cell(text: str) -> str:
    """One line. A bar in code is written as HTML: readers of Markdown do not agree on how it is kept from ending it."""
    line = " ".join(text.split())
    if "|" in line:
        line = re.sub("`([^`]*)`", lambda code: f"<code>{html.escape(code[1], quote=False)}</code>", line)
    return line.replace("|", "&#124;")


def _command_line() -> str:
    context = click.Context(group, info_name="perstack")
    parts = [
        "Every command says the same with `--help`. Exit codes: [verdicts and exit codes](verdicts.md#exit-codes).",
        _table(
            ("command", "does"), ((f"[`perstack {name}`](#perstack-{name})", says) for name, says in COMMANDS.items())
        ),
    ]
    for name in COMMANDS:
        command = group.get_command(context, name)
        if command is not None:
            parts += _command(command, f"perstack {name}", context)
    return _page("Command line", *parts)


def _command(command: click.Command, name: str, parent: click.Context) -> list[str]:
    own = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent)
    usage = " ".join([name, *command.collect_usage_pieces(own)])
    told = [f"## perstack {name.removeprefix('perstack ')}", f"```text\n{usage}\n```", _escaped(command.help or "")]
    options = [found for it in command.get_params(own) if (found := it.get_help_record(own))]
    if options:
        told.append(_table(("option", "says"), ((f"`{option}`", _escaped(says)) for option, says in options)))
    if command.epilog:
        told.append(f"```text\n{inspect.cleandoc(command.epilog).replace(chr(8), '').strip()}\n```")
    if isinstance(command, click.Group):
        for below in command.list_commands(own):
            found_below = command.get_command(own, below)
            if found_below is not None:
                told += _command(found_below, f"{name} {below}", own)
    return told


def _escaped(text: str) -> str:
    """Help is plain text: what Markdown would take for mark-up outside of code is kept from it."""
    text = inspect.cleandoc(text).replace("\b\n", "").replace("\f", "")
    return re.sub(r"(`[^`\n]*`)|([<>*_\[\]])", lambda m: m[1] or f"\\{m[2]}", text)


def _configuration() -> str:
    parts = [
        "What the keys are for, with examples: [perstack.toml](../perstack-toml.md).",
        "For editors: [JSON Schema](../perstack.schema.json).",
    ]
    for block in api.reference().split("\n\n"):
        head, *lines = block.strip().splitlines()
        if not lines and head.startswith("#"):
            continue
        title = head.removeprefix("# ") if head.startswith("#") else f"`{head}`"
        rows = [m.group("key", "type", "says") for line in lines if (m := _KEY.fullmatch(line))]
        odd = [line for line in lines if not _KEY.fullmatch(line)]
        parts.append(f"## {title[0].upper()}{title[1:]}")
        parts += [_escaped(line.removeprefix("# ")) for line in odd]
        if rows:
            parts.append(
                _table(
                    ("key", "value", "says"),
                    ((f"`{key}`", f"`{kind}`", _escaped(says or "")) for key, kind, says in rows),
                )
            )
    return _page("Keys of perstack.toml", *parts)


def _events() -> str:
    remarks = dict(_REMARKED.findall(inspect.getsource(events)))
    parts = [
        "A job's log is JSON lines, one event each: `type`, `id`, `timestamp` (milliseconds since 1970) and `jobId`.",
        "Where an expert is at work, `runId`, `expertKey` and `stepNumber` follow; then what the event says.",
        "Reading and choosing them: [jobs](../jobs.md).",
    ]
    for title, says, names in _GROUPS:
        carry = {name: remarks.get(name, "") for name in sorted(names)}
        rows = [(f"`{name}`", _escaped(remark)) for name, remark in carry.items()]
        table = (
            _table(("event", "carries"), rows) if any(carry.values()) else "\n".join(f"- `{name}`" for name in carry)
        )
        parts += [f"## {title}", says, table]
    return _page("Events", *parts)


def _verdicts() -> str:
    return _page(
        "Verdicts and exit codes",
        _table(
            ("verdict", "", "exit code", "then"),
            ((f"`{it}`", VERDICT_MARK[it], str(it.exit_code.value), AFTER_VERDICT[it]) for it in Verdict),
        ),
        "## Exit codes",
        _table(("code", "means"), ((str(it.value), _CODES[it]) for it in ExitCode)),
        "## Reasons",
        "What the bot says for each code. Which verdict it leads to, exactly: [reason codes](../reason-codes.md).",
        _table(("code", "sentence"), ((f"`{it}`", _escaped(WHY[it])) for it in ReasonCode)),
    )


def _action(action: dict[str, Any]) -> str:
    inputs, outputs = action["inputs"], action["outputs"]
    return _page(
        "The action",
        f"{action['description']} Workflows to take, with the least permissions: [on GitHub](../github.md).",
        "## Inputs",
        _table(
            ("input", "default", "says"),
            (
                (f"`{name}`", f"`{it['default']}`" if it.get("default") else "", _escaped(it["description"]))
                for name, it in inputs.items()
            ),
        ),
        "## Outputs",
        _table(("output", "says"), ((f"`{name}`", _escaped(it["description"])) for name, it in outputs.items())),
    )

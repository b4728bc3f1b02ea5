"""Values that the shell offers: experts, jobs, event types, providers. Reads files, starts nothing, never fails.

How a shell is told to ask is click's; see `perstack completion`.
"""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from perstack import api
from perstack.core.errors import PerstackError
from perstack.core.events import KNOWN_EVENTS

_JOBS = 50  # the shell's list is for looking at
_PROVIDERS = ("anthropic", "deepseek", "fireworks", "ollama", "openai", "openai-compatible", "search")


def experts(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The experts of the definition in use, and the ones that ship."""
    try:
        given = ctx.params.get("config")
        path = Path(given) if given else api.find_config(Path.cwd())
        # An address is not asked while somebody types.
        found = api.read_config(None if path is None or not path.is_file() else path).experts
    except (PerstackError, OSError):
        return []
    return [
        CompletionItem(key, help=expert.description)
        for key, expert in sorted(found.items())
        if key.startswith(incomplete) and not (key.startswith("@") and not incomplete)
    ]


def jobs(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of jobs on record, the last one first."""
    root = ctx.params.get("storage") or os.environ.get("PERSTACK_STORAGE_PATH") or "perstack"
    try:
        found = api.Archive(Path(root).absolute()).recent()
    except (PerstackError, OSError):
        return []
    return [CompletionItem(name) for name in found if name.startswith(incomplete)][:_JOBS]


def event_types(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Event types; of several with commas the last one is completed."""
    before, comma, last = incomplete.rpartition(",")
    return [CompletionItem(before + comma + name) for name in sorted(KNOWN_EVENTS) if name.startswith(last)]


def providers(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The names of providers."""
    return [CompletionItem(name) for name in _PROVIDERS if name.startswith(incomplete)]

"""The event of a workflow run, from the variables and the file that Actions gives. Starts no work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perstack.core.errors import UserError
from perstack.forge.contract import Ignored, Trigger
from perstack.forge.trigger import Workflow, read_event

MAX_EVENT = 32 * 1024 * 1024


def read_triggers(env: Mapping[str, str]) -> tuple[Trigger, ...] | Ignored:
    """What the event file asks for, in order.

    Raises: UserError when the variables, the file or the payload are not what Actions gives.
    """
    name, path = env.get("GITHUB_EVENT_NAME", ""), env.get("GITHUB_EVENT_PATH", "")
    if not name or not path:
        raise UserError(
            "GITHUB_EVENT_NAME and GITHUB_EVENT_PATH are not set",
            hint="`perstack action` runs inside GitHub Actions; `perstack demo` shows the same job locally",
        )
    return read_event(name, read_payload(Path(path)), workflow_facts(env))


def workflow_facts(env: Mapping[str, str]) -> Workflow:
    """What the workflow says beside the event: the action's inputs, and what the payload may lack."""
    return Workflow(
        label=env.get("PERSTACK_LABEL", ""),
        command=env.get("PERSTACK_COMMAND", "").strip(),
        task=env.get("PERSTACK_TASK", ""),
        repository=env.get("GITHUB_REPOSITORY", ""),
        repository_id=whole(env.get("GITHUB_REPOSITORY_ID", "")),
        ref=env.get("GITHUB_REF", ""),
        sha=env.get("GITHUB_SHA", ""),
        actor=env.get("GITHUB_ACTOR", ""),
        actor_id=whole(env.get("GITHUB_ACTOR_ID", "")),
    )


def whole(text: str) -> int:
    """A number of Actions' own; 0 for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else 0


def read_payload(path: Path) -> dict[str, Any]:
    """Raises: UserError with the place where the file is not a JSON object."""
    try:
        data = path.read_bytes()
        if len(data) > MAX_EVENT:
            raise UserError(f"{path}: the event payload has {len(data)} bytes, more than any real event")
        payload = json.loads(data)
    except OSError as error:
        raise UserError(f"cannot read the event payload {path}: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise UserError(f"{path}:{error.lineno}:{error.colno}: the event payload is not JSON: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: the event payload is not UTF-8 text: {error.reason}") from error
    if not isinstance(payload, dict):
        raise UserError(f"{path}:1: the event payload is not a JSON object")
    return payload

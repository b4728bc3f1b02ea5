"""Facts that every event has: who, which repository, which branch, which words. Pure; chooses no action."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perstack.core.errors import UserError
from perstack.forge import payload as read
from perstack.forge.commands import Command, CommandProblem, read_words
from perstack.forge.contract import Action, Actor, Ignored
from perstack.forge.payload import Payload
from perstack.forge.sanitise import clean

NO_ACTOR = Ignored("the account that caused the event no longer exists")
_REF = re.compile(r"(?!-)(?!.*(?:\.\.|@\{|//|\.lock$|\.lock/))[^\x00-\x20~^:?*\[\\\x7f]{1,244}(?<![./])")
_WORD = re.compile(r"[A-Za-z0-9_:-]{1,60}(?:\[bot\])?")
_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


@dataclass(frozen=True, slots=True)
class Workflow:
    """What the workflow says beside the event: the action's inputs, and facts (`GITHUB_*`) that payloads may lack.

    `command` is what an event without words of its own does (`verify`, `fix`, `publish`, …), `task` its arguments.
    `label` empty leaves the choice of the label to the base's `[github]`.
    """

    label: str = ""
    command: str = ""
    task: str = ""
    repository: str = ""
    repository_id: int = 0
    ref: str = ""
    sha: str = ""
    actor: str = ""
    actor_id: int = 0


def actor(payload: Payload) -> Actor | None:
    """Who caused the event, which for an edit is the editor. An account that only an app acts for counts as a bot."""
    if "sender" in payload and payload["sender"] is None:
        return None
    kind = read.text_or_empty(payload, "sender.type") or "User"
    through_app = read.find(payload, "comment.performed_via_github_app") is not None
    return Actor(
        login=read.text(payload, "sender.login"),
        id=read.integer(payload, "sender.id"),
        is_bot=kind != "User" or through_app,
    )


def account(payload: Payload, path: str) -> Actor | None:
    """Another account of the payload, None where it is missing."""
    if read.find(payload, path) is None:
        return None
    kind = read.text_or_empty(payload, f"{path}.type") or "User"
    return Actor(read.text(payload, f"{path}.login"), read.integer(payload, f"{path}.id"), is_bot=kind != "User")


def repository(payload: Payload) -> dict[str, Any]:
    """Fields of the trigger about the repository."""
    return {
        "repository": read.text(payload, "repository.full_name"),
        "repository_id": read.integer(payload, "repository.id"),
        "default_branch": read.text_or_empty(payload, "repository.default_branch"),
    }


def texts(payload: Payload, subject: str, arguments: str) -> dict[str, Any]:
    """Fields of the trigger with a stranger's words, cleaned and counted."""
    parts = {
        "title": clean(read.text(payload, f"{subject}.title")),
        "text": clean(read.text_or_empty(payload, f"{subject}.body")),
        "arguments": clean(arguments),
    }
    return {name: part.text for name, part in parts.items()} | {
        "hidden": sum(p.hidden for p in parts.values()),
        "source": _source(payload, subject),
    }


def _source(payload: Payload, subject: str) -> str:
    """Who wrote the subject, as the forge says it. Only words of a form that no instruction has."""
    login = read.text_or_empty(payload, f"{subject}.user.login") if read.find(payload, f"{subject}.user") else ""
    role = read.text_or_empty(payload, f"{subject}.author_association")
    opened, changed = (read.text_or_empty(payload, f"{subject}.{name}_at") for name in ("created", "updated"))
    if not _WORD.fullmatch(login):
        return ""
    parts = [f"Title and text were written by @{login}", f"association {role}" if _WORD.fullmatch(role) else ""]
    parts += [f"{what} {at}" for what, at in (("opened", opened), ("last changed", changed)) if _WORD.fullmatch(at)]
    return f"{', '.join(filter(None, parts))}."


def sha(payload: Payload, path: str) -> str:
    """A commit id that must be there.

    Raises: UserError naming the path.
    """
    value = read.text(payload, path)
    if _SHA.fullmatch(value) is None:
        raise UserError(f"The event payload cannot be read: `{path}` is no commit id.", hint=read.UNCHANGED)
    return value


def branch_or_empty(ref: str) -> str:
    """The branch that a ref names, empty where it names none or an impossible one."""
    name = ref.removeprefix("refs/heads/")
    return name if not name.startswith("refs/") and _REF.fullmatch(name) else ""


def branch(ref: str) -> str:
    """The branch that an input names.

    Raises: UserError where it can be none.
    """
    name = branch_or_empty(ref)
    if not name:
        raise UserError("The input `ref` is not a branch name.", hint="Give the name of an existing branch.")
    return name


def wish(word: str, task: str, default: Action, allowed: frozenset[Action]) -> Command:
    """What a workflow's input wants done, `default` where it says nothing.

    Raises: UserError where the word is none of `allowed`, or its arguments do not fit it.
    """
    if not word:
        return Command(default, task.strip(), 1, 1)
    found: Command | CommandProblem = (
        Command(Action.PUBLISH, "", 1, 1) if word == Action.PUBLISH else read_words(word, task.strip())
    )
    if isinstance(found, CommandProblem) and word.lower() in set(allowed):
        raise UserError(f"The input `command` cannot be used: {found.message}.", hint="Give it in the input `task`.")
    if isinstance(found, CommandProblem) or found.action not in allowed:
        words = ", ".join(f"`{action}`" for action in Action if action in allowed)
        raise UserError(
            f"The input `command` is none of {words}.", hint="Another command is not possible for this event."
        )
    return found


def words_of(command: Command) -> Mapping[str, Any]:
    """Fields of the trigger from a command that came as an input, cleaned and counted."""
    arguments = clean(command.arguments)
    return {
        "action": command.action,
        "arguments": arguments.text,
        "expert": command.expert,
        "approved": command.approved,
        "hidden": arguments.hidden,
    }

"""From an event payload to a trigger: what is asked, by whom, about what. Pure; asks nobody and permits nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from perstack.core.errors import UserError
from perstack.forge import payload as read
from perstack.forge.commands import Command, CommandProblem, parse_commands
from perstack.forge.contract import Action, Actor, Ignored, Trigger
from perstack.forge.payload import Payload
from perstack.forge.sanitise import clean

MARKER = "<!-- perstack:key="
DEFAULT_LABEL = "perstack"
_VERIFY_ON = frozenset({"opened", "synchronize", "reopened", "ready_for_review"})
_REF = re.compile(r"(?!-)(?!.*(?:\.\.|@\{|//|\.lock$|\.lock/))[^\x00-\x20~^:?*\[\\\x7f]{1,244}(?<![./])")


def read_event(name: str, payload: Payload, *, label: str = DEFAULT_LABEL) -> tuple[Trigger, ...] | Ignored:
    """What one event asks for, in order; `label` is the issue label that asks for a fix.

    Raises: UserError naming the field where the payload is not what GitHub sends for this event.
    """
    readers: dict[str, Callable[[], Trigger | Ignored]] = {
        "issue_comment": lambda: _issue_comment(payload),
        "pull_request": lambda: _pull_request(payload),
        "issues": lambda: _issues(payload, label),
        "workflow_dispatch": lambda: _workflow_dispatch(payload),
    }
    if name not in readers:
        return Ignored(f"the event `{name}` asks for nothing")
    trigger = readers[name]()
    return trigger if isinstance(trigger, Ignored) else (trigger,)


def _issue_comment(payload: Payload) -> Trigger | Ignored:
    action = read.text(payload, "action")
    if action not in {"created", "edited"}:
        return Ignored(f"the comment was {action}")
    read.table(payload, "issue")
    body = read.text_or_empty({"comment": read.table(payload, "comment")}, "comment.body")
    if MARKER in body:
        return Ignored("the comment is our own")
    previous = ""
    if action == "edited":
        if read.find(payload, "changes.body") is None:
            return Ignored("the edit did not change the comment's text")
        previous = read.text_or_empty(payload, "changes.body.from")
    is_pull_request = read.find(payload, "issue.pull_request") is not None
    return _from_text(
        payload,
        parse_commands(body, previous),
        event="issue_comment",
        is_pull_request=is_pull_request,
        comment_id=read.integer(payload, "comment.id"),
    )


def _issues(payload: Payload, label: str) -> Trigger | Ignored:
    action = read.text(payload, "action")
    if action == "labeled":
        if read.text_or_empty(payload, "label.name").casefold() != label.casefold():
            return Ignored(f"only the label `{label}` asks for a fix")
        return _from_text(payload, (Command(Action.FIX, "", 0, 0),), event="issues")
    if action == "opened":
        body = read.text_or_empty({"issue": read.table(payload, "issue")}, "issue.body")
        return _from_text(payload, parse_commands(body), event="issues")
    return Ignored(f"the issue was {action}")


def _from_text(
    payload: Payload,
    found: tuple[Command | CommandProblem, ...],
    *,
    event: str,
    is_pull_request: bool = False,
    comment_id: int = 0,
) -> Trigger | Ignored:
    if not found:
        return Ignored("there is no new `/perstack` command in the text")
    actor = _actor(payload)
    if actor is None:
        return Ignored("the account that caused the event no longer exists")
    action, arguments, notes = _choose(found, is_pull_request)
    where = "comment.html_url" if comment_id else "issue.html_url"
    return Trigger(
        event=event,
        action=action,
        actor=actor,
        number=read.integer(payload, "issue.number"),
        is_pull_request=is_pull_request,
        comment_id=comment_id,
        url=read.text_or_empty(payload, where),
        notes=notes,
        **_repository(payload),
        **_texts(payload, "issue", arguments),
    )


def _choose(found: tuple[Command | CommandProblem, ...], is_pull_request: bool) -> tuple[Action, str, tuple[str, ...]]:
    """The one command that is run (the first), its arguments, and a note about everything else."""
    notes: list[str] = []
    chosen: Command | None = None
    for item in found:
        if isinstance(item, CommandProblem):
            notes.append(item.message)
        elif item.action is Action.VERIFY and not is_pull_request:
            notes.append(f"line {item.line}, column {item.column}: `verify` works on pull requests only")
        elif chosen is None:
            chosen = item
        else:
            notes.append(
                f"line {item.line}, column {item.column}: `{item.action}` was not run; one command is run a comment"
            )
    if chosen is None:
        return Action.HELP, "", tuple(notes)
    return chosen.action, chosen.arguments, tuple(notes)


def _pull_request(payload: Payload) -> Trigger | Ignored:
    action = read.text(payload, "action")
    if action not in _VERIFY_ON:
        return Ignored(f"the pull request was {action}")
    if read.text(payload, "pull_request.state") != "open":
        return Ignored("the pull request is closed")
    actor = _actor(payload)
    if actor is None:
        return Ignored("the account that caused the event no longer exists")
    return Trigger(
        event="pull_request",
        action=Action.VERIFY,
        actor=actor,
        number=read.integer(payload, "pull_request.number"),
        is_pull_request=True,
        head_sha=read.text(payload, "pull_request.head.sha"),
        ref=read.text(payload, "pull_request.base.ref"),
        url=read.text_or_empty(payload, "pull_request.html_url"),
        **_repository(payload),
        **_texts(payload, "pull_request", ""),
    )


def _workflow_dispatch(payload: Payload) -> Trigger | Ignored:
    actor = _actor(payload)
    if actor is None:
        return Ignored("the account that caused the event no longer exists")
    word = _input(payload, "command") or Action.FIX.value
    if word not in set(Action):
        words = ", ".join(f"`{action}`" for action in Action)
        raise UserError(f"The input `command` is none of {words}.", hint="Choose one of them in the dispatch form.")
    pull_request = _number(payload, "pull-request") or _number(payload, "number")
    issue = 0 if pull_request else _number(payload, "issue")
    if Action(word) is Action.VERIFY and not pull_request:
        raise UserError("`verify` needs the input `pull-request`.", hint="Give the number of an open pull request.")
    task = clean(_input(payload, "task"))
    return Trigger(
        event="workflow_dispatch",
        action=Action(word),
        actor=actor,
        number=pull_request or issue,
        is_pull_request=bool(pull_request),
        arguments=task.text,
        ref=_ref(_input(payload, "ref") or read.text(payload, "ref")),
        url=read.text_or_empty(payload, "repository.html_url"),
        actor_checked=True,
        hidden=task.hidden,
        **_repository(payload),
    )


def _input(payload: Payload, name: str) -> str:
    """One input as text; the API allows numbers and booleans, and names with `_` for `-`."""
    for key in (name, name.replace("-", "_")):
        value = read.find(payload, f"inputs.{key}")
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int):
            return str(value).strip()
    return ""


def _number(payload: Payload, name: str) -> int:
    value = _input(payload, name).removeprefix("#")
    if not value:
        return 0
    if not (value.isascii() and value.isdigit() and 0 < len(value) < 16 and int(value) > 0):
        raise UserError(f"The input `{name}` is not a number.", hint="Give a number such as 42.")
    return int(value)


def _ref(value: str) -> str:
    name = value.removeprefix("refs/heads/")
    if not _REF.fullmatch(name):
        raise UserError("The input `ref` is not a branch name.", hint="Give the name of an existing branch.")
    return name


def _actor(payload: Payload) -> Actor | None:
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


def _repository(payload: Payload) -> dict[str, Any]:
    return {
        "repository": read.text(payload, "repository.full_name"),
        "repository_id": read.integer(payload, "repository.id"),
        "default_branch": read.text_or_empty(payload, "repository.default_branch"),
    }


def _texts(payload: Payload, subject: str, arguments: str) -> dict[str, Any]:
    parts = {
        "title": clean(read.text(payload, f"{subject}.title")),
        "text": clean(read.text_or_empty(payload, f"{subject}.body")),
        "arguments": clean(arguments),
    }
    return {name: part.text for name, part in parts.items()} | {"hidden": sum(p.hidden for p in parts.values())}

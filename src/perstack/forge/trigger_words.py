"""Events that people cause by writing: comments, review comments, issues. Pure; permits nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from perstack.forge import payload as read
from perstack.forge import trigger_facts as facts
from perstack.forge.commands import MAX_COMMANDS, Command, CommandProblem, Found, parse_commands
from perstack.forge.contract import MARKER, Action, Ignored, Trigger
from perstack.forge.payload import Payload
from perstack.forge.sanitise import clean

_ON_PULL_REQUESTS = frozenset({Action.VERIFY, Action.REVIEW})
_NOTES = 10
_NOTHING = Ignored("there is no new `/perstack` command in the text")
Read = tuple[Trigger, ...] | Ignored


def issue_comment(payload: Payload) -> Read:
    """A comment of an issue or pull request, new or edited."""
    found = _comment(payload)
    if isinstance(found, Ignored):
        return found
    read.table(payload, "issue")
    pull_request = read.find(payload, "issue.pull_request") is not None
    return _triggers(payload, found, "issue", {**_comment_fields(payload), "is_pull_request": pull_request})


def review_comment(payload: Payload) -> Read:
    """A comment at a line of a pull request's diff. Its payload pins the head."""
    found = _comment(payload)
    if isinstance(found, Ignored):
        return found
    # A file's name is a stranger's text as well.
    path = " ".join(clean(read.text_or_empty(payload, "comment.path")).text.split())
    line = read.find(payload, "comment.line") or read.find(payload, "comment.original_line")
    fields = {
        **_comment_fields(payload),
        "is_pull_request": True,
        "is_review_comment": True,
        "head_sha": facts.sha(payload, "pull_request.head.sha"),
        "place": f"{path}:{line}" if path and isinstance(line, int) else path,
    }
    return _triggers(payload, found, "pull_request", fields)


def issues(payload: Payload, label: str) -> Read:
    """An issue that was opened with a command, labelled, or assigned. `label` empty: any label, to be judged later."""
    action = read.text(payload, "action")
    asked = (Command(Action.FIX, "", 0, 0),)
    if action == "labeled":
        name = read.text_or_empty(payload, "label.name")
        if not name or (label and name.casefold() != label.casefold()):
            return Ignored(f"only the label `{label}` asks for a fix" if label else "the label has no name")
        return _about_issue(payload, asked, {"label": "" if label else name})
    if action == "assigned":
        login = read.text_or_empty(payload, "assignee.login")
        return _about_issue(payload, asked, {"assignee": login}) if login else Ignored("nobody was assigned")
    return _opened(payload) if action == "opened" else Ignored(f"the issue was {action}")


def _opened(payload: Payload) -> Read:
    """A new issue whose author wrote a command into it."""
    if read.find(payload, "changes.old_issue") is not None or read.find(payload, "changes.old_repository") is not None:
        return Ignored("the issue was transferred; whoever moved it did not write its commands")
    read.table(payload, "issue")
    if _by_somebody_else(payload, "issue.user.id"):
        return Ignored("the issue was opened by another account than the one that wrote it")
    body = read.text_or_empty(payload, "issue.body")
    if body.startswith(MARKER):
        return Ignored("the issue is our own")
    if read.find(payload, "issue.performed_via_github_app") is not None:
        return Ignored("an app wrote the issue")
    found = parse_commands(body)
    return _about_issue(payload, found, {}) if found else _NOTHING


def _about_issue(payload: Payload, found: Sequence[Found], fields: dict[str, Any]) -> Read:
    read.table(payload, "issue")
    url = read.text_or_empty(payload, "issue.html_url")
    pull_request = read.find(payload, "issue.pull_request") is not None
    return _triggers(
        payload, found, "issue", {**fields, "event": "issues", "url": url, "is_pull_request": pull_request}
    )


def _comment(payload: Payload) -> tuple[Found, ...] | Ignored:
    """The commands of the comment that are asked for now."""
    action = read.text(payload, "action")
    if action not in {"created", "edited"}:
        return Ignored(f"the comment was {action}")
    body = read.text_or_empty({"comment": read.table(payload, "comment")}, "comment.body")
    if body.startswith(MARKER):
        # Ours, or an imitation: neither asks. The marker elsewhere is a quotation and silences nobody.
        return Ignored("the comment is our own")
    other = _by_somebody_else(payload, "comment.user.id")
    if action == "created":
        if other:
            return Ignored("the comment was written by another account than the one that caused the event")
        return parse_commands(body) or _NOTHING
    if read.find(payload, "changes.body") is None:
        return Ignored("the edit did not change the comment's text")
    previous = read.text_or_empty(payload, "changes.body.from")
    return parse_commands(body, previous, same_author=not other) or _NOTHING


def _by_somebody_else(payload: Payload, path: str) -> bool:
    """The words have another author than the event's sender. An author that no longer exists is nobody else."""
    author = read.find(payload, path)
    if author is None or read.find(payload, "sender") is None:
        return False
    return bool(author != read.integer(payload, "sender.id"))


def _comment_fields(payload: Payload) -> dict[str, Any]:
    return {
        "event": "issue_comment" if "issue" in payload else "pull_request_review_comment",
        "comment_id": read.integer(payload, "comment.id"),
        "url": read.text_or_empty(payload, "comment.html_url"),
        "edited": payload.get("action") == "edited",
    }


def _triggers(payload: Payload, found: Sequence[Found], subject: str, fields: dict[str, Any]) -> Read:
    actor = facts.actor(payload)
    if actor is None:
        return facts.NO_ACTOR
    commands, notes = _choose(found, pull_request=bool(fields["is_pull_request"]))
    common = {"actor": actor, "number": read.integer(payload, f"{subject}.number"), **facts.repository(payload)}
    return tuple(
        Trigger(
            action=command.action,
            expert=command.expert,
            approved=command.approved,
            commands=place,
            notes=notes if place == 1 else (),
            **common,
            **fields,
            **facts.texts(payload, subject, command.arguments),
        )
        for place, command in enumerate(commands, 1)
    )


def _choose(found: Sequence[Found], *, pull_request: bool) -> tuple[tuple[Command, ...], tuple[str, ...]]:
    """The commands that are run, and a note about everything else. Mistakes alone are answered by help."""
    notes: list[str] = []
    chosen: list[Command] = []
    asked: set[tuple[str, ...]] = set()
    for item in found:
        if isinstance(item, CommandProblem):
            notes.append(item.message)
            continue
        where = f"line {item.line}, column {item.column}"
        same = (item.action.value, item.expert, item.approved, item.arguments)
        if item.action in _ON_PULL_REQUESTS and not pull_request:
            notes.append(f"{where}: `{item.action}` works on pull requests only")
        elif same in asked:
            notes.append(f"{where}: `{item.action}` is the same command again and was run once")
        elif len(chosen) == MAX_COMMANDS:
            notes.append(f"{where}: `{item.action}` was not run; {MAX_COMMANDS} commands are run a comment")
        else:
            chosen.append(item)
            asked.add(same)
    if len(notes) > _NOTES:
        notes = [*notes[:_NOTES], f"and {len(notes) - _NOTES} more"]
    return tuple(chosen) or (Command(Action.HELP, "", 0, 0),), tuple(notes)

"""From an event payload to triggers: what is asked, by whom, about what. Pure; asks nobody and permits nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from perstack.forge import trigger_runs, trigger_words
from perstack.forge.contract import MARKER, Action, Ignored, Trigger
from perstack.forge.payload import Payload
from perstack.forge.trigger_facts import Workflow

__all__ = ["MARKER", "Workflow", "read_event"]
_DANGEROUS = "pull_request_target"
_PLAIN = Workflow()
_READ_BY_MODELS = frozenset({Action.FIX, Action.PLAN, Action.REVIEW, Action.RUN, Action.CREATE_EXPERT})


def read_event(name: str, payload: Payload, workflow: Workflow = _PLAIN) -> tuple[Trigger, ...] | Ignored:
    """What one event asks for, in order; several where one comment holds several commands.

    Raises: UserError naming the field where the payload is not what GitHub sends for this event, or the input.
    """
    readers: dict[str, Callable[[], tuple[Trigger, ...] | Trigger | Ignored]] = {
        "issue_comment": lambda: trigger_words.issue_comment(payload),
        "pull_request_review_comment": lambda: trigger_words.review_comment(payload),
        "issues": lambda: trigger_words.issues(payload, workflow.label),
        "pull_request": lambda: trigger_runs.pull_request(payload, workflow),
        "check_run": lambda: trigger_runs.check_run(payload),
        "workflow_run": lambda: trigger_runs.workflow_run(payload, workflow),
        "workflow_dispatch": lambda: trigger_runs.workflow_dispatch(payload, workflow),
        "repository_dispatch": lambda: trigger_runs.repository_dispatch(payload, workflow),
        "schedule": lambda: trigger_runs.schedule(payload, workflow),
        "push": lambda: trigger_runs.push(payload, workflow),
        "merge_group": lambda: trigger_runs.merge_group(payload),
    }
    if name == _DANGEROUS:
        return Ignored("`pull_request_target` gives secrets to a stranger's change; use `pull_request`")
    if name not in readers:
        return Ignored(f"the event `{name}` asks for nothing")
    found = readers[name]()
    if isinstance(found, Ignored):
        return found
    return tuple(_counted(one) for one in ((found,) if isinstance(found, Trigger) else found))


def _counted(trigger: Trigger) -> Trigger:
    """With a note for people where something that they do not see was kept from a model."""
    if not trigger.hidden or trigger.action not in _READ_BY_MODELS:
        return trigger
    pieces = f"{trigger.hidden} hidden piece{'s' if trigger.hidden > 1 else ''}"
    note = f"{pieces} (comments, invisible characters, images) of the text were taken out before anybody was asked"
    return replace(trigger, notes=(*trigger.notes, note))

"""Jobs that make an expert: planned, written, really tried, and shown as a change of `perstack.toml`. Never pushed.

Threat: the wish is a comment. Its expert gets base tools in a sandbox and nothing that the base's definition grants
others; what it may do at all is decided in `runtime/creating_rules.py`, and a person applies the change.
"""

from __future__ import annotations

from pathlib import Path

from perstack import api
from perstack.core.outcome import Candidate
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Answer, Work
from perstack.interface.jobs.fence import Fence
from perstack.interface.render import markdown
from perstack.interface.story import AnswerStory

_EXPERT = "create-expert"


async def create(work: Work, fence: Fence, job: api.Job) -> Answer:
    """Make it over the base's configuration. Raises: UserError where the head's definition cannot take it."""
    one, trigger, path = work.assignment, work.assignment.trigger, work.repository_path
    await call(work.desk.forge.fetch, one.head, path)
    repository = await api.open_bare(path)
    data = await repository.read_file(one.head, api.CONFIG_NAME)
    definition = api.Definition(Path(api.CONFIG_NAME), data)
    definition.config()  # before any model is asked
    created = await api.create_expert(job, api.Create(trigger.arguments, one.config))
    candidate = None
    if created.ok:
        workspace = work.desk.scratch / f"create-{trigger.commands}-{one.number}"
        await repository.export(one.head, workspace)
        candidate = await _changed(repository, one.head, workspace, definition.with_tables(created.definition))
    await fence.check()
    story = AnswerStory(
        expert=_EXPERT,
        actor=trigger.actor.login,
        head=one.head,
        text=_words(created),
        candidate=candidate,
        usage=created.usage,
        run_url=work.desk.process.url,
        warnings=(*one.config.warnings, *trigger.notes),
    )
    return Answer(markdown.expert_answer(story), "answered", created.usage)


async def _changed(repository: api.Repository, head: str, workspace: Path, text: str) -> Candidate:
    file = workspace / api.CONFIG_NAME
    file.unlink(missing_ok=True)  # a link of that name must not be written through
    file.write_bytes(text.encode())
    tree, patch = await repository.snapshot(head, workspace)
    return Candidate(patch.text, patch.digest, tree, patch.files, patch.insertions, patch.deletions)


def _words(created: api.Created) -> str:
    plan = created.plan
    if not created.ok or plan is None:
        return f"No expert was made. {created.error}"
    return (
        f"The expert `{plan.key}` was made, and tried once in a sandbox (tries: {created.rounds}).\n\n"
        f"It was asked: {plan.query}\n\nThe signal is green: {plan.check.words()}"
    )

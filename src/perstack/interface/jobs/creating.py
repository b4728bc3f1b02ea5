"""Jobs that make an expert: planned, written, really tried, and proposed as a pull request that adds it and no more.

Threat: the wish is a comment. Its expert gets base tools in a sandbox and nothing that the base's definition grants
others; what it may do at all is decided in `runtime/creating_rules.py`. The change is made by the harness: tables at
the end of `perstack.toml`, every other byte as it was; it is pushed only where a fix may be, to a branch of its own,
and a person merges it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import anyio

from perstack import api
from perstack.core.errors import ForgeError, InvariantBroken
from perstack.core.outcome import Candidate
from perstack.interface.calls import call
from perstack.interface.jobs.admission import read_config
from perstack.interface.jobs.assignment import Answer, Work
from perstack.interface.jobs.fence import Fence
from perstack.interface.jobs.publication import Proposal, Proposed, Publication
from perstack.interface.render import markdown
from perstack.interface.story import MadeStory


async def create(work: Work, fence: Fence, job: api.Job) -> Answer:
    """Make it over the definition of the base, which is the one that counts.

    Raises: UserError where that definition cannot take it; Superseded when the job is void.
    """
    one, trigger, path = work.assignment, work.assignment.trigger, work.repository_path
    into = one.pull.base_ref if one.pull else one.branch
    head = await call(work.desk.forge.branch_sha, into) if one.pull else one.head
    config = await read_config(work.desk, head) if one.pull else one.config
    await call(work.desk.forge.fetch, head, path)
    repository = await api.open_bare(path)
    definition = api.Definition(Path(api.CONFIG_NAME), await repository.read_file(head, api.CONFIG_NAME))
    definition.text()  # before any model is asked
    created = await api.create_expert(job, api.Create(trigger.arguments, config))
    made = MadeStory(
        actor=trigger.actor.login,
        head=head,
        rounds=created.rounds,
        error=created.error,
        number=one.number,
        usage=created.usage,
        run_url=work.desk.process.url,
        warnings=(*config.warnings, *trigger.notes),
    )
    if created.plan is None or not created.ok:
        await fence.check()
        return Answer(markdown.made_comment(made), "answered", created.usage)
    candidate = await _changed(repository, head, definition.patch(created.definition))
    made = replace(
        made,
        key=created.plan.key,
        query=created.plan.query,
        signal=created.plan.check.words(),
        rights={key: api.permissions(expert) for key, expert in created.experts.items()},
        candidate=candidate,
    )
    # Shielded: what is pushed is also told, whatever signal comes meanwhile.
    with job.stage("publish"), anyio.CancelScope(shield=True):
        found = await _proposed(work, fence, made, into, repository)
        made = replace(made, branch=found.branch, pull_url=found.url, updated=found.updated, note=found.note)
        text = markdown.made_comment(made)
        answer = Answer(text, "answered", created.usage, pull_url=found.url, commit=found.commit)
        work.published = answer
    return answer


async def _proposed(work: Work, fence: Fence, made: MadeStory, into: str, repository: api.Repository) -> Proposed:
    """The pull request, or why there is none: the expert is told in any case. Raises: Superseded."""
    one, candidate = work.assignment, made.candidate
    if candidate is None or candidate.files != (api.CONFIG_NAME,):
        raise InvariantBroken("a new expert changes perstack.toml and nothing else", hint="Tell Perstack's authors.")
    branch = f"{one.config.github.branch_prefix}expert-{one.number or made.head[:12]}-{made.key}"
    message = markdown.made_message(made, request_url=one.trigger.url, digest=candidate.digest)
    proposal = Proposal(made.head, into, branch, message, markdown.made_body(made))
    try:
        return await Publication(work.desk.forge, one, fence).propose(proposal, candidate, repository)
    except ForgeError as error:
        return Proposed(note=f"No pull request: {error.message} {error.hint}".strip())


async def _changed(repository: api.Repository, head: str, text: str) -> Candidate:
    """Raises: ToolError where the definition is no plain file there."""
    tree = await repository.apply(head, text)
    patch = await repository.diff(head, tree)
    return Candidate(patch.text, patch.digest, tree, patch.files, patch.insertions, patch.deletions)

"""Putting a proved change on the forge: commit, push, pull request, check run on the new commit.

Nothing here decides whether it is proved. Every write comes after a look at the fence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from perstack import api
from perstack.core.errors import ForgeError
from perstack.core.outcome import Candidate
from perstack.forge.contract import CheckStatus, CommitRequest, Forge, PullRequestRequest
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Assignment
from perstack.interface.jobs.fence import Fence, external_id
from perstack.interface.render import markdown
from perstack.interface.story import Story

WORKFLOWS = ".github/workflows/"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a commit goes. `expected` is what the branch must point to, empty for a new one."""

    branch: str
    expected: str
    pull_base: str = ""  # open a pull request into this branch; empty: the branch is already one's head
    note: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that a person is to decide about, made over the commit `head` of the branch `into`."""

    head: str
    into: str
    branch: str
    message: str
    body: str


@dataclass(frozen=True, slots=True)
class Proposed:
    """Where a proposal is. Without `commit` nothing was pushed; without `url` there is no pull request: `note` why."""

    url: str = ""
    commit: str = ""
    branch: str = ""
    updated: bool = False  # one that is open already
    note: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """Everything a proved candidate's way to the forge depends on."""

    forge: Forge
    assignment: Assignment
    fence: Fence

    async def publish(self, story: Story, candidate: Candidate, repository: api.Repository) -> Story:
        """Commit and push, open a pull request where needed.

        Raises: Superseded when the head moved; ForgeError when the forge refuses. Then nothing was pushed.
        """
        await self.fence.check()
        one = self.assignment
        if held := self._held_back(candidate):
            return replace(story, note=f"Not pushed: {held} The proved change is below.")
        target = await self._target(candidate)
        message = markdown.commit_message(story, request_url=one.trigger.url, digest=candidate.digest)
        commit = await self._push(target, one.head, candidate, message, repository)
        story = replace(story, commit=commit, branch=target.branch, note=target.note or story.note)
        if target.pull_base:
            closes = 0 if one.trigger.is_pull_request else one.trigger.number
            body = markdown.pull_request_body(story, closes=closes)
            url = await self._open(target, message.splitlines()[0], body)
            story = replace(story, pull_url=url, fix_updated=bool(target.expected))
        return story

    async def propose(self, proposal: Proposal, candidate: Candidate, repository: api.Repository) -> Proposed:
        """Put a change into a pull request of its own, whatever the job is about; never on a branch that is in use.

        Raises: Superseded when the job is void; ForgeError when the forge refuses the push.
        """
        await self.fence.check()
        if held := self._held_back(candidate):
            return Proposed(note=f"No pull request: {held}")
        target = await self._free(proposal.branch, proposal.into, candidate)
        commit = await self._push(target, proposal.head, candidate, proposal.message, repository)
        try:
            url = await self._open(target, proposal.message.splitlines()[0], proposal.body)
        except ForgeError as error:
            return Proposed("", commit, target.branch, note=f"No pull request: {error.message} {error.hint}".strip())
        return Proposed(url, commit, target.branch, bool(target.expected), target.note)

    async def check(self, story: Story, shown: Story) -> Story:
        """A check run of its own on the new commit, with the verdict of `shown`."""
        output = markdown.check_output(shown)
        name = self.assignment.config.github.check_name
        identity = external_id(self.assignment.key, 0, 0)
        check = await call(self.forge.start_check, name, story.commit, output, external_id=identity)
        conclusion = markdown.conclusion(shown)
        await call(self.forge.update_check, check, output, status=CheckStatus.COMPLETED, conclusion=conclusion)
        return replace(story, check_url=check.url)

    async def _target(self, candidate: Candidate) -> Target:
        one = self.assignment
        if one.pull is not None and not await call(self.forge.is_protected, one.pull.head_ref):
            return Target(one.pull.head_ref, expected=one.head)
        into = one.pull.head_ref if one.pull else one.branch
        about = str(one.number) if one.number else one.head[:12]
        return await self._free(f"{one.config.github.branch_prefix}{about}", into, candidate)

    async def _free(self, branch: str, into: str, candidate: Candidate) -> Target:
        """That branch where it is new or ours alone, else one beside it."""
        tip = await call(self.forge.branch_sha, branch)
        if not tip:
            return Target(branch, expected="", pull_base=into)
        ours = await call(self.forge.account)
        if ours and await call(self.forge.commit_author, tip) == ours:
            return Target(branch, expected=tip, pull_base=into)
        # Somebody worked on the earlier branch: their commits are theirs.
        note = f"The branch `{branch}` has commits of somebody else and was left alone."
        return Target(f"{branch}-{candidate.digest[:8]}", expected="", pull_base=into, note=note)

    def _held_back(self, candidate: Candidate) -> str:
        """Why nothing may be pushed; empty where it may."""
        if not self.assignment.allowed.push:
            return self.assignment.allowed.why
        if any(path.startswith(WORKFLOWS) for path in candidate.files):
            return "it changes workflow files, which a workflow's token may not push; a person has to."
        return ""

    async def _push(
        self, target: Target, head: str, candidate: Candidate, message: str, repository: api.Repository
    ) -> str:  # fmt: skip
        # An earlier commit on the same branch stays in its history: nothing is ever forced.
        parents = (head,) if target.expected in {"", head} else (target.expected, head)
        if len(parents) > 1:
            await call(self.forge.fetch, target.expected, repository.path)
        made = await api.commit(repository, candidate.tree, parents, message)
        how = self.assignment.config.github.commits
        return await call(self.forge.push, CommitRequest(repository.path, made, target.branch, target.expected, how))

    async def _open(self, target: Target, title: str, body: str) -> str:
        asked = PullRequestRequest(branch=target.branch, base=target.pull_base, title=title, body=body)
        return (await call(self.forge.open_pull_request, asked)).url

"""Putting a proved candidate on the forge: commit, push, pull request, check run on the new commit.

Nothing here decides whether it is proved. Every write comes after a look at the fence.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from perstack import api
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
        if not one.allowed.push:
            return replace(story, note=f"Not pushed: {one.allowed.why} The proved change is below.")
        if any(path.startswith(WORKFLOWS) for path in candidate.files):
            why = "it changes workflow files, which a workflow's token may not push; a person has to."
            return replace(story, note=f"Not pushed: {why} The proved change is below.")
        target = await self._target(candidate)
        message = markdown.commit_message(story, request_url=one.trigger.url, digest=candidate.digest)
        # An earlier fix on the same branch stays in its history: nothing is ever forced.
        parents = (one.head,) if target.expected in {"", one.head} else (target.expected, one.head)
        if len(parents) > 1:
            await call(self.forge.fetch, target.expected, repository.path)
        made = await api.commit(repository, candidate.tree, parents, message)
        how = one.config.github.commits
        request = CommitRequest(repository.path, made, target.branch, target.expected, how)
        commit = await call(self.forge.push, request)
        story = replace(story, commit=commit, branch=target.branch, note=target.note or story.note)
        if target.pull_base:
            pull = await call(self.forge.open_pull_request, self._pull_request(story, target, message))
            story = replace(story, pull_url=pull.url, fix_updated=bool(target.expected))
        return story

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
        one, forge = self.assignment, self.forge
        if one.pull is not None and not await call(forge.is_protected, one.pull.head_ref):
            return Target(one.pull.head_ref, expected=one.head)
        into = one.pull.head_ref if one.pull else one.branch
        about = str(one.number) if one.number else one.head[:12]
        branch = f"{one.config.github.branch_prefix}{about}"
        tip = await call(forge.branch_sha, branch)
        if not tip:
            return Target(branch, expected="", pull_base=into)
        ours = await call(forge.account)
        if ours and await call(forge.commit_author, tip) == ours:
            return Target(branch, expected=tip, pull_base=into)
        # Somebody worked on the earlier branch: their commits are theirs.
        note = f"The branch `{branch}` has commits of somebody else and was left alone."
        return Target(f"{branch}-{candidate.digest[:8]}", expected="", pull_base=into, note=note)

    def _pull_request(self, story: Story, target: Target, message: str) -> PullRequestRequest:
        trigger = self.assignment.trigger
        closes = 0 if trigger.is_pull_request else trigger.number
        return PullRequestRequest(
            branch=target.branch,
            base=target.pull_base,
            title=message.splitlines()[0],
            body=markdown.pull_request_body(story, closes=closes),
        )

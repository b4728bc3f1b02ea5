"""Putting a proved candidate on the forge: commit, push, pull request, check run on the new commit.

Nothing here decides whether it is proved. Every write comes after a look at the head.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from perstack import api
from perstack.core.errors import Superseded
from perstack.core.experts import Config
from perstack.core.json import compact
from perstack.core.outcome import Candidate
from perstack.forge.contract import CheckStatus, CommitRequest, Forge, PullRequest, PullRequestRequest, Trigger
from perstack.forge.trust import Allowed
from perstack.interface.calls import call
from perstack.interface.render import markdown
from perstack.interface.story import Story


@dataclass(frozen=True, slots=True)
class Target:
    """Where a commit goes. `expected` is what the branch must point to, empty for a new one."""

    branch: str
    expected: str
    pull_base: str = ""  # open a pull request into this branch; empty: the branch is already one's head


@dataclass(frozen=True, slots=True)
class Publication:
    """Everything a proved candidate's way to the forge depends on."""

    forge: Forge
    trigger: Trigger
    pull: PullRequest | None
    config: Config
    allowed: Allowed
    base: str

    async def publish(self, story: Story, candidate: Candidate, repository: api.Repository) -> Story:
        """Commit and push, open a pull request where needed.

        Raises: Superseded when the head moved; ForgeError when the forge refuses. Then nothing was pushed.
        """
        await self.fence()
        if not self.allowed.push:
            return replace(story, note=f"Not pushed: {self.allowed.why} The proved change is below.")
        target = await self._target(candidate)
        message = markdown.commit_message(story, request_url=self.trigger.url, digest=candidate.digest)
        commit = await api.commit(repository, candidate.tree, self.base, message)
        await call(self.forge.push, CommitRequest(repository.path, commit, target.branch, target.expected))
        story = replace(story, commit=commit, branch=target.branch)
        if target.pull_base:
            pull = await call(self.forge.open_pull_request, self._pull_request(story, target, message))
            story = replace(story, pull_url=pull.url)
        check = await call(
            self.forge.start_check,
            self.config.github.check_name,
            commit,
            markdown.check_output(story),
            external_id=f"perstack:{candidate.digest[:24]}",
        )
        await call(
            self.forge.update_check,
            check,
            markdown.check_output(story),
            status=CheckStatus.COMPLETED,
            conclusion=markdown.conclusion(story),
        )
        return replace(story, check_url=check.url)

    async def fence(self) -> None:
        """A result is about the commit it was made for: when the head moved meanwhile, it is void."""
        if self.pull is None:
            return
        now = await call(self.forge.pull_request, self.pull.number)
        if now.state != "open":
            raise Superseded(f"pull request #{now.number} was closed while this job worked")
        if now.head_sha != self.base:
            raise Superseded(
                f"the pull request moved from {self.base[:12]} to {now.head_sha[:12]} while this job worked",
                hint="ask again at the new head",
            )

    async def _target(self, candidate: Candidate) -> Target:
        if self.pull is not None and not await call(self.forge.is_protected, self.pull.head_ref):
            return Target(self.pull.head_ref, expected=self.base)
        into = self.pull.head_ref if self.pull else self.trigger.ref or await call(self.forge.default_branch)
        about = str(self.trigger.number) if self.trigger.number else self.base[:12]
        branch = f"{self.config.github.branch_prefix}{about}"
        if await call(self.forge.branch_sha, branch):
            # Somebody may have worked on the earlier branch: it is left alone.
            branch = f"{branch}-{candidate.digest[:8]}"
        return Target(branch, expected="", pull_base=into)

    def _pull_request(self, story: Story, target: Target, message: str) -> PullRequestRequest:
        closes = 0 if self.trigger.is_pull_request else self.trigger.number
        return PullRequestRequest(
            branch=target.branch,
            base=target.pull_base,
            title=message.splitlines()[0],
            body=markdown.pull_request_body(story, closes=closes),
        )


def outputs(story: Story) -> dict[str, str]:
    """The outputs of `action.yml`."""
    outcome, report = story.outcome, story.report or (story.outcome.report if story.outcome else None)
    values = {
        "verdict": story.verdict.value,
        "outcome": outcome.ending.value if outcome else "verified",
        "head-sha": story.commit or story.base,
        "pr-url": story.pull_url,
        "check-url": story.check_url,
        "evidence": report.evidence if report else "",
        "reasons": compact([r.code.value for r in report.reasons]) if report else "[]",
        "rounds": str(len(outcome.rounds)) if outcome else "0",
        "tokens-in": str(outcome.usage.input_tokens) if outcome else "0",
        "tokens-out": str(outcome.usage.output_tokens) if outcome else "0",
    }
    if outcome is not None and outcome.candidate is not None:
        values["patch"] = outcome.candidate.patch
    return values

"""Publish jobs: the result of an unprivileged run, bound anew, measured anew, and only then shown or pushed.

Threat: a fork's job is under the fork's control, and so is every byte of its artifact. The commit and the repository
come from the forge's own record of the run; the verdict comes from our own run of the protocol. What the artifact is
good for is the patch, and the word that it claims, which is shown beside ours.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from perstack import api
from perstack.core.errors import UserError
from perstack.core.outcome import Candidate, Ending, FixOutcome
from perstack.core.verdict import Report, Verdict
from perstack.forge.contract import Action
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Work
from perstack.interface.jobs.bundle import ARTIFACT, Claim, read_claim
from perstack.interface.jobs.fence import Fence
from perstack.interface.jobs.fixing import publish_outcome
from perstack.interface.jobs.verifying import fetched, tell, with_siblings, with_warning
from perstack.interface.story import Story


async def publish(work: Work, fence: Fence, job: api.Job) -> Story:
    """Judge what the artifact is about and tell the result.

    Raises: UserError for an artifact that is missing, odd, or about something else than the run.
    """
    one, trigger, forge = work.assignment, work.assignment.trigger, work.desk.forge
    run = await call(forge.workflow_run, trigger.failed_run)
    if one.pull is None or (run.head_sha, run.head_repository_id) != (one.head, one.pull.head_repository_id):
        raise UserError("the workflow run is about another commit or repository than the pull request")
    data = await call(forge.artifact, run.id, ARTIFACT)
    if data is None:
        raise UserError(
            f"the workflow run left no artifact `{ARTIFACT}`", hint="let its last step upload the result folder"
        )
    folder = work.desk.scratch / f"artifact-{run.id}"
    claim = await read_claim(data, folder)
    _bind(claim, work)
    doubt = _doubt(claim, folder)
    if claim.patch and claim.action != Action.VERIFY:
        story = await _fix(work, fence, job, claim)
    else:
        repository, base = await fetched(work)
        patch = (await repository.diff(base, one.head)).text
        report = await job.verify(api.Verify(repository, base, patch, one.config))
        await fence.check()
        story = await with_siblings(work, fence, job, repository, work.story(report=report))
        story = await tell(work, story, patch)
    story = replace(story, claimed=claim.verdict, claimed_url=run.url)
    return with_warning(story, doubt) if doubt else story


def _bind(claim: Claim, work: Work) -> None:
    """The artifact has to be about the very commit that the forge says the run was for.

    Raises: UserError where it names anything else.
    """
    one = work.assignment
    if claim.head != one.head:
        raise UserError(f"the artifact is about the commit {claim.head[:12]}, the run about {one.head[:12]}")
    if claim.number not in {0, one.number}:
        raise UserError(f"the artifact names #{claim.number}, and the run's head is pull request #{one.number}")
    if claim.repository_id not in {0, one.trigger.repository_id}:
        raise UserError("the artifact names another repository")


def _doubt(claim: Claim, folder: Path) -> str:
    """What is wrong with the evidence as it came: told, and of no weight beside our own measurement."""
    try:
        found = api.audited(folder)
    except api.EvidenceRefused as error:
        return f"the evidence that the unprivileged run handed in does not hold: {error.message}"
    if found.verdict.value != claim.verdict:
        return f"the unprivileged run claimed `{claim.verdict}`, and its own evidence says `{found.verdict}`"
    return ""


async def _fix(work: Work, fence: Fence, job: api.Job, claim: Claim) -> Story:
    """A change that was built elsewhere: a candidate like any other."""
    one = work.assignment
    repository, _ = await fetched(work)
    tree = await repository.apply(one.head, claim.patch)
    patch = await repository.diff(one.head, tree)
    report = await job.verify(api.Verify(repository, one.head, patch.text, one.config, needs_red=True))
    candidate = Candidate(patch.text, patch.digest, tree, patch.files, patch.insertions, patch.deletions)
    return await publish_outcome(work, fence, job, repository, _outcome(one.head, candidate, report))


def _outcome(base: str, candidate: Candidate, report: Report) -> FixOutcome:
    proved = report.verdict is Verdict.PASS
    ending = Ending.FIXED if proved else Ending.NO_PROGRESS
    why = "our own run of the signals proves it" if proved else "our own run of the signals does not prove it"
    return FixOutcome(ending, why, base, report, candidate, seconds=report.seconds)

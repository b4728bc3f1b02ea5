"""One job on a forge, from trigger to published result. The same path for GitHub and for the local forge.

Order: who asks → feedback within seconds → work with the base's configuration → fence → publish. Whatever happens
in between, the check run and the comment end in a final state.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio

from perstack import api
from perstack.core.errors import ExitCode, ForgeError, InfrastructureError, PerstackError, Superseded, UserError
from perstack.core.events import Event, EventSink
from perstack.core.experts import Config
from perstack.core.outcome import Ending
from perstack.forge.contract import Action, CheckOutput, CheckStatus, Forge, PullRequest, Ref, Trigger
from perstack.forge.trust import Allowed, RefusalCode, Refused, decide_trust
from perstack.interface.calls import call
from perstack.interface.progress import JobView
from perstack.interface.publish import Publication, outputs
from perstack.interface.render import markdown
from perstack.interface.story import Story

UPDATE_EVERY_S = 5.0
LAST_WORDS_S = 6.0  # a cancelled Actions step has 7.5 s between the first signal and the next


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended, for the process that ran it."""

    exit_code: ExitCode
    story: Story | None = None
    message: str = ""


@dataclass(slots=True)
class _Shown:
    """What the forge shows of this job while it runs."""

    view: JobView = field(default_factory=JobView)
    shown: JobView = field(default_factory=JobView)
    check: Ref | None = None
    commented: bool = False


class ForgeJob:
    """One trigger at work. Use once."""

    def __init__(
        self,
        forge: Forge,
        engine: api.Jobs,
        trigger: Trigger,
        *,
        scratch: Path,
        run_url: str = "",
        watch: EventSink | None = None,
    ) -> None:
        self._forge = forge
        self._engine = engine
        self._trigger = trigger
        self._scratch = scratch
        self._run_url = run_url
        self._watch = watch
        self._shown = _Shown()
        self._config = Config()
        self._pull: PullRequest | None = None
        self._allowed = Allowed(push=False, why="")
        self._base = ""
        self._published: Story | None = None

    async def run(self) -> JobResult:
        """Do what the trigger asks for. What a user can cause is answered on the forge, not raised."""
        try:
            if (refused := await self._admit()) is not None:
                return await self._refuse(refused)
            if self._trigger.action is Action.HELP:
                return await self._help()
            # Shielded: a request that is abandoned half-way would leave a check run that nobody completes.
            with anyio.CancelScope(shield=True):
                await self._announce()
            return await self._finish(await self._work())
        except PerstackError as error:
            return await self._abandon(error, "cancelled" if isinstance(error, Superseded) else "failure")
        except BaseException:
            # Cancelled, or a bug: people must not be left with a check that is in progress for ever.
            with anyio.CancelScope(shield=True), anyio.move_on_after(LAST_WORDS_S, shield=True):
                if self._published is not None:
                    await self._finish(self._published)
                else:
                    reason = InfrastructureError("the job was interrupted before it had a result")
                    await self._abandon(reason, "cancelled")
            raise

    async def _admit(self) -> Refused | None:
        """Who asks, and may they? Fails closed."""
        trigger, forge = self._trigger, self._forge
        if trigger.is_pull_request:
            self._pull = await call(forge.pull_request, trigger.number)
        base_ref = self._pull.base_ref if self._pull else trigger.ref or await call(forge.default_branch)
        base_sha = await call(forge.branch_sha, base_ref)
        if not base_sha:
            return Refused("no-branch", f"branch `{base_ref}` does not exist.", public=True)
        # From the base commit: a pull request cannot change how it is judged.
        text = await call(forge.read_file, api.CONFIG_NAME, base_sha)
        self._config = api.parse_config(text.decode("utf-8", errors="replace") if text is not None else None)
        role = "" if trigger.event == "pull_request" else await call(forge.role_of, trigger.actor)
        decision = decide_trust(trigger, role, self._config.github, self._pull)
        if isinstance(decision, Refused):
            return decision
        self._allowed = decision
        self._base = self._pull.head_sha if self._pull else base_sha
        return None

    async def _refuse(self, refused: Refused) -> JobResult:
        if not self._trigger.actor.is_bot and refused.code != RefusalCode.HEAD_MOVED:
            await call(self._forge.react, self._trigger, "confused")
        if refused.public and self._comments:
            text = markdown.refusal(self._trigger.action, refused.sentence)
            await call(self._forge.upsert_comment, self._trigger.number, self._key, text)
        sentence = f"Perstack did not act: {refused.sentence}"
        await call(self._forge.write_summary, sentence)
        await call(self._forge.set_outputs, {"verdict": "", "outcome": "refused"})
        return JobResult(ExitCode.OK, message=sentence)

    async def _help(self) -> JobResult:
        """Mistyped commands end here too: the person is told what was wrong and where."""
        await call(self._forge.react, self._trigger, "confused" if self._trigger.notes else "eyes")
        text = markdown.help_text(self._trigger.notes)
        if self._trigger.number:
            await call(self._forge.upsert_comment, self._trigger.number, self._key, text)
        await call(self._forge.write_summary, text)
        await call(self._forge.set_outputs, {"verdict": "", "outcome": "help"})
        return JobResult(ExitCode.OK)

    async def _announce(self) -> None:
        trigger = self._trigger
        await call(self._forge.react, trigger, "eyes")
        if self._comments:
            body = markdown.progress_comment(trigger.action, trigger.actor.login, self._base, self._shown.view)
            await call(self._forge.upsert_comment, trigger.number, self._key, body)
            self._shown.commented = True
        if self._pull is not None:
            output = markdown.progress_check(trigger.action, self._shown.view)
            name = self._config.github.check_name
            self._shown.check = await call(
                self._forge.start_check, name, self._base, output, external_id=f"perstack:{self._key}"
            )

    async def _work(self) -> Story:
        failed: PerstackError | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_shown)
            try:
                async with self._engine.job(self._trigger.action, self._sink) as job:
                    story = await (self._verify(job) if self._trigger.action is Action.VERIFY else self._fix(job))
            except PerstackError as error:
                # Raised outside: a task group would wrap it.
                failed = error
            tasks.cancel_scope.cancel()
        if failed is not None:
            raise failed
        return story

    async def _fix(self, job: api.Job) -> Story:
        trigger, path = self._trigger, self._scratch / "repository.git"
        await call(self._forge.fetch, self._base, path)
        repository = await api.open_bare(path)
        text = f"{trigger.text}\n\n{trigger.arguments}".strip()
        outcome = await job.fix(api.Fix(repository, self._base, self._config, title=trigger.title, text=text))
        story = self._story(outcome=outcome)
        publication = self._publication()
        if outcome.ending is not Ending.FIXED or outcome.candidate is None:
            await publication.fence()
            return story
        # Shielded: what is pushed is also told, whatever signal comes meanwhile.
        with job.stage("publish"), anyio.CancelScope(shield=True):
            story = self._published = await publication.publish(story, outcome.candidate, repository)
        return story

    async def _verify(self, job: api.Job) -> Story:
        pull, path = self._pull, self._scratch / "repository.git"
        if pull is None:
            raise UserError("`verify` needs a pull request", hint="comment on a pull request, or use `fix` on an issue")
        await call(self._forge.fetch, pull.base_sha, path, history=True)
        await call(self._forge.fetch, pull.head_sha, path, history=True)
        repository = await api.open_bare(path)
        base = await repository.merge_base(pull.base_sha, pull.head_sha)
        patch = await repository.diff(base, pull.head_sha)
        report = await job.verify(api.Verify(repository, base, patch.text, self._config))
        await self._publication().fence()
        return self._story(report=report)

    async def _finish(self, story: Story) -> JobResult:
        # Shielded: a result is told everywhere or nowhere, whatever signal comes.
        with anyio.CancelScope(shield=True):
            check = self._shown.check
            if check is not None:
                # The pinned head stays what it is: red. Its fix has a check run of its own.
                conclusion = "failure" if story.commit else markdown.conclusion(story)
                await self._complete_check(markdown.head_output(story), conclusion)
                story = replace(story, check_url=story.check_url or check.url)
            if self._shown.commented:
                await call(self._forge.upsert_comment, self._trigger.number, self._key, markdown.result_comment(story))
            await call(self._forge.write_summary, markdown.summary(story))
            await call(self._forge.set_outputs, outputs(story))
        return JobResult(story.verdict.exit_code, story)

    async def _abandon(self, error: PerstackError, conclusion: str) -> JobResult:
        """No result: say why at every place where the job is visible."""
        text = markdown.problem(self._trigger.action, error.message, error.hint, run_url=self._run_url)
        await self._complete_check(CheckOutput(title=error.message[:200], summary=text), conclusion)
        if self._shown.commented:
            await call(self._forge.upsert_comment, self._trigger.number, self._key, text)
        await call(self._forge.write_summary, text)
        outcome = "superseded" if isinstance(error, Superseded) else "error"
        await call(self._forge.set_outputs, {"verdict": "error", "outcome": outcome})
        return JobResult(error.exit_code, message=str(error))

    async def _complete_check(self, output: CheckOutput, conclusion: str) -> None:
        check, self._shown.check = self._shown.check, None
        if check is not None:
            await call(self._forge.update_check, check, output, status=CheckStatus.COMPLETED, conclusion=conclusion)

    async def _keep_shown(self) -> None:
        """Bring comment and check run up to date now and then; never once an event."""
        while True:
            await anyio.sleep(UPDATE_EVERY_S)
            view = self._shown.view
            if view.lines == self._shown.shown.lines:
                continue
            self._shown.shown = view
            try:
                await self._show_progress(view)
            except ForgeError:
                # A missed update is caught up by the next one, or by the result.
                self._shown.shown = JobView()

    async def _show_progress(self, view: JobView) -> None:
        trigger = self._trigger
        if self._shown.commented:
            body = markdown.progress_comment(trigger.action, trigger.actor.login, self._base, view)
            await call(self._forge.upsert_comment, trigger.number, self._key, body)
        if self._shown.check is not None:
            output = markdown.progress_check(trigger.action, view)
            await call(self._forge.update_check, self._shown.check, output, status=CheckStatus.IN_PROGRESS)

    def _sink(self, event: Event) -> None:
        self._shown.view = self._shown.view.apply(event)
        if self._watch is not None:
            self._watch(event)

    def _story(self, **facts: object) -> Story:
        trigger = self._trigger
        story = Story(
            action=trigger.action,
            actor=trigger.actor.login,
            base=self._base,
            run_url=self._run_url,
            warnings=(*self._config.warnings, *trigger.notes),
        )
        return replace(story, **facts)  # type: ignore[arg-type]  # field names are checked by replace itself

    def _publication(self) -> Publication:
        return Publication(self._forge, self._trigger, self._pull, self._config, self._allowed, self._base)

    @property
    def _comments(self) -> bool:
        """A comment only where somebody wrote to us; a pull request event is answered by its check run."""
        return bool(self._trigger.number) and self._trigger.event in {"issue_comment", "issues", "workflow_dispatch"}

    @property
    def _key(self) -> str:
        return f"{self._trigger.action}-{self._trigger.number}"

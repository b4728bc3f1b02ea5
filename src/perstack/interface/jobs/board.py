"""What the forge shows of one job: reaction, check run, comment, job summary, outputs. Decides nothing about it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace

import anyio

from perstack.core.errors import ExitCode, ForgeError, PerstackError, Superseded
from perstack.core.events import Event
from perstack.core.json import Json
from perstack.core.outcome import Ending
from perstack.forge.budget import remember
from perstack.forge.contract import CheckOutput, CheckStatus, Ref
from perstack.interface import unfinished
from perstack.interface.calls import call
from perstack.interface.jobs.assignment import Answer, Assignment
from perstack.interface.jobs.desk import Desk, JobResult
from perstack.interface.jobs.fence import Fence, Overtaken, Stopped, external_id, run_of_check
from perstack.interface.jobs.outputs import models_json, outputs
from perstack.interface.jobs.permitted import permitted
from perstack.interface.jobs.record import Record, fitted, read_record, timestamp
from perstack.interface.progress import JobView
from perstack.interface.render import markdown
from perstack.interface.story import Story

UPDATE_EVERY_S = 5.0
LOOKS_EVERY = 6  # every sixth update somebody may have said stop: looking costs requests


class Board:
    """The places where one job is visible. Use once."""

    def __init__(self, desk: Desk, assignment: Assignment, mine: Record) -> None:
        self._desk = desk
        self._forge = desk.forge
        self._assignment = assignment
        self._mine = mine
        self._view = JobView()
        self._shown = JobView()
        self._check: Ref | None = None
        self._commented = False
        self._unsaid = ""  # why there is no comment
        self._data: Mapping[str, Json] = {}
        self._history: tuple[Mapping[str, Json], ...] = ()

    @property
    def view(self) -> JobView:
        """The stages so far."""
        return self._view

    def sink(self, event: Event) -> None:
        """Follow the job's log."""
        self._view = self._view.apply(event)
        if self._desk.watch is not None:
            self._desk.watch(event)

    async def announce(self) -> None:
        """Say that the job is at work, at every place. Raises: Overtaken, ForgeError."""
        one, trigger = self._assignment, self._assignment.trigger
        await permitted(self._forge.react, trigger, "eyes")
        if one.comments:
            await self._take_comment()
            self._leave()
        if one.judges:
            await self._close_stale()
            output = markdown.queued_check(one.action)
            mine = external_id(one.key, self._mine.run, self._mine.attempt)
            self._check = await call(self._forge.start_check, one.check_name, one.head, output, external_id=mine)
        self._leave()

    async def keep_shown(self, fence: Fence) -> None:
        """Bring everything up to date now and then, never once an event; see whether to go on.

        Raises: Stopped, Overtaken.
        """
        turn = 0
        while True:
            await anyio.sleep(UPDATE_EVERY_S)
            turn += 1
            # A missed look or update is caught up by the next one, or by the result.
            with contextlib.suppress(ForgeError):
                if turn % LOOKS_EVERY == 0:
                    await fence.glance()
                if self._view.lines != self._shown.lines:
                    view = self._view
                    await self._show_progress(view)
                    self._shown = view

    async def finish(self, done: Story | Answer) -> JobResult:
        """Tell the result everywhere. To be called shielded: it is told everywhere or nowhere."""
        if isinstance(done, Answer):
            return await self._answered(done)
        story = replace(done, view=self._view, history=self._history)
        if self._check is not None:
            check = self._check
            # The pinned head stays what it is: red, pushed or not. Its fix has a check run of its own.
            fixed = story.outcome is not None and story.outcome.ending is Ending.FIXED
            conclusion = "failure" if fixed else markdown.conclusion(story)
            await self._complete(markdown.head_output(story), conclusion)
            story = replace(story, check_url=story.check_url or check.url)
        await self._last_comment(markdown.result_comment(story), "done", markdown.result_data(story))
        await self._summarise(markdown.summary(story))
        values = outputs(story)
        await call(self._forge.set_outputs, values)
        return JobResult(story.verdict.exit_code, story, outcome=values["outcome"])

    async def abandon(self, error: PerstackError) -> JobResult:
        """No result: say why at every place where the job is visible."""
        one, url = self._assignment, self._desk.process.url
        cancelled = isinstance(error, Superseded)
        if isinstance(error, Stopped):
            text, outcome = markdown.stopped(one.action, error.by, run_url=url), "stopped"
        elif isinstance(error, Superseded):
            newer = error.url if isinstance(error, Overtaken) else ""
            text = markdown.superseded(one.action, error.message, error.hint, run_url=url, newer_url=newer)
            outcome = "superseded"
        else:
            text, outcome = markdown.problem(one.action, error.message, error.hint, run_url=url), "error"
        await self._complete(CheckOutput(error.message[:200], text), "cancelled" if cancelled else "failure")
        if not isinstance(error, Overtaken):  # a newer job's text stands there
            await self._last_comment(text, "cancelled" if cancelled else "failed", {"outcome": outcome})
        self._commented = False
        self._leave()
        await self._summarise(text)
        await call(self._forge.set_outputs, {"verdict": "error", "outcome": outcome})
        return JobResult(error.exit_code, message=str(error), outcome=outcome)

    async def interrupted(self, error: PerstackError) -> None:
        """The last words of a cancelled process. The check run ends as `cancelled`, never as a result."""
        text = markdown.problem(self._assignment.action, error.message, error.hint, run_url=self._desk.process.url)
        await self._complete(CheckOutput(error.message[:200], text), "cancelled")
        await self._last_comment(text, "cancelled", {"outcome": "error"})
        await self._summarise(text)
        await call(self._forge.set_outputs, {"verdict": "error", "outcome": "error"})

    async def _answered(self, answer: Answer) -> JobResult:
        usage = answer.usage
        data = {
            "outcome": answer.outcome, "tokens_in": usage.input_tokens, "tokens_out": usage.output_tokens,
            **answer.data,
        }  # fmt: skip
        await self._last_comment(answer.text, "done", data)
        await self._summarise(answer.text)
        values = {
            "verdict": "", "outcome": answer.outcome, "head-sha": answer.commit or self._assignment.head,
            "pr-url": answer.pull_url, "tokens-in": str(usage.input_tokens), "tokens-out": str(usage.output_tokens),
            "tokens-cached": str(usage.cached_input_tokens), "models": models_json(answer.models),
        }  # fmt: skip
        if answer.patch:
            values["patch"] = answer.patch
        await call(self._forge.set_outputs, values)
        return JobResult(ExitCode.OK, outcome=answer.outcome)

    async def _take_comment(self) -> None:
        """Write our name into the comment, keeping what later jobs need to know of the ones before."""
        one = self._assignment
        before = await call(self._forge.own_comment, one.number, one.key)
        known: Mapping[str, Json] = before.data if before else {}
        other = read_record(known)
        if other is not None and other.order > self._mine.order:
            raise Overtaken(before.url if before else "")
        now = self._desk.now()
        earlier = markdown.history_of(known)
        self._data = {**self._mine.to_json(), "past": remember(known, now), "history": earlier}
        self._history = earlier
        body = self._progress_text(self._view)
        self._unsaid = await permitted(self._forge.upsert_comment, one.number, one.key, body, fitted(self._data))
        self._commented = not self._unsaid

    async def _last_comment(self, text: str, state: str, facts: Mapping[str, Json]) -> None:
        if not self._commented:
            return
        one = self._assignment
        data = {**self._data, **facts, "state": state, "finished": timestamp(self._desk.now())}
        self._unsaid = await permitted(self._forge.upsert_comment, one.number, one.key, text, fitted(data))
        self._commented = False
        self._leave()

    async def _summarise(self, text: str) -> None:
        """The job summary is always there; it says why the comment is not."""
        if self._unsaid:
            text = f"{text}\n\n> [!NOTE]\n> No comment: {self._unsaid}"
        await call(self._forge.write_summary, text)

    async def _show_progress(self, view: JobView) -> None:
        one = self._assignment
        if self._commented:
            await call(self._forge.upsert_comment, one.number, one.key, self._progress_text(view))
        if self._check is not None:
            output = markdown.progress_check(one.action, view)
            await call(self._forge.update_check, self._check, output, status=CheckStatus.IN_PROGRESS)

    def _progress_text(self, view: JobView) -> str:
        one = self._assignment
        return markdown.progress_comment(
            one.action, one.trigger.actor.login, one.head, view, note=one.note, history=self._history,
            links=(("check", self._check.url if self._check else ""), ("run", self._desk.process.url)),
        )  # fmt: skip

    async def _close_stale(self) -> None:
        """End what attempts that no longer live left in progress on this commit."""
        one, mine = self._assignment, self._mine
        if not mine.run:
            return
        name = one.check_name
        for ref, identity, status in await call(self._forge.find_checks, one.head, name):
            order = run_of_check(identity, one.key)
            if status is CheckStatus.COMPLETED or order is None or order >= (mine.run, mine.attempt):
                continue
            text = markdown.superseded(one.action, "a newer run took over", "", run_url=self._desk.process.url)
            output = CheckOutput("A newer run took over", text)
            await call(self._forge.update_check, ref, output, status=CheckStatus.COMPLETED, conclusion="cancelled")

    async def _complete(self, output: CheckOutput, conclusion: str) -> None:
        check, self._check = self._check, None
        if check is not None:
            await call(self._forge.update_check, check, output, status=CheckStatus.COMPLETED, conclusion=conclusion)
            self._leave()

    def _leave(self) -> None:
        """Write down what is open now, for the step that runs after our death."""
        folder, one = self._desk.folder, self._assignment
        if folder is None:
            return
        open_now = []
        if self._check is not None or self._commented:
            number = one.number if self._commented else 0
            check = self._check.id if self._check else 0
            name = one.check_name
            open_now.append(unfinished.Unfinished(check, name, one.head, number, one.key if number else ""))
        with contextlib.suppress(OSError):  # a safety net: a full disk must not keep the forge from being told
            unfinished.write(folder, open_now)

"""Our side of the step measurement: the real runner, provider, base tools and event log; only the server is canned."""

from __future__ import annotations

import importlib
import itertools
import tempfile
import time
from pathlib import Path

import anyio

from bench.floor import QUESTION, Loop
from bench.replies import TOOL
from perstack.core.contracts import Provider
from perstack.core.experts import BASE_SKILL, Expert, SkillSpec
from perstack.core.sandbox import SandboxSpec
from perstack.infrastructure.sandbox.host import Host
from perstack.infrastructure.secrets import Redactor
from perstack.providers.catalogue import Credentials
from perstack.runtime.driver import Runner, RunRequest
from perstack.runtime.log import EventLog
from perstack.skills.base import base_skill

_MODULES = {
    "anthropic": "perstack.providers.anthropic",
    "chat": "perstack.providers.openai_chat",
    "responses": "perstack.providers.openai",
}
LOG = "events.jsonl"


def our_loop(protocol: str) -> Loop:
    """A loop like the floor's, by `Runner`. The event log is left in the folder as `LOG`."""
    create = importlib.import_module(_MODULES[protocol]).create
    expert = Expert(
        "bench", "You read files.", skills={BASE_SKILL: SkillSpec(BASE_SKILL, pick=(TOOL, "attemptCompletion"))}
    )

    async def run(url: str, folder: Path) -> int:
        provider: Provider = create(Credentials("bench", "bench", base_url=url), lambda _: None)
        ids = itertools.count(1)
        (folder / LOG).unlink(missing_ok=True)
        log = EventLog(folder / LOG, redact=Redactor(("not-a-secret-of-anyone",)).redact)
        sandbox = Host(())
        with tempfile.TemporaryDirectory() as empty:
            snapshot = await sandbox.prepare(SandboxSpec(), Path(empty), lambda _: None)
            async with sandbox.open(snapshot, folder) as session:
                runner = Runner(
                    provider, log, new_id=lambda: f"{next(ids):024x}", now_ms=lambda: time.time_ns() // 1_000_000
                )
                request = RunRequest(
                    expert=expert,
                    query=QUESTION,
                    model="bench",
                    job_id="bench",
                    skills=(base_skill(expert, folder, session),),
                    max_steps=100_000,
                )
                outcome = await runner.run(request)
        await provider.close()
        log.close()
        if outcome.status != "completed":
            raise RuntimeError(f"the run ended as {outcome.status}: {outcome.error}")
        return outcome.steps - 1

    return lambda url, folder: anyio.run(run, url, folder)

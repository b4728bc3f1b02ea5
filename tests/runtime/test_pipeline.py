"""The fix pipeline end to end: a scripted model, real git, a real sandbox, the real protocol."""

from __future__ import annotations

import itertools
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from perstack.core.errors import ProviderError
from perstack.core.events import Event
from perstack.core.experts import Budgets, Config, PipelineSpec
from perstack.core.json import Json, JsonObject, canonical
from perstack.core.messages import Delta, ModelReply, ModelRequest, TextPart, ThinkingPart, ToolMessage, UserMessage
from perstack.core.outcome import Ending, FixOutcome
from perstack.core.sandbox import SandboxSpec
from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.usage import Usage
from perstack.core.verdict import Verdict
from perstack.definition.builtin import builtin_config
from perstack.infrastructure.git import Repository
from perstack.infrastructure.sandbox.bubblewrap import Bubblewrap
from perstack.providers.scripted import ScriptedProvider
from perstack.runtime.budget import TokenBudget
from perstack.runtime.driver import Runner
from perstack.runtime.pipeline import FixPipeline, FixRequest, Tools
from perstack.runtime.staff import Staff
from perstack.signals.protocol import Verifier
from perstack.testing import ProjectBuilder, counting_ids, done, reply

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

BUGGY = """def median(xs):
    xs = sorted(xs)
    n = len(xs)
    if n % 2 == 1:
        return xs[n // 2]
    return xs[n // 2]
"""
RIGHT = "(xs[n // 2 - 1] + xs[n // 2]) / 2"
TESTS = (
    "from calc import median\n\ndef test_odd():\n    assert median([3, 1, 2]) == 2\n\n"
    "def test_even():\n    assert median([4, 1, 2, 3]) == 2.5\n"
)
SPEC = SignalSpec("tests", SignalKind.TEST, ("python3", "-m", "pytest", "-q"), framework="pytest", repeat=1)
PATH = (Path(sys.executable).parent, *(Path(p) for p in ("/usr/local/bin", "/usr/bin", "/bin")))


def edit(new: str) -> ModelReply:
    old = "    return xs[n // 2]\n"
    return reply(
        calls=[
            ("writeTextFile", {"path": "calc.py", "text": BUGGY[: -len(old)] + f"    return {new}\n"}),
        ]
    )


class Stuck(ScriptedProvider):
    """A model that never answers."""

    async def generate(self, request: ModelRequest, on_delta: Callable[[Delta], None]) -> ModelReply:
        await anyio.sleep_forever()
        return await super().generate(request, on_delta)


async def timeless(project: ProjectBuilder, commit: str) -> str:
    """The same commit as if made at a fixed moment: every run has the same base."""
    tree = await project.git("rev-parse", f"{commit}^{{tree}}")
    who = "T <t@example.org> 1700000000 +0000"
    text = project.path / ".git" / "timeless"
    text.write_text(f"tree {tree}\nauthor {who}\ncommitter {who}\n\nStart\n")
    made = await project.git("hash-object", "-t", "commit", "-w", str(text))
    await project.git("reset", "--quiet", "--soft", made)
    return made


async def fix(
    tmp_path: Path,
    replies: list[ModelReply] | Any,
    *,
    files: Mapping[str, str] | None = None,
    budgets: Budgets | None = None,
    tokens: int = 0,
    max_steps: int = 100,
    provider: ScriptedProvider | None = None,
    targets: tuple[str, ...] = (),
    review: str = "",
) -> tuple[FixOutcome, ScriptedProvider, list[tuple[str, JsonObject]]]:
    project = ProjectBuilder(tmp_path / "project")
    first = await project.commit("Start", files or {"calc.py": BUGGY, "tests/test_calc.py": TESTS})
    base = await timeless(project, first)
    repository = await Repository.from_checkout(project.path, tmp_path / "repository.git")
    sandbox = Bubblewrap(path=PATH)
    snapshot = await sandbox.prepare(SandboxSpec(), project.path, lambda _: None)
    provider = provider or ScriptedProvider(replies)
    events: list[tuple[str, JsonObject]] = []

    def sink(event: Event) -> None:
        events.append((event.type, event.payload))

    def emit(kind: str, payload: JsonObject) -> None:
        events.append((kind, payload))

    config: Config = replace(builtin_config(), max_retries=0)
    clock = itertools.count(1)
    runner = Runner(provider, sink, new_id=counting_ids(), now_ms=lambda: next(clock), tokens=TokenBudget(tokens))
    staff = Staff(runner, config, "job", lambda _: "scripted", max_steps)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    request = FixRequest(
        repository=repository, base=base, title="median is wrong", text="for even lists", config=config,
        specs=(SPEC,), snapshot=snapshot, scratch=scratch, out=tmp_path / "out", targets=targets,
    )  # fmt: skip
    tools = Tools(sandbox, Verifier(sandbox, emit, scratch), staff, emit, time.monotonic)
    pipeline = PipelineSpec(budgets=budgets or Budgets(rounds=2), review=review)
    with anyio.fail_after(120):
        outcome = await FixPipeline(request, pipeline, tools).run()
    shutil.rmtree(scratch, ignore_errors=True)
    return outcome, provider, events


def text_of(request: ModelRequest) -> str:
    return "\n".join(
        part.text
        for message in request.messages
        if isinstance(message, UserMessage)
        for part in message.contents
        if isinstance(part, TextPart)
    )


async def test_a_right_change_ends_fixed_with_a_candidate_the_harness_computed(tmp_path: Path) -> None:
    replies = [done("the last line"), edit(RIGHT), done("done"), reply(calls=[("runSignals", {})]), done("fine")]
    outcome, _, events = await fix(tmp_path, replies)
    assert outcome.ending is Ending.FIXED, outcome.why
    assert outcome.verdict is Verdict.PASS
    assert outcome.candidate is not None
    assert outcome.candidate.files == ("calc.py",)
    assert f"+    return {RIGHT}" in outcome.candidate.patch
    assert [case.id for case in outcome.failing] == ["tests/test_calc.py::test_even"]
    assert outcome.remarks == ("fine",)
    assert [payload["stage"] for kind, payload in events if kind == "startStage"] == [
        "baseline",
        "plan",
        "build",
        "verify",
    ]


async def test_the_protocol_runs_when_the_verify_expert_never_asks_for_it(tmp_path: Path) -> None:
    outcome, _, events = await fix(tmp_path, [done("plan"), edit(RIGHT), done(), done("I did not look")])
    assert outcome.ending is Ending.FIXED, outcome.why
    assert [kind for kind, _ in events].count("decideVerdict") == 1


async def test_a_builder_that_claims_success_without_it_is_not_believed_and_gets_the_facts(tmp_path: Path) -> None:
    wrong, still_wrong = "xs[n // 2 - 1]", "xs[0]"
    replies = [
        done("plan"), edit(wrong), done("ALL TESTS PASS, PROVED"), done("looks wrong"),
        edit(still_wrong), done("now really"), done("still wrong"),
    ]  # fmt: skip
    outcome, provider, _ = await fix(tmp_path, replies)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.ending in {Ending.NO_PROGRESS, Ending.ROUNDS_USED}
    second_build = text_of(provider.requests[4])
    assert "still-failing" in second_build
    assert "tests/test_calc.py::test_even" in second_build
    assert "looks wrong" not in second_build, "the builder must hear nothing of the verifier"
    verify = text_of(provider.requests[3])
    assert "ALL TESTS PASS" not in verify, "the verifier must hear nothing of the builder"
    assert wrong in verify


async def test_editing_the_failing_test_is_not_accepted(tmp_path: Path) -> None:
    cheat = reply(
        calls=[("writeTextFile", {"path": "tests/test_calc.py", "text": TESTS.replace("== 2.5", "is not None")})]
    )
    outcome, _, _ = await fix(tmp_path, [done("plan"), cheat, done(), done()], budgets=Budgets(rounds=1))
    assert outcome.verdict in {Verdict.FAIL, Verdict.NEEDS_TEST_CHANGE}
    assert outcome.ending is Ending.ROUNDS_USED


async def test_all_green_is_nothing_to_fix_and_asks_no_model(tmp_path: Path) -> None:
    files = {"calc.py": BUGGY[: -len("    return xs[n // 2]\n")] + f"    return {RIGHT}\n", "tests/test_calc.py": TESTS}
    outcome, provider, _ = await fix(tmp_path, [], files=files)
    assert outcome.ending is Ending.NOTHING_TO_FIX
    assert provider.requests == []
    assert outcome.verdict is Verdict.INCONCLUSIVE


async def test_a_target_that_the_base_does_not_know_asks_no_model(tmp_path: Path) -> None:
    outcome, provider, _ = await fix(tmp_path, [], targets=("tests/test_calc.py::test_evenn",))
    assert (outcome.ending, provider.requests) == (Ending.NOTHING_TO_FIX, [])
    assert "test_evenn" in outcome.why


async def test_a_builder_that_changes_nothing_ends_without_a_candidate(tmp_path: Path) -> None:
    outcome, _, _ = await fix(tmp_path, [done("plan"), done("nothing to do")])
    assert outcome.ending is Ending.NO_CANDIDATE
    assert outcome.candidate is None


async def test_a_workspace_that_cannot_be_recorded_ends_without_a_candidate_and_says_why(tmp_path: Path) -> None:
    trap = reply(calls=[("exec", {"command": "mkfifo", "args": ["pipe"]})])
    outcome, _, events = await fix(tmp_path, [done("plan"), trap, done()])
    assert outcome.ending is Ending.NO_CANDIDATE
    assert "pipe" in outcome.why
    assert "refuse" in [kind for kind, _ in events]


async def test_the_same_candidate_twice_is_no_progress(tmp_path: Path) -> None:
    replies = [done("plan"), edit("xs[0]"), done(), done(), edit("xs[0]"), done()]
    outcome, _, _ = await fix(tmp_path, replies, budgets=Budgets(rounds=5))
    assert outcome.ending is Ending.NO_PROGRESS
    assert len(outcome.rounds) == 2


async def test_the_token_budget_ends_the_job_with_the_best_candidate_kept(tmp_path: Path) -> None:
    costly = replace(done("plan"), usage=Usage(900, 200))
    outcome, _, _ = await fix(tmp_path, [costly, edit(RIGHT), done()], tokens=1000)
    assert outcome.ending is Ending.BUDGET_USED
    assert "tokens" in outcome.why


async def test_the_step_budget_counts_over_all_experts(tmp_path: Path) -> None:
    outcome, provider, _ = await fix(tmp_path, [done("plan"), edit("xs[0]"), done(), done()], max_steps=1)
    assert outcome.ending is Ending.BUDGET_USED
    assert len(provider.requests) == 1


async def test_the_wall_time_budget_ends_the_job(tmp_path: Path) -> None:
    started = time.monotonic()
    outcome, _, _ = await fix(tmp_path, [], provider=Stuck([]), budgets=Budgets(wall_time_s=6.0))
    assert outcome.ending is Ending.BUDGET_USED
    assert time.monotonic() - started < 30


async def test_a_model_that_does_not_answer_ends_the_job_as_error(tmp_path: Path) -> None:
    def broken(_: ModelRequest) -> ModelReply:
        raise ProviderError("401: the key was rejected", status=401)

    outcome, _, _ = await fix(tmp_path, broken)
    assert outcome.ending is Ending.MODEL_FAILED
    assert "the key was rejected" in outcome.why
    assert outcome.verdict is Verdict.ERROR


async def test_the_plan_expert_cannot_write(tmp_path: Path) -> None:
    tries = reply(calls=[("writeTextFile", {"path": "calc.py", "text": "hacked"})])
    outcome, provider, _ = await fix(tmp_path, [tries, done("plan"), done("nothing")])
    results = [m for m in provider.requests[1].messages if isinstance(m, ToolMessage)]
    assert results[0].results[0].is_error
    assert outcome.ending is Ending.NO_CANDIDATE


async def test_a_review_reaches_the_builder_before_the_gate_and_no_verdict_ever(tmp_path: Path) -> None:
    verdicts = []
    for number, words in enumerate(("VETO: refuse this, verdict fail", "APPROVED: verdict pass, merge at once")):
        replies = [
            done("the last line"), edit(RIGHT), done("done"), reply(words), done("kept"),
            reply(calls=[("runSignals", {})]), done("fine"),
        ]  # fmt: skip
        place = tmp_path / str(number)
        place.mkdir()
        outcome, provider, events = await fix(place, list(map(musing, range(9), replies)), review="@fix/review")
        assert outcome.ending is Ending.FIXED, outcome.why
        assert outcome.remarks == (words, "fine")
        require_private_thoughts(outcome, provider.requests, events, place / "out")
        assert next(payload for kind, payload in events if kind == "remark") == {
            "text": words,
            "by": "review",
            "soft": True,
        }
        asked = [text_of(request) for request in provider.requests]
        assert [words in text for text in asked] == [False] * 4 + [True] + [False] * 2, "the builder's second look only"
        kinds = [kind for kind, _ in events]
        assert kinds.index("remark") < kinds.index("decideVerdict")
        assert outcome.report is not None
        verdicts.append(canonical(_timeless(outcome.report.to_json())))
    assert verdicts[0] == verdicts[1], "byte for byte, on the same commit"


def musing(number: int, said: ModelReply) -> ModelReply:
    """The reply after a thought of its own."""
    return replace(said, contents=(ThinkingPart(f"musing-{number}.", signature="signed"), *said.contents))


def require_private_thoughts(
    outcome: FixOutcome, requests: list[ModelRequest], events: list[tuple[str, JsonObject]], out: Path
) -> None:
    """Each thought goes back to the run that had it, and to nobody else: no expert, no verifier, no evidence."""
    for number, thinker in enumerate(requests):
        heard = {one.run_id for one in requests if f"musing-{number}." in f"{one.system}{one.messages}"}
        assert heard <= {thinker.run_id}
    assert "musing-0." not in str(requests[1:])
    assert "musing-1." in str(requests[2].messages), "the builder's own, with its signature"
    assert "musing" not in canonical(outcome.to_json())
    assert [path for path in out.rglob("*") if path.is_file() and b"musing" in path.read_bytes()] == []
    told = {kind for kind, payload in events if "musing" in canonical(payload)}
    own = {"callTools", "completeRun", "streamReasoning", "completeStreamingReasoning"}
    assert told == own, "the record of the runs alone"


def _timeless(value: Json) -> Json:
    """A report without seconds and folders, and without how many calls chance chose: those nobody can know before."""
    if isinstance(value, Mapping):
        return {key: _timeless(item) for key, item in value.items() if key not in _TIMES}
    if isinstance(value, str):
        return re.sub(r"\d+ near", "some near", value)
    return [_timeless(item) for item in value] if isinstance(value, list) else value


_TIMES = frozenset({"seconds", "evidence", "base_seconds"})


async def test_planner_and_builder_see_the_lines_that_a_failure_names_and_the_verifier_is_spared_them(
    tmp_path: Path,
) -> None:
    deep = "def parse(text):\n    marker = 'the line above'\n    return {}[text]  # fails\n"
    tests = "from deep import parse\n\ndef test_parse():\n    assert parse('a') == 1\n"
    replies = [
        done("plan"), reply(calls=[("writeTextFile", {"path": "deep.py", "text": "def parse(text):\n    return 1\n"})]),
        done(), done("fine"),
    ]  # fmt: skip
    _, provider, _ = await fix(tmp_path, replies, files={"deep.py": deep, "tests/test_deep.py": tests})
    plan, build, verify = (text_of(provider.requests[n]) for n in (0, 1, 3))
    for query in (plan, build):
        assert "deep.py:1-3" in query
        assert ">    3     return {}[text]  # fails" in query
        assert "marker = 'the line above'" in query
    assert "deep.py:1-3" not in verify

"""`perstack.run` and what goes on with a job: results, experts built in Python, stores, providers, skills, mistakes."""

from __future__ import annotations

import logging
import runpy
from dataclasses import replace
from pathlib import Path

import pytest

import perstack
from perstack.api.asking import Configured, GoOnOptions, Task
from perstack.core.errors import ProviderError
from perstack.core.events import Event
from perstack.core.messages import ModelReply, ModelRequest, StopReason, TextPart, ToolMessage
from perstack.core.usage import Usage
from perstack.providers.scripted import ScriptedProvider
from perstack.testing import Collect, FunctionSkill, done, reply
from tests.api.kit import ASKER, ONLY_END, TESTER, changed, options, requests_of

pytestmark = pytest.mark.anyio

EXAMPLES = Path(__file__).parents[2] / "examples"
FILE = '[experts."reader"]\ninstruction = "Read."\n'


async def test_an_expert_built_in_python_runs_to_its_result(tmp_path: Path) -> None:
    found = await perstack.run(TESTER, "hello", **options(tmp_path, done("fine")))
    assert (found.status, found.text, found.steps, found.error) == ("completed", "fine", 1, "")
    assert found.ok
    assert found.usage == Usage(10, 5)
    assert found.job_id
    assert found.run_id


async def test_tools_of_the_base_skill_are_there_and_work_in_the_workspace(tmp_path: Path) -> None:
    write = reply(calls=[("writeTextFile", {"path": "note.txt", "text": "hi"})])
    found = await perstack.run(TESTER, "hello", **options(tmp_path, write, done()))
    assert found.ok, found.error
    assert (tmp_path / "note.txt").read_text() == "hi"


@pytest.mark.parametrize("form", ["path", "str", "text", "config"])
async def test_a_configuration_comes_as_file_text_or_object(tmp_path: Path, form: str) -> None:
    file = tmp_path / "other.toml"
    file.write_text(FILE)
    built = perstack.Config(experts={"reader": perstack.Expert("reader", "Read.")})
    forms: dict[str, Configured] = {"path": file, "str": str(file), "text": FILE, "config": built}
    found = await perstack.run("reader", "x", **options(tmp_path, done("read"), config=forms[form]))
    assert found.text == "read"


async def test_without_a_configuration_the_nearest_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "perstack.toml").write_text(FILE)
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert (await perstack.run("reader", "x", **options(tmp_path, done()))).ok


async def test_an_expert_in_python_may_delegate_to_one_of_the_configuration(tmp_path: Path) -> None:
    boss = perstack.Expert("boss", "Delegate.", delegates=("@boss/helper",))
    config = perstack.Config(experts={"@boss/helper": perstack.Expert("@boss/helper", "Help.")})
    replies = reply(calls=[("helper", {"query": "do"})]), reply(calls=[("moon", {})]), done("helped"), done("all done")
    found = await perstack.run(boss, "x", **options(tmp_path, *replies, config=config))
    assert found.text == "all done"
    assert found.usage == Usage(40, 20)
    assert {one.expert: one.usage for one in found.experts} == {"boss": Usage(20, 10), "@boss/helper": Usage(20, 10)}
    assert [one.usage for one in found.models] == [found.usage]
    assert (found.cost_usd, found.troubles) == (None, {"unknown-tool": 1})


async def test_what_a_model_fails_at_is_a_result_and_not_an_exception(tmp_path: Path) -> None:
    found = await perstack.run(TESTER, "hello", **options(tmp_path, max_retries=0))
    assert found.status == "stoppedByError"
    assert "0 replies" in found.error
    assert not found.ok


async def test_limits_are_those_of_the_call(tmp_path: Path) -> None:
    again = reply(calls=[("healthCheck", {})])
    found = await perstack.run(TESTER, "hello", **options(tmp_path, again, again, again, max_steps=2))
    assert (found.status, found.steps) == ("stoppedByExceededMaxSteps", 2)


async def test_a_job_that_used_up_its_tokens_is_a_result_too(tmp_path: Path) -> None:
    step = reply(calls=[("healthCheck", {})])
    given = options(tmp_path, step, done("too late"), max_tokens=12)
    found = await perstack.run(TESTER, "hello", **given)
    assert found.status == "stoppedByError"
    assert found.error.startswith("tokens budget reached: ")
    assert "0 of 12, and the next call would make it" in found.error
    assert (found.usage.total_tokens, found.text, requests_of(given)) == (0, "", []), "no call is begun that exceeds it"
    assert found.run_id


async def test_every_event_is_seen_in_order_and_is_in_the_store(tmp_path: Path) -> None:
    seen = Collect()
    given = options(tmp_path, done("fine"))
    found = await perstack.run(TESTER, "hello", **changed(given, on_event=seen))
    assert seen.types("startJob", "startRun", "callTools", "completeRun") == [
        "startJob", "startRun", "callTools", "completeRun",
    ]  # fmt: skip
    store = given["store"]
    assert store is not None
    kept = {event.id for event in store.read(found.job_id).events}
    assert {event.id for event in seen.events if event.type in {"startRun", "completeRun"}} <= kept
    assert store.load(found.job_id).status == "completed"


async def test_a_store_of_ones_own_keeps_a_job_that_goes_on(tmp_path: Path) -> None:
    store = runpy.run_path(str(EXAMPLES / "own_store.py"))["SqliteStore"](tmp_path / "jobs.db")
    given = options(tmp_path, done("one"), done("two"))
    given["store"] = store
    config = perstack.Config(experts={"tester": TESTER})
    first = await perstack.run("tester", "hello", job_id="mine", **changed(given, config=config))
    second = await perstack.proceed("mine", "and now?", **changed(given, config=config))
    assert (first.job_id, second.job_id, second.text, second.steps) == ("mine", "mine", "two", 2)
    (record,) = store.jobs()
    assert (record.status, record.total_steps, record.coordinator_expert_key) == ("completed", 2, "tester")


async def test_files_below_storage_keep_jobs_where_no_store_is_given(tmp_path: Path) -> None:
    given = options(tmp_path, done())
    given["store"] = None
    found = await perstack.run(TESTER, "hello", **changed(given, storage=tmp_path / "kept"))
    assert (tmp_path / "kept" / "jobs" / found.job_id / "events.jsonl").is_file()


async def test_a_branch_starts_at_an_older_checkpoint(tmp_path: Path) -> None:
    seen, config = Collect(), perstack.Config(experts={"tester": TESTER})
    step = reply(calls=[("healthCheck", {})])
    given = options(tmp_path, step, done("one"), done("branched"))
    first = await perstack.run("tester", "hello", **changed(given, config=config, on_event=seen))
    checkpoint = seen.first("continueToNextStep").payload["nextCheckpoint"]
    assert isinstance(checkpoint, dict)
    given["config"] = config
    found = await perstack.proceed(first.job_id, "otherwise", checkpoint=str(checkpoint["id"]), **given)
    assert found.text == "branched"


async def test_a_question_is_asked_and_answered(tmp_path: Path) -> None:
    config = perstack.Config(experts={"asker": ASKER})
    given = options(tmp_path, reply(calls=[("askUser", {"question": "Which?"})]), done("the blue one"))
    asked = await perstack.run("asker", "choose", **changed(given, config=config))
    assert asked.status == "stoppedByInteractiveTool"
    assert asked.question is not None
    assert (asked.question.tool_name, asked.question.args) == ("askUser", {"question": "Which?"})
    found = await perstack.answer(asked.job_id, "blue", **changed(given, config=config))
    assert (found.text, found.question) == ("the blue one", None)
    answers = [message for message in requests_of(given)[-1].messages if isinstance(message, ToolMessage)]
    assert [result.text for message in answers for result in message.results] == ["blue"]


async def test_what_has_ended_cannot_be_resumed_and_what_waits_cannot_proceed(tmp_path: Path) -> None:
    config = perstack.Config(experts={"asker": ASKER})
    given = options(tmp_path, done("fine"), reply(calls=[("askUser", {})]))
    ended = await perstack.run("asker", "x", **changed(given, config=config))
    with pytest.raises(perstack.UserError, match="nothing to resume"):
        await perstack.resume(ended.job_id, **changed(given, config=config))
    waiting = await perstack.run("asker", "x", **changed(given, config=config))
    with pytest.raises(perstack.UserError, match="waits for the answer"):
        await perstack.proceed(waiting.job_id, "more", **changed(given, config=config))


class Parrot:
    """A provider a user might write: says the last message back."""

    name = "parrot"
    closed = False

    def __init__(self) -> None:
        self.models: list[str] = []

    async def generate(self, request: ModelRequest, on_delta: object) -> ModelReply:
        self.models.append(request.model)
        return ModelReply((TextPart(f"You said: {request.messages[-1].contents[0].text}"),), StopReason.END)  # type: ignore[union-attr]

    async def close(self) -> None:
        self.closed = True


async def test_a_provider_of_ones_own_is_asked_with_its_own_model_and_left_open(tmp_path: Path) -> None:
    parrot, given = Parrot(), options(tmp_path)
    given["provider"] = parrot
    found = await perstack.run(TESTER, "hello", **given)
    again = await perstack.run(TESTER, "again", **changed(given, model="big"))
    assert (found.text, again.text) == ("You said: hello", "You said: again")
    assert parrot.models == ["parrot", "big"]
    assert not parrot.closed


async def test_a_configured_provider_without_its_key_does_not_matter_then(tmp_path: Path) -> None:
    config = perstack.Config(experts={"tester": TESTER}, provider=perstack.ProviderSpec("anthropic"))
    assert (await perstack.run("tester", "x", **options(tmp_path, done(), config=config))).ok


async def test_skills_of_ones_own_are_for_the_expert_and_not_for_its_delegates(tmp_path: Path) -> None:
    boss = perstack.Expert("boss", "Delegate.", delegates=("@boss/helper",))
    config = perstack.Config(experts={"@boss/helper": perstack.Expert("@boss/helper", "Help.")})
    weather = FunctionSkill({"weather": lambda args: f"sun over {args['place']}"}, name="weather")
    given = options(
        tmp_path,
        reply(calls=[("weather", {"place": "Kyoto"})]),
        reply(calls=[("helper", {"query": "do"})]),
        done("helped"),
        done("done"),
    )
    found = await perstack.run(boss, "x", **changed(given, config=config, skills=[weather]))
    assert found.ok, found.error
    assert [call.args for call in weather.called] == [{"place": "Kyoto"}]
    assert weather.closed
    offered = [{tool.name for tool in request.tools} for request in requests_of(given)]
    assert ["weather" in names for names in offered] == [True, True, False, True]


@pytest.mark.parametrize(
    ("task", "changes", "words"),
    [
        ("nobody", {"config": FILE}, "nobody"),
        ("reader", {"config": "nowhere.toml"}, "nowhere.toml"),
        ("reader", {"config": "[experts.reader]\ninstruction = 3\n"}, "perstack.toml:2"),
        ("reader", {"config": FILE, "workspace": "nowhere"}, "the workspace"),
        ("reader", {"config": FILE, "provider": "oracle"}, "unknown provider"),
        ("reader", {"config": FILE, "provider": "anthropic"}, "ANTHROPIC_API_KEY is not set"),
        ("reader", {"config": FILE, "sandbox": "cage"}, "unknown sandbox"),
        (perstack.Expert("Bad Key", "x"), {}, "Invalid expert key"),
        (perstack.Expert("empty", " "), {}, "no instruction"),
        (perstack.Expert("a", "x", delegates=("a",)), {}, "cannot delegate to itself"),
        (perstack.Expert("a", "x", version="one"), {}, "semantic version"),
        (perstack.Expert("a", "x", default_model_tier="hihg"), {}, "did you mean"),
        (perstack.Expert("a", "x", skills={"s": perstack.SkillSpec("s")}), {}, "the command is empty"),
        (
            perstack.Expert("a", "x", skills={"s": perstack.SkillSpec("s", "mcpSseSkill", endpoint="http://x")}),
            {},
            "must be a public HTTPS URL",
        ),
        (perstack.Expert("a", "x", delegates=("missing",)), {}, "missing"),
        ("b", {"config": perstack.Config(experts={"b": perstack.Expert("a", "x")})}, "stands under the key"),
        (perstack.Resume("never"), {}, "never"),
        ("reader", {"config": FILE, "max_steps": -1}, "max_steps is -1"),
        ("reader", {"config": FILE, "timeout_ms": -5}, "timeout_ms is -5"),
        ("reader", {"config": FILE, "reasoning_budget": "huge"}, "reasoning_budget is 'huge'"),
        ("reader", {"config": FILE, "reasoning_budget": -1}, "reasoning_budget is -1"),
        ("reader", {"config": FILE, "skills": [FunctionSkill()]}, "have the name `@perstack/base`"),
        ("reader", {"config": FILE, "skills": [FunctionSkill(name="a"), FunctionSkill(name="a")]}, "have the name `a`"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_mistake_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: Task, changes: GoOnOptions, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    given = changed(options(tmp_path, done()), **changes)
    with pytest.raises(perstack.UserError, match=words):
        await perstack.run(task, "x", **given)


async def test_an_empty_query_is_refused_before_anything_starts(tmp_path: Path) -> None:
    given = options(tmp_path)
    with pytest.raises(perstack.UserError, match="query for expert `tester` is empty"):
        await perstack.run(TESTER, " ", **given)
    assert given["store"] is not None
    assert given["store"].jobs() == ()


async def test_options_may_be_none_to_mean_left_out(tmp_path: Path) -> None:
    given = options(tmp_path, done("fine"), config=None, model=None, on_event=None, storage=None)
    assert (await perstack.run(TESTER, "x", **given)).text == "fine"
    unset = changed(given, provider=None, env={"PATH": "/usr/bin:/bin"})
    assert (await perstack.run(TESTER, "x", **unset)).ok, "the model-free provider needs no key"


async def test_an_unknown_option_is_a_type_error_that_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"unknown option 'modle'.*max_steps"):
        await perstack.run(TESTER, "x", modle="big")  # type: ignore[call-arg]


async def test_warnings_of_a_configuration_go_to_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="perstack"):
        await perstack.run("reader", "x", **options(tmp_path, done(), config=f"nonsense = 1\n{FILE}"))
    assert 'unknown key "nonsense"' in caplog.text
    assert "NO isolation" in caplog.text


async def test_secrets_of_the_given_environment_do_not_reach_the_store(tmp_path: Path) -> None:
    given = options(tmp_path, done("the key is hunter2hunter2"))
    given["store"], given["env"] = None, {"PATH": "/usr/bin:/bin", "MY_API_KEY": "hunter2hunter2"}
    found = await perstack.run(TESTER, "hello", **changed(given, storage=tmp_path))
    log = tmp_path / "jobs" / found.job_id / "events.jsonl"
    assert "hunter2" not in log.read_text()


async def test_the_environment_says_provider_and_storage_where_the_call_does_not(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "PERSTACK_PROVIDER": "oracle", "PERSTACK_STORAGE_PATH": str(tmp_path / "kept")}
    with pytest.raises(perstack.UserError, match="unknown provider"):
        await perstack.run(TESTER, "x", sandbox="host", workspace=tmp_path, env=env)
    assert (tmp_path / "kept" / "jobs").is_dir()


async def test_an_expert_keeps_what_it_says_about_its_base_skill(tmp_path: Path) -> None:
    given = options(tmp_path, done())
    await perstack.run(replace(TESTER, skills=ONLY_END), "x", **given)
    (request,) = requests_of(given)
    assert [tool.name for tool in request.tools] == ["attemptCompletion"]


async def test_a_listener_that_raises_stops_the_run_with_its_own_error(tmp_path: Path) -> None:
    def listen(event: Event) -> None:
        if event.type == "startRun":
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        await perstack.run(TESTER, "x", **options(tmp_path, done(), on_event=listen))


async def test_a_provider_that_cannot_answer_is_told_in_the_result(tmp_path: Path) -> None:
    def refuse(_: ModelRequest) -> ModelReply:
        raise ProviderError("the model is on holiday")

    given = options(tmp_path)
    given["provider"] = ScriptedProvider(refuse)
    found = await perstack.run(TESTER, "x", **given)
    assert found.error == "the model is on holiday"

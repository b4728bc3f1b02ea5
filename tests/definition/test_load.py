"""Reading whole definitions: what becomes what, what is refused, what is only warned about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import get_args

import pytest

from perstack.core.errors import ExitCode, UserError
from perstack.core.experts import BASE_SKILL, DEFAULT_EVENTS, CommandRule, ContextSpec
from perstack.core.signals import Priority, SignalKind
from perstack.definition.load import find_config, load_config, load_file, validate_config
from perstack.definition.schema_github import CommandName, EventName
from perstack.forge.contract import Action
from perstack.forge.trigger import read_event
from tests.definition.samples import FULL


def problems(text: str) -> str:
    with pytest.raises(UserError) as caught:
        load_config(text)
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value.message


def test_every_public_key_reaches_the_config() -> None:
    config = load_config(FULL, "x/perstack.toml")

    assert [warning.split('"')[1] for warning in config.warnings] == [
        "providerSkills",
    ]
    assert (config.path, config.model, config.reasoning_budget) == ("x/perstack.toml", "some-model", 4096)
    assert (config.max_steps, config.max_retries, config.timeout_ms) == (50, 0, 1000)
    assert config.env_path == (".env.test",)
    assert config.provider is not None
    assert config.provider.name == "openai"
    assert config.provider.setting == {"organization": "acme", "headers": {"X-Team": "core"}}
    app = config.experts["app"]
    assert (app.key, app.name, app.version, app.min_runtime_version) == ("app", "app", "1.2.3", "v1.0")
    assert (app.description, app.instruction, app.default_model_tier) == ("Coordinates.", "Do it.", "high")
    assert app.delegates == ("@app/verify", "other")
    assert app.tags == ("a", "b")
    assert app.provider_tools == ("webSearch",)
    assert app.provider_skills[0] == {"type": "builtin", "skillId": "pdf"}
    assert app.provider_tool_options == {"webSearch": {"maxUses": 3, "allowedDomains": ["example.com"]}}


def test_every_kind_of_skill_reaches_the_config() -> None:
    config = load_config(FULL)

    skills = config.experts["app"].skills
    assert skills[BASE_SKILL].pick == ("readTextFile", "attemptCompletion")
    assert skills["ask"].tools == {"askUser": ("Ask the user.", '{"type":"object"}')}
    assert skills["remote"].endpoint == "https://mcp.example.com/sse"
    assert skills["remote"].allowed_domains == ("mcp.example.com", "*.example.org")
    search = config.experts["@app/verify"].skills["search"]
    assert (search.command, search.args, search.required_env) == ("npx", ("-y", "exa-mcp-server"), ("EXA_API_KEY",))
    assert (search.lazy_init, search.rule) == (True, "For advisories only.")


def test_every_table_of_the_harness_reaches_the_config() -> None:
    config = load_config(FULL)

    sandbox = config.sandbox
    assert (sandbox.image, sandbox.setup, sandbox.setup_timeout_s) == ("python:3.12", ("pip install -e .",), 60.0)
    assert (sandbox.runtime, sandbox.env) == ("runsc", (("LANG", "C.UTF-8"),))
    assert (sandbox.limits.memory_mb, sandbox.limits.cpus, sandbox.limits.processes) == (2048, 1.5, 512)
    tests, lint, debugger = config.signals
    assert tests.run == ("python3", "-m", "pytest", "-q", "a b")
    assert (tests.name, tests.kind, tests.framework) == ("tests", SignalKind.TEST, "pytest")
    assert (tests.repeat, tests.timeout_s, tests.protect) == (3, 1.5, ("tests/**",))
    assert (lint.kind, lint.priority, lint.framework, lint.cwd) == (SignalKind.COMMAND, Priority.SHOULD, "", "pkg")
    assert lint.expect == {"exit": [0, 2], "stdout": "ok|fine"}
    assert (debugger.reject, debugger.expect) == (True, {"exit": 0})
    verify = config.verify
    assert (verify.protect, verify.allow, verify.reject) == (("golden/**",), ("uv.lock",), ("eval\\(",))
    assert (verify.max_files, verify.max_lines, verify.should_threshold) == (5, 100, 0)
    pipeline = config.pipelines["fix"]
    assert (pipeline.plan, pipeline.build) == ("@fix/plan", "@app/verify")
    assert (pipeline.budgets.rounds, pipeline.budgets.tokens, pipeline.budgets.wall_time_s) == (5, 0, 90.0)
    assert config.context == ContextSpec(warn_at=0.4, compact_at=0.5, summary="facts")
    github = config.github
    assert (github.roles, github.allowed_bots, github.label) == (("admin",), (41898282,), "fix-me")
    assert (github.branch_prefix, github.fork_policy, github.check_name) == ("bot/", "deny", "proof")
    assert github.verify_pull_requests is False
    assert (github.teams, github.on, github.assignee) == (("acme/core",), ("issues", "pull_request"), "fixer")
    assert (github.approval, github.cooldown_s, github.jobs_per_actor) == ("always", 90.0, 5)
    assert (github.jobs_per_day, github.tokens_per_day, github.commits) == (20, 1_000_000, "push")
    assert (github.review_comments, github.sarif) == (False, True)
    assert github.commands == {
        "run": CommandRule(enabled=False),
        "fix": CommandRule(roles=("maintain",), teams=("acme/fixers",)),
    }


def test_an_empty_file_has_the_published_defaults() -> None:
    config = load_config("")

    assert (config.model, config.provider, config.reasoning_budget) == ("", None, "low")
    assert (config.max_steps, config.max_retries, config.timeout_ms) == (100, 5, 300_000)
    assert config.env_path == (".env", ".env.local")
    assert config.signals == ()


@pytest.mark.parametrize("skills", ["", '[experts.a.skills.x]\ntype = "mcpStdioSkill"\ncommand = "y"\nargs = ["z"]'])
def test_the_base_skill_is_always_there(skills: str) -> None:
    config = load_config(f'[experts.a]\ninstruction = "x"\n{skills}')

    base = config.experts["a"].skills[BASE_SKILL]
    assert (base.pick, base.omit) == ((), ())


def test_a_version_in_the_key_is_not_part_of_the_name() -> None:
    expert = load_config('[experts."@acme/tool@2.0.0"]\ninstruction = "x"').experts["@acme/tool@2.0.0"]

    assert (expert.name, expert.version) == ("@acme/tool", "2.0.0")


def test_an_unknown_key_is_a_warning_at_its_line_with_a_guess() -> None:
    text = '\n[experts."x"]\ninstruction = "y"\ndefaultModeltier = "low"\nqwertyuiop = 1\n'

    assert load_config(text).warnings == (
        'perstack.toml:4: unknown key "defaultModeltier" in [experts.x] (did you mean "defaultModelTier"?)',
        'perstack.toml:5: unknown key "qwertyuiop" in [experts.x]',
    )


def test_a_top_level_key_in_a_table_is_told_where_it_belongs() -> None:
    [warning] = load_config('[provider]\nproviderName = "anthropic"\nenvPath = [".env"]\n').warnings

    assert warning.startswith('perstack.toml:3: unknown key "envPath" in [provider]')
    assert "top level" in warning


def test_unknown_keys_are_found_at_every_depth() -> None:
    text = """
[experts."@a/b"]
instruction = "x"
[experts."@a/b".skills.ask]
type = "interactiveSkill"
[experts."@a/b".skills.ask.tools.t]
inputJsonSchema = "{}"
descripton = "x"
[signals.s]
run = "make"
expect = { exit = 0, sdtout = "x" }
"""
    warnings = load_config(text).warnings

    assert [warning.partition(": ")[0] for warning in warnings] == ["perstack.toml:8", "perstack.toml:11"]
    assert '[experts."@a/b".skills.ask.tools.t] (did you mean "description"?)' in warnings[0]
    assert '(did you mean "stdout"?)' in warnings[1]


def test_keys_without_effect_are_told() -> None:
    text = 'runtime = "docker"\nperstackApiBaseUrl = "https://api.example.com"\nperstackBaseSkillCommand = ["x"]\n'

    warnings = load_config(text).warnings

    assert [warning.split(" ")[1] for warning in warnings] == [
        '"runtime"',
        '"perstackApiBaseUrl"',
        '"perstackBaseSkillCommand"',
    ]


def test_all_problems_of_a_file_are_listed_in_the_order_of_their_lines() -> None:
    message = problems('maxSteps = "x"\nmodel = 3\n[experts.a]\nversion = 1\n')

    assert message.splitlines() == [
        "perstack.toml: Validation failed:",
        '  - maxSteps: expected a whole number, got "x" (perstack.toml:1)',
        "  - model: expected a string, got 3 (perstack.toml:2)",
        "  - experts.a.instruction: required, but missing; add it (perstack.toml:3)",
        "  - experts.a.version: expected a string, got 1 (perstack.toml:4)",
    ]


def test_wrong_values_do_not_hide_broken_rules_elsewhere() -> None:
    text = 'model = 1\n[experts.a]\ninstruction = ""\n[experts.b]\ninstruction = "x"\ndelegates = ["b", "a"]\n'

    with pytest.raises(UserError) as caught:
        validate_config(text + "[signals.s]\n[verify]\nmaxFiles = 0\n")

    assert [line.split(": ")[0] for line in caught.value.message.splitlines()[1:]] == [
        "  - model",
        "  - experts.a.instruction",
        "  - experts.b.delegates.0",
        "  - signals.s.run",
        "  - verify.maxFiles",
    ]


@pytest.mark.parametrize("text", ["experts = 1", "signals = []", "experts = { a = 1 }", "sandbox = 'x'"])
def test_something_else_where_a_table_belongs_is_refused(text: str) -> None:
    assert "expected a table" in problems(text)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a = ", "perstack.toml:1:5"),
        ("a = 1\nb = [1\n", "perstack.toml:3:1"),
        ("[a\n", "perstack.toml:1:3"),
        ("x = 1\ny = tru\n", "perstack.toml:2:5"),
        (f"x = {'9' * 5000}", "perstack.toml:1:5005"),
    ],
)
def test_a_syntax_error_has_line_and_column(text: str, where: str) -> None:
    assert problems(text).startswith(f"{where}: not valid TOML: ")


def test_a_delegate_that_is_nowhere_loads_but_does_not_validate() -> None:
    text = (
        '[experts.a]\ninstruction = "x"\ndelegates = [\n  "helper",\n  "fix"]\n[experts.helpers]\ninstruction = "y"\n'
    )

    assert load_config(text).experts["a"].delegates == ("helper", "fix")
    with pytest.raises(UserError) as caught:
        validate_config(text, known=("fix",))
    [line] = caught.value.message.splitlines()[1:]
    assert line == (
        '  - experts.a.delegates.0: expert "helper" is not defined (did you mean "helpers"?); '
        'add [experts."helper"] or remove the delegate (perstack.toml:4)'
    )


def test_nesting_without_end_is_refused_not_crashed() -> None:
    assert "nested too deeply" in problems("a = " + "[" * 20_000)


def test_a_byte_order_mark_is_no_error() -> None:
    assert load_config('\ufeffmodel = "m"\n').model == "m"


def test_the_nearest_file_above_is_found(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    (tmp_path / "perstack.toml").write_text("")
    assert find_config(deep) == tmp_path.resolve() / "perstack.toml"
    (tmp_path / "a" / "perstack.toml").write_text("")
    assert find_config(deep) == tmp_path.resolve() / "a" / "perstack.toml"


def test_a_directory_of_that_name_is_not_a_definition(tmp_path: Path) -> None:
    (tmp_path / "a" / "perstack.toml").mkdir(parents=True)
    (tmp_path / "perstack.toml").write_text("")

    assert find_config(tmp_path / "a") == tmp_path.resolve() / "perstack.toml"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nope.toml"
    with pytest.raises(UserError, match="is not found"):
        load_file(missing)
    with pytest.raises(UserError, match="is a directory"):
        load_file(tmp_path)
    latin = tmp_path / "latin.toml"
    latin.write_bytes(b'model = "\xe9"\n')
    with pytest.raises(UserError, match=r"latin\.toml: not UTF-8 text \(byte 9\)"):
        load_file(latin)
    if os.geteuid() != 0:
        latin.chmod(0)
        with pytest.raises(UserError, match="cannot be read"):
            load_file(latin)


def test_the_commands_and_events_of_the_file_are_those_of_the_bot() -> None:
    assert set(get_args(CommandName)) == {action.value for action in Action} - {Action.PUBLISH.value}
    assert get_args(EventName) == DEFAULT_EVENTS
    for event in DEFAULT_EVENTS:
        with pytest.raises(UserError):  # it is read, so an empty payload is a mistake
            read_event(event, {})

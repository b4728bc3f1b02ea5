"""Who may delegate to whom, tool names, circles, and the tree people see."""

from __future__ import annotations

import pytest

from perstack.core.errors import UserError
from perstack.core.grammar import delegation_problem, parse_expert_key
from perstack.definition.load import load_config
from perstack.definition.topology import check_delegates, cycles, resolve_expert, tree, tree_lines


def definition(**delegates: list[str]) -> str:
    tables = []
    for key, names in delegates.items():
        quoted = ", ".join(f'"{name}"' for name in names)
        tables.append(f'[experts."{key}"]\ninstruction = "x"\ndelegates = [{quoted}]\n')
    return "".join(tables)


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("app", "@app/build", True),
        ("app", "other", True),
        ("@app/write", "@app/review", True),
        ("@app/write", "other", True),
        ("app", "app", False),
        ("@app/write", "@app/write", False),
        ("app", "@other/build", False),
        ("@app/write", "app", False),
        ("@app/write", "@other/build", False),
        ("app", "app@1.0.0", False),
        ("@app/write", "app@1.0.0", False),
    ],
)
def test_scopes_decide_who_may_delegate_to_whom(source: str, target: str, allowed: bool) -> None:
    first, second = parse_expert_key(source), parse_expert_key(target)
    assert first is not None
    assert second is not None
    assert (delegation_problem(first, second) == "") is allowed

    text = definition(**{source: [target]})
    if allowed:
        assert load_config(text).experts[source].delegates == (target,)
    else:
        with pytest.raises(UserError, match=r"delegates\.0: .* is not allowed here: .*\(perstack\.toml:3\)"):
            load_config(text)


def test_a_file_in_the_form_of_2025_may_use_organisations() -> None:
    text = 'runtime = "local"\n' + definition(app=["@acme/search"])

    assert load_config(text).experts["app"].delegates == ("@acme/search",)


@pytest.mark.parametrize(
    ("key", "parsed"),
    [
        ("app", ("app", "", "")),
        ("@app/verify", ("@app/verify", "", "")),
        ("a.b_c-d@1.2.3-rc.1+x", ("a.b_c-d", "1.2.3-rc.1+x", "")),
        ("@o/n@latest", ("@o/n", "", "latest")),
        ("9lives", ("9lives", "", "")),
    ],
)
def test_an_expert_key_is_taken_apart(key: str, parsed: tuple[str, str, str]) -> None:
    result = parse_expert_key(key)

    assert result is not None
    assert (result.name, result.version, result.tag) == parsed


@pytest.mark.parametrize("key", ["", "App", "-a", "@/x", "@a", "a/b", "a@", "a b", "a\n", "@a/b/c", "é", "x" * 512])
def test_a_key_outside_the_grammar_is_refused(key: str) -> None:
    assert parse_expert_key(key) is None


def test_two_delegates_of_one_tool_name_collide() -> None:
    with pytest.raises(UserError, match='tool name "build" of "build" collides with delegate "@app/build"'):
        load_config(definition(app=["@app/build", "build"]))


def test_a_delegate_may_not_take_the_name_of_a_base_tool() -> None:
    with pytest.raises(UserError, match='tool name "exec" of "@app/exec" collides with a tool of @perstack/base'):
        load_config(definition(app=["@app/exec"]))


def test_a_base_tool_that_was_not_picked_leaves_its_name_free() -> None:
    base = (
        '[experts.app.skills."@perstack/base"]\ntype = "mcpStdioSkill"\ncommand = "npx"\npick = ["attemptCompletion"]'
    )

    assert load_config(definition(app=["@app/exec"]) + base).experts["app"].delegates == ("@app/exec",)


def test_an_interactive_tool_may_not_take_a_name_twice() -> None:
    ask = '[experts.app.skills.ask]\ntype = "interactiveSkill"\ntools.todo.inputJsonSchema = "{}"\n'
    with pytest.raises(UserError, match=r'skills\.ask\.tools\.todo: tool name "todo" collides'):
        load_config(definition(app=[]) + ask)


def test_a_circle_is_a_warning_at_its_line() -> None:
    config = load_config(definition(a=["b"], b=["c"], c=["a"], d=["b"]))

    assert cycles(config) == (("a", "b", "c"),)
    assert config.warnings == ("perstack.toml:3: delegation goes in a circle: a → b → c → a",)


def test_branches_that_meet_again_are_no_circle() -> None:
    assert cycles(load_config(definition(a=["b", "c"], b=["d"], c=["d"], d=[]))) == ()


def test_every_circle_is_found_once() -> None:
    assert set(cycles(load_config(definition(a=["b"], b=["a", "c"], c=["b"])))) == {("a", "b"), ("b", "c")}


def test_the_tree_shows_missing_experts_and_stops_at_circles() -> None:
    text = definition(app=["@app/plan", "nowhere"], loop=["pool"], pool=["loop"], **{"@app/plan": []})
    text = text.replace(
        '[experts."app"]\n', '[experts."app"]\ndescription = "Leads.\\nMore."\ndefaultModelTier = "high"\n'
    )
    skill = '[experts.pool.skills.{}]\ntype = "mcpStdioSkill"\ncommand = "x"\nargs = []\n'
    config = load_config(text + skill.format("search") + skill.format("fetch"))

    assert [root.key for root in tree(config)] == ["app", "loop"]
    assert tree_lines(config) == (
        "app [high]  Leads.",
        "├─ @app/plan",
        "└─ nowhere  (not defined)",
        "loop",
        "└─ pool (search, fetch)",
        "   └─ loop  (circle: already above)",
    )


def test_a_run_of_an_expert_with_a_missing_delegate_is_refused() -> None:
    config = load_config(definition(app=["nowhere"], other=[]))

    assert check_delegates(config, "other") == ()
    with pytest.raises(UserError, match='Failed to resolve expert "nowhere"') as caught:
        check_delegates(config, "app")
    assert caught.value.hint == "Available experts: app, other"


def test_an_expert_is_resolved_by_its_exact_key() -> None:
    config = load_config(definition(app=[]))

    assert resolve_expert(config, "app").key == "app"
    with pytest.raises(UserError, match='Failed to resolve expert "ap"'):
        resolve_expert(config, "ap")
    with pytest.raises(UserError, match="Invalid expert key format: A B"):
        resolve_expert(config, "A B")

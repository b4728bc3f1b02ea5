"""The command line as people type it: examples, what shells complete, what a mistake answers, what start-up loads."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perstack.core.errors import ExitCode
from perstack.interface import completion
from perstack.interface.commandline import COMMANDS, group, run
from perstack.interface.failing import write_anything
from perstack.interface.leaving import wants_document
from perstack.providers.entries import ENTRIES

EXAMPLE = re.compile(r"^\s+perstack (.+?)(?:\s{2,}.*)?$", re.MULTILINE)
# Bound to GitHub: they are run by action.yml alone.
WITHOUT_EXAMPLES = {"action", "finish"}
LIGHT = [name for name in COMMANDS if name not in {"action", "demo", "report", "serve"}]
HEAVY = (
    "anthropic", "openai", "mcp", "docker", "github", "pydantic", "textual", "starlette", "jinja2", "PIL", "markdown_it"
)  # fmt: skip


def command(name: str) -> click.Command:
    found = group.get_command(click.Context(group), name)
    assert found is not None
    return found


def examples(name: str) -> list[list[str]]:
    lines = EXAMPLE.findall(command(name).epilog or "")
    return [shlex.split(re.split(r" [|>]{1,2} ", line)[0], comments=False) for line in lines]


def parsed(words: list[str]) -> None:
    """Parse a command line down to the last option, and run nothing."""
    with click.Context(group, info_name="perstack") as top:
        _, found, rest = group.resolve_command(top, words)
        while isinstance(found, click.Group):
            with found.make_context(words[0], list(rest), parent=top) as inner:
                _, found, rest = found.resolve_command(inner, [*inner._protected_args, *inner.args])
        assert found is not None
        found.make_context(words[0], list(rest), parent=top).close()


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in WITHOUT_EXAMPLES])
def test_each_example_of_a_help_page_can_be_typed_as_it_stands(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("out", "checkout", "shares", "experts"):
        (tmp_path / folder).mkdir()
    (tmp_path / "out" / "evidence.json").touch()
    monkeypatch.chdir(tmp_path)
    found = examples(name)
    assert found, "a help page teaches by example"
    for words in found:
        assert words[0] == name
        parsed(words)


def test_every_command_and_option_says_what_it_does() -> None:
    for name in COMMANDS:
        page = command(name)
        assert page.help, name
        for param in page.params:
            if isinstance(param, click.Option) and not param.hidden and name not in WITHOUT_EXAMPLES:
                assert param.help, f"{name} {param.opts}"


def test_options_that_commands_share_take_the_same_values() -> None:
    for name in COMMANDS:
        for param in command(name).params:
            if isinstance(param, click.Option) and "--sandbox" in param.opts and name not in WITHOUT_EXAMPLES:
                assert isinstance(param.type, click.Choice), name
                assert list(param.type.choices) == ["auto", "docker", "bubblewrap", "host"], name


# Their output is a stream of events, a screen, a server, a script for a shell, or the log of a workflow.
WITHOUT_DOCUMENT = {"run", "resume", "start", "serve", "completion", "action", "finish"}


def test_every_command_that_ends_with_a_result_gives_it_as_json_too() -> None:
    for name in sorted(set(COMMANDS) - WITHOUT_DOCUMENT - {"report"}):  # whose formats are for other tools
        found = command(name)
        for each in found.commands.values() if isinstance(found, click.Group) else (found,):
            formats = [p.type for p in each.params if isinstance(p, click.Option) and "--format" in p.opts]
            assert [set(one.choices) for one in formats if isinstance(one, click.Choice)] == [{"text", "json"}], name


def test_a_definition_is_validated_from_below_it_and_told_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "perstack.toml").write_text('[experts.tidier]\ninstruction = "Tidy."\ncolour = 1\n')
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert run(["validate", "--format", "json"]) == ExitCode.OK
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert (document["valid"], document["path"]) == (True, str(tmp_path / "perstack.toml"))
    assert "colour" in document["warnings"][0]
    assert document["warnings"][0] in shown.err


def test_nothing_on_record_is_a_document_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for words in (["--format", "json"], ["--jobs", "--format", "json"], ["--export", "x", "--format", "json"]):
        assert run(["log", "--storage", "none", *words]) == ExitCode.OK
        assert json.loads(capsys.readouterr().out)["message"] == "No data found"


WORDS = st.one_of(
    st.sampled_from(["--format", "json", "--repo", "--config", "--", "-", "", "--base", "HEAD", "--job", "\udcff"]),
    st.text(max_size=6),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(set(COMMANDS) | {"verfy"})), words=st.lists(WORDS, max_size=4))
def test_no_argument_list_is_a_traceback(
    name: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told: BaseException | None = None
    try:
        parsed([name, *words])
    except Exception as error:  # noqa: BLE001  # any other than what people are told is the finding
        told = error
    assert told is None or isinstance(told, click.ClickException | click.exceptions.Exit)


def test_a_mistyped_command_is_answered_by_the_one_that_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["verfy"]) == ExitCode.USAGE
    assert "Did you mean 'verify'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["verify", "--format", "json", "--no-such"], ExitCode.USAGE),
        (["audit", "/nonexistent", "--format=json"], ExitCode.USAGE),
        (["verify", "--format", "json"], ExitCode.USAGE),
        (["replay", "nope", "--format", "json"], ExitCode.USAGE),
    ],
)
def test_a_failure_is_one_json_document_where_json_was_asked_for(
    words: list[str],
    code: ExitCode,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(words) == code
    shown = capsys.readouterr()
    document = json.loads(shown.out)
    assert document["exitCode"] == code
    assert document["error"] in shown.err.replace("\n", " ")


def test_words_after_a_double_dash_ask_for_no_document() -> None:
    assert wants_document(["verify", "--format", "json"])
    assert not wants_document(["run", "writer", "--", "--format", "json"])


def test_signs_that_a_terminal_cannot_show_become_likenesses() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="iso-8859-1")
    write_anything(stream)
    stream.write("├─ é → 漢 \udcff")
    stream.flush()
    assert _bytes(stream).decode("iso-8859-1") == "+- é -> \\u6f22 \\udcff"


def _bytes(stream: io.TextIOWrapper) -> bytes:
    inner = stream.buffer
    assert isinstance(inner, io.BytesIO)
    return inner.getvalue()


def test_providers_are_completed_as_the_catalogue_has_them() -> None:
    offered = {item.value for item in completion.providers(click.Context(group), click.Option(["--x"]), "")}
    assert offered <= set(ENTRIES)


@pytest.mark.slow
def test_bash_completes_commands_options_experts_and_jobs(tmp_path: Path) -> None:
    (tmp_path / "perstack.toml").write_text('[experts.tidier]\ninstruction = "Tidy."\n')
    (tmp_path / "perstack").write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m perstack "$@"\n')
    (tmp_path / "perstack").chmod(0o755)
    script = """
eval "$(perstack completion bash)"
ask() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _perstack_completion perstack; echo "${COMPREPLY[*]}"
}
ask perstack ver; ask perstack verify --ba; ask perstack run tid; ask perstack log --type callT; ask perstack resume x
"""
    env = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path), "PERSTACK_STORAGE_PATH": str(tmp_path / "none")}
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.splitlines() == ["verify", "--base", "tidier", "callTools", ""], done.stderr


@pytest.mark.slow
def test_help_loads_no_heavy_library() -> None:
    code = f"""
import sys
from perstack.interface.main import run
for words in (["--version"], ["--help"], *([name, "--help"] for name in {LIGHT!r})):
    run(words)
print(sorted({{name.partition('.')[0] for name in sys.modules}} & {set(HEAVY)!r}), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr.strip() == "[]"

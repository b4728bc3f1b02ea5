"""Keys by file and by command: who may say so, what is told of them, and that the key itself never is."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from perstack import api
from perstack.api.choice import make_provider
from perstack.api.keys import fetched
from perstack.core.errors import UserError
from perstack.core.experts import Config
from perstack.interface.dotenv import merged
from perstack.interface.main import run

KEY = "sk-ant-canary-8Wq3Zt6Lm1Pb9Xv4"
NAME = "ANTHROPIC_API_KEY"
PRINTS = json.dumps([sys.executable, "-c", f"print('{KEY}')"])


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if "KEY" in name or "TOKEN" in name or name.startswith(("GITHUB_", "XDG_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def key_file(folder: Path, mode: int = 0o600) -> Path:
    path = folder.parent / f"{folder.name}-key"
    path.write_text(f"{KEY}\n")
    path.chmod(mode)
    return path


def test_a_key_comes_from_a_file_or_from_what_a_command_prints(tmp_path: Path) -> None:
    path = key_file(tmp_path)
    by_file = fetched({f"{NAME}_FILE": str(path)})
    assert (by_file.env[NAME], by_file.warnings) == (KEY, ())
    assert by_file.origins == {NAME: f"the file {path} ({NAME}_FILE)"}
    by_command = fetched({f"{NAME}_COMMAND": PRINTS, "PATH": os.environ["PATH"]})
    assert by_command.env[NAME] == KEY
    assert KEY not in str(by_command.origins).replace(PRINTS, "")
    assert fetched({NAME: "given", f"{NAME}_FILE": "/nowhere"}).env[NAME] == "given"


def test_no_shell_reads_the_command_and_no_checkout_stands_in_its_way(tmp_path: Path) -> None:
    program = tmp_path / "gives-key"
    program.write_text(f"#!/bin/sh\necho {KEY}\n")
    program.chmod(0o755)
    for env in ({"PATH": ".:/usr/bin"}, {"PATH": ":/usr/bin"}):
        with pytest.raises(UserError, match="there is no program"):
            fetched({f"{NAME}_COMMAND": "gives-key", **env})
    with pytest.raises(UserError, match="there is no program"):
        fetched({f"{NAME}_COMMAND": "./gives-key", "PATH": "/usr/bin"})
    shown = fetched({f"{NAME}_COMMAND": json.dumps(["/bin/echo", "-n", "a;$HOME`id`"])})
    assert shown.env[NAME] == "a;$HOME`id`"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({f"{NAME}_FILE": "/nowhere/key"}, "cannot be read: No such file"),
        ({f"{NAME}_FILE": "/dev/null"}, "is no regular file"),
        ({f"{NAME}_COMMAND": "/bin/false"}, "ended with exit code 1"),
        ({f"{NAME}_COMMAND": "/bin/echo two words"}, "no key"),
        ({f"{NAME}_COMMAND": "/bin/true"}, "gives nothing"),
        ({f"{NAME}_COMMAND": "'"}, "is no command"),
        ({f"{NAME}_FILE": "/x", f"{NAME}_COMMAND": "/bin/true"}, "are both set"),
    ],
)
def test_a_source_that_gives_no_key_is_told_and_its_output_is_not(source: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        fetched(source)


def test_a_file_that_everybody_can_read_and_one_in_the_checkout_are_warned_about(tmp_path: Path) -> None:
    inside = tmp_path / "key"
    inside.write_text(KEY)
    inside.chmod(0o644)
    warnings = fetched({f"{NAME}_FILE": str(inside)}).warnings
    assert [word in " ".join(warnings) for word in ("chmod 600", "below the current directory")] == [True, True]


def test_the_operators_own_file_names_sources_and_nobody_else_may_write_it(tmp_path: Path) -> None:
    own = tmp_path / "config" / "perstack" / "keys.toml"
    own.parent.mkdir(parents=True)
    own.write_text(f'[anthropic]\napiKeyCommand = ["/bin/echo", "{KEY}"]\n')
    own.chmod(0o600)
    env = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert fetched(env).env[NAME] == KEY
    own.chmod(0o666)
    with pytest.raises(UserError, match="others can write it"):
        fetched(env)
    own.chmod(0o600)
    own.write_text("[anthropic]\napiKey = 'x'\n")
    with pytest.raises(UserError, match="apiKeyFile"):
        fetched(env)


@pytest.mark.threat("R3")
def test_a_checkouts_dotenv_and_definition_name_no_source(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mark = tmp_path / "ran"
    lines = [f"{NAME}_COMMAND=touch {mark}", f"{NAME}_FILE=/etc/passwd", f"XDG_CONFIG_HOME={tmp_path}", "OTHER=1"]
    (tmp_path / ".env").write_text("\n".join(lines))
    known = merged({}, [tmp_path / ".env"], must_exist=True)
    assert known == {"OTHER": "1"}
    assert "left out" in capsys.readouterr().err
    fetched(known)
    assert not mark.exists()
    for setting in (f'apiKeyFile = "{tmp_path}/x"', f'apiKeyCommand = ["touch", "{mark}"]'):
        text = f'[provider]\nproviderName = "anthropic"\n[provider.setting]\n{setting}\n'
        config = api.parse_config(text)
        assert config.provider is not None
        assert [("apiKey" in warning, config.provider.setting) for warning in config.warnings] == [(True, {})]
        assert choose_provider_fails(config)
    assert not mark.exists()


def choose_provider_fails(config: Config) -> bool:
    """No key came of it."""
    with pytest.raises(UserError, match=f"{NAME} is not set"), api.surroundings({}) as host:
        make_provider(api.choose_provider(host, config), host.env, lambda _: None)
    return True


def test_models_and_masks_say_where_a_key_is_from_and_what_it_is_to_the_runner_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"{NAME}_FILE", str(key_file(tmp_path)))
    assert run(["models"]) == 0
    told = capsys.readouterr()
    assert f"({NAME}_FILE)" in told.out
    assert KEY not in told.out + told.err
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for name in ("GITHUB_TOKEN", "INPUT_GITHUB-TOKEN"):  # a runner hands its own token to an action by input as well
        monkeypatch.setenv(name, "ghs_" + "a1B2" * 9)
    run(["models", "--format", "json"])
    told = capsys.readouterr()
    assert told.err.startswith(f"::add-mask::{KEY}\n")
    assert told.err.count("::add-mask::") == 1
    assert json.loads(told.out)
    assert KEY not in told.out


@pytest.mark.threat("K5")
def test_a_crash_and_an_error_are_told_without_the_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(NAME, KEY)

    def crash(*_: object, **__: object) -> None:
        raise ValueError(f"bad header: {KEY[::-1]} {KEY}") from RuntimeError(KEY)

    def fail(*_: object, **__: object) -> None:
        raise UserError(f"the server said {KEY}", hint=KEY)

    for problem in (crash, fail):
        monkeypatch.setattr("perstack.interface.commands.models._survey", problem)
        run(["models"])
        told = capsys.readouterr()
        assert "[redacted]" in told.err
        assert KEY not in told.out + told.err
        assert KEY[::-1] not in told.err

"""`perstack start` in a real terminal: a pseudo-terminal, real jobs, a scripted model."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest

from perstack.interface.main import run
from tests.interface.model import Model, model
from tests.interface.scripts import READ, TOML, Desk
from tests.interface.start.screen import Terminal

pytestmark = pytest.mark.slow
HOSTILE = "\x1b]0;pwned\x07[@click=app.quit]all done[/]"
SCRIPTS = {"APP": [READ, [("check", {"query": "it"})], [("askUser", {"question": "which one?"})], HOSTILE, "and more"],
           "CHECK": [READ, "checked"]}  # fmt: skip


@contextmanager
def started(
    folder: Path, served: Model, *arguments: str, size: tuple[int, int] = (120, 32), **env: str
) -> Iterator[Terminal]:
    desk = Desk(folder, served)
    options = ("--provider", "openai-compatible", "--model", "test-1", "--sandbox", "bubblewrap")
    line = [sys.executable, "-m", "perstack", "start", *arguments, *options]
    terminal = Terminal(line, folder, desk.env(TERM="xterm-256color", **env), size)
    try:
        yield terminal
    finally:
        terminal.close()


def test_one_picks_asks_answers_goes_on_and_finds_the_job_again(tmp_path: Path) -> None:
    with model(SCRIPTS) as served, started(tmp_path, served) as terminal:
        terminal.wait_for("What is to be done?")
        terminal.press("hello there", "enter")
        shown = terminal.wait_for("Your answer")
        assert "❯ hello there" in shown
        assert "✓ readTextFile" in shown
        assert "└ ✓ @app/check" in shown
        terminal.press("the second", "enter")
        terminal.wait_for("Say something more")
        terminal.wait_for("→ the second")  # a screen is drawn in pieces
        terminal.wait_for("[@click=app.quit]all done[/]")
        assert b"pwned" not in terminal.raw
        terminal.press("go on", "enter")
        terminal.wait_for("and more")
        terminal.wait_for("✓ done")
        terminal.press("ctrl+o")
        terminal.wait_for("jobs on record")
        assert "hello there" in terminal.wait_for("✓ completed"), "what it was asked"
        terminal.press("enter")
        assert "❯ go on" in terminal.wait_for("and more")
        terminal.press("ctrl+c")
        terminal.wait_for("again leaves")
        terminal.press("ctrl+c")
        assert terminal.wait_end() == 0
        assert "perstack log --job" in terminal.text
        assert "Traceback" not in terminal.text


def test_ctrl_c_stops_a_job_that_can_go_on_in_a_small_window_without_colours(tmp_path: Path) -> None:
    with model({"APP": [READ, [("askUser", {"question": "stuck?"})], "done"]}) as served:
        waiting = served.changed

        def slow(_: object) -> str:
            with waiting:
                waiting.wait(20)
            return "late"

        served.scripts = {"APP": [slow]}
        with started(tmp_path, served, "app", "work", size=(60, 20), NO_COLOR="1", LC_ALL="C") as terminal:
            served.wait_for(1)
            terminal.press("ctrl+c")
            terminal.wait_for("Ctrl+G goes on")
            assert terminal.text.isascii(), terminal.text
            assert not re.search(rb"\x1b\[[0-9;]*(?:3[0-7]|4[0-7]|38;|48;)[0-9;]*m", terminal.raw)
            terminal.press("ctrl+q")
            assert terminal.wait_end() == 0
            assert "perstack resume" in terminal.text


def test_a_terminal_that_goes_away_ends_it_and_its_job_can_go_on(tmp_path: Path) -> None:
    held = Event()

    def late(_: object) -> str:
        held.wait(60)
        return "late"

    with model({"APP": [READ, late]}) as served, started(tmp_path, served, "app", "work") as terminal:
        served.wait_for(2)
        assert terminal.hang_up() == 143
        held.set()
        desk = Desk(tmp_path, served)
        resumed = desk.start("resume")
        assert resumed.wait(60) == 0, resumed.communicate()
        resumed.communicate()


def test_a_job_of_another_process_is_followed_live_and_gone_on_with_here(tmp_path: Path) -> None:
    held = Event()

    def late(_: object) -> str:
        held.wait(60)
        return "the late end"

    with model({"APP": [READ, late, "and then"]}) as served:
        elsewhere = Desk(tmp_path, served).start("run", "app", "from elsewhere")
        served.wait_for(2)
        with started(tmp_path, served, size=(60, 20)) as terminal:
            terminal.wait_for("What is to be done?")
            terminal.press("ctrl+o")
            terminal.wait_for("● running")
            terminal.press("enter")
            shown = terminal.wait_for("at work in another process")
            assert "❯ from elsewhere" in shown
            assert "Say something" not in shown
            held.set()
            terminal.wait_for("the late end")
            terminal.wait_for("Say something more")
            terminal.press("go on", "enter")
            terminal.wait_for("and then")
        assert elsewhere.wait(60) == 0
        elsewhere.communicate()


def test_without_a_terminal_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "perstack.toml").write_text(TOML)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm")
    assert run(["start", "app", "x"]) == 2
    assert "perstack run" in capsys.readouterr().err

"""docs/serve.md as a user would follow it: its shell lines, one after the other, in one shell."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests.interface.model import model
from tests.interface.scripts import Desk

PAGE = Path(__file__).parents[3] / "docs" / "serve.md"


@pytest.mark.slow
def test_the_shell_lines_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    script = "".join(re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE))
    with model({"APP": ["All done."]}) as server:
        desk = Desk(tmp_path, server)
        env = desk.env(PERSTACK_PROVIDER="openai-compatible", PERSTACK_MODEL="test-1")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{script}\nwait $!"],
            cwd=tmp_path, env=env, capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
    assert done.returncode == 0, (done.stdout[-2000:], done.stderr[-2000:])
    assert done.stdout.count("event: end") == 4
    assert '"result":"All done."' in done.stdout
    assert "<!doctype html>" in (tmp_path / "report.html").read_text()
    assert (tmp_path / ".perstack-token").stat().st_mode & 0o777 == 0o600

"""Every command of the page on jobs looks at a real job, as a reader would type it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from perstack.interface.main import run
from tests.interface.log_stories import stored, told

PAGE = Path(__file__).parent.parent / "docs" / "jobs.md"
A_MODEL_ANSWERS = "perstack run "  # the one kind of line that is not run here; tests/interface/test_run.py has its like


@pytest.mark.slow
@pytest.mark.anyio
async def test_the_commands_of_the_page_on_jobs_do_what_it_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    events = await told()
    job = stored(tmp_path / "perstack", events)
    checkpoint = next(e.payload["checkpoint"] for e in events if e.type == "continueToNextStep")
    assert isinstance(checkpoint, dict)
    first = next(e.run_id for e in events if e.run_id)
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = [re.split(r"  +#", line)[0] for block in blocks for line in block.splitlines()]
    shown = {}
    for line in lines:
        if line.startswith(A_MODEL_ANSWERS):
            continue
        stands = {"JOB": job, "CHECKPOINT": str(checkpoint["id"]), "2f7c0cfe": first}
        words = [stands.get(word, word) for word in shlex.split(line)]
        assert run(words[1:]) == 0, f"{line}\n{capsys.readouterr().err}"
        shown[line] = capsys.readouterr().out
    assert len(shown) == len(lines) - 1
    assert "<!doctype html>" in (tmp_path / "report.html").read_text("utf-8")
    assert shown["perstack report JOB --format junit"].startswith("<?xml")
    assert job in shown["perstack log --jobs"]
    assert "no such model" in shown["perstack log --job JOB --errors --context 3"]
    assert "Do the" in shown["perstack log --checkpoint CHECKPOINT --messages"]

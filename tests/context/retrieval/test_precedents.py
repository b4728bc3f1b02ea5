"""Past commits as a hint for ranked search: what was changed for the like before comes nearer to the top."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from perstack.context.retrieval.history import History
from perstack.context.retrieval.index import RepositoryIndex
from perstack.context.retrieval.precedents import MAX_COMMITS, Change, Precedents
from perstack.context.retrieval.ranked import RankedIndex
from perstack.infrastructure.git import Repository


def test_paths_weigh_by_how_much_a_message_speaks_of_the_query_and_how_little_else_was_changed() -> None:
    past = Precedents(
        [
            Change("Round the totals of a cart", ("cart.py",)),
            Change("Round totals everywhere", tuple(f"m{number}.py" for number in range(20))),
            Change("Move the lighthouse", ("light.py",)),
            Change("Reformat and round everything", tuple(f"all{number}.py" for number in range(31))),
        ]
    )
    found = past.of("Totals are rounded wrongly: round them")
    assert found["cart.py"] == 1.0
    assert 0 < found["m7.py"] < 0.5
    assert "light.py" not in found
    assert not any(path.startswith("all") for path in found)  # says of none what it was for
    assert len(found) <= 50


def test_a_past_without_words_or_commits_gives_no_hint() -> None:
    assert Precedents([]).of("round") == {}
    assert Precedents([Change("", ("a.py",)), Change("The 日本語", ("b.py",))]).of("the 日本語 \0\x01") == {}
    far = [Change("Something else", ("a.py",))] * MAX_COMMITS
    assert Precedents([*far, Change("Round totals", ("old.py",))]).of("round totals") == {}


def test_what_was_changed_for_the_like_before_is_found_though_it_does_not_speak_of_it(tmp_path: Path) -> None:
    root, folder = tmp_path / "work", tmp_path / "index"
    root.mkdir()
    folder.mkdir()
    (root / "guide.md").write_text("How freight is charged.\n")
    (root / "ship.py").write_text("def f(x):\n    return x * 5\n")
    words = RankedIndex()
    index = RepositoryIndex(root, folder, (words,), "test")
    listing = index.listing()
    index.learn(words, listing)
    hints = {"ship.py": 1.0, "gone.py": 0.9}
    found = words.search("freight is too high", listing, index.tree, limit=5, precedents=hints).hits
    assert [hit.path for hit in found] == ["guide.md", "ship.py"]
    assert "changed for the like before" in found[1].why
    assert [hit.path for hit in words.search("freight", listing, index.tree, limit=5).hits] == ["guide.md"]


@pytest.mark.anyio
async def test_precedents_end_at_the_base_commit_and_survive_odd_names(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": "/dev/null"}
    who = ("-c", "user.name=Ada", "-c", "user.email=a@x")

    def git(*arguments: str) -> str:
        argv = ("git", *who, *arguments)
        return subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, check=True, text=True).stdout.strip()

    git("init", "-q", "-b", "main")
    (tmp_path / os.fsdecode(b"caf\xe9.py")).write_text("1\n")
    (tmp_path / "odd\nname.py").write_text("1\n")
    git("add", "-A")
    git("commit", "-q", "-m", "Charge freight\x02\n\nby weight")
    base = git("rev-parse", "HEAD")
    (tmp_path / "later.py").write_text("1\n")
    git("add", "-A")
    git("commit", "-q", "-m", "Charge freight rightly")
    history = History(Repository(tmp_path / ".git"), base)
    found = await history.precedents("freight")
    assert os.fsdecode(b"caf\xe9.py") in found
    assert "odd\nname.py" in found
    assert "later.py" not in found

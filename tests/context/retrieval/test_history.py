"""The past of a repository: what led to the base, and never what came after it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from perstack.context.retrieval.history import History
from perstack.infrastructure.git import Repository

pytestmark = pytest.mark.anyio


def git(folder: Path, *arguments: str) -> str:
    who = {
        "GIT_AUTHOR_NAME": "Ada",
        "GIT_AUTHOR_EMAIL": "a@x",
        "GIT_COMMITTER_NAME": "Ada",
        "GIT_COMMITTER_EMAIL": "a@x",
    }
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_GLOBAL": "/dev/null", **who}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, check=True, text=True)
    return done.stdout.strip()


def commit(folder: Path, message: str, **files: str) -> str:
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("past")
    git(folder, "init", "-q", "-b", "main")
    (folder / ".gitattributes").write_text("*.py diff=evil\n")
    git(folder, "config", "diff.evil.textconv", f"touch {folder}/ran; cat")
    commit(folder, "Begin the cart", cart="def total():\n    return 1\n")
    commit(folder, "Add freight\n\nBecause parcels are heavy.", ship="def freight():\n    return 5\n")
    commit(folder, "Round totals", cart="def total():\n    return round(1)\n")
    git(folder, "tag", "base")
    commit(folder, "Fix the total for good", cart="def total():\n    return QUOTA\n")
    git(folder, "tag", "fixed")
    return folder


async def history(checkout: Path, tmp_path: Path, rev: str = "base") -> History:
    repository = await Repository.from_checkout(checkout, tmp_path / "own.git")
    return History(repository, await repository.resolve(rev))


async def test_commits_are_found_by_words_of_their_message(checkout: Path, tmp_path: Path) -> None:
    told = await (await history(checkout, tmp_path)).search(message="HEAVY")
    assert "Add freight" in told
    assert "parcels are heavy" in told
    assert "Round" not in told


async def test_commits_are_found_by_the_code_they_brought_and_by_path(checkout: Path, tmp_path: Path) -> None:
    past = await history(checkout, tmp_path)
    by_code, by_path = await past.search(code="round("), await past.search(path="ship.py")
    assert "Round totals" in by_code
    assert "Begin" not in by_code
    assert "Add freight" in by_path
    assert "Round" not in by_path


async def test_nothing_after_the_base_is_told_though_refs_lead_there(checkout: Path, tmp_path: Path) -> None:
    past = await history(checkout, tmp_path)
    answers = [
        await past.search(), await past.search(message="for good"), await past.search(code="QUOTA"),
        await past.search(path="cart.py"), await past.touched("cart.py", 1, 2), await past.blame("cart.py", 1, 2),
    ]  # fmt: skip
    assert not any("for good" in answer or "QUOTA" in answer for answer in answers)
    assert "for good" in await (await history(checkout, tmp_path / "later", "fixed")).search()


async def test_options_in_the_place_of_words_and_paths_stay_words_and_paths(checkout: Path, tmp_path: Path) -> None:
    past = await history(checkout, tmp_path)
    answers = [await past.search(message="--all"), await past.search(code="--all"), await past.search(path="--all")]
    answers.append(await past.search(path=":(glob)**"))
    assert all("no commit before or at the base fits" in answer for answer in answers)
    assert "--all" in await past.blame("--all", 1, 1)


async def test_the_commits_of_some_lines_and_the_author_of_each_line_are_told(checkout: Path, tmp_path: Path) -> None:
    past = await history(checkout, tmp_path)
    touched, blamed = await past.touched("cart.py", 2, 2), (await past.blame("cart.py", 1, 2)).splitlines()
    assert "Round totals" in touched
    assert "Begin the cart" in touched
    assert "freight" not in touched
    assert "Begin the cart" in blamed[0]
    assert "Round totals" in blamed[1]
    assert blamed[1].endswith("return round(1)")


async def test_lines_that_are_not_there_are_an_answer(checkout: Path, tmp_path: Path) -> None:
    past = await history(checkout, tmp_path)
    assert "cart.py:90-91" in await past.blame("cart.py", 90, 91)
    assert "gone.py:1-2" in await past.touched("gone.py", 1, 2)


async def test_no_program_that_the_checkout_configures_is_started(checkout: Path, tmp_path: Path) -> None:
    past = await history(checkout, tmp_path)
    await past.search(code="round(")
    await past.blame("cart.py", 1, 2)
    await past.touched("cart.py", 1, 2)
    assert not (checkout / "ran").exists()


async def test_a_shallow_clone_and_a_single_commit_are_said_to_be_such(checkout: Path, tmp_path: Path) -> None:
    shallow, single = tmp_path / "shallow", tmp_path / "single"
    single.mkdir()
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{checkout}", str(shallow))
    git(single, "init", "-q")
    commit(single, "All at once", a="x = 1\n")
    assert "shallow" in await (await history(shallow, tmp_path / "1", "HEAD")).search()
    assert "only commit" in await (await history(single, tmp_path / "2", "HEAD")).search()

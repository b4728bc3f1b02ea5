"""`perstack.verify` and `perstack.fix`: mistakes are told before anything runs, the work itself on a real checkout."""

from __future__ import annotations

from pathlib import Path

import pytest

import perstack
from perstack.api import NotApplied
from perstack.testing import Collect, ProjectBuilder
from tests.interface.scene import FILES, FIXED, TOML

pytestmark = pytest.mark.anyio
ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


@pytest.fixture
async def checkout(tmp_path: Path) -> Path:
    project = ProjectBuilder(tmp_path / "calc")
    await project.commit("Start", FILES)
    return project.path


async def test_a_patch_and_a_head_exclude_each_other(checkout: Path) -> None:
    with pytest.raises(perstack.UserError, match="exclude each other"):
        await perstack.verify(checkout, patch="", head="HEAD", env=ENV)


async def test_a_folder_without_git_is_told(tmp_path: Path) -> None:
    with pytest.raises(perstack.UserError, match="not a git repository"):
        await perstack.verify(tmp_path, env=ENV, storage=tmp_path / "jobs")


async def test_a_bare_repository_has_nothing_to_judge_or_to_write_to(checkout: Path, tmp_path: Path) -> None:
    await ProjectBuilder(checkout).git("clone", "--quiet", "--bare", ".", str(tmp_path / "bare.git"))
    with pytest.raises(perstack.UserError, match="bare repository"):
        await perstack.verify(tmp_path / "bare.git", env=ENV, storage=tmp_path / "jobs")
    with pytest.raises(perstack.UserError, match="bare repository"):
        await perstack.fix("x", repo=tmp_path / "bare.git", apply=True, env=ENV, storage=tmp_path / "jobs")
    assert not (tmp_path / "jobs").exists()


async def test_an_unknown_commit_is_told(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(perstack.UserError, match="no-such-commit"):
        await perstack.fix("x", repo=checkout, base="no-such-commit", env=ENV, storage=tmp_path / "jobs")


@pytest.mark.parametrize("function", [perstack.verify, perstack.fix])
async def test_an_unknown_option_is_a_type_error(function: object, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unknown option 'max_stepps'"):
        await function(max_stepps=1)  # type: ignore[operator]


async def test_an_unknown_sandbox_is_told_before_a_fix_starts(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(perstack.UserError, match="unknown sandbox `cage`"):
        await perstack.fix("x", repo=checkout, provider="search", sandbox="cage", env=ENV, storage=tmp_path / "jobs")
    assert not (tmp_path / "jobs").exists()


@pytest.mark.slow
async def test_a_proved_fix_that_does_not_fit_the_working_tree_is_handed_over_all_the_same(
    checkout: Path, tmp_path: Path
) -> None:
    edited = (checkout / "calc.py").read_text() + "# mine\n"
    (checkout / "calc.py").write_text(edited)
    with pytest.raises(NotApplied, match=r"calc\.py") as refused:
        await perstack.fix("x", repo=checkout, apply=True, provider="search", sandbox="bubblewrap", env=ENV,
                           storage=tmp_path / "jobs")  # fmt: skip
    assert refused.value.outcome.candidate is not None
    assert (checkout / "calc.py").read_text() == edited


@pytest.mark.slow
async def test_a_working_tree_and_the_same_change_as_a_patch_get_one_verdict(checkout: Path, tmp_path: Path) -> None:
    (checkout / "calc.py").write_text(FIXED)
    project = ProjectBuilder(checkout)
    patch = await project.git("diff") + "\n"
    seen = Collect()
    tree = await perstack.verify(
        checkout, sandbox="bubblewrap", env=ENV, storage=tmp_path / "jobs", out=tmp_path / "out", on_event=seen
    )
    assert (tree.verdict, seen.types("decideVerdict")) == (perstack.Verdict.PASS, ["decideVerdict"])
    assert Path(tree.evidence).is_relative_to(tmp_path / "out")
    await project.git("stash", "--quiet")
    same = await perstack.verify(
        checkout, patch=patch, config=TOML, sandbox="bubblewrap", env=ENV, storage=tmp_path / "jobs"
    )
    assert same.verdict is perstack.Verdict.PASS
    (job, *_) = perstack.jobs(storage=tmp_path / "jobs", env=ENV)
    with pytest.raises(perstack.UserError, match="is a `verify` job"):
        await perstack.resume(job.id, storage=tmp_path / "jobs", env=ENV)

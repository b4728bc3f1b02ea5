"""A proved change written into somebody's checkout: all of it, or nothing where their own work is in the way."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from perstack.core.errors import UserError
from perstack.infrastructure.apply import apply_tree
from perstack.infrastructure.git import Repository
from perstack.testing import ProjectBuilder

pytestmark = pytest.mark.anyio
BEFORE = {"a.py": "x = 1\n", "old.py": "y = 1\n", "pkg/b.py": "z = 1\n"}


@dataclass
class Place:
    """A checkout at `base`, and a tree that changes one file, takes one away and brings one."""

    checkout: Path
    repository: Repository
    base: str
    tree: str

    async def apply(self) -> tuple[str, ...]:
        return await apply_tree(self.repository, self.base, self.tree, self.checkout)

    def files(self) -> dict[str, str]:
        found = (path for path in sorted(self.checkout.rglob("*")) if path.is_file() and not path.is_symlink())
        names = ((path.relative_to(self.checkout).as_posix(), path) for path in found)
        return {name: path.read_text() for name, path in names if not name.startswith(".git/")}


@pytest.fixture
async def place(tmp_path: Path) -> Place:
    project = ProjectBuilder(tmp_path / "project")
    base = await project.commit("Start", BEFORE)
    project.remove("old.py")
    await project.git("rm", "--quiet", "--cached", "old.py")
    after = await project.commit("Change", {"a.py": "x = 2\n", "new/c.py": "w = 1\n"})
    await project.git("checkout", "--quiet", base)
    repository = await Repository.from_checkout(project.path, tmp_path / "own")
    return Place(project.path, repository, base, after)


async def test_a_change_is_written_whole_and_what_is_not_in_its_way_stays(place: Place) -> None:
    (place.checkout / "pkg/b.py").write_text("mine\n")
    assert await place.apply() == ("a.py", "new/c.py", "old.py")
    assert place.files() == {"a.py": "x = 2\n", "new/c.py": "w = 1\n", "pkg/b.py": "mine\n"}


async def test_nothing_is_written_over_uncommitted_work(place: Place) -> None:
    (place.checkout / "old.py").write_text("mine\n")
    with pytest.raises(UserError, match=r"old\.py in the working tree is not as in .*: nothing was written"):
        await place.apply()
    assert place.files() == {**BEFORE, "old.py": "mine\n"}


async def test_nothing_is_written_through_a_link_of_the_working_tree(place: Place, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (place.checkout / "new").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="behind a symbolic link"):
        await place.apply()
    assert place.files() == BEFORE
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_a_file_of_somebodys_own_where_a_folder_is_needed_stays(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (place.checkout / "new").write_text("mine\n")
    with pytest.raises(UserError, match=r"new/c\.py: a file lies where a folder is needed: nothing was written"):
        await place.apply()
    assert place.files() == {**BEFORE, "new": "mine\n"}
    assert not (tmp_path / "c.py").exists()


async def test_no_link_that_waits_for_our_draft_is_written_through(place: Place, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine\n")
    for name in (".a.py.perstack", "a.py.perstack", ".perstack"):
        (place.checkout / name).symlink_to(victim)
    await place.apply()
    assert victim.read_text() == "mine\n"
    assert place.files()["a.py"] == "x = 2\n"
    assert not (place.checkout / "a.py").is_symlink()


async def test_a_fifo_in_the_place_of_a_file_holds_nobody_up(place: Place) -> None:
    (place.checkout / "a.py").unlink()
    os.mkfifo(place.checkout / "a.py")
    with pytest.raises(UserError, match=r"a\.py in the working tree is no file: nothing was written"):
        await place.apply()


async def test_folders_files_and_links_take_each_others_places(tmp_path: Path) -> None:
    project = ProjectBuilder(tmp_path / "project")
    base = await project.commit("Start", {"a": "1\n", "pkg/b": "2\n", "gone/deep/x": "3\n", "pkg/c": "4\n"})
    repository = await Repository.from_checkout(project.path, tmp_path / "own")
    work = tmp_path / "work"
    await repository.export(base, work)
    for name in ("a", "pkg/b", "pkg/c", "gone/deep/x"):
        (work / name).unlink()
    (work / "pkg").rmdir()
    (work / "pkg").write_text("a file now\n")
    (work / "a").mkdir()
    (work / "a/link").symlink_to("../pkg")
    tree, _ = await repository.snapshot(base, work)
    place = Place(project.path, repository, base, tree)
    (project.path / "pkg/mine").write_text("mine\n")
    with pytest.raises(UserError, match="nothing was written"):
        await place.apply()
    assert place.files() == {"a": "1\n", "gone/deep/x": "3\n", "pkg/b": "2\n", "pkg/c": "4\n", "pkg/mine": "mine\n"}
    (project.path / "pkg/mine").unlink()
    await place.apply()
    assert place.files() == {"pkg": "a file now\n"}
    assert (project.path / "a/link").readlink() == Path("../pkg")
    assert not (project.path / "gone").exists()
    assert (await repository.tree_of_worktree(base, project.path))[0] == tree


async def test_a_disk_that_fills_up_leaves_all_as_it_was(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = os.rename, [2]

    def full(*args: object, **folders: object) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device", "b")
        real(*args, **folders)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "rename", full)
    with pytest.raises(UserError, match="No space left on device: nothing was written"):
        await place.apply()
    assert place.files() == BEFORE
    assert [path.name for path in place.checkout.iterdir() if path.name.startswith(".perstack")] == []

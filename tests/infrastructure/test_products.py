"""What programs of set-up may leave for sessions: files, folders, links as text; clearing it from hostile places."""

from __future__ import annotations

import itertools
import os
import stat
from pathlib import Path

import pytest

from perstack.core.errors import UserError
from perstack.core.sandbox import Mount, SandboxSpec
from perstack.infrastructure.owned import remove_tree
from perstack.infrastructure.sandbox import snapshot
from perstack.infrastructure.sandbox.snapshot import Link, MountPoints


def kept(tmp_path: Path, after: Path) -> Path:
    """The folder of a snapshot whose set-up turned an empty source into `after`."""
    source, place = tmp_path / "source", tmp_path / "place"
    source.mkdir()
    place.mkdir()
    snapshot.keep_products(source, after, place)
    return place


def test_a_script_that_set_up_names_is_part_of_the_key_and_other_files_are_not(tmp_path: Path) -> None:
    (tmp_path / "ci").mkdir()
    files = ("ci/prepare.sh", "ci/deps.list", "ci/other.sh", "mix.lock")
    for name in files:
        (tmp_path / name).write_text("one")
    spec = SandboxSpec(setup=("FROM=ci/deps.list sh ./ci/prepare.sh&&true", "cat ../outside /etc/passwd"))
    keys = [snapshot.digest("", spec, tmp_path)]
    for name in files:
        (tmp_path / name).write_text("two")
        keys.append(snapshot.digest("", spec, tmp_path))
    assert [before != after for before, after in itertools.pairwise(keys)] == [True, True, False, True]


@pytest.fixture
def after(tmp_path: Path) -> Path:
    folder = tmp_path / "after"
    folder.mkdir()
    return folder


@pytest.mark.threat("I3")
def test_a_link_is_kept_as_a_link_and_never_mounted(tmp_path: Path, after: Path) -> None:
    (after / "key").symlink_to("/etc/shadow")
    (after / "made").mkdir()
    (after / "made" / "inner").symlink_to("/etc")
    place = kept(tmp_path, after)
    assert snapshot.product_mounts(place) == (Mount(place / "products/made", "/workspace/made"),)
    assert snapshot.product_links(place) == (Link("key", "/etc/shadow"),)


@pytest.mark.threat("W4", "I1")
def test_nothing_that_waits_or_runs_as_somebody_else_is_kept(tmp_path: Path, after: Path) -> None:
    os.mkfifo(after / "fifo")
    (after / "deep" / "locked").mkdir(parents=True)
    os.mkfifo(after / "deep" / "locked" / "fifo")
    for name in ("tool", "deep/locked/tool"):
        (after / name).write_text("#!/bin/sh\n")
        (after / name).chmod(0o6755)
    (after / "deep" / "locked").chmod(0)
    place = kept(tmp_path, after)
    assert sorted(mount.target for mount in snapshot.product_mounts(place)) == ["/workspace/deep", "/workspace/tool"]
    found = {path.name: stat.S_IMODE(path.lstat().st_mode) for path in (place / "products").rglob("*")}
    assert found == {"deep": 0o755, "locked": 0o700, "tool": 0o755}


def test_folders_nested_without_end_are_refused_by_name(tmp_path: Path, after: Path) -> None:
    top = os.open(after, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=top)
        top, above = os.open("d", os.O_RDONLY, dir_fd=top), top
        os.close(above)
    os.close(top)
    try:
        with pytest.raises(UserError, match="nested too deeply"):
            kept(tmp_path, after)
    finally:
        for folder in tmp_path.iterdir():
            remove_tree(folder)  # what cleans up after tests gives up at such depth


def test_links_are_there_while_a_session_is_and_an_experts_own_stays(tmp_path: Path, after: Path) -> None:
    for name in ("a", "b", "c"):
        (after / name).symlink_to("somewhere")
    place = kept(tmp_path, after)
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    (workspace / "a").write_text("own")
    points = MountPoints()
    with points.dressed(workspace, place) as mounts, points.dressed(workspace, place):
        assert mounts == ()
        assert (workspace / "b").readlink() == Path("somewhere")
        (workspace / "c").unlink()
        (workspace / "c").symlink_to("elsewhere")
    assert sorted(path.name for path in workspace.iterdir()) == ["a", "c"]
    assert ((workspace / "c").readlink(), (workspace / "a").read_text()) == (Path("elsewhere"), "own")


@pytest.mark.threat("W2")
def test_a_folder_that_became_a_link_leads_nobody_out_when_points_are_cleared(tmp_path: Path) -> None:
    outside, workspace = tmp_path / "outside", tmp_path / "workspace"
    (outside / "empty").mkdir(parents=True)
    (outside / "lock").touch()
    (outside / "link").symlink_to("x")
    workspace.mkdir()
    (workspace / "pkg").symlink_to(outside)
    mounts = tuple(Mount(tmp_path, f"/workspace/pkg/{name}") for name in ("empty", "lock"))
    snapshot.remove_mount_points(workspace, mounts)
    snapshot.place_links(workspace, (Link("pkg/new", "x"),))
    snapshot.remove_links(workspace, (Link("pkg/link", "x"),))
    assert sorted(path.name for path in outside.iterdir()) == ["empty", "link", "lock"]

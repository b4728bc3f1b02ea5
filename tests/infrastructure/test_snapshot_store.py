"""Snapshots of set-up on disk: made once, published whole, never taken from under a user, taken away when old."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest

from perstack.core.errors import UserError
from perstack.infrastructure import process
from perstack.infrastructure.owned import owned_name
from perstack.infrastructure.sandbox.snapshot_store import Keeping, Kept, Made, SnapshotStore

pytestmark = pytest.mark.anyio

FOREVER = Keeping(max_age_s=1e12, max_bytes=10**15)


async def filled(draft: Path) -> Made:
    (draft / "file").write_bytes(b"x" * 100_000)
    return Made()


async def refused(draft: Path) -> Made:
    (draft / "half").write_text("half")
    raise UserError("it does not build")


async def make_three(root: Path) -> None:
    """`old`, `middle` and `new`, last used 300, 200 and 100 seconds after the epoch; leased by nobody."""
    store = SnapshotStore(root)
    for name, at in (("old", 100), ("middle", 200), ("new", 300)):
        await store.obtain(name, "set-up", filled)
        os.utime(root / f"{name}.lock", (at, at))


def names(kept: tuple[Kept, ...]) -> list[str]:
    return [one.name for one in kept]


async def test_two_that_want_the_same_make_it_once(tmp_path: Path) -> None:
    made, found = 0, []

    async def slowly(draft: Path) -> Made:
        nonlocal made
        made += 1
        await anyio.sleep(0.1)
        return await filled(draft)

    async def want() -> None:
        found.append(await SnapshotStore(tmp_path).obtain("one", "set-up", slowly))

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(want)
    assert made == 1
    assert sorted(there for _, there in found) == [False, True, True]
    assert all((place / "file").is_file() for place, _ in found)


async def test_what_fails_or_is_killed_half_way_is_never_used(tmp_path: Path) -> None:
    store = SnapshotStore(tmp_path)
    with pytest.raises(UserError, match="does not build"):
        await store.obtain("one", "set-up", refused)
    dead = owned_name("setup").replace(f".{os.getpid()}.", ".999999999.")
    (tmp_path / f"{dead}-x" / "deep").mkdir(parents=True)
    assert store.kept() == ()
    assert (await store.obtain("one", "set-up", filled))[1] is False
    store.prune(FOREVER)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "one.lock"]


async def test_a_snapshot_that_cannot_be_used_any_more_is_made_anew(tmp_path: Path) -> None:
    await SnapshotStore(tmp_path).obtain("one", "set-up", filled)
    (tmp_path / "one" / "snapshot.json").write_text("{")
    place, there = await SnapshotStore(tmp_path).obtain("one", "set-up", filled)
    assert (there, (place / "snapshot.json").stat().st_size > 10) == (False, True)


async def test_the_old_goes_by_age_and_the_least_used_by_size(tmp_path: Path) -> None:
    await make_three(tmp_path)
    store = SnapshotStore(tmp_path)
    assert names(store.kept()) == ["old", "middle", "new"]
    by_age = Keeping(max_age_s=150, max_bytes=10**15)
    assert names(store.prune(by_age, now=400, dry_run=True)) == ["old", "middle"]
    assert len(store.kept()) == 3
    one = store.kept()[0].bytes
    assert one >= 100_000
    assert names(store.prune(Keeping(1e12, 2 * one), now=400)) == ["old"]
    assert names(store.prune(by_age, now=400)) == ["middle"]
    assert names(store.kept()) == ["new"]
    assert not (tmp_path / "old").exists()


async def test_a_start_removes_a_few_and_an_image_that_stays_keeps_its_folder(tmp_path: Path) -> None:
    await make_three(tmp_path)
    store, nothing = SnapshotStore(tmp_path), Keeping(0, 0)
    assert names(store.prune(nothing, most=1)) == ["old"]
    assert store.prune(nothing, lambda one: False) == ()
    assert names(store.kept()) == ["middle", "new"]


HOLDER = """
import sys, anyio
from pathlib import Path
from perstack.infrastructure.sandbox.snapshot_store import SnapshotStore
async def main():
    store = SnapshotStore(Path(sys.argv[1]))
    await store.obtain("old", "", None)
    print("held", flush=True)
    await anyio.sleep_forever()
anyio.run(main)
"""


@pytest.mark.slow
async def test_what_another_process_uses_stays_until_that_process_is_dead(tmp_path: Path) -> None:
    await make_three(tmp_path)
    nothing = Keeping(0, 0)
    argv = [sys.executable, "-c", HOLDER, str(tmp_path)]
    async with process.open_process(argv, env={"PATH": "/usr/bin:/bin"}) as holder:
        assert holder.stdout is not None
        with anyio.fail_after(20):
            assert await holder.stdout.receive() == b"held\n"
        assert names(SnapshotStore(tmp_path).prune(nothing)) == ["middle", "new"]
        holder.kill()
        await holder.wait()
    assert names(SnapshotStore(tmp_path).prune(nothing)) == ["old"]

"""Installed packages on disk: what is used stays, what is old, too much or half there goes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import anyio
import pytest

from perstack.infrastructure import package_store
from perstack.infrastructure.owned import owned_name
from perstack.infrastructure.sandbox.snapshot_store import Keeping, Kept

pytestmark = pytest.mark.anyio

OLD, MIDDLE, NEW = (letter * 32 for letter in "abc")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Three installations of 1000 bytes, last used 300, 200 and 100 seconds before 400."""
    for at, key in ((100, OLD), (200, MIDDLE), (300, NEW)):
        (tmp_path / key).mkdir()
        (tmp_path / f"{key}.json").write_text(json.dumps({"program": "p", "about": f"package {at}", "bytes": 1000}))
        (tmp_path / f"{key}.used").touch()
        os.utime(tmp_path / f"{key}.used", (at, at))
    return tmp_path


def names(kept: tuple[Kept, ...]) -> list[str]:
    return [one.name for one in kept]


def test_what_is_old_goes_and_then_what_is_too_much(cache: Path) -> None:
    (cache / "not-ours").mkdir()
    assert names(package_store.prune(cache, Keeping(max_age_s=250), now=400, dry_run=True)) == [OLD]
    assert names(package_store.prune(cache, Keeping(max_age_s=250, max_bytes=1500), now=400)) == [OLD, MIDDLE]
    assert names(package_store.kept(cache)) == [NEW]
    assert sorted(path.name for path in cache.iterdir()) == sorted([NEW, f"{NEW}.json", f"{NEW}.used", "not-ours"])


async def test_what_somebody_uses_stays_until_its_lease_is_gone(cache: Path) -> None:
    lease = await package_store.leased(cache, OLD)
    assert names(package_store.prune(cache, Keeping(max_age_s=0), now=10**10)) == [MIDDLE, NEW]
    assert (cache / OLD).is_dir()
    del lease
    assert names(package_store.prune(cache, Keeping(max_age_s=0), now=10**10)) == [OLD]


async def test_half_an_installation_and_half_a_removal_go_unless_they_are_under_way(cache: Path) -> None:
    half, dead = "d" * 32, owned_name("trash").rpartition(".")[2]
    (cache / half).mkdir()
    (cache / f"{'e' * 32}.lock").touch()  # of one that failed
    (cache / f"perstack-trash.999999999.1.{dead}-x").mkdir()
    under_way = await package_store.leased(cache, half)
    assert package_store.prune(cache, Keeping(max_age_s=1e12)) == ()
    del under_way
    assert names(package_store.prune(cache, Keeping(max_age_s=1e12))) == [half]
    assert not [path for path in cache.iterdir() if path.name.startswith(("perstack-", half, "e"))]


async def test_two_that_prune_at_once_take_each_away_once(cache: Path) -> None:
    found: list[tuple[Kept, ...]] = []

    async def prune() -> None:
        found.append(await anyio.to_thread.run_sync(package_store.prune, cache, Keeping(max_age_s=0)))

    async with anyio.create_task_group() as tasks:
        for _ in range(4):
            tasks.start_soon(prune)
    assert sorted(name for one in found for name in names(one)) == [OLD, MIDDLE, NEW]
    assert list(cache.iterdir()) == []

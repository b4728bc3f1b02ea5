"""How kills for memory are read from control groups of both versions, without a sandbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.infrastructure.sandbox.memory import MemoryWatch, of_process, watched_groups

pytestmark = pytest.mark.anyio


def _process(tmp_path: Path, lines: str) -> Path:
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/cgroup").write_text(lines)
    return tmp_path / "proc"


@pytest.mark.parametrize(
    ("lines", "group", "file", "text"),
    [
        (
            "0::/system.slice/docker-abc.scope\n",
            "system.slice/docker-abc.scope",
            "memory.events",
            "oom 3\noom_kill {}\n",
        ),
        (
            "5:pids:/docker/abc\n4:memory:/docker/abc\n0::/\n",
            "memory/docker/abc",
            "memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n",
        ),
    ],
)
async def test_kills_are_counted_from_one_command_to_the_next(
    tmp_path: Path, lines: str, group: str, file: str, text: str
) -> None:
    place = tmp_path / "groups" / group
    place.mkdir(parents=True)
    (place / file).write_text(text.format(4))
    found = of_process(7, "abc", _process(tmp_path, lines), tmp_path / "groups")
    assert found == (place,)
    watch = watched_groups((tmp_path, *found))
    watch.begin()
    assert not await watch.killed(137)
    (place / file).write_text(text.format(5))
    assert await watch.killed(1)


async def test_a_number_that_another_namespace_gave_to_somebody_else_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "groups/user.slice").mkdir(parents=True)
    (tmp_path / "groups/user.slice/memory.events").write_text("oom_kill 1\n")
    assert of_process(7, "abc", _process(tmp_path, "0::/user.slice\n"), tmp_path / "groups") == ()


async def test_without_groups_the_engine_is_asked_about_kills_only_and_believed_once() -> None:
    asked: list[int] = []

    async def ask() -> bool:
        asked.append(1)
        return True

    watch = MemoryWatch((), ask)
    assert [await watch.killed(code) for code in (1, 137, 137)] == [False, True, False]
    assert len(asked) == 1

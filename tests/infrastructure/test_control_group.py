"""Control groups: who joins, and what is told where a group takes nobody."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from perstack.core.errors import SandboxUnavailable
from perstack.core.sandbox import Limits
from perstack.infrastructure.sandbox.bubblewrap_view import limits_script
from perstack.infrastructure.sandbox.control_group import MEMORY, PROCESSES, Groups, children, join


def test_a_group_that_bounds_memory_or_processes_must_take_the_process(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    with pytest.raises(SandboxUnavailable, match="would have no limits"):
        join(Groups((gone,), frozenset({MEMORY}), frozenset({gone})), os.getpid())


def test_any_other_group_may_refuse(tmp_path: Path) -> None:
    taking = tmp_path / "taking"
    taking.mkdir()
    join(Groups((tmp_path / "gone", taking)), 4_194_304)
    assert (taking / "cgroup.procs").read_text() == "4194304"


def test_children_are_found_with_and_without_the_kernels_list_of_them(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        try:
            assert child.pid in children(os.getpid())
            for pid, parent in ((7, 1), (8, 7), (9, 7)):
                (tmp_path / str(pid)).mkdir()
                (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b) S 1) S {parent} 0 0")
            (tmp_path / "8" / "stat").write_text("8 (odd ) S 5 name) S 7 0 0")
            assert set(children(7, tmp_path)) == {8, 9}
        finally:
            child.kill()


@pytest.mark.parametrize(
    ("bounded", "missing"),
    [
        (frozenset[str](), {"ulimit -d", "ulimit -u"}),
        (frozenset({MEMORY}), {"ulimit -u"}),
        (frozenset({PROCESSES}), {"ulimit -d"}),
        (frozenset({MEMORY, PROCESSES}), set[str]()),
    ],
)
def test_what_no_group_bounds_is_bounded_for_each_process(bounded: frozenset[str], missing: set[str]) -> None:
    script = limits_script(Limits(), Groups(bounded=bounded))
    assert {word for word in ("ulimit -d", "ulimit -u") if word in script} == missing

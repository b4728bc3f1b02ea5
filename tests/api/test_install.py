"""Writing a lock file, the parts that need no server: which package it was, and a write that fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.api.install import Installation, collect, write
from perstack.api.locked import Locked, package_of
from perstack.api.machine import surroundings
from perstack.core.errors import InfrastructureError, UserError
from perstack.core.experts import Expert, SkillSpec
from perstack.definition.lock import Lock, LockedPackage, LockedSkill, locked_expert
from perstack.definition.lock_file import parse_lock
from perstack.infrastructure.package_tree import Package
from perstack.infrastructure.packages import NEWEST, Launch

PACKAGES = (
    Package("@scope/server", "1.0.0", "sha512-scope"),
    Package("a-dependency", "9.9.9", "sha512-other"),
    Package("Mcp_Server.Time", "2026.1.1"),
)
LAUNCH = Launch(("x",), packages=PACKAGES, integrity="sha256:tree")


@pytest.mark.parametrize(
    ("spec", "package"),
    [
        (SkillSpec("s", command="npx", package_name="@scope/server"), LockedPackage("1.0.0", "sha512-scope")),
        (SkillSpec("s", command="npx", package_name="@scope/server@1"), LockedPackage("1.0.0", "sha512-scope")),
        (SkillSpec("s", command="npx", args=("-y", "@scope/server", ".")), LockedPackage("1.0.0", "sha512-scope")),
        (SkillSpec("s", command="uvx", package_name="mcp-server-time"), LockedPackage("2026.1.1", "sha256:tree")),
        (SkillSpec("s", command="uvx", args=("mcp_server_time==2026.1.1",)), LockedPackage("2026.1.1", "sha256:tree")),
        (SkillSpec("s", command="uvx", package_name="not-installed"), LockedPackage()),
        (SkillSpec("s", command="mcp-server-time", args=()), LockedPackage()),
        (SkillSpec("s", "mcpSseSkill", endpoint="https://mcp.example.com/"), LockedPackage()),
    ],
    ids=lambda value: (
        " ".join((value.command, value.package_name, *value.args)) if isinstance(value, SkillSpec) else ""
    ),
)
def test_the_package_is_the_one_the_words_name_and_no_dependency(spec: SkillSpec, package: LockedPackage) -> None:
    assert package_of(spec, LAUNCH) == package


def locked_with(spec: SkillSpec, package: LockedPackage) -> Lock:
    expert = Expert("a", "x", skills={spec.name: spec})
    return Lock(1, "perstack.toml", {"a": locked_expert(expert, {spec.name: LockedSkill(spec, (), package)})})


def test_a_run_gets_the_version_that_is_locked_for_exactly_this_skill() -> None:
    spec = SkillSpec("s", command="npx", package_name="@scope/server")
    lock = locked_with(spec, LockedPackage("1.0.0", "sha512-scope"))
    assert Locked(lock).version(replace(spec, rule="Another rule.")) == "1.0.0"
    assert Locked(lock).version(replace(spec, package_name="@scope/other")) == ""
    assert Locked(lock, ask=True).version(spec) == "1.0.0"
    assert Locked(lock, ask=True, renew=True).version(spec) == NEWEST
    assert Locked().version(spec) == ""


def test_an_expert_that_came_into_being_during_the_job_is_not_missed_in_the_lock() -> None:
    spec = SkillSpec("s", command="npx", package_name="@scope/server")
    lock, made = locked_with(spec, LockedPackage()), Expert("@a/made", "x", skills={"s": spec})
    assert Locked(lock, experts={"a"}).known(made).stale == ()
    assert "does not know expert" in Locked(lock, experts={"a", "@a/made"}).known(made).stale[0]


def test_a_package_whose_registry_digest_changed_at_the_same_version_is_refused() -> None:
    spec = SkillSpec("s", command="npx", package_name="@scope/server")
    with pytest.raises(UserError, match=r"its package 1\.0\.0 is not the one perstack\.lock was written with"):
        Locked(locked_with(spec, LockedPackage("1.0.0", "sha512-before"))).check(spec, LAUNCH)


@pytest.mark.parametrize(
    "package",
    [
        LockedPackage("1.0.0", "sha512-scope"),
        LockedPackage("0.9.0", "sha512-before"),
        LockedPackage("1.0.0", "sha256:of-another-machine"),
        LockedPackage(),
    ],
    ids=["same", "another version", "our own digest", "not known"],
)
def test_any_other_difference_of_a_package_is_none_of_its_registry(package: LockedPackage) -> None:
    spec = SkillSpec("s", command="npx", package_name="@scope/server")
    Locked(locked_with(spec, package)).check(spec, LAUNCH)


def test_a_lock_file_is_there_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    found = Installation(tmp_path / "perstack.lock", Lock(1, "perstack.toml"), ())
    write(found)
    assert parse_lock(found.path.read_text()) == found.lock
    before = found.path.read_bytes()
    missing = Installation(tmp_path / "nowhere" / "perstack.lock", Lock(2, "perstack.toml"), ())
    with pytest.raises(InfrastructureError, match="cannot be written"):
        write(missing)
    assert found.path.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["perstack.lock"]


@pytest.mark.anyio
async def test_experts_without_servers_are_locked_in_a_moment_and_delegates_at_any_depth_with_them(
    tmp_path: Path,
) -> None:
    (tmp_path / "perstack.toml").write_text(
        '[experts."a"]\ninstruction = "x"\ndelegates = ["@a/b"]\n'
        '[experts."@a/b"]\ninstruction = "x"\ndelegates = ["@a/c"]\n[experts."@a/c"]\ninstruction = "x"\n'
    )
    lines: list[str] = []
    env = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with surroundings(env, sandbox="host", storage=tmp_path / "jobs") as host:
        found = await collect(host, tmp_path / "perstack.toml", lines.append)
        assert found.changes == ("there is no perstack.lock yet",)
        write(found)
        assert (await collect(host, tmp_path / "perstack.toml", lines.append)).changes == ()
    assert list(found.lock.experts) == ["a", "@a/b", "@a/c"]
    assert lines[:2] == ["Resolving experts...", "Found 3 expert(s)"]
    assert not (tmp_path / "jobs").exists(), "installing leaves no job"


@pytest.mark.anyio
async def test_a_delegate_that_is_nowhere_defined_is_told_and_a_damaged_lock_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "perstack.lock").write_text("damaged")
    (tmp_path / "perstack.toml").write_text('[experts."a"]\ninstruction = "x"\n')
    with surroundings({"PATH": "/usr/bin:/bin"}, sandbox="host", storage=tmp_path / "jobs") as host:
        found = await collect(host, tmp_path / "perstack.toml", lambda _: None)
        assert "damaged" in found.changes[0]
        (tmp_path / "perstack.toml").write_text('[experts."a"]\ninstruction = "x"\ndelegates = ["@a/gone"]\n')
        with pytest.raises(UserError, match="@a/gone"):
            await collect(host, tmp_path / "perstack.toml", lambda _: None)

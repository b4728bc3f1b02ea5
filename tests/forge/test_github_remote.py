"""GithubForge with the product's own git: what happens between our git and GitHub's rules."""

from __future__ import annotations

import base64
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from anyio import to_thread

from perstack.api import GitRemote
from perstack.core.errors import ForgeError, Superseded
from perstack.forge.contract import CommitRequest
from perstack.forge.github import GithubForge
from perstack.forge.github_rest import GithubSettings
from tests.forge.bench import Bench
from tests.github_server import READ_ALL, WRITE_ALL
from tests.github_server.git_data import branch_sha, commit_files, git, tree_of

pytestmark = pytest.mark.anyio


def forge(bench: Bench, permissions: dict[str, str]) -> GithubForge:
    token = bench.scene.server.token(permissions)
    credentials = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    settings = GithubSettings(bench.scene.name, token, api_url=bench.scene.server.url, seconds_between_writes=0.0)
    remote = GitRemote(bench.scene.clone_url, f"Authorization: Basic {credentials}")
    return GithubForge(settings, remote=remote, write=bench.log.append)


async def fix(bench: Bench, folder: Path, files: dict[str, str] | None = None) -> CommitRequest:
    path = folder / "work.git"
    await to_thread.run_sync(forge(bench, READ_ALL).fetch, bench.scene.head_sha, path)
    commit = commit_files(path, files or {"calc.py": "fixed\n"}, bench.scene.head_sha)
    return CommitRequest(path, commit, "topic", bench.scene.head_sha)


async def test_commits_travel_both_ways(bench: Bench, tmp_path: Path) -> None:
    commit = await fix(bench, tmp_path)
    commit = replace(commit, commits="push")
    assert await to_thread.run_sync(forge(bench, WRITE_ALL).push, commit) == commit.commit
    new = replace(commit, branch="perstack/fix-1", expected="")
    await to_thread.run_sync(forge(bench, WRITE_ALL).push, new)
    for branch in ("topic", "perstack/fix-1"):
        assert branch_sha(bench.scene.repository.git, branch) == commit.commit


async def test_a_commit_of_ours_is_made_again_on_github(bench: Bench, tmp_path: Path) -> None:
    commit = await fix(bench, tmp_path)
    sha = await to_thread.run_sync(forge(bench, WRITE_ALL).push, commit)
    assert branch_sha(bench.scene.repository.git, "topic") == sha != commit.commit
    assert tree_of(bench.scene.repository.git, sha) == tree_of(commit.repository, commit.commit)


async def test_history_comes_on_request(fork_bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "work.git"
    fetch = forge(fork_bench, READ_ALL).fetch
    await to_thread.run_sync(partial(fetch, fork_bench.scene.head_sha, path, history=True))
    assert (
        git("merge-base", fork_bench.scene.base_sha, fork_bench.scene.head_sha, cwd=path) == fork_bench.scene.base_sha
    )


async def test_a_moved_head_is_superseded(bench: Bench, tmp_path: Path) -> None:
    commit = replace(await fix(bench, tmp_path), commits="push")
    moved = bench.scene.push_to_topic({"more.py": ""})
    with pytest.raises(Superseded):
        await to_thread.run_sync(forge(bench, WRITE_ALL).push, commit)
    assert branch_sha(bench.scene.repository.git, "topic") == moved


async def test_an_existing_branch_is_not_taken_for_a_new_one(bench: Bench, tmp_path: Path) -> None:
    commit = replace(await fix(bench, tmp_path), expected="", commits="push")
    with pytest.raises(Superseded):
        await to_thread.run_sync(forge(bench, WRITE_ALL).push, commit)


async def test_each_refusal_has_its_sentence(bench: Bench, tmp_path: Path) -> None:
    commit = replace(await fix(bench, tmp_path, {".github/workflows/ci.yml": "on: push\n"}), commits="push")
    with pytest.raises(ForgeError, match="may not change workflow files"):
        await to_thread.run_sync(forge(bench, WRITE_ALL).push, commit)
    with pytest.raises(ForgeError, match="the token may not push"):
        await to_thread.run_sync(forge(bench, READ_ALL).push, commit)
    bench.scene.repository.protect("topic")
    with pytest.raises(ForgeError, match="the branch is protected"):
        await to_thread.run_sync(forge(bench, WRITE_ALL).push, commit)
    assert branch_sha(bench.scene.repository.git, "topic") == bench.scene.head_sha

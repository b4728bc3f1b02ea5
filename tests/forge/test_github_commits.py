"""Commits on GitHub: made there and signed where the API can say them, pushed where not, and never another tree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.errors import ForgeError, Superseded, UserError
from perstack.forge.contract import CommitRequest
from tests.forge.bench import Bench
from tests.github_server import READ_ALL, WRITE_ALL, Fault
from tests.github_server.branch_rules import is_signed
from tests.github_server.git_data import (
    branch_sha,
    commit_entries,
    commit_files,
    git,
    set_branch,
    tree_of,
    write_commit,
)

MESSAGE = "Fix the sum\n\nIt subtracted.\n\nCloses #1\n"
PLAIN = [("100644", b"def add(a, b):\n    return a + b\n", "calc.py"), ("0", b"", "README.md")]
MODES = [("100755", b"#!/bin/sh\n", "run.sh"), ("120000", b"calc.py", "link"), *PLAIN]
WAYS = {"graphql": PLAIN, "data": MODES}


def made(
    bench: Bench,
    folder: Path,
    entries: list[tuple[str, bytes, str]] = PLAIN,
    *,
    branch: str = "topic",
    new: bool = False,
) -> CommitRequest:
    """A proved commit in a directory of ours, and where it should go."""
    path = folder / "work.git"
    bench.forge.fetch(bench.scene.head_sha, path)
    commit = commit_entries(path, bench.scene.head_sha, entries, MESSAGE)
    return CommitRequest(path, commit, branch, "" if new else bench.scene.head_sha)


def head(bench: Bench, branch: str = "topic") -> str:
    return branch_sha(bench.scene.repository.git, branch)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("new", [False, True])
def test_a_commit_is_made_on_github_and_signed_with_the_tree_that_was_proved(
    bench: Bench, tmp_path: Path, way: str, new: bool
) -> None:
    branch = "perstack/fix-1" if new else "topic"
    request = made(bench, tmp_path, WAYS[way], branch=branch, new=new)
    sha = bench.forge.push(request)
    repository = bench.scene.repository
    assert head(bench, branch) == sha != request.commit
    assert is_signed(repository, sha)
    assert tree_of(repository.git, sha) == tree_of(request.repository, request.commit)
    assert git("show", "-s", "--format=%B", sha, cwd=repository.git).strip() == MESSAGE.strip()
    assert git("show", "-s", "--format=%P", sha, cwd=repository.git) == bench.scene.head_sha
    assert bool(bench.queries("createCommitOnBranch")) == (way == "graphql")
    assert all("through" in push for push in repository.pushes)


def test_a_merge_is_made_on_github_as_well(bench: Bench, tmp_path: Path) -> None:
    request = made(bench, tmp_path)
    tree, ours = tree_of(request.repository, request.commit), bench.scene.head_sha
    set_branch(bench.scene.repository.git, "fix", bench.scene.base_sha)
    bench.forge.fetch(bench.scene.base_sha, request.repository)
    merge = write_commit(request.repository, tree, [bench.scene.base_sha, ours], MESSAGE)
    sha = bench.forge.push(replace(request, commit=merge, branch="fix", expected=bench.scene.base_sha))
    parents = git("show", "-s", "--format=%P", sha, cwd=bench.scene.repository.git).split()
    assert parents == [bench.scene.base_sha, ours]
    assert tree_of(bench.scene.repository.git, sha) == tree
    assert is_signed(bench.scene.repository, sha)


def test_bytes_that_are_no_text_and_files_that_only_change_their_mode_arrive_as_they_are(
    bench: Bench, tmp_path: Path
) -> None:
    data = bytes(range(256))
    calc = bench.scene.repository.git
    text = git("show", f"{bench.scene.head_sha}:calc.py", cwd=calc).encode() + b"\n"
    entries = [("100755", text, "calc.py"), ("100755", data, "tool"), ("100644", b"a\0b", "nul"), ("100644", b"", "no")]
    request = made(bench, tmp_path, entries)
    sha = bench.forge.push(request)
    assert tree_of(calc, sha) == tree_of(request.repository, request.commit)
    assert len(bench.requests("POST", "/git/blobs")) == 2


@pytest.mark.threat("R5", "P10")
@pytest.mark.parametrize("way", WAYS)
def test_a_head_that_moved_is_superseded_and_stays_where_it_is(bench: Bench, tmp_path: Path, way: str) -> None:
    request = made(bench, tmp_path, WAYS[way])
    moved = bench.scene.push_to_topic({"more.py": ""})
    with pytest.raises(Superseded):
        bench.forge.push(request)
    assert head(bench) == moved


@pytest.mark.parametrize("way", WAYS)
def test_a_branch_that_was_deleted_or_renamed_is_told_and_not_made_again(
    bench: Bench, tmp_path: Path, way: str
) -> None:
    request = made(bench, tmp_path, WAYS[way])
    git("branch", "-m", "topic", "renamed", cwd=bench.scene.repository.git)
    with pytest.raises(Superseded, match="was deleted or renamed"):
        bench.forge.push(request)
    assert head(bench) == ""
    assert head(bench, "renamed") == bench.scene.head_sha


@pytest.mark.parametrize("way", WAYS)
def test_a_branch_that_exists_is_not_taken_for_a_new_one(bench: Bench, tmp_path: Path, way: str) -> None:
    set_branch(bench.scene.repository.git, "perstack/fix-1", bench.scene.base_sha)
    with pytest.raises(Superseded, match="exists already"):
        bench.forge.push(made(bench, tmp_path, WAYS[way], branch="perstack/fix-1", new=True))
    assert head(bench, "perstack/fix-1") == bench.scene.base_sha


@pytest.mark.parametrize("kind", ["hidden", "drop-after", "drop", "status"])
def test_a_commit_whose_answer_was_lost_is_made_once(bench: Bench, tmp_path: Path, kind: str) -> None:
    bench.scene.server.faults.add(Fault(kind, path="/graphql$"))
    sha = bench.forge.push(made(bench, tmp_path))
    assert head(bench) == sha
    assert git("rev-list", "--count", f"{bench.scene.head_sha}..{sha}", cwd=bench.scene.repository.git) == "1"


@pytest.mark.parametrize("kind", ["hidden", "drop-after"])
@pytest.mark.parametrize("path", ["/git/refs$", "/git/trees$", "/git/refs/heads/"])
def test_lost_answers_about_git_data_and_branches_do_no_harm(
    bench: Bench, tmp_path: Path, kind: str, path: str
) -> None:
    new = path == "/git/refs$"
    branch = "perstack/fix-1" if new else "topic"
    bench.scene.server.faults.add(Fault(kind, path=path))
    request = made(bench, tmp_path, MODES, branch=branch, new=new)
    if path == "/git/trees$":
        with pytest.raises(ForgeError):
            bench.forge.push(request)
        assert head(bench) == bench.scene.head_sha
    else:
        assert bench.forge.push(request) == head(bench, branch)


def test_somebody_elses_commit_is_not_taken_for_ours_after_a_lost_answer(bench: Bench, tmp_path: Path) -> None:
    request = made(bench, tmp_path)
    moved = bench.scene.push_to_topic({"more.py": ""})
    bench.scene.server.faults.add(Fault("drop", path="/graphql$"))
    with pytest.raises(Superseded):
        bench.forge.push(request)
    assert head(bench) == moved


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("new", [False, True])
def test_another_tree_than_the_proved_one_is_taken_back(bench: Bench, tmp_path: Path, way: str, new: bool) -> None:
    branch = "perstack/fix-1" if new else "topic"
    request = made(bench, tmp_path, WAYS[way], branch=branch, new=new)
    bench.scene.repository.spoils_trees = True
    with pytest.raises(ForgeError, match="was proved"):
        bench.forge.push(request)
    assert head(bench, branch) == ("" if new else bench.scene.head_sha)


def test_what_the_api_cannot_say_is_pushed_as_it_is(bench: Bench, tmp_path: Path) -> None:
    big = made(bench, tmp_path, [("100644", b"\0" * (31 << 20), "big.bin")])
    assert bench.forge.push(big) == big.commit == head(bench)
    swapped = commit_entries(big.repository, big.commit, [("0", b"", "calc.py"), ("100644", b"x", "calc.py/x")])
    again = replace(big, commit=swapped, expected=big.commit)
    with pytest.raises(ForgeError, match="a file and a folder change places"):
        bench.forge.push(replace(again, commits="api"))
    assert bench.forge.push(again) == swapped
    chain = commit_files(big.repository, {"b": ""}, commit_files(big.repository, {"a": ""}, swapped))
    assert bench.forge.push(replace(again, commit=chain, expected=swapped)) == chain
    assert not bench.queries("createCommitOnBranch")


def test_git_is_used_where_it_is_asked_for(bench: Bench, tmp_path: Path) -> None:
    request = made(bench, tmp_path)
    assert bench.forge.push(replace(request, commits="push")) == request.commit == head(bench)
    with pytest.raises(UserError, match="commits"):
        bench.forge.push(replace(request, commits="telepathy"))


def test_a_server_without_the_mutation_gets_git_data(bench: Bench, tmp_path: Path) -> None:
    bench.scene.repository.knows_commit_mutation = False
    forge = bench.make(api_url=f"{bench.scene.server.url}/api/v3")
    assert forge.push(made(bench, tmp_path, branch="fix", new=True)) == head(bench, "fix")
    assert forge.push(made(bench, tmp_path)) == head(bench)


def test_three_thousand_files_are_one_request(bench: Bench, tmp_path: Path) -> None:
    path = tmp_path / "work.git"
    bench.forge.fetch(bench.scene.head_sha, path)
    files = {f"d{number % 50}/f{number}.py": f"x = {number}\n" for number in range(3000)}
    commit = commit_files(path, files, bench.scene.head_sha)
    before = len(bench.scene.server.state.requests)
    sha = bench.forge.push(CommitRequest(path, commit, "topic", bench.scene.head_sha))
    assert len(bench.scene.server.state.requests) - before == 1
    assert tree_of(bench.scene.repository.git, sha) == tree_of(path, commit)


@pytest.mark.parametrize("entries", WAYS.values(), ids=list(WAYS))
@pytest.mark.parametrize("commits", ["auto", "push"])
def test_each_refusal_has_its_sentence_and_changes_nothing(
    bench: Bench, tmp_path: Path, entries: list[tuple[str, bytes, str]], commits: str
) -> None:
    request = replace(made(bench, tmp_path, entries), commits=commits)
    with pytest.raises(ForgeError, match="the token may not push") as caught:
        bench.make(READ_ALL).push(request)
    assert "contents: write" in caught.value.hint
    workflow = [("100644", b"on: push\n", ".github/workflows/ci.yml"), *entries]
    with pytest.raises(ForgeError, match="may not change workflow files"):
        bench.forge.push(replace(made(bench, tmp_path, workflow), commits=commits))
    bench.scene.repository.protect("topic")
    with pytest.raises(ForgeError, match="cannot push to `topic`: the branch is protected") as caught:
        bench.forge.push(request)
    assert "pull request" in caught.value.hint
    assert head(bench) == bench.scene.head_sha


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [("pull_request", "a rule of the repository forbids it"), ("merge_queue", "the branch is in a merge queue")],
)
@pytest.mark.parametrize("way", WAYS)
def test_rules_and_merge_queues_are_told(bench: Bench, tmp_path: Path, way: str, rule: str, sentence: str) -> None:
    request = made(bench, tmp_path, WAYS[way])
    bench.scene.repository.rules["topic"] = [rule]
    with pytest.raises(ForgeError, match=sentence):
        bench.forge.push(request)
    assert head(bench) == bench.scene.head_sha


@pytest.mark.parametrize("way", WAYS)
def test_required_signatures_are_met_by_the_api(bench: Bench, tmp_path: Path, way: str) -> None:
    bench.scene.repository.rules["topic"] = ["required_signatures"]
    request = made(bench, tmp_path, WAYS[way])
    assert bench.forge.push(request) == head(bench)


def test_workflow_files_are_changed_with_the_permission_for_it(bench: Bench, tmp_path: Path) -> None:
    request = made(bench, tmp_path, [("100644", b"on: push\n", ".github/workflows/ci.yml")])
    forge = bench.make({**WRITE_ALL, "workflows": "write"})
    assert forge.push(request) == head(bench)


def test_an_unknown_refusal_keeps_gits_own_words(bench: Bench, tmp_path: Path) -> None:
    request = replace(made(bench, tmp_path), commit="f" * 40, commits="push")
    with pytest.raises(ForgeError, match="could not be pushed"):
        bench.forge.push(request)

"""Commits, pull requests, and the runner's files: what is published, and how a refusal reads."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from perstack.core.errors import ForgeError
from perstack.core.signals import Diagnostic
from perstack.forge.contract import CommitRequest, PullRequestRequest
from perstack.forge.limits import COMMENT_LIMIT, TITLE_LIMIT
from tests.forge.bench import SECRET, Bench
from tests.github_server import Fault
from tests.github_server.git_data import commit_files, git, set_branch

FIXED = {"calc.py": "def add(a, b):\n    return a + b\n"}


def fetched(bench: Bench, folder: Path) -> Path:
    """A bare directory that has the pull request's head."""
    path = folder / "work.git"
    bench.forge.fetch(bench.scene.head_sha, path)
    return path


def fix(bench: Bench, folder: Path, branch: str = "topic", expected: str | None = None) -> CommitRequest:
    path = fetched(bench, folder)
    commit = commit_files(path, FIXED, bench.scene.head_sha, message="Fix the sum")
    return CommitRequest(path, commit, branch, bench.scene.head_sha if expected is None else expected)


def request(branch: str = "perstack/fix-1") -> PullRequestRequest:
    return PullRequestRequest(branch, "main", "Fix the sum", "Closes #1")


def test_the_head_of_a_fork_is_fetched_from_the_repository_itself(fork_bench: Bench, tmp_path: Path) -> None:
    path = fetched(fork_bench, tmp_path)
    assert "twice" in git("show", f"{fork_bench.scene.head_sha}:calc.py", cwd=path)
    ref = "refs/pull/2/head"
    assert git("ls-remote", fork_bench.scene.clone_url, ref, cwd=tmp_path).split() == [fork_bench.scene.head_sha, ref]


def test_a_pull_request_is_opened_and_updated_not_doubled(bench: Bench, tmp_path: Path) -> None:
    bench.forge.push(fix(bench, tmp_path, "perstack/fix-1", ""))
    first = bench.forge.open_pull_request(request())
    second = bench.make().open_pull_request(replace(request(), title="Fix the sum for good"))
    assert first == second
    issue = bench.scene.repository.issues[first.id]
    assert (issue.title, issue.body) == ("Fix the sum for good", "Closes #1")
    assert first.url.endswith(f"/pull/{first.id}")


def test_a_closed_pull_request_is_left_alone(bench: Bench, tmp_path: Path) -> None:
    bench.forge.push(fix(bench, tmp_path, "perstack/fix-1", ""))
    first = bench.forge.open_pull_request(request())
    bench.scene.repository.issues[first.id].state = "closed"
    assert bench.forge.open_pull_request(request()).id != first.id


def test_actions_without_the_setting_are_told_which(bench: Bench, tmp_path: Path) -> None:
    bench.forge.push(fix(bench, tmp_path, "perstack/fix-1", ""))
    bench.scene.repository.actions_may_open_pulls = False
    with pytest.raises(ForgeError, match="may not open pull requests") as caught:
        bench.forge.open_pull_request(request())
    assert "Allow GitHub Actions to create and approve pull requests" in caught.value.hint


def test_a_branch_without_commits_is_told(bench: Bench) -> None:
    set_branch(bench.scene.repository.git, "perstack/fix-1", bench.scene.base_sha)
    with pytest.raises(ForgeError, match="the branch holds nothing that its base does not"):
        bench.forge.open_pull_request(request())
    with pytest.raises(ForgeError, match="PullRequest head invalid"):
        bench.forge.open_pull_request(request("gone"))


@pytest.mark.parametrize("kind", ["hidden", "drop-after"])
def test_a_pull_request_whose_answer_was_lost_is_not_opened_twice(bench: Bench, tmp_path: Path, kind: str) -> None:
    bench.forge.push(fix(bench, tmp_path, "perstack/fix-1", ""))
    bench.scene.server.faults.add(Fault(kind, method="POST", path="/pulls$"))
    opened = bench.forge.open_pull_request(request())
    assert max(bench.scene.repository.issues) == opened.id == 3


def test_drafts_are_opened_as_such_or_openly_where_there_are_none(bench: Bench, tmp_path: Path) -> None:
    bench.forge.push(fix(bench, tmp_path, "perstack/fix-1", ""))
    message = "Draft pull requests are not supported in this repository."
    bench.scene.server.faults.add(Fault("status", method="POST", path="/pulls$", status=422, message=message))
    number = bench.forge.open_pull_request(replace(request(), draft=True)).id
    pull = bench.scene.repository.issues[number].pull
    assert pull is not None
    assert not pull.draft


def test_texts_of_pull_requests_are_redacted_and_cut(bench: Bench, tmp_path: Path) -> None:
    bench.forge.push(fix(bench, tmp_path, "perstack/fix-1", ""))
    wanted = replace(request(), title=f"{SECRET} " + "t" * 500, body=SECRET + "🎉" * COMMENT_LIMIT)
    issue = bench.scene.repository.issues[bench.forge.open_pull_request(wanted).id]
    assert issue.title.startswith("*** ttt")
    assert len(issue.title) <= TITLE_LIMIT
    assert "s3cr" not in f"{issue.title}{issue.body}"


def test_the_runners_files_and_log_are_written_without_secrets(bench: Bench) -> None:
    bench.forge.write_summary(f"# Result {SECRET}")
    bench.forge.set_outputs({"patch": f"line\n{SECRET}", "verdict": "pass"})
    bench.forge.annotate_log([Diagnostic("a.py", 1, "error", f"x\n{SECRET}")])
    everything = bench.summary.read_text(encoding="utf-8") + bench.outputs.read_text(encoding="utf-8") + bench.log[0]
    assert "s3cr" not in everything
    assert "# Result ***" in everything
    assert bench.log == ["::error file=a.py,line=1::x%0A***"]


def test_without_a_runner_there_are_no_files(bench: Bench, tmp_path: Path) -> None:
    forge = bench.make(summary_path=None, output_path=None)
    forge.write_summary("x")
    forge.set_outputs({"a": "b"})
    assert not bench.summary.exists()
    assert not bench.outputs.exists()


def test_writes_keep_their_distance_and_reads_do_not(bench: Bench) -> None:
    forge = bench.make(seconds_between_writes=0.3)
    for number in range(3):
        forge.upsert_comment(2, f"key-{number}", "x")
    writes = [r["at"] for r in bench.requests("POST")]
    assert len(writes) == 3
    assert all(later - earlier >= 0.3 for earlier, later in itertools.pairwise(writes))

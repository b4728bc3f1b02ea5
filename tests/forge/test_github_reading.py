"""What GithubForge asks: roles, branches, pull requests, files; and what it says when GitHub refuses."""

from __future__ import annotations

import pytest

from perstack.core.errors import ForgeError
from perstack.forge.contract import Actor, Forge
from tests.forge.bench import Bench
from tests.github_server import READ_ALL, Fault
from tests.github_server.git_data import commit_files, git, set_branch

HOSTILE_BRANCHES = ["a/b", "ünï", "a#b", "z%2Fb", "a+b", "x;touch-pwned", "$(x)", "a'b\"c", "heads/x", "a&b=c"]


def test_it_is_a_forge(bench: Bench) -> None:
    forge: Forge = bench.forge
    assert forge.repository == bench.scene.name
    assert forge.default_branch() == "main"


def test_the_exact_role_is_asked_for(bench: Bench) -> None:
    actor = bench.scene.actor
    for role in ("admin", "maintain", "write", "triage", "read", "custom-role"):
        bench.scene.repository.roles[actor.id] = role
        assert bench.forge.role_of(Actor(actor.login, actor.id)) == role


def test_strangers_unknown_names_and_taken_over_names_have_no_role(bench: Bench) -> None:
    bench.scene.server.state.user("stranger", 99)
    assert bench.forge.role_of(Actor("stranger", 99)) == "none"
    assert bench.forge.role_of(Actor("ghost-of-nobody", 98)) == "none"
    assert bench.forge.role_of(Actor(bench.scene.actor.login, 12345)) == "none"
    assert bench.forge.role_of(Actor("../../../user", 1)) == "none"


def test_a_role_that_may_not_be_asked_is_unknown(bench: Bench) -> None:
    message = "Resource not accessible by integration"
    bench.scene.server.faults.add(Fault("status", path="/permission", status=403, message=message))
    assert bench.forge.role_of(Actor(bench.scene.actor.login, bench.scene.actor.id)) == ""


def test_branches_of_any_name_are_found_exactly(bench: Bench) -> None:
    for branch in HOSTILE_BRANCHES:
        set_branch(bench.scene.repository.git, branch, bench.scene.base_sha)
        assert bench.forge.branch_sha(branch) == bench.scene.base_sha, branch
    assert not any(bench.forge.is_protected(branch) for branch in HOSTILE_BRANCHES)
    for branch in HOSTILE_BRANCHES:
        bench.scene.repository.protect(branch)
    assert all(bench.forge.is_protected(branch) for branch in HOSTILE_BRANCHES)


def test_a_missing_branch_has_no_sha_and_no_protection(bench: Bench) -> None:
    assert bench.forge.branch_sha("topi") == ""
    assert not bench.forge.is_protected("topi")


def test_rules_that_forbid_pushing_protect_a_branch(bench: Bench) -> None:
    bench.scene.repository.rules["main"] = ["deletion", "pull_request"]
    bench.scene.repository.rules["topic"] = ["deletion"]
    assert bench.forge.is_protected("main")
    assert not bench.forge.is_protected("topic")


def test_a_pull_request_is_read_as_it_is_now(bench: Bench) -> None:
    pull = bench.forge.pull_request(2)
    assert (pull.head_sha, pull.base_sha) == (bench.scene.head_sha, bench.scene.base_sha)
    assert (pull.head_ref, pull.base_ref, pull.state) == ("topic", "main", "open")
    assert not pull.is_fork
    assert pull.head_exists
    assert pull.head_repository_id == bench.scene.repository.id
    moved = bench.scene.push_to_topic({"new.py": ""})
    assert bench.forge.pull_request(2).head_sha == moved


def test_a_pull_request_of_three_thousand_files_is_two_requests(bench: Bench) -> None:
    bench.scene.push_to_topic({f"d{number % 50}/f{number}.py": "x = 1\n" for number in range(3000)})
    assert bench.forge.pull_request(2).head_exists
    assert len(bench.requests("GET")) == 2


def test_a_deleted_branch_and_a_closed_pull_request_are_seen(bench: Bench) -> None:
    git("update-ref", "-d", "refs/heads/topic", cwd=bench.scene.repository.git)
    assert not bench.forge.pull_request(2).head_exists
    bench.scene.pull.state = "closed"
    assert bench.forge.pull_request(2).state == "closed"


def test_forks_are_seen_also_when_they_were_deleted(fork_bench: Bench) -> None:
    pull = fork_bench.forge.pull_request(2)
    assert (pull.is_fork, pull.head_exists) == (True, True)
    assert pull.head_repository_id == fork_bench.scene.source.id
    assert fork_bench.scene.pull.pull is not None
    fork_bench.scene.pull.pull.head_repository = None
    pull = fork_bench.forge.pull_request(2)
    assert (pull.is_fork, pull.head_exists, pull.head_repository_id) == (True, False, 0)


def test_texts_of_issues_are_read_also_without_a_body(bench: Bench) -> None:
    assert bench.forge.issue_text(1) == ("Sums are wrong", "add(1, 2) is -1")
    bench.scene.issue.body = None
    assert bench.forge.issue_text(1) == ("Sums are wrong", "")


def test_files_are_read_at_a_commit_or_branch(bench: Bench) -> None:
    path = "dir with space/ä#?.toml"
    sha = commit_files(bench.scene.repository.git, {path: "x = 'ü'\n"}, bench.scene.base_sha)
    assert bench.forge.read_file(path, sha) == "x = 'ü'\n".encode()
    assert bench.forge.read_file("calc.py", "topic") is not None
    assert bench.forge.read_file("perstack.toml", "main") is None
    assert bench.forge.read_file("dir with space", sha) is None


def test_what_is_not_there_is_said_with_its_name(bench: Bench) -> None:
    with pytest.raises(ForgeError, match="cannot read pull request #77: not found") as caught:
        bench.forge.pull_request(77)
    assert caught.value.status == 404
    assert caught.value.hint


def test_a_missing_permission_names_the_permission(bench: Bench) -> None:
    forge = bench.make({"issues": "read"})
    with pytest.raises(ForgeError, match="cannot read pull request #2") as caught:
        forge.pull_request(2)
    assert "pull-requests: read" in caught.value.hint


def test_a_bad_token_is_told_without_showing_it(bench: Bench) -> None:
    forge = bench.make(READ_ALL)
    token = bench.token
    del bench.scene.server.state.tokens[token]
    with pytest.raises(ForgeError, match="token was not accepted") as caught:
        forge.default_branch()
    assert token not in str(caught.value)
    assert token not in repr(forge._settings)


def test_an_unreachable_server_is_told(bench: Bench) -> None:
    forge = bench.make(api_url="http://127.0.0.1:9")
    with pytest.raises(ForgeError, match="could not be reached"):
        forge.default_branch()


def test_enterprise_base_urls_work(bench: Bench) -> None:
    forge = bench.make(api_url=f"{bench.scene.server.url}/api/v3")
    assert forge.default_branch() == "main"

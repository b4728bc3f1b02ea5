"""Teams, authors of commits, and whose account we are: by id, never by name alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from perstack.core.errors import ForgeError
from perstack.forge.contract import Actor
from tests.forge.bench import Bench
from tests.github_server import WRITE_ALL, Fault
from tests.github_server.state import GITHUB_ACTIONS, WEB_FLOW, App, Authorship, User

MEMBERS = {**WRITE_ALL, "members": "read"}


def test_teams_of_active_members_are_told(bench: Bench) -> None:
    actor = bench.scene.actor
    bench.scene.server.state.teams = {"org/core": {actor.id: "active"}, "org/docs": {actor.id: "pending"}}
    who = Actor(actor.login, actor.id)
    wanted = ["org/core", "org/docs", "org/none", "org/core", "not a team", "org/../x"]
    assert bench.make(MEMBERS).teams_of(who, wanted) == {"org/core"}
    assert bench.forge.teams_of(who, wanted) == set()
    assert bench.forge.teams_of(who, []) == set()


def test_a_name_that_another_account_took_over_is_in_no_team(bench: Bench) -> None:
    actor = bench.scene.actor
    bench.scene.server.state.teams = {"org/core": {actor.id: "active"}}
    assert bench.make(MEMBERS).teams_of(Actor(actor.login, 12345), ["org/core"]) == set()


def test_many_teams_are_asked_for_within_bounds(bench: Bench) -> None:
    bench.make(MEMBERS).teams_of(Actor("maintainer", 4711), [f"org/t{n}" for n in range(500)])
    assert len(bench.requests("GET")) == 20


@pytest.mark.threat("P21")
def test_a_commit_has_its_committers_account_where_a_signature_says_so(bench: Bench) -> None:
    repository, sha = bench.scene.repository, bench.scene.head_sha
    assert bench.forge.commit_author(sha) == 0
    written = Authorship(GITHUB_ACTIONS.user, bench.scene.actor)  # as everybody can, with git's own settings
    repository.authors[sha] = written
    assert bench.forge.commit_author(sha) == 0
    repository.authors[sha] = replace(written, verified=True)
    assert bench.make().commit_author(sha) == bench.scene.actor.id
    with pytest.raises(ForgeError, match="cannot read commit"):
        bench.forge.commit_author("0" * 40)


def test_what_github_signed_has_the_authors_account(bench: Bench) -> None:
    made = Authorship(bench.scene.actor, WEB_FLOW, verified=True)
    bench.scene.repository.authors[bench.scene.head_sha] = made
    assert bench.forge.commit_author(bench.scene.head_sha) == bench.scene.actor.id
    bench.scene.repository.authors[bench.scene.head_sha] = replace(made, verified=False)
    assert bench.forge.commit_author(bench.scene.head_sha) == 0


def test_we_know_whose_account_we_are(bench: Bench) -> None:
    assert bench.forge.account() == bench.forge.account() == GITHUB_ACTIONS.user.id
    assert len(bench.queries("viewer")) == 1
    person = bench.scene.server.state.user("releaser", 31337)
    assert bench.make(app=None, user=person).account() == 31337
    app = App(777, "our-app", User("our-app[bot]", 8888, "Bot"))
    assert bench.make(app=app).account() == 8888
    bench.scene.server.faults.add(Fault("status", path="/graphql$", status=403, message="Resource not accessible by"))
    assert bench.make().account() == GITHUB_ACTIONS.user.id


def test_open_pull_requests_of_a_commit_are_found_also_from_forks(fork_bench: Bench) -> None:
    sha = fork_bench.scene.head_sha
    assert [(p.number, p.is_fork) for p in fork_bench.forge.pulls_of(sha)] == [(2, True)]
    fork_bench.scene.pull.state = "closed"
    assert fork_bench.make().pulls_of(sha) == ()
    assert fork_bench.forge.pulls_of("0" * 40) == ()

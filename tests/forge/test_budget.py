"""Cool-down and limits of a day, from the hidden data of our own comments."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perstack.core.experts import GithubSpec
from perstack.core.json import Json
from perstack.forge.budget import MAX_PAST, decide_budget, remember
from perstack.forge.contract import Action, Actor, OwnComment, Trigger
from perstack.forge.rights import RefusalCode, Refused

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)
HUMAN, OTHER, BOT = Actor("octocat", 1), Actor("hubot", 2), Actor("helper[bot]", 3, is_bot=True)
FIX = Trigger("issue_comment", Action.FIX, "o/r", 9, HUMAN, number=5, comment_id=3)


def data(minutes_ago: float, *, actor: Actor = HUMAN, tokens: int = 0, **more: Json) -> dict[str, Json]:
    started = NOW - timedelta(minutes=minutes_ago)
    written: dict[str, Json] = {
        "v": 1, "started": started.strftime("%Y-%m-%dT%H:%M:%S.000Z"), "actor": actor.id, "bot": actor.is_bot,
        "tokens_in": tokens, "tokens_out": 0,
    }  # fmt: skip
    return {**written, **more}


def comment(minutes_ago: float, *, number: int = 5, **facts: Any) -> OwnComment:
    return OwnComment(number * 100, number, f"fix-{number}", "", data=data(minutes_ago, **facts))


def refused(ledger: list[OwnComment], github: GithubSpec, trigger: Trigger = FIX) -> Refused:
    decision = decide_budget(ledger, trigger, github, NOW)
    assert decision is not None
    assert decision.sentence.endswith(".")
    return decision


def test_without_limits_and_without_a_past_everything_fits() -> None:
    assert decide_budget([], FIX, GithubSpec(), NOW) is None
    assert decide_budget([comment(n, number=n) for n in range(1, 40)], FIX, GithubSpec(), NOW) is None


def test_a_cool_down_is_the_persons_own_and_says_when_it_ends() -> None:
    spec = GithubSpec(cooldown_s=600)
    decision = refused([comment(30), comment(4, number=6)], spec)
    assert (decision.code, decision.public) == (RefusalCode.COOL_DOWN, True)
    assert "4 min ago" in decision.sentence
    assert "after 2026-11-22 16:06 UTC (in 6 min)" in decision.sentence
    assert decide_budget([comment(11)], FIX, spec, NOW) is None
    assert decide_budget([comment(4, actor=OTHER)], FIX, spec, NOW) is None


def test_jobs_of_one_account_are_counted_over_all_comments_and_what_they_remember() -> None:
    spec = GithubSpec(jobs_per_actor=4)
    past = remember(data(100, past=remember(data(1430), NOW)), NOW)
    ledger = [comment(50, past=past), comment(60, number=6, actor=OTHER)]
    assert decide_budget(ledger, FIX, spec, NOW) is None
    decision = refused([*ledger, comment(20, number=7)], spec)
    assert (decision.code, decision.public) == (RefusalCode.ACTOR_JOBS, True)
    assert "after 2026-11-22 16:10 UTC (in 10 min)" in decision.sentence
    assert decide_budget([*ledger, comment(20, number=7)], replace(FIX, actor=OTHER), spec, NOW) is None


def test_jobs_of_everybody_are_limited_together() -> None:
    ledger = [comment(10, actor=OTHER), comment(20, number=6)]
    assert refused(ledger, GithubSpec(jobs_per_day=2)).code == RefusalCode.DAY_JOBS
    assert decide_budget(ledger, FIX, GithubSpec(jobs_per_day=3), NOW) is None


def test_tokens_of_everybody_are_limited_together_and_verification_needs_none() -> None:
    spec = GithubSpec(tokens_per_day=1_000_000)
    ledger = [comment(600, tokens=700_000), comment(10, number=6, actor=OTHER, tokens=400_000)]
    decision = refused(ledger, spec)
    assert decision.code == RefusalCode.DAY_TOKENS
    assert "1,100,000 of the 1,000,000 tokens" in decision.sentence
    assert "after 2026-11-23 06:00 UTC (in 14 h)" in decision.sentence
    assert decide_budget(ledger[:1], FIX, spec, NOW) is None
    assert decide_budget(ledger, replace(FIX, action=Action.VERIFY), spec, NOW) is None
    scheduled = replace(FIX, event="schedule", number=0)
    assert (refused(ledger, spec, scheduled).code, refused(ledger, spec, scheduled).public) == ("day-tokens", False)


def test_what_costs_nothing_is_always_possible() -> None:
    spec = GithubSpec(cooldown_s=3600, jobs_per_actor=1, jobs_per_day=1, tokens_per_day=1)
    ledger = [comment(1, tokens=10)]
    for action in (Action.HELP, Action.EXPLAIN, Action.STOP, Action.PUBLISH):
        assert decide_budget(ledger, replace(FIX, action=action), spec, NOW) is None
    for event in ("pull_request", "push", "merge_group"):
        verify = replace(FIX, event=event, action=Action.VERIFY)
        assert decide_budget(ledger, verify, spec, NOW) is None  # else strangers could use up what a merge waits for


def test_jobs_older_than_a_day_and_from_the_future_do_not_count() -> None:
    spec = GithubSpec(jobs_per_actor=1)
    for minutes in (1440, 5000, -60):
        assert decide_budget([comment(minutes)], FIX, spec, NOW) is None
    assert refused([comment(1439)], spec).code == RefusalCode.ACTOR_JOBS


@pytest.mark.threat("P24")
def test_bots_that_answer_each_other_stop_after_three_jobs_until_a_person_asks() -> None:
    trigger = replace(FIX, actor=BOT)
    chain = [comment(30 - n, actor=BOT, number=5) for n in range(3)]
    assert decide_budget(chain[:2], trigger, GithubSpec(), NOW) is None
    decision = refused(chain, GithubSpec(), trigger)
    assert (decision.code, decision.public) == (RefusalCode.LOOP, False)
    assert decide_budget([comment(1), *chain], trigger, GithubSpec(), NOW) is None
    assert decide_budget(chain, FIX, GithubSpec(), NOW) is None
    assert decide_budget(chain, replace(trigger, number=6), GithubSpec(), NOW) is None


def test_a_comment_remembers_a_day_in_little_room_and_loses_no_count() -> None:
    known: dict[str, Json] = {}
    for n in range(100):
        known = data(500 - n, tokens=1000, past=remember(known, NOW))
    past = remember(known, NOW)
    assert len(past) == MAX_PAST
    assert len(str(past)) < 3000
    full = [OwnComment(1, 5, "fix-5", "", data=known)]
    assert refused(full, GithubSpec(jobs_per_actor=100)).code == RefusalCode.ACTOR_JOBS
    assert decide_budget(full, FIX, GithubSpec(jobs_per_actor=101), NOW) is None
    assert refused(full, GithubSpec(jobs_per_actor=0, tokens_per_day=100_000)).code == RefusalCode.DAY_TOKENS
    assert remember(known, NOW + timedelta(days=2)) == []
    assert remember(None, NOW) == []


def test_the_time_zone_of_the_clock_does_not_matter() -> None:
    spec = GithubSpec(cooldown_s=600)
    here = NOW.astimezone(timezone(timedelta(hours=9)))
    decision = decide_budget([comment(4)], FIX, spec, here)
    assert decision is not None
    assert "16:06 UTC" in decision.sentence


@pytest.mark.parametrize(
    "odd",
    [
        {}, {"started": 5}, {"started": "yesterday"}, {"started": "0001-01-01T00:00:00+23:59"}, {"past": "x"},
        {"past": [None, [], [1, 2, 3, 4, 5], ["2026-11-22T15:00:00Z"]]}, {"started": "9" * 5000},
    ],
)  # fmt: skip
def test_odd_data_counts_as_nothing(odd: dict[str, Json]) -> None:
    ledger = [OwnComment(1, 5, "fix-5", "", data=odd)]
    assert decide_budget(ledger, FIX, GithubSpec(cooldown_s=1e9, jobs_per_actor=1, jobs_per_day=1), NOW) is None


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from(["started", "actor", "bot", "tokens_in", "tokens_out", "past"]), _JSON))
def test_no_data_makes_the_decision_fail(odd: dict[str, Any]) -> None:
    ledger = [OwnComment(1, 5, "fix-5", "", data=odd)]
    spec = GithubSpec(cooldown_s=60, jobs_per_actor=1, jobs_per_day=1, tokens_per_day=1)
    decide_budget(ledger, FIX, spec, NOW)
    assert len(remember(odd, NOW)) <= MAX_PAST

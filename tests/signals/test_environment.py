"""Circumstances that differ from run to run, and those of plain calls."""

from perstack.signals.environment import other_session, variation


def test_two_runs_share_no_hash_seed_no_time_zone_and_no_user() -> None:
    plain, other = variation(0).variables, variation(1).variables
    assert plain["PYTHONHASHSEED"] != other["PYTHONHASHSEED"]
    assert plain["TZ"] != other["TZ"]
    assert ("USER" in plain, "USER" in other) == (False, True)


def test_a_plain_call_has_another_user_than_any_run_and_what_was_configured_stays() -> None:
    assert other_session()["USER"] not in {variation(index).variables.get("USER") for index in range(8)}
    assert "TERM" not in other_session({"TERM"})


def test_a_plain_call_keeps_what_a_test_may_state_results_for() -> None:
    assert not {"TZ", "LANG", "LC_ALL", "COLUMNS"} & other_session().keys()

"""What a second run may say otherwise than evidence, and what counts as a difference."""

from __future__ import annotations

from perstack.api.auditing import differences
from perstack.core.verdict import Reason, ReasonCode, Report, Verdict
from perstack.signals.audit import Audit


def recorded(*reasons: Reason) -> Audit:
    return Audit(Verdict.FAIL, reasons, "base", "patch", (), (), needs_red=True, files=1)


def again(*reasons: Reason) -> Report:
    return Report(Verdict.FAIL, reasons, ())


BROKEN = Reason(ReasonCode.COMMAND_FAILED, "exit code 1", "cheap")
NOT_RUN = Reason(ReasonCode.NOT_RUN, "`cheap` was refused first", "dear")
RED = Reason(ReasonCode.TEST_BROKEN, "a::b", "dear")


def test_a_signal_that_was_not_run_may_say_anything_the_second_time() -> None:
    assert differences(recorded(BROKEN, NOT_RUN), again(BROKEN, RED)) == ()


def test_a_reason_of_a_signal_that_ran_must_come_again() -> None:
    assert differences(recorded(BROKEN), again(BROKEN, RED)) == ("reason new: test-broken (dear)",)
    assert differences(recorded(BROKEN, NOT_RUN), again(RED)) == ("reason gone: command-failed (cheap)",)

"""Closed sets as sentences for maintainers: why a change is not proved, how a job ended, what to do next. Data only.

`docs/reason-codes.md` says the same more exactly; a test holds the tables here complete.
"""

from __future__ import annotations

from perstack.core.outcome import Ending
from perstack.core.verdict import ReasonCode, Verdict

WHY = {
    ReasonCode.EMPTY_PATCH: "The change is empty, or nothing is left of it once protected files are as before",
    ReasonCode.PATCH_DOES_NOT_APPLY: "The change does not fit the base commit",
    ReasonCode.PROTECTED_PATH: "The change touches files that decide how it is judged",
    ReasonCode.PATH_ESCAPE: "The change names a path outside the repository, or one that belongs to git",
    ReasonCode.SPECIAL_FILE: "The change adds or uses a symbolic link, a submodule or another special file",
    ReasonCode.BINARY_FILE: "The change holds binary content, which nobody can review as text",
    ReasonCode.MODE_CHANGE: "The change makes a file executable, or stops it from being so",
    ReasonCode.SHADOWED_MODULE: "A new file would be loaded in place of the test runner, a library or the product",
    ReasonCode.HIDDEN_CHARACTERS: "The change contains characters that a reviewer does not see",
    ReasonCode.SUPPRESSION_ADDED: "The change silences a check",
    ReasonCode.SUSPICIOUS_CONSTRUCT: "The change contains code that can influence how it is judged",
    ReasonCode.SECRET_IN_PATCH: "The change contains what looks like a key, token or password",
    ReasonCode.PATCH_TOO_LARGE: "The change is larger than this repository allows",
    ReasonCode.REJECT_RULE: "An added line matches a reject rule of this repository",
    ReasonCode.NO_SIGNALS: "No signal that gates was measured, so nothing can be proved",
    ReasonCode.NOTHING_RED: "Nothing that was red on the base commit turned green, so no fix is shown",
    ReasonCode.RED_NOT_BEHAVIOURAL: "What is red on the base commit could not be loaded or reached; "
    "that shows no wrong behaviour",
    ReasonCode.BASELINE_ERROR: "A signal could not be measured on the base commit, so there is nothing to compare with",
    ReasonCode.BASELINE_FLAKY: "Repeated runs on the base commit disagree, so a green run proves nothing",
    ReasonCode.NO_TESTS: "No test was found on the base commit",
    ReasonCode.STILL_FAILING: "What was red is still red",
    ReasonCode.TEST_BROKEN: "Tests fail that were green before, or that the change adds",
    ReasonCode.TEST_VANISHED: "Tests that ran on the base commit do not run any more",
    ReasonCode.TEST_SKIPPED: "Tests are skipped or expected to fail; only passed counts as passed",
    ReasonCode.TEST_FLAKY: "Repeated runs with the change disagree",
    ReasonCode.COMMAND_FAILED: "A command did not end as it has to",
    ReasonCode.COLLECTION_ERROR: "Tests can no longer be loaded",
    ReasonCode.REPORT_MISSING: "A run ended without its report, so what it did is unknown",
    ReasonCode.REPORT_INVALID: "The report of a run cannot be understood",
    ReasonCode.RESULTS_DISAGREE: "Exit code, report and result channel of a run contradict each other",
    ReasonCode.FOREIGN_MODULE: "The tests did not run against the code under test",
    ReasonCode.CANARY_FAILED: "A control test with a known result came out wrong, so the run proves nothing",
    ReasonCode.TIMED_OUT: "A run took longer than its limit",
    ReasonCode.OUTPUT_LIMIT: "A run printed more than its limit",
    ReasonCode.DISK_LIMIT: "A run put more on the disk than its limit",
    ReasonCode.MEMORY_LIMIT: "A process of a run was killed at its memory limit",
    ReasonCode.SIGNAL_ERROR: "A signal could not be run; that says nothing about the change",
    ReasonCode.NOT_RUN: "A signal that gates was not run, since another one decided",
    ReasonCode.HELD_OUT_FAILED: "A check fails that the builder had not seen",
    ReasonCode.EXPERT_CHECK_FAILED: "A check written from the task alone does not hold; a person has to look",
    ReasonCode.HELD_OUT_DOUBTFUL: "A check that the builder had not seen speaks against the fix",
    ReasonCode.REVERT_STILL_GREEN: "The tests are as green without the change, or without a part of it that matters",
    ReasonCode.NEW_DIAGNOSTIC: "A compiler or linter reports something new",
    ReasonCode.STAGE_VANISHED: "A compiler or linter no longer looks at something that it looked at before",
    ReasonCode.TYPES_LOOSENED: "Types became looser where errors went away; a person has to see whether that is a fix",
    ReasonCode.TEST_CHANGE_NEEDED: "Existing expectations change; a person has to decide whether that is right",
}
# These name tests that the table of tests already shows: there the reason is not repeated test by test.
SHOWN_IN_TABLE = frozenset(
    {
        ReasonCode.STILL_FAILING, ReasonCode.TEST_BROKEN, ReasonCode.TEST_VANISHED, ReasonCode.TEST_SKIPPED,
        ReasonCode.TEST_FLAKY,
    }
)  # fmt: skip

ENDING = {
    Ending.FIXED: "Fixed, and proved",
    Ending.NOTHING_TO_FIX: "Nothing to fix",
    Ending.CANNOT_START: "Could not start",
    Ending.NO_CANDIDATE: "No fix found",
    Ending.ROUNDS_USED: "No proved fix",
    Ending.NO_PROGRESS: "No proved fix",
    Ending.BUDGET_USED: "Stopped at the budget, without a proved fix",
    Ending.MODEL_FAILED: "The model did not answer",
}
ENDING_MARK = {
    Ending.FIXED: "✅",
    Ending.NOTHING_TO_FIX: "☑️",
    Ending.CANNOT_START: "⚠️",
    Ending.NO_CANDIDATE: "❌",
    Ending.ROUNDS_USED: "❌",
    Ending.NO_PROGRESS: "❌",
    Ending.BUDGET_USED: "❌",
    Ending.MODEL_FAILED: "⚠️",
}
AFTER_ENDING = {
    Ending.FIXED: "review the change; nothing is merged by itself.",
    Ending.NOTHING_TO_FIX: "if something is wrong that no signal shows, add a test that fails and ask again.",
    Ending.CANNOT_START: "make the signals run on the base commit (`perstack verify` shows the same locally), "
    "then ask again.",
    Ending.NO_CANDIDATE: "say more about the cause in `/perstack fix …`, or choose a stronger model.",
    Ending.ROUNDS_USED: "say more about the cause in `/perstack fix …`, choose a stronger model, or finish the best "
    "attempt by hand.",
    Ending.NO_PROGRESS: "say more about the cause in `/perstack fix …`, choose a stronger model, or finish the best "
    "attempt by hand.",
    Ending.BUDGET_USED: "ask for less at a time, or raise `budgets` in `[pipelines.fix]` of `perstack.toml`.",
    Ending.MODEL_FAILED: "check key, model and limits of the provider, then write `/perstack fix` again.",
}

VERIFIED = {
    Verdict.PASS: "Verified",
    Verdict.FAIL: "Not verified: a signal or a rule says no",
    Verdict.NEEDS_TEST_CHANGE: "A person has to look at the changed tests",
    Verdict.INCONCLUSIVE: "Not proved",
    Verdict.ERROR: "Could not be verified",
}
VERDICT_MARK = {
    Verdict.PASS: "✅",
    Verdict.FAIL: "❌",
    Verdict.NEEDS_TEST_CHANGE: "✋",
    Verdict.INCONCLUSIVE: "❔",
    Verdict.ERROR: "⚠️",
}
AFTER_VERDICT = {
    Verdict.PASS: "",
    Verdict.FAIL: "push a commit that settles the points above; the next push is verified again.",
    Verdict.NEEDS_TEST_CHANGE: "decide whether the new expectations are right; the bot will not.",
    Verdict.INCONCLUSIVE: "settle the points above, or judge this change by hand.",
    Verdict.ERROR: "make the signals run on the base commit, then ask again with `/perstack verify`.",
}


def why_line(code: ReasonCode, count: int = 1) -> str:
    """The sentence of a reason, with how often it was given."""
    return f"{WHY[code]} ({count})" if count > 1 else WHY[code]

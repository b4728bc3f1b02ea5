"""What to do about each reason, in one sentence for maintainers. Data only; why is in `sentences.py`."""

from __future__ import annotations

from perstack.core.verdict import ReasonCode

_REFINE = "Look at what the tests say in the result, and push a commit that settles it"
_RUN_LOCALLY = "Run `perstack verify` in a checkout: it shows the whole output of the run"

REMEDY = {
    ReasonCode.EMPTY_PATCH: "Change product code; edits of protected files and of existing tests do not count",
    ReasonCode.PATCH_DOES_NOT_APPLY: "Bring the branch up to date with its base, and ask again",
    ReasonCode.PROTECTED_PATH: "Take those files out of the change and merge them by hand, or list them under `allow` "
    "in `[verify]` on the base branch",
    ReasonCode.PATH_ESCAPE: "Give the file another name, inside of the repository",
    ReasonCode.SPECIAL_FILE: "Use plain files, or merge this part by hand after a review",
    ReasonCode.BINARY_FILE: "Leave binary files out of the change, and merge them by hand after a review",
    ReasonCode.MODE_CHANGE: "Leave file modes as they are, or merge this part by hand",
    ReasonCode.SHADOWED_MODULE: "Rename the new file, so that nothing is loaded from it by accident",
    ReasonCode.HIDDEN_CHARACTERS: "Write those characters as escapes (`\\u200b`), or remove them",
    ReasonCode.SUPPRESSION_ADDED: "Mend what the check complains about; do not silence it",
    ReasonCode.SUSPICIOUS_CONSTRUCT: "Write it without reference to the tests, the runner, the clock or chance, or "
    "review it and merge by hand",
    ReasonCode.SECRET_IN_PATCH: "Remove the value and revoke it: it is public now; read it from the environment",
    ReasonCode.PATCH_TOO_LARGE: "Split the change, or raise `maxFiles` and `maxLines` in `[verify]`",
    ReasonCode.REJECT_RULE: "Write that line so that the rule under `reject` in `[verify]` does not match",
    ReasonCode.NO_SIGNALS: "Add a signal to `perstack.toml`; `perstack detect` proposes some",
    ReasonCode.NOTHING_RED: "Add a test that fails without the change and passes with it",
    ReasonCode.RED_NOT_BEHAVIOURAL: "Make the tests load on the base commit first; then what is red shows behaviour",
    ReasonCode.BASELINE_ERROR: "Make the signal run on the base commit; `perstack verify` shows its output locally",
    ReasonCode.BASELINE_FLAKY: "Make the test steady, or put it under `quarantine` in `[verify]` until a day",
    ReasonCode.NO_TESTS: "Add a test, or name the right folder in the signal's `run`",
    ReasonCode.STILL_FAILING: _REFINE,
    ReasonCode.TEST_BROKEN: _REFINE,
    ReasonCode.TEST_VANISHED: "Keep the tests of the base commit where they are; remove them in a change of their own",
    ReasonCode.TEST_SKIPPED: "Make the tests run and pass; a skipped test shows nothing",
    ReasonCode.TEST_FLAKY: "Remove what depends on order, time or chance, and ask again",
    ReasonCode.COMMAND_FAILED: "Run the command in a checkout, and settle what it prints",
    ReasonCode.COLLECTION_ERROR: "Mend the import or the syntax error that the output names",
    ReasonCode.REPORT_MISSING: f"{_RUN_LOCALLY}; often the process was ended from inside the tests",
    ReasonCode.REPORT_INVALID: f"{_RUN_LOCALLY}; a plugin may write the report in a form of its own",
    ReasonCode.RESULTS_DISAGREE: "Find what ends the process or changes the runner while the tests run",
    ReasonCode.FOREIGN_MODULE: "Do not install the product beside the checkout; tests must load it from the tree",
    ReasonCode.CANARY_FAILED: "Look for code or plugins that change how tests pass or fail",
    ReasonCode.TIMED_OUT: "Make it faster, or raise `timeout` of the signal",
    ReasonCode.OUTPUT_LIMIT: "Make the run print less",
    ReasonCode.DISK_LIMIT: "Make the run write less, or raise `diskMb` or `diskFiles` in `[sandbox.limits]`",
    ReasonCode.MEMORY_LIMIT: "Make the run take less memory, or raise `memoryMb` in `[sandbox.limits]`",
    ReasonCode.SIGNAL_ERROR: f"{_RUN_LOCALLY}; then ask again",
    ReasonCode.NOT_RUN: "Settle the reason that decided; the signals that were not run come next",
    ReasonCode.HELD_OUT_FAILED: "Make the change general: it works for the calls of the tests, and not beside them",
    ReasonCode.EXPERT_CHECK_FAILED: "Read the check in the remarks, and decide whether the task asks for it",
    ReasonCode.HELD_OUT_DOUBTFUL: "Review whether the change is general, or only meets the calls of the tests",
    ReasonCode.REVERT_STILL_GREEN: "Take out the part that no test needs, or add a test that needs it",
    ReasonCode.NEW_DIAGNOSTIC: "Settle what the compiler or linter reports; it is annotated at its line",
    ReasonCode.STAGE_VANISHED: "Keep the file or target among what is checked, or remove it in a change of its own",
    ReasonCode.TYPES_LOOSENED: "Give the types that are meant in place of casts and `Any`, or judge them by hand",
    ReasonCode.TEST_CHANGE_NEEDED: "Review the changed expectations; merge them by hand where they are right",
}
ANY = "Look at the evidence of the run, and judge this change by hand"


def remedy(code: ReasonCode) -> str:
    """What to do about a reason, without a full stop."""
    return REMEDY.get(code, ANY)

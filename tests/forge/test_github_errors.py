"""What people read when GitHub refuses: one sentence, and what to change."""

from __future__ import annotations

import pytest

from perstack.core.errors import ForgeError
from perstack.forge.github_errors import explain, explain_push, limit_lasts, unreachable

API = [
    (403, "GitHub Actions is not permitted to create or approve pull requests.", "may not open pull requests"),
    (403, "Pull requests are disabled for this repository.", "does not let this account open pull requests"),
    (403, "Pull request creation is restricted to collaborators.", "does not let this account open pull requests"),
    (403, "Repository was archived so is read-only.", "the repository is archived"),
    (403, "Unable to create comment because issue is locked.", "the conversation is locked"),
    (403, "Resource not accessible by integration", "the token does not have the permission"),
    (403, "You must authenticate via a GitHub App.", "only be written with the token of a GitHub App"),
    (401, "Bad credentials", "the token was not accepted"),
    (404, "Not Found", "not found"),
    (502, "", "GitHub failed with status 502"),
    (422, "Something new", "GitHub said 422: Something new"),
]
PUSH = [
    ("GH006: Protected branch update failed for refs/heads/main.", "the branch is protected"),
    ("GH006: Protected branch update failed. Changes must be made through the merge queue", "in a merge queue"),
    ("GH013: Repository rule violations found", "a rule of the repository forbids it"),
    ("Repository rule violations found. Commits must have verified signatures.", "takes signed commits only"),
    ("Cannot change this locked branch", "the branch is locked"),
    ("refusing to allow a GitHub App to create or update workflow `x` without", "may not change workflow files"),
    ("refusing to allow an OAuth App to create or update workflow `x` without", "may not change workflow files"),
    ("Permission to o/r.git denied to github-actions[bot].", "the token may not push"),
    ("pre-receive hook declined", "a hook of the server declined it"),
]


@pytest.mark.parametrize(("status", "said", "sentence"), API)
def test_refusals_of_the_api_have_a_sentence_and_a_way_out(status: int, said: str, sentence: str) -> None:
    error = explain("do it", status, {"message": said}, permission="issues: write")
    assert error.message.startswith("cannot do it: ")
    assert sentence in error.message
    assert error.hint
    assert error.status == status


@pytest.mark.parametrize(("said", "sentence"), PUSH)
def test_refusals_of_a_branch_have_a_sentence_and_a_way_out(said: str, sentence: str) -> None:
    error = explain_push(ForgeError(f"x could not be pushed: {said}", status=403), "x")
    assert error.message.startswith("cannot push to `x`: ")
    assert sentence in error.message
    assert error.hint
    unknown = ForgeError("something else")
    assert explain_push(unknown, "x") is unknown


def test_limits_and_silence_are_told_without_addresses() -> None:
    assert "30 more minutes" in limit_lasts("read it", 1800).message
    error = unreachable("read it", ConnectionError("https://secret@host refused"))
    assert "ConnectionError" in error.message
    assert "secret" not in str(error)

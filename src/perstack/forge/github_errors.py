"""GitHub's refusals in one clear sentence each, with what to change. Pure; the forge's own words are quoted, cut."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from perstack.core.errors import ForgeError
from perstack.forge.limits import shorten

_QUOTE_LIMIT = 300

# (pattern in what the API said, what it means, what to do)
_API = (
    (
        r"not permitted to create or approve pull requests",
        "GitHub Actions may not open pull requests in this repository",
        ("Turn on “Allow GitHub Actions to create and approve pull requests” in Settings → Actions → General → "
        "Workflow permissions, or pass the token of a GitHub App."),
    ),
    (
        r"resource not accessible by|must have (push|admin|write) access|requires authentication",
        "the token does not have the permission",
        ("Give the job `permissions: {permission}` in the workflow. On pull requests from forks and by Dependabot the "
        "token is read-only whatever the workflow says."),
    ),
    (
        r"must authenticate via a github app",
        "check runs can only be written with the token of a GitHub App, which GITHUB_TOKEN is",
        "Pass `github.token` or an App's installation token instead of a personal token.",
    ),
    (r"bad credentials", "the token was not accepted", "Pass a valid token; `github.token` is the default."),
    (r"no commits between", "the branch holds nothing that its base does not", "There is nothing to propose."),
    (
        r"rate limit|retry your request again later|wait a few minutes",
        "GitHub's rate limit was reached and did not end in time",
        "Run the job again later, or pass an App's token with a limit of its own.",
    ),
    (r"body is too long|only 65535 characters", "the text is longer than GitHub takes", "This is a bug: report it."),
    (
        r"repository (?:was|is|has been) archived",
        "the repository is archived: nothing can be written",
        "Unarchive it in its settings.",
    ),
    (
        r"pull requests? (?:are|is|has been|have been|creation).{0,60}(?:disabled|restricted|limited|not allowed)",
        "the repository does not let this account open pull requests",
        "See Settings → General → Pull requests; the branch with the fix is there.",
    ),
    (
        r"(?:issue|conversation|pull request) is locked",
        "the conversation is locked",
         "Unlock it, or read the result in the job summary.",
    ),
)  # fmt: skip
_NOT_PERMITTED = (
    r"permission to .{1,200} denied|write access to repository not granted|error: 403|authentication failed|"
    r"the token does not have the permission"
)
_PUSH = (
    (
        r"merge queue|queued for merging",
        "the branch is in a merge queue",
        "Take the pull request out of the queue, then ask again.",
    ),
    (
        r"must have verified signatures|signed commits|commit signature",
        "the branch takes signed commits only",
        'Set `[github] commits = "api"`: commits made through the API are signed by GitHub.',
    ),
    (
        r"branch is locked|locked branch",
        "the branch is locked",
        "Unlock it, or ask for a fix from an issue: it comes as a pull request.",
    ),
    (
        r"refusing to allow .{0,60}to create or update workflow",
        "the token may not change workflow files",
        (
            "Let a person make the change in `.github/workflows`, or pass the token of an App with the permission "
            "`workflows`."
        ),
    ),
    (
        r"GH006|protected branch",
        "the branch is protected",
        "Allow the account to bypass the protection, or ask for a fix from an issue: it comes as a pull request.",
    ),
    (
        r"GH013|rule violations|repository rule",
        "a rule of the repository forbids it",
        "See Settings → Rules for the branch; the fix can come as a pull request from a branch without such rules.",
    ),
    (r"pre-receive hook declined", "a hook of the server declined it", "Ask who runs the server."),
    (
        _NOT_PERMITTED,
        "the token may not push",
        "Give the job `permissions: contents: write` in the workflow.",
    ),
)


def explain(what: str, status: int | None, data: object, *, permission: str = "") -> ForgeError:
    """A ForgeError for an answer of the API. `what` is the attempt, such as "post the comment"."""
    said = _said(data)
    for pattern, meaning, hint in _API:
        if re.search(pattern, said, re.IGNORECASE):
            if "rate limit" in meaning:
                status = 429  # also where GitHub says 403, which elsewhere means "never"
            return ForgeError(f"cannot {what}: {meaning}.", hint=hint.format(permission=permission), status=status)
    if status == 404:
        hint = f"It may not exist, or the token may not see it{f' (`{permission}`)' if permission else ''}."
        return ForgeError(f"cannot {what}: not found.", hint=hint, status=status)
    if status is not None and status >= 500:
        return ForgeError(
            f"cannot {what}: GitHub failed with status {status}, also when asked again.",
            hint="See https://www.githubstatus.com and run the job again.",
            status=status,
        )
    words = f"GitHub said {status}: {said}" if said else f"GitHub said {status}"
    return ForgeError(f"cannot {what}: {words}.", hint="If the request looks right, report it.", status=status)


def limit_lasts(what: str, wait_s: float) -> ForgeError:
    """A ForgeError for a limit that would last longer than anybody should wait."""
    minutes = max(1, round(wait_s / 60))
    asked = f"{minutes} more minutes" if minutes > 1 else "another minute"
    return ForgeError(
        f"cannot {what}: GitHub's rate limit was reached and does not end in time; it asks for {asked}.",
        hint="Run the job again later, or pass an App's token with a limit of its own.",
        status=429,
    )


def moved(what: str, status: int) -> ForgeError:
    """A ForgeError for an answer that sends us elsewhere: a token goes nowhere else."""
    return ForgeError(
        f"cannot {what}: GitHub sent us elsewhere ({status}).",
        hint="The repository may have been renamed or moved: run the job under its present name.",
        status=status,
    )


def unreachable(what: str, cause: BaseException) -> ForgeError:
    """A ForgeError for no answer at all. The cause's text is left out: it can hold addresses and headers."""
    return ForgeError(
        f"cannot {what}: GitHub could not be reached ({type(cause).__name__}), also when asked again.",
        hint="Check the network of the runner and https://www.githubstatus.com, then run the job again.",
    )


def explain_push(error: ForgeError, branch: str) -> ForgeError:
    """A better sentence for a refused push where git's words are known, else the error as it is."""
    for pattern, meaning, hint in _PUSH:
        if re.search(pattern, error.message, re.IGNORECASE):
            return ForgeError(f"cannot push to `{branch}`: {meaning}.", hint=hint, status=error.status)
    return error


def _said(data: object) -> str:
    """The message and the reasons of an error document, on one line."""
    if not isinstance(data, Mapping):
        return ""
    errors = data.get("errors")
    reasons = [_reason(error) for error in errors] if isinstance(errors, list) else []
    words = [str(data.get("message") or ""), *reasons]
    return shorten(" ".join(" ".join(word.split()) for word in words if word).strip(), _QUOTE_LIMIT)


def _reason(error: Any) -> str:
    if not isinstance(error, Mapping):
        return str(error)
    return str(error.get("message") or " ".join(str(error[k]) for k in ("resource", "field", "code") if k in error))

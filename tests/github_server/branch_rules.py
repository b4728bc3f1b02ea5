"""GitHub's rules about moving branches, for the API's two ways; git's own way has them in `pre-receive.sh`."""

from __future__ import annotations

from tests.github_server.git_data import git
from tests.github_server.state import Repository, Token

PROTECTED = "Protected branch update failed for refs/heads/{branch}.\n\nChanges must be made through a pull request."
RULES = "Repository rule violations found\n\nChanges must be made through a pull request."
UNSIGNED = "Repository rule violations found\n\nCommits must have verified signatures."
QUEUED = "Protected branch update failed for refs/heads/{branch}.\n\nThe branch is queued for merging."
WORKFLOW = (
    "refusing to allow a GitHub App to create or update workflow `{path}` without `workflows` permission"
)  # fmt: skip


def refusal(repository: Repository, token: Token, branch: str, commit: str) -> str:
    """Why a branch may not be moved to a commit; empty where it may."""
    rules = repository.rules.get(branch, [])
    if branch in repository.protected:
        return PROTECTED.format(branch=branch)
    if "merge_queue" in rules:
        return QUEUED.format(branch=branch)
    if "pull_request" in rules or "update" in rules:
        return RULES
    if "required_signatures" in rules and not is_signed(repository, commit):
        return UNSIGNED
    return "" if token.may("workflows", "write") else _workflows(repository, commit)


def is_signed(repository: Repository, commit: str) -> bool:
    """Whether GitHub signed a commit."""
    return commit in repository.authors and repository.authors[commit].verified


def _workflows(repository: Repository, commit: str) -> str:
    new = git(
        "log", "--format=", "--name-only", commit, "--not", "--all", "--", ".github/workflows", cwd=repository.git
    )
    return WORKFLOW.format(path=new.splitlines()[0]) if new else ""

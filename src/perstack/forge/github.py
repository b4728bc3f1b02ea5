"""GitHub as a forge. Decides nothing: it asks, posts, and says in a sentence when GitHub refuses.

Texts are redacted before they are cut, so that no half of a secret survives a cut.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from perstack.core.errors import ForgeError
from perstack.core.json import Json
from perstack.core.signals import Diagnostic
from perstack.forge.contract import (
    Actor,
    CheckOutput,
    CheckStatus,
    CommitRequest,
    FailedJob,
    OwnComment,
    PullRequest,
    PullRequestRequest,
    Ref,
    Remote,
    ReviewComment,
    Trigger,
    WorkflowRun,
)
from perstack.forge.github_account import Account
from perstack.forge.github_actions import WorkflowRuns
from perstack.forge.github_checks import CheckRuns
from perstack.forge.github_comments import Comments
from perstack.forge.github_commits import Commits
from perstack.forge.github_people import People
from perstack.forge.github_pulls import PullRequests
from perstack.forge.github_rest import GithubSettings, Rest
from perstack.forge.github_reviews import Reviews
from perstack.forge.github_scanning import upload
from perstack.forge.workflow import annotation_commands, append_outputs, append_summary, workflow_command

_BLOCKING_RULES = frozenset(
    {"pull_request", "update", "required_status_checks", "required_signatures", "merge_queue", "required_deployments"}
)


def _as_it_is(text: str) -> str:
    return text


class GithubForge:
    """One repository on GitHub or GitHub Enterprise Server. `write` prints one line to the job log."""

    def __init__(
        self,
        settings: GithubSettings,
        *,
        remote: Remote,
        write: Callable[[str], None],
        redact: Callable[[str], str] = _as_it_is,
    ) -> None:
        self._settings = settings
        self._rest = Rest(settings)
        self._remote = remote
        self._write = write
        self._hide = redact
        self._account = Account(self._rest, settings)
        self._people = People(self._rest)
        self._comments = Comments(self._rest, self._account, self._redact)
        self._reviews = Reviews(self._rest, self._redact, is_ours=self._account.wrote)
        self._runs = WorkflowRuns(self._rest, self._redact)
        self._commits = Commits(self._rest, settings.repository, remote)
        self._pulls = PullRequests(self._rest, settings.repository, self._redact)
        self._checks = CheckRuns(self._rest, settings, log=self.annotate_log, denied=self._tell_denied)

    # Reading

    @property
    def repository(self) -> str:
        return self._settings.repository

    def account(self) -> int:
        return self._account.id()

    def role_of(self, actor: Actor) -> str:
        return self._people.role_of(actor)

    def teams_of(self, actor: Actor, teams: Sequence[str]) -> frozenset[str]:
        return self._people.teams_of(actor, teams)

    def commit_author(self, sha: str) -> int:
        return self._people.commit_author(sha)

    def default_branch(self) -> str:
        return str(self._rest.get("", "read the repository")["default_branch"])

    def branch_sha(self, branch: str) -> str:
        found = self._rest.get_or_none(f"/git/ref/heads/{quote(branch, safe='/')}", f"read the branch `{branch}`")
        return str(found["object"]["sha"]) if found else ""

    def is_protected(self, branch: str) -> bool:
        path = f"/branches/{quote(branch, safe='')}"
        what = f"read the protection of `{branch}`"
        found = self._rest.get_or_none(path, what)
        if not found or found["protected"]:
            return bool(found)
        rules = self._rest.get_or_none(f"/rules{path}", what) or ()
        return any(rule.get("type") in _BLOCKING_RULES for rule in rules)

    def read_file(self, path: str, ref: str) -> bytes | None:
        found = self._rest.get_or_none(f"/contents/{quote(path)}", f"read `{path}`", {"ref": ref})
        if not isinstance(found, Mapping) or found.get("type") != "file":
            return None
        if found.get("encoding") != "base64":
            raise ForgeError(f"`{path}` is too large to be read through the API", hint="Keep it below 1 MB.")
        return base64.b64decode(found["content"])

    def pull_request(self, number: int) -> PullRequest:
        return self._pulls.read(number)

    def pulls_of(self, sha: str) -> tuple[PullRequest, ...]:
        return self._pulls.of_commit(sha)

    def issue_text(self, number: int) -> tuple[str, str]:
        data = self._rest.get(f"/issues/{number}", f"read issue #{number}", permission="issues: read")
        return data["title"], data.get("body") or ""

    # Reactions and comments

    def react(self, trigger: Trigger, content: str) -> None:
        if trigger.comment_id:
            kind = "pulls" if trigger.is_review_comment else "issues"
            path = f"/{kind}/comments/{trigger.comment_id}/reactions"
        elif trigger.event == "issues":
            path = f"/issues/{trigger.number}/reactions"
        else:
            return
        permission = "pull-requests: write" if trigger.is_review_comment else "issues: write"
        try:  # the same reaction again is answered with the first one
            self._rest.post(path, {"content": content}, "add a reaction", permission=permission)
        except ForgeError as error:
            if error.status != 404:  # the comment was deleted meanwhile
                raise

    def upsert_comment(self, number: int, key: str, body: str, data: Mapping[str, Json] | None = None) -> Ref:
        return self._comments.upsert(number, key, body, data)

    def own_comment(self, number: int, key: str) -> OwnComment | None:
        return self._comments.read(number, key)

    def edited_by_others(self, comment: OwnComment) -> bool:
        return self._comments.edited_by_others(comment)

    def own_comments_since(self, since: str) -> tuple[OwnComment, ...]:
        return self._comments.since(since)

    def review(self, number: int, head_sha: str, body: str, comments: Sequence[ReviewComment]) -> Ref:
        return self._reviews.post(number, head_sha, body, comments)

    # Check runs

    def start_check(self, name: str, head_sha: str, output: CheckOutput, *, external_id: str) -> Ref:
        ref = self._checks.start(name, head_sha, self._redacted(output), external_id=external_id)
        self._account.learn_app(self._checks.app_id)
        return ref

    def update_check(self, check: Ref, output: CheckOutput, *, status: CheckStatus, conclusion: str = "") -> None:
        self._checks.update(check, self._redacted(output), status=status, conclusion=conclusion)

    def find_checks(self, head_sha: str, name: str) -> tuple[tuple[Ref, str, CheckStatus], ...]:
        return self._checks.find(head_sha, name)

    def _tell_denied(self, error: ForgeError) -> None:
        """Check runs are not permitted: said once, in the log and the summary; findings go to the log from here on."""
        self._write(workflow_command("notice", f"{error.message} {error.hint}", {"title": "No check run"}))
        self.write_summary(f"> [!NOTE]\n> No check run: {error.message} {error.hint}")

    # Git data and pull requests

    def fetch(self, sha: str, into: Path, *, history: bool = False) -> None:
        self._remote.fetch(sha, into, history=history)

    def push(self, commit: CommitRequest) -> str:
        return self._commits.publish(commit)

    def open_pull_request(self, request: PullRequestRequest) -> Ref:
        return self._pulls.open(request)

    # Workflow runs and code scanning

    def workflow_run(self, run_id: int) -> WorkflowRun:
        return self._runs.read(run_id)

    def failed_jobs(self, run_id: int) -> tuple[FailedJob, ...]:
        return self._runs.failed_jobs(run_id)

    def artifact_names(self, run_id: int) -> tuple[str, ...]:
        return self._runs.artifact_names(run_id)

    def artifact(self, run_id: int, name: str) -> bytes | None:
        return self._runs.artifact(run_id, name)

    def cancel_run(self, run_id: int) -> bool:
        return self._runs.cancel(run_id)

    def upload_sarif(self, sha: str, ref: str, sarif: str) -> str:
        return upload(self._rest, sha, ref, self._redact(sarif))

    # The runner

    def write_summary(self, markdown: str) -> None:
        if self._settings.summary_path is not None:
            append_summary(self._settings.summary_path, self._redact(markdown))

    def set_outputs(self, outputs: Mapping[str, str]) -> None:
        if self._settings.output_path is not None:
            redacted = {name: self._redact(value) for name, value in outputs.items()}
            append_outputs(self._settings.output_path, redacted)

    def annotate_log(self, diagnostics: Sequence[Diagnostic]) -> None:
        for line in annotation_commands(diagnostics):
            self._write(self._redact(line))

    def _redacted(self, output: CheckOutput) -> CheckOutput:
        redact = self._redact
        findings = tuple(
            Diagnostic(d.path, d.line, d.severity, redact(d.message), d.column, redact(d.code))
            for d in output.annotations
        )
        return CheckOutput(redact(output.title), redact(output.summary), redact(output.text), findings)

    def _redact(self, text: str) -> str:
        """Without secrets, and without what no JSON of GitHub's may hold: half characters and NUL."""
        return self._hide(text).replace("\0", "\ufffd").encode("utf-8", "replace").decode()

"""A forge in a folder: the same Protocol as GitHub, recorded as JSON and Markdown that people can read.

`index.md` is the page to start from. Git data lies in a bare repository beside the records; its refs are read here,
everything else that needs git comes in as a `Remote` and a `read_file`. Not a server and not for several processes.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perstack.core.errors import ForgeError, UserError
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
from perstack.forge.limits import CHECK_TEXT_LIMIT, COMMENT_LIMIT, SUMMARY_LIMIT, fit, utf8_bytes
from perstack.forge.local_pages import check_page, comment_page, index_page, pull_request_page, review_page
from perstack.forge.local_runs import Runs
from perstack.forge.records import Records

REPOSITORY_ID = 1
OWN_ID = 41898282  # who writes here; on GitHub it would be github-actions[bot]
_OWN_COMMENTS = 1_000
_BRANCH = re.compile(r"(?!/)(?!.*(?:\.\.|//))[^\x00-\x20~^:?*\[\\\x7f]+(?<!/)")
_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class LocalForge:
    """Records under `root`; git data in the bare directory `git`; `read_file(path, commit)` reads from it."""

    def __init__(
        self,
        root: Path,
        repository: str,
        *,
        git: Path,
        remote: Remote,
        read_file: Callable[[str, str], bytes | None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._records = Records(root)
        self._name = repository
        self._git = git
        self._remote = remote
        self._read_file = read_file
        self._clock = clock
        self._lock = threading.RLock()
        self._runs = Runs(self._records, self._change)

    # Setting the scene

    def set_role(self, actor: Actor, role: str) -> None:
        """Give an account a role; `roles.json` may be edited by hand as well."""
        self._change("roles.json", {}, lambda roles: {**roles, str(actor.id): {"login": actor.login, "role": role}})

    def add_issue(self, number: int, title: str, body: str, *, author: str = "") -> None:
        """Record an issue."""
        issue = {"number": number, "title": title, "body": body, "author": author, "state": "open"}
        self._change("issues.json", {}, lambda issues: {**issues, str(number): issue})

    def add_pull_request(self, pull: PullRequest) -> None:
        """Record a pull request. Its head follows the branch `head_ref` of the bare repository, if that exists."""
        self._change("pull-requests.json", {}, lambda pulls: {**pulls, str(pull.number): asdict(pull)})

    def set_team(self, team: str, *members: Actor) -> None:
        """Say who is in a team (`org/slug`)."""
        self._change("teams.json", {}, lambda teams: {**teams, team: [member.id for member in members]})

    def set_author(self, sha: str, actor: Actor) -> None:
        """Say whose commit this is; commits pushed through this forge are ours."""
        self._change("commit-authors.json", {}, lambda authors: {**authors, sha: actor.id})

    def add_workflow_run(
        self, run: WorkflowRun, jobs: Sequence[FailedJob] = (), artifacts: Mapping[str, bytes] | None = None
    ) -> None:
        """Record a workflow run with its red jobs and its artifacts (ZIP files by name)."""
        self._runs.add(run, jobs, artifacts or {})

    # The Protocol

    @property
    def repository(self) -> str:
        return self._name

    def role_of(self, actor: Actor) -> str:
        entry = self._records.load("roles.json", {}).get(str(actor.id), {})
        return str(entry.get("role", "none"))

    def default_branch(self) -> str:
        head = self._git_file("HEAD")
        if not head.startswith("ref: refs/heads/"):
            raise ForgeError(f"{self._git / 'HEAD'}: names no branch", hint="Make the folder anew.")
        return head.removeprefix("ref: refs/heads/").strip()

    def branch_sha(self, branch: str) -> str:
        if not _BRANCH.fullmatch(branch):
            return ""
        loose = self._git_file(f"refs/heads/{branch}").strip()
        if loose:
            return loose
        for line in self._git_file("packed-refs").splitlines():
            sha, _, name = line.partition(" ")
            if name == f"refs/heads/{branch}":
                return sha
        return ""

    def is_protected(self, branch: str) -> bool:
        return branch in self._records.load("protected-branches.json", [])

    def read_file(self, path: str, ref: str) -> bytes | None:
        commit = ref if _SHA.fullmatch(ref) else self.branch_sha(ref)
        return self._read_file(path, commit) if commit else None

    def pull_request(self, number: int) -> PullRequest:
        data = self._records.load("pull-requests.json", {}).get(str(number))
        if data is None:
            raise ForgeError(f"there is no pull request #{number} in {self._name}", status=404)
        pull = PullRequest(**data)
        if pull.is_fork:
            return pull
        head = self.branch_sha(pull.head_ref)
        return replace(pull, head_sha=head or pull.head_sha, head_exists=bool(head))

    def issue_text(self, number: int) -> tuple[str, str]:
        for name in ("issues.json", "pull-requests.json"):
            entry = self._records.load(name, {}).get(str(number))
            if entry is not None:
                return entry["title"], entry["body"]
        raise ForgeError(f"there is no issue #{number} in {self._name}", status=404)

    def react(self, trigger: Trigger, content: str) -> None:
        target = f"comment {trigger.comment_id}" if trigger.comment_id else f"#{trigger.number}"
        if not trigger.comment_id and trigger.event != "issues":
            return
        reaction = {"to": target, "content": content}
        self._change("reactions.json", [], lambda all_: all_ if reaction in all_ else [*all_, reaction])

    def upsert_comment(self, number: int, key: str, body: str, data: Mapping[str, Json] | None = None) -> Ref:
        body = fit(body, COMMENT_LIMIT)
        fresh = {"body": body, "updated_at": self._now()} | ({} if data is None else {"data": dict(data)})
        found: dict[str, Any] = {}

        def change(comments: list[dict[str, Any]]) -> list[dict[str, Any]]:
            for comment in comments:
                if (comment["number"], comment["key"]) == (number, key):
                    same = comment["body"] == body and (data is None or comment["data"] == data)
                    if not same:
                        comment.update(fresh, edits=comment["edits"] + 1)
                    found.update(comment)
                    return comments
            found.update({"id": len(comments) + 1, "number": number, "key": key, "data": {}, "edits": 0, **fresh})
            return [*comments, dict(found)]

        with self._lock:
            self._change("comments.json", [], change)
            self._records.write(_comment_file(found), comment_page(found))
        return Ref(found["id"], str(self._records.root / _comment_file(found)))

    def own_comment(self, number: int, key: str) -> OwnComment | None:
        comments = (self._own(c) for c in self._records.load("comments.json", []))
        return next((c for c in comments if (c.number, c.key) == (number, key)), None)

    def edited_by_others(self, comment: OwnComment) -> bool:
        records = self._records.load("comments.json", [])
        return any(entry["id"] == comment.id and entry.get("editor", OWN_ID) != OWN_ID for entry in records)

    def own_comments_since(self, since: str) -> tuple[OwnComment, ...]:
        comments = (self._own(c) for c in self._records.load("comments.json", []))
        recent = [c for c in comments if c.updated_at >= since]
        return tuple(sorted(recent, key=lambda c: (c.updated_at, c.id), reverse=True)[:_OWN_COMMENTS])

    def review(self, number: int, head_sha: str, body: str, comments: Sequence[ReviewComment]) -> Ref:
        with self._lock:
            reviews = self._records.load("reviews.json", [])
            known = [c for r in reviews if r["number"] == number for c in r["comments"]]
            fresh = [entry for entry in map(asdict, comments) if entry not in known]
            same = next((r for r in reviews if (r["number"], r["body"]) == (number, body)), None)
            if same is not None and not fresh:
                return Ref(same["id"], str(self._records.root / f"reviews/{same['id']}.md"))
            review = {"id": len(reviews) + 1, "number": number, "head_sha": head_sha, "body": body, "comments": fresh}
            self._change("reviews.json", [], lambda present: [*present, review])
            page = f"reviews/{review['id']}.md"
            self._records.write(page, review_page(review))
        extra: dict[str, Json] = {"posted": len(fresh), "repeated": len(comments) - len(fresh), "refused": 0}
        return Ref(len(reviews) + 1, str(self._records.root / page), extra)

    def start_check(self, name: str, head_sha: str, output: CheckOutput, *, external_id: str) -> Ref:
        with self._lock:
            checks = self._records.load("check-runs.json", [])
            check = {"id": len(checks) + 1, "name": name, "head_sha": head_sha, "external_id": external_id,
                     "status": "queued", "conclusion": "", "annotations": [], "history": []}  # fmt: skip
            self._records.save("check-runs.json", [*checks, check])
            ref = self._check_ref(len(checks) + 1)
            self.update_check(ref, output, status=CheckStatus.IN_PROGRESS)
        return ref

    def update_check(self, check: Ref, output: CheckOutput, *, status: CheckStatus, conclusion: str = "") -> None:
        state = {"status": status.value, "conclusion": conclusion, "title": output.title}

        def change(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
            found = next((c for c in checks if c["id"] == check.id), None)
            if found is None:
                raise ForgeError(f"there is no check run {check.id}", status=404)
            known = found["annotations"]  # as on GitHub, updates add annotations and never take one away
            fresh = [dict(diagnostic.to_json()) for diagnostic in output.annotations]
            found.update(
                state,
                summary=fit(output.summary, CHECK_TEXT_LIMIT),
                text=fit(output.text, CHECK_TEXT_LIMIT),
                annotations=[*known, *(entry for entry in fresh if entry not in known)],
                history=[*found["history"], state],
            )
            self._records.write(f"checks/{check.id}.md", check_page(found))
            return checks

        self._change("check-runs.json", [], change)

    def fetch(self, sha: str, into: Path, *, history: bool = False) -> None:
        self._remote.fetch(sha, into, history=history)

    def push(self, commit: CommitRequest) -> str:
        self._remote.push(commit)
        entry = {"commit": commit.commit, "branch": commit.branch, "before": commit.expected}
        self._change("commits.json", [], lambda commits: [*commits, entry])
        self._change("commit-authors.json", {}, lambda authors: {**authors, commit.commit: OWN_ID})
        return commit.commit

    def account(self) -> int:
        return OWN_ID

    def commit_author(self, sha: str) -> int:
        return int(self._records.load("commit-authors.json", {}).get(sha, 0))

    def teams_of(self, actor: Actor, teams: Sequence[str]) -> frozenset[str]:
        members = self._records.load("teams.json", {})
        return frozenset(team for team in teams if actor.id in members.get(team, ()))

    def pulls_of(self, sha: str) -> tuple[PullRequest, ...]:
        pulls = (self.pull_request(int(number)) for number in self._records.load("pull-requests.json", {}))
        return tuple(pull for pull in pulls if (pull.state, pull.head_sha) == ("open", sha))

    def find_checks(self, head_sha: str, name: str) -> tuple[tuple[Ref, str, CheckStatus], ...]:
        checks = [
            c for c in self._records.load("check-runs.json", []) if (c["head_sha"], c["name"]) == (head_sha, name)
        ]
        return tuple((self._check_ref(c["id"]), c["external_id"], CheckStatus(c["status"])) for c in reversed(checks))

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
        with self._lock:
            uploads = self._records.load("sarif.json", [])
            entry = {"id": str(len(uploads) + 1), "sha": sha, "ref": ref}
            self._records.write(f"sarif/{entry['id']}.sarif", sarif)
            self._change("sarif.json", [], lambda present: [*present, entry])
        return entry["id"]

    def open_pull_request(self, request: PullRequestRequest) -> Ref:
        head = self.branch_sha(request.branch)
        if not head:
            raise ForgeError(f"the branch `{request.branch}` does not exist", hint="Push it first.", status=422)
        with self._lock:
            pulls = self._records.load("pull-requests.json", {})
            same = (n for n, p in pulls.items() if (p["head_ref"], p["state"]) == (request.branch, "open"))
            number = int(next(same, 0)) or self._next_number(pulls)
            pull = PullRequest(
                number=number, state="open", head_sha=head, head_ref=request.branch, head_repository_id=REPOSITORY_ID,
                base_sha=self.branch_sha(request.base), base_ref=request.base, title=request.title,
                body=fit(request.body, COMMENT_LIMIT), draft=request.draft,
                url=str(self._records.root / f"pull-requests/{number}.md"),
            )  # fmt: skip
            self.add_pull_request(pull)
            self._records.write(f"pull-requests/{number}.md", pull_request_page(asdict(pull)))
        return Ref(number, pull.url)

    def write_summary(self, markdown: str) -> None:
        with self._lock:
            path = self._records.root / "summary.md"
            present = path.read_text(encoding="utf-8") if path.exists() else ""
            self._records.write("summary.md", fit(f"{present}{markdown.rstrip()}\n\n", SUMMARY_LIMIT, size=utf8_bytes))
            self._write_index()

    def set_outputs(self, outputs: Mapping[str, str]) -> None:
        self._change("outputs.json", {}, lambda present: {**present, **outputs})

    def annotate_log(self, diagnostics: Sequence[Diagnostic]) -> None:
        fresh = [dict(diagnostic.to_json()) for diagnostic in diagnostics]
        self._change("log-annotations.json", [], lambda present: [*present, *fresh])

    # Inside

    def _now(self) -> str:
        return self._clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _own(self, comment: Mapping[str, Any]) -> OwnComment:
        about = {name: comment[name] for name in ("id", "number", "key", "body", "updated_at", "data")}
        return OwnComment(**about, url=str(self._records.root / _comment_file(comment)))

    def _check_ref(self, check_id: int) -> Ref:
        return Ref(check_id, str(self._records.root / f"checks/{check_id}.md"))

    def _change(self, name: str, default: Any, change: Callable[[Any], Any]) -> None:
        with self._lock:
            self._records.update(name, default, change)
            self._write_index()

    def _write_index(self) -> None:
        defaults: dict[str, Any] = {
            "issues": {}, "pull-requests": {}, "comments": [], "reviews": [], "check-runs": [], "reactions": [],
            "commits": [], "outputs": {},
        }  # fmt: skip
        documents = {name: self._records.load(f"{name}.json", default) for name, default in defaults.items()}
        self._records.write("index.md", index_page(self._name, documents))

    def _next_number(self, pulls: Mapping[str, Any]) -> int:
        used = [*pulls, *self._records.load("issues.json", {})]
        return max((int(number) for number in used), default=0) + 1

    def _git_file(self, name: str) -> str:
        try:
            return (self._git / name).read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return ""
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{self._git / name}: cannot be read: {error}") from error


def _comment_file(comment: Mapping[str, Any]) -> str:
    return f"comments/{comment['number']}-{re.sub(r'[^A-Za-z0-9._-]', '-', comment['key'])}.md"

"""A forge in a folder: the same Protocol as GitHub, recorded as JSON and Markdown that people can read.

`index.md` is the page to start from. Git data lies in a bare repository beside the records; its refs are read here,
everything else that needs git comes in as a `Remote` and a `read_file`. Not a server and not for several processes.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from perstack.core.errors import ForgeError, UserError
from perstack.core.signals import Diagnostic
from perstack.forge.contract import (
    Actor,
    CheckOutput,
    CheckStatus,
    CommitRequest,
    PullRequest,
    PullRequestRequest,
    Ref,
    Remote,
    Trigger,
)
from perstack.forge.limits import CHECK_TEXT_LIMIT, COMMENT_LIMIT, SUMMARY_LIMIT, fit, utf8_bytes
from perstack.forge.local_pages import check_page, comment_page, index_page, pull_request_page
from perstack.forge.records import Records

REPOSITORY_ID = 1
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
    ) -> None:
        self._records = Records(root)
        self._name = repository
        self._git = git
        self._remote = remote
        self._read_file = read_file
        self._lock = threading.RLock()

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

    def upsert_comment(self, number: int, key: str, body: str) -> Ref:
        body = fit(body, COMMENT_LIMIT)
        found: dict[str, Any] = {}

        def change(comments: list[dict[str, Any]]) -> list[dict[str, Any]]:
            for comment in comments:
                if (comment["number"], comment["key"]) == (number, key):
                    comment.update(body=body, edits=comment["edits"] + 1)
                    found.update(comment)
                    return comments
            found.update(id=len(comments) + 1, number=number, key=key, body=body, edits=0)
            return [*comments, dict(found)]

        with self._lock:
            self._change("comments.json", [], change)
            page = f"comments/{number}-{re.sub(r'[^A-Za-z0-9._-]', '-', key)}.md"
            self._records.write(page, comment_page(found))
        return Ref(found["id"], str(self._records.root / page))

    def start_check(self, name: str, head_sha: str, output: CheckOutput, *, external_id: str) -> Ref:
        with self._lock:
            checks = self._records.load("check-runs.json", [])
            check = {"id": len(checks) + 1, "name": name, "head_sha": head_sha, "external_id": external_id,
                     "status": "queued", "conclusion": "", "annotations": [], "history": []}  # fmt: skip
            self._records.save("check-runs.json", [*checks, check])
            ref = Ref(len(checks) + 1, str(self._records.root / f"checks/{len(checks) + 1}.md"))
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

    def push(self, commit: CommitRequest) -> None:
        self._remote.push(commit)
        entry = {"commit": commit.commit, "branch": commit.branch, "before": commit.expected}
        self._change("commits.json", [], lambda commits: [*commits, entry])

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

    def _change(self, name: str, default: Any, change: Callable[[Any], Any]) -> None:
        with self._lock:
            self._records.update(name, default, change)
            self._write_index()

    def _write_index(self) -> None:
        defaults: dict[str, Any] = {
            "issues": {}, "pull-requests": {}, "comments": [], "check-runs": [], "reactions": [], "commits": [],
            "outputs": {},
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

"""Commits on GitHub: made there, so that GitHub signs them, where the API can say what the commit says; else pushed.

What is published has the tree that was proved, or it is not published. The branch is moved from the expected commit
only. Two ways of the API: GraphQL's `createCommitOnBranch` (plain files, the lock is GitHub's own), and git data
(modes, links, merges; the lock is our look at the branch, and that GitHub only moves it forward).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from perstack.core.commits import EXECUTABLE, LINK, MODULE, PLAIN, ChangedFile, CommitContents
from perstack.core.errors import ForgeError, Superseded, UserError
from perstack.core.json import Json
from perstack.forge.contract import CommitRequest, Remote
from perstack.forge.github_errors import explain, explain_push
from perstack.forge.github_rest import Rest

_API_BYTES = 30 * 1024 * 1024  # 40 MiB in base64, about what GitHub takes in one request
_INLINE_BYTES = 4 * 1024 * 1024  # of text inside one tree; the rest goes as blobs
_MOST_BLOBS = 30  # each is a write of its own with a second between
_DATA_MODES = {PLAIN: "blob", EXECUTABLE: "blob", LINK: "blob", MODULE: "commit"}
_WAYS = ("auto", "api", "push")
_WRITE = "contents: write"
_STATUS = {"NOT_FOUND": 404, "FORBIDDEN": 403, "STALE_DATA": 409, "UNPROCESSABLE": 422}
_MUTATION = """mutation ($input: CreateCommitOnBranchInput!) {
  createCommitOnBranch(input: $input) { commit { oid tree { oid } } }
}"""


class Commits:
    """The commits of one repository."""

    def __init__(self, rest: Rest, repository: str, remote: Remote) -> None:
        self._rest = rest
        self._repository = repository
        self._remote = remote

    def publish(self, request: CommitRequest) -> str:
        """Publish a commit; the SHA the branch has then. Raises: Superseded; ForgeError; UserError for another way."""
        if request.commits not in _WAYS:
            raise UserError(f"[github] commits: {request.commits!r} is none of {', '.join(_WAYS)}")
        if request.commits == "push":
            return self._push(request)
        contents = self._remote.contents(request, _API_BYTES)
        reason = _why_not(request, contents)
        if reason and request.commits == "api":
            raise ForgeError(
                f"cannot commit to `{request.branch}` through the API: {reason}.",
                hint='Set `[github] commits = "auto"`: what the API cannot say is pushed by git then.',
            )
        if reason:
            return self._push(request)
        try:
            if len(contents.parents) == 1 and _is_plain(contents):
                made = self._on_branch(request, contents)
                if made:
                    return made
            return self._from_data(request, contents)
        except ForgeError as error:
            raise _explain(error, request, contents) from error

    def _push(self, request: CommitRequest) -> str:
        try:
            self._remote.push(request)
        except ForgeError as error:
            raise explain_push(error, request.branch) from error
        return request.commit

    # createCommitOnBranch

    def _on_branch(self, request: CommitRequest, contents: CommitContents) -> str:
        """Empty where this server has no such mutation."""
        parent = contents.parents[0]
        if not request.expected:
            self._make_branch(request.branch, parent)
        try:
            made = self._rest.exactly_once(
                lambda: self._mutate(request, contents), lambda: self._made_already(request, contents)
            )
        except ForgeError as error:
            if not request.expected:
                self._take_back(request.branch, parent, "")
            if error.status == 409 or (error.status == 404 and request.expected and not self._head(request.branch)):
                raise self._moved(request) from error
            if "doesn't exist on type 'Mutation'" in error.message:
                return ""
            raise
        sha, tree = str(made["oid"]), str(made["tree"])
        if tree != contents.tree:
            self._take_back(request.branch, sha, request.expected)
            raise _other_tree(request, tree, contents.tree)
        return sha

    def _mutate(self, request: CommitRequest, contents: CommitContents) -> Mapping[str, Any]:
        headline, _, body = contents.message.strip().partition("\n")
        variables: dict[str, Json] = {
            "input": {
                "branch": {"repositoryNameWithOwner": self._repository, "branchName": request.branch},
                "expectedHeadOid": contents.parents[0],
                "message": {"headline": headline, "body": body.strip("\n")},
                "fileChanges": {
                    "additions": [
                        {"path": f.path, "contents": base64.b64encode(f.content).decode()}
                        for f in contents.files
                        if f.mode
                    ],
                    "deletions": [{"path": f.path} for f in contents.files if not f.mode],
                },
            }
        }
        what = f"commit to `{request.branch}`"
        told = self._rest.graphql(_MUTATION, variables, what, write=True, permission=_WRITE)
        commit = ((told.get("data") or {}).get("createCommitOnBranch") or {}).get("commit")
        if commit is None:
            raise _graphql_error(told, what)
        return {"oid": commit["oid"], "tree": commit["tree"]["oid"]}

    def _made_already(self, request: CommitRequest, contents: CommitContents) -> Mapping[str, Any] | None:
        """Our commit where the answer to it was lost. Raises: Superseded where the branch has somebody else's."""
        head = self._head(request.branch)
        if head == contents.parents[0]:
            return None
        what = f"read commit {head[:12]}"
        data = self._rest.get_or_none(f"/git/commits/{head}", what) if head else None
        same = data and (
            [parent["sha"] for parent in data["parents"]] == list(contents.parents)
            and data["tree"]["sha"] == contents.tree
            and data["message"].split() == contents.message.split()
        )
        if not same:
            raise self._moved(request)
        return {"oid": head, "tree": contents.tree}

    # Git data

    def _from_data(self, request: CommitRequest, contents: CommitContents) -> str:
        """The branch is not touched before the tree was compared."""
        entries: list[Json] = [self._entry(file, request) for file in _in_room(contents.files)]
        what = f"write the tree for `{request.branch}`"
        made = self._rest.post(
            "/git/trees", {"base_tree": contents.parent_tree, "tree": entries}, what, permission=_WRITE
        )  # fmt: skip
        if made["sha"] != contents.tree:
            raise _other_tree(request, made["sha"], contents.tree)
        # Author and committer are left out: only then GitHub signs what a bot commits.
        body: dict[str, Json] = {
            "message": contents.message, "tree": contents.tree, "parents": list(contents.parents),
        }  # fmt: skip
        commit = self._rest.post("/git/commits", body, f"write the commit for `{request.branch}`", permission=_WRITE)
        sha = str(commit["sha"])
        if request.expected:
            self._move_branch(request, sha)
        else:
            self._make_branch(request.branch, sha)
        return sha

    def _entry(self, file: tuple[ChangedFile, bool], request: CommitRequest) -> dict[str, Json]:
        """One line of a tree; the flag says that the text goes inside it."""
        changed, inline = file
        mode = changed.mode or changed.mode_before
        entry: dict[str, Json] = {"path": changed.path, "mode": mode, "type": _DATA_MODES[mode]}
        if not changed.mode:
            return {**entry, "sha": None}
        if changed.mode == MODULE or changed.sha == changed.sha_before:
            return {**entry, "sha": changed.sha}
        if inline:
            return {**entry, "content": changed.content.decode()}
        blob: dict[str, Json] = {"content": base64.b64encode(changed.content).decode(), "encoding": "base64"}
        what = f"write `{changed.path}` for `{request.branch}`"
        return {**entry, "sha": self._rest.post("/git/blobs", blob, what, permission=_WRITE)["sha"]}

    # Branches

    def _head(self, branch: str) -> str:
        found = self._rest.get_or_none(f"/git/ref/heads/{quote(branch, safe='/')}", f"read the branch `{branch}`")
        return str(found["object"]["sha"]) if found else ""

    def _moved(self, request: CommitRequest) -> Superseded:
        if not self._head(request.branch):
            return Superseded(f"the branch `{request.branch}` was deleted or renamed; nothing was committed")
        start = request.expected[:12] or "its start"
        return Superseded(f"{request.branch} is no longer at {start}; nothing was committed")

    def _make_branch(self, branch: str, sha: str) -> None:
        def find() -> Mapping[str, Any] | None:
            return {} if self._head(branch) == sha else None

        body = {"ref": f"refs/heads/{branch}", "sha": sha}
        try:
            self._rest.create("/git/refs", body, f"make the branch `{branch}`", permission=_WRITE, find=find)
        except ForgeError as error:
            if "already exists" in error.message:
                raise Superseded(f"the branch `{branch}` exists already; nothing was committed") from error
            raise

    def _move_branch(self, request: CommitRequest, sha: str) -> None:
        if self._head(request.branch) != request.expected:
            raise self._moved(request)
        path, what = f"/git/refs/heads/{quote(request.branch, safe='/')}", f"move the branch `{request.branch}`"
        try:
            self._rest.patch(path, {"sha": sha, "force": False}, what, permission=_WRITE)
        except ForgeError as error:
            if re.search(r"fast.forward|reference does not exist", error.message, re.IGNORECASE):
                raise self._moved(request) from error
            raise

    def _take_back(self, branch: str, ours: str, before: str) -> None:
        """Undo our own move of a branch, unless somebody has built on it meanwhile."""
        path, what = f"/git/refs/heads/{quote(branch, safe='/')}", f"take back the branch `{branch}`"
        try:
            if self._head(branch) != ours:
                return
            if before:
                self._rest.patch(path, {"sha": before, "force": True}, what, permission=_WRITE)
            else:
                self._rest.delete(path, what, permission=_WRITE)
        except ForgeError:
            return  # what made us take it back is the error to tell


def _why_not(request: CommitRequest, contents: CommitContents) -> str:
    """Why the API cannot say what a commit says; empty where it can."""
    files = contents.files
    if not contents.parents or request.expected not in {"", contents.parents[0]}:
        return "it is not one commit on top of the branch"
    if contents.size > _API_BYTES:
        return f"its files have {contents.size >> 20} MiB, more than one request may"
    if any(not _is_text(file.path.encode("utf-8", "surrogateescape")) for file in files):
        return "the name of a file is not UTF-8"
    paths = {file.path for file in files}
    if any(parent in paths for path in paths for parent in _parents(path)):
        return "a file and a folder change places"
    if len(contents.parents) > 1 or not _is_plain(contents):
        if any((file.mode or file.mode_before) not in _DATA_MODES for file in files):
            return "a file has a mode that GitHub does not know"
        if sum(_is_blob(file) and not inline for file, inline in _in_room(files)) > _MOST_BLOBS:
            return f"it has more than {_MOST_BLOBS} binary or large files, and is more than a change of plain files"
    return ""


def _is_plain(contents: CommitContents) -> bool:
    """Whether plain files say it all; what is deleted may have been anything but a submodule."""
    return all(
        file.mode_before != MODULE if not file.mode else file.mode == PLAIN and file.mode_before in {"", PLAIN}
        for file in contents.files
    )


def _is_blob(file: ChangedFile) -> bool:
    return file.mode not in {"", MODULE} and file.sha != file.sha_before


def _in_room(files: tuple[ChangedFile, ...]) -> list[tuple[ChangedFile, bool]]:
    """Which texts go inside the tree: as many as there is room for."""
    room = _INLINE_BYTES
    chosen = []
    for file in files:
        inline = _is_text(file.content) and b"\0" not in file.content and len(file.content) <= room
        room -= len(file.content) if inline else 0
        chosen.append((file, inline))
    return chosen


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _other_tree(request: CommitRequest, tree: str, wanted: str) -> ForgeError:
    return ForgeError(
        f"cannot commit to `{request.branch}`: GitHub made the tree {tree[:12]} of it, {wanted[:12]} was proved. "
        "The branch is where it was.",
        hint='Set `[github] commits = "push"`, and report it.',
    )


def _graphql_error(told: Mapping[str, Any], what: str) -> ForgeError:
    errors = [error for error in told.get("errors") or () if isinstance(error, Mapping)]
    kind = str(errors[0].get("type") or "") if errors else ""
    said = " ".join(str(error.get("message") or "") for error in errors)
    return explain(what, _STATUS.get(kind, 422), {"message": said}, permission=_WRITE)


def _explain(error: ForgeError, request: CommitRequest, contents: CommitContents) -> ForgeError:
    """The sentence for a refused commit. Which permission workflow files need is not always said by GitHub."""
    if error.status in {403, 404} and any(file.path.startswith(".github/workflows/") for file in contents.files):
        error = ForgeError(f"refusing to allow it to create or update workflow: {error.message}", status=error.status)
    return explain_push(error, request.branch)

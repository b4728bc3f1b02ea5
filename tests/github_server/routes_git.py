"""Git data: blobs, trees, commits, refs, and whose commits they are."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from tests.github_server.answers import Answer, Call, Handler, Refused, forbidden, invalid_request, not_found
from tests.github_server.branch_rules import refusal
from tests.github_server.git_data import (
    branches,
    change_tree,
    git,
    has_commit,
    run_git,
    set_branch,
    tree_of,
    write_blob,
    write_commit,
)
from tests.github_server.state import Authorship, Repository

_R = "/repos/{owner}/{repo}"
_MODES = {"100644": "blob", "100755": "blob", "040000": "tree", "160000": "commit", "120000": "blob"}


def _add_blob(call: Call) -> Answer:
    content = call.body["content"]
    try:
        data = base64.b64decode(content, validate=True) if call.body.get("encoding") == "base64" else content.encode()
    except binascii.Error as error:
        raise invalid_request("content is not valid Base64") from error
    sha = write_blob(call.repository.git, data)
    return Answer(201, {"sha": sha, "url": f"https://github.test/git/blobs/{sha}"})


def _add_tree(call: Call) -> Answer:
    repository = call.repository
    entries = []
    for entry in call.body["tree"]:
        if ("sha" in entry) == ("content" in entry):
            raise invalid_request(f"tree.{entry['path']}: give either sha or content")
        is_new = "content" in entry
        sha: str | None = write_blob(repository.git, entry["content"].encode()) if is_new else entry["sha"]
        if sha is None:
            if _kind(repository, f"{call.body['base_tree']}:{entry['path']}") == "":
                raise invalid_request(f"GitRPC::BadObjectState: {entry['path']} is not in the base tree")
            entries.append(("0", "", entry["path"]))
            continue
        if _MODES[entry["mode"]] != entry["type"] or (entry["type"] == "blob" and _kind(repository, sha) != "blob"):
            raise invalid_request(f"tree.sha {sha} is not a valid {entry['type']}")
        entries.append((entry["mode"], sha, entry["path"]))
    tree = change_tree(repository.git, call.body.get("base_tree", ""), entries)
    if repository.spoils_trees:
        tree = change_tree(repository.git, tree, [("100644", write_blob(repository.git, b"spoiled"), "spoiled")])
    return Answer(201, {"sha": tree, "url": f"https://github.test/git/trees/{tree}", "truncated": False, "tree": []})


def _add_commit(call: Call) -> Answer:
    repository, body = call.repository, call.body
    if _kind(repository, body["tree"]) != "tree":
        raise invalid_request("Tree SHA does not exist")
    sha = write_commit(repository.git, body["tree"], body.get("parents", []), body["message"],
                       author=call.token.user.login)  # fmt: skip
    # GitHub signs what a bot commits under its own name.
    signed = call.token.app is not None and not body.keys() & {"author", "committer"}
    repository.authors[sha] = Authorship(call.token.user, call.token.user, verified=signed)
    return Answer(201, _git_commit(call, sha))


def _read_commit(call: Call) -> Answer:
    if not has_commit(call.repository.git, call.path["commit_sha"]):
        raise not_found()
    return Answer(200, _git_commit(call, call.path["commit_sha"]))


def _git_commit(call: Call, sha: str) -> dict[str, Any]:
    repository = call.repository
    message = git("show", "-s", "--format=%B", sha, cwd=repository.git)
    parents = git("show", "-s", "--format=%P", sha, cwd=repository.git).split()
    known = repository.authors.get(sha, Authorship(None, None))
    return {
        "sha": sha, "message": message, "tree": {"sha": tree_of(repository.git, sha)},
        "parents": [{"sha": parent} for parent in parents],
        "verification": {"verified": known.verified, "reason": "valid" if known.verified else "unsigned"},
    }  # fmt: skip


def _commit(call: Call) -> Answer:
    """A commit with its accounts; the files that come with it are of no interest here."""
    repository, sha = call.repository, call.path["ref"]
    if not has_commit(repository.git, sha):
        raise invalid_request(f"No commit found for SHA: {sha}")
    known = repository.authors.get(sha, Authorship(None, None))
    data = _git_commit(call, sha)
    document = {
        "sha": sha, "parents": data["parents"], "author": call.documents.user(known.author),
        "committer": call.documents.user(known.committer),
        "commit": {"message": data["message"], "tree": data["tree"], "verification": data["verification"]},
    }  # fmt: skip
    return Answer(200, document)


def _add_ref(call: Call) -> Answer:
    repository, ref, sha = call.repository, call.body["ref"], call.body["sha"]
    branch = ref.removeprefix("refs/heads/")
    if (
        not ref.startswith("refs/heads/")
        or run_git("check-ref-format", ref, cwd=repository.git, check=False).returncode
    ):
        raise invalid_request("Reference name is not valid")
    if branch in branches(repository.git):
        raise Refused(Answer(422, {"message": "Reference already exists"}))
    if not has_commit(repository.git, sha):
        raise Refused(Answer(422, {"message": "Object does not exist"}))
    return _moved(call, branch, sha, 201)


def _move_ref(call: Call) -> Answer:
    repository, sha = call.repository, call.body["sha"]
    branch = call.path["ref"].removeprefix("heads/")
    before = branches(repository.git).get(branch)
    if before is None:
        raise Refused(Answer(422, {"message": "Reference does not exist"}))
    ancestor = run_git("merge-base", "--is-ancestor", before, sha, cwd=repository.git, check=False).returncode == 0
    if not ancestor and not call.body.get("force"):
        raise Refused(Answer(422, {"message": "Update is not a fast forward"}))
    return _moved(call, branch, sha, 200)


def _moved(call: Call, branch: str, sha: str, status: int) -> Answer:
    repository = call.repository
    reason = refusal(repository, call.token, branch, sha)
    if reason:
        raise Refused(Answer(422, {"message": reason}))
    before = branches(repository.git).get(branch, "")
    set_branch(repository.git, branch, sha)
    entry = {"branch": branch, "before": before, "after": sha, "by": call.token.user.login, "through": "refs"}
    repository.pushes.append(entry)
    for each in call.state.repositories.values():
        each.sync_pulls()
    return Answer(status, {"ref": f"refs/heads/{branch}", "object": {"type": "commit", "sha": sha}})


def _delete_ref(call: Call) -> Answer:
    branch = call.path["ref"].removeprefix("heads/")
    if branch in call.repository.protected:
        raise forbidden("Cannot delete this protected branch")
    if branch not in branches(call.repository.git):
        raise Refused(Answer(422, {"message": "Reference does not exist"}))
    git("update-ref", "-d", f"refs/heads/{branch}", cwd=call.repository.git)
    return Answer(204)


def _kind(repository: Repository, sha: str) -> str:
    return git("cat-file", "-t", sha, cwd=repository.git, check=False)


GIT_ROUTES: dict[str, tuple[tuple[str, str], Handler]] = {
    f"POST {_R}/git/blobs": (("contents", "write"), _add_blob),
    f"POST {_R}/git/trees": (("contents", "write"), _add_tree),
    f"POST {_R}/git/commits": (("contents", "write"), _add_commit),
    f"GET {_R}/git/commits/{{commit_sha}}": (("contents", "read"), _read_commit),
    f"POST {_R}/git/refs": (("contents", "write"), _add_ref),
    f"PATCH {_R}/git/refs/{{ref}}": (("contents", "write"), _move_ref),
    f"DELETE {_R}/git/refs/{{ref}}": (("contents", "write"), _delete_ref),
    f"GET {_R}/commits/{{ref}}": (("contents", "read"), _commit),
}

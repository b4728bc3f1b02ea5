"""Events that `Scene` does not make itself, from GitHub's published examples, true on a scene's server."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from tests.forge.payloads import Payload, example, published
from tests.github_server import Scene
from tests.github_server.state import Artifact, CheckRun, ReviewComment, Run


def review_comment(scene: Scene, body: str, *, path: str, line: int) -> tuple[ReviewComment, Payload]:
    """Somebody comments at a line of the pull request's diff."""
    pull = scene.pull.pull
    assert pull is not None
    comment = ReviewComment(scene.server.state.new_id(), scene.actor, body, scene.head_sha, path, line)
    pull.review_comments.append(comment)
    payload = example("pull_request_review_comment", "created")
    payload["comment"] |= {
        "id": comment.id, "body": body, "path": path, "line": line, "commit_id": scene.head_sha,
        "user": _user(scene), "html_url": f"{scene.server.url}/{scene.name}/pull/2#discussion_r{comment.id}",
    }  # fmt: skip
    payload["pull_request"] = scene.pull_request_event()["pull_request"]
    return comment, _common(scene, payload)


def rerequested(scene: Scene, check: CheckRun) -> Payload:
    """Somebody presses "Re-run" at a check run of the pull request."""
    payload = example("check_run", "rerequested")
    payload["check_run"] |= {
        "id": check.id, "name": check.name, "head_sha": check.head_sha, "external_id": check.external_id,
        "status": "completed", "conclusion": "failure", "pull_requests": [],
    }  # fmt: skip
    return _common(scene, payload)


def completed(scene: Scene, run: Run) -> Payload:
    """A workflow run came to its end."""
    payload = example("workflow_run", "completed")
    payload["workflow_run"] |= {
        "id": run.id, "name": run.name, "event": run.event, "status": "completed", "conclusion": run.conclusion,
        "head_sha": run.head_sha, "head_branch": run.head_branch, "run_attempt": run.attempt, "pull_requests": [],
        "actor": _user(scene), "triggering_actor": _user(scene), "repository": _repository(scene, scene.repository),
        "head_repository": _repository(scene, run.head_repository),
    }  # fmt: skip
    return _common(scene, payload)


def pushed(scene: Scene, before: str, after: str) -> Payload:
    """Somebody pushed to `main`."""
    payload = published("push")[0]
    payload |= {"ref": "refs/heads/main", "before": before, "after": after, "deleted": False, "created": False}
    payload["pusher"] = {"name": scene.actor.login, "email": None}
    return _common(scene, payload)


def queued(scene: Scene, base: str, head: str) -> Payload:
    """A merge queue waits for checks on what would be merged."""
    group = {"head_sha": head, "head_ref": "refs/heads/queue/main/2", "base_sha": base, "base_ref": "refs/heads/main"}
    return _common(scene, {"action": "checks_requested", "merge_group": group, "repository": {}})


def dispatched(scene: Scene, **client_payload: Any) -> Payload:
    """A program asks; `_` in names stands for `-`."""
    payload = published("repository_dispatch")[0]
    payload |= {"client_payload": {k.replace("_", "-"): v for k, v in client_payload.items()}, "branch": "main"}
    return _common(scene, payload)


def zipped(folder: Path, name: str, number: int) -> Artifact:
    """What `actions/upload-artifact` would have stored of a folder."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    return Artifact(number, name, data.getvalue())


def _common(scene: Scene, payload: Payload) -> Payload:
    payload["repository"] |= _repository(scene, scene.repository)
    payload["sender"] = _user(scene)
    return payload


def _user(scene: Scene) -> Any:
    return scene.server.rest.documents.user(scene.actor)


def _repository(scene: Scene, repository: Any) -> Any:
    return scene.server.rest.documents.repository(repository)

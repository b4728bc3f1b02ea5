"""The server as a process of its own: `python -m tests.github_server --folder DIR`. Prints one JSON line, then serves.

The line says `url`, `token`, `repository`, `event_path`, `event_name`, `comment_id`, `head_sha`, `base_sha`. The state
is at `/_state`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.forge.payloads import Payload
from tests.github_server.scene import ISSUE_NUMBER, PULL_NUMBER, READ_ALL, WRITE_ALL, Scene
from tests.github_server.server import GithubServer

EVENTS = ("issue_comment", "pull_request", "issues", "workflow_dispatch")


def main() -> None:
    """Serve a scene until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.github_server", description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="where git directories and the event file go")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (0.0.0.0 for containers)")
    parser.add_argument("--public-host", default="", help="name under which clients reach it")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--base", type=Path, help="directory whose files are the base commit")
    parser.add_argument("--head", type=Path, help="directory whose files are put over the base in the pull request")
    parser.add_argument("--event", choices=EVENTS, default="issue_comment", help="what happened")
    parser.add_argument("--body", default="/perstack fix", help="the comment, or the task of a dispatch")
    parser.add_argument("--on", choices=("pull", "issue"), default="pull", help="where the comment is made")
    parser.add_argument("--read-only", action="store_true", help="print a token that may only read, as for forks")
    parser.add_argument("--role", default="write", help="the role of who comments")
    parser.add_argument("--fork", action="store_true", help="the pull request comes from a fork")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    server = GithubServer(
        options.folder / "git", host=options.host, port=options.port, public_host=options.public_host
    )  # fmt: skip
    with server:
        scene = Scene(
            server, base=_files(options.base), head=_files(options.head), role=options.role, fork=options.fork
        )  # fmt: skip
        comment_id, payload = _happen(scene, options)
        event = options.folder / "event.json"
        event.write_text(json.dumps(payload, indent=2), encoding="utf-8")
        permissions = READ_ALL if options.read_only else WRITE_ALL
        facts = {
            "url": server.url, "token": server.token(permissions), "repository": scene.name, "event_path": str(event),
            "event_name": options.event, "comment_id": comment_id, "head_sha": scene.head_sha,
            "base_sha": scene.base_sha,
        }  # fmt: skip
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        try:
            server.wait()
        except KeyboardInterrupt:
            return


def _happen(scene: Scene, options: argparse.Namespace) -> tuple[int, Payload]:
    """Let the event happen; the comment's id (0 for none) and the payload."""
    if options.event == "pull_request":
        return 0, scene.pull_request_event()
    if options.event == "issues":
        return 0, scene.issue_event()
    if options.event == "workflow_dispatch":
        return 0, scene.dispatch_event(task=options.body)
    comment, payload = scene.comment(options.body, number=PULL_NUMBER if options.on == "pull" else ISSUE_NUMBER)
    return comment.id, payload


def _files(folder: Path | None) -> dict[str, str] | None:
    if folder is None:
        return None
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts and path.suffix != ".pyc"
    }


if __name__ == "__main__":
    main()

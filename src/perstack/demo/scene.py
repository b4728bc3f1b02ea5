"""The demo's scene: the project with its bug as a git repository, the issue, and the event that asks for a fix.

Data and git objects only; the job itself runs through the same code as on GitHub.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perstack.demo.bugs import Bug
from perstack.demo.inject import RunTests, inject_bug
from perstack.demo.issue import issue_text
from perstack.demo.project import write_project
from perstack.infrastructure.git import Identity, Repository

NAME = "mail-order/depot"
ISSUE = 12
MAINTAINER = {"login": "ada-maintains", "id": 1001, "type": "User"}
REPORTER = {"login": "shop-floor", "id": 1002, "type": "User"}
_EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_AUTHOR = Identity("Ada", "ada@mail-order.example")
_START = 1_760_000_000


@dataclass(frozen=True, slots=True)
class Scene:
    """What the demo starts from. `main` is the red commit, `event` the payload file."""

    repository: Repository
    main: str
    title: str
    body: str
    bug: Bug
    event: Path


async def set_scene(folder: Path, seed: int, run_tests: RunTests, project: Path) -> Scene:
    """Write the project, break it, commit both states, and write the comment's event.

    `project` is the workspace that `run_tests` runs in; it holds the broken project afterwards.
    """
    write_project(project)
    repository = await Repository.create(folder / "repository.git")
    good, _ = await repository.snapshot(_EMPTY_TREE, project)
    first = await repository.commit(good, (), "Import depot\n", author=_AUTHOR, timestamp=_START)
    injection = await inject_bug(project, seed, run_tests)
    bad, _ = await repository.snapshot(first, project)
    message = f"Tidy up {injection.bug.path}\n"
    main = await repository.commit(bad, (first,), message, author=_AUTHOR, timestamp=_START + 86_400)
    await repository.set_ref("refs/heads/main", main)
    title, body = issue_text(injection.bug, injection.failing)
    event = folder / "event.json"
    event.write_text(json.dumps(comment_event(title, body), indent=2), encoding="utf-8")
    return Scene(repository, main, title, body, injection.bug, event)


def comment_event(title: str, body: str) -> dict[str, Any]:
    """An `issue_comment` payload as GitHub sends it: a maintainer writes `/perstack fix` on the issue."""
    url = f"https://github.com/{NAME}"
    api = f"https://api.github.com/repos/{NAME}"
    return {
        "action": "created",
        "issue": {
            "url": f"{api}/issues/{ISSUE}",
            "html_url": f"{url}/issues/{ISSUE}",
            "id": 2001,
            "number": ISSUE,
            "title": title,
            "user": REPORTER,
            "labels": [],
            "state": "open",
            "locked": False,
            "assignees": [],
            "comments": 1,
            "created_at": "2026-11-20T08:00:00Z",
            "updated_at": "2026-11-20T09:30:00Z",
            "author_association": "NONE",
            "body": body,
        },
        "comment": {
            "url": f"{api}/issues/comments/3001",
            "html_url": f"{url}/issues/{ISSUE}#issuecomment-3001",
            "id": 3001,
            "user": MAINTAINER,
            "created_at": "2026-11-20T09:30:00Z",
            "updated_at": "2026-11-20T09:30:00Z",
            "author_association": "OWNER",
            "body": "Confirmed, main is red.\n\n/perstack fix\n",
        },
        "repository": {
            "id": 4001,
            "name": NAME.split("/")[1],
            "full_name": NAME,
            "private": False,
            "owner": {"login": NAME.split("/", maxsplit=1)[0], "id": 1000, "type": "Organization"},
            "html_url": url,
            "url": api,
            "default_branch": "main",
            "fork": False,
        },
        "sender": MAINTAINER,
    }

"""GitHub's published example payloads, from the pinned npm package; copies are handed out, so tests may change them."""

from __future__ import annotations

import copy
import functools
import json
from pathlib import Path
from typing import Any

import pytest

Payload = dict[str, Any]
_PACKAGE = Path(__file__).parents[1] / "node" / "node_modules" / "@octokit" / "webhooks-examples"
_FLAVOURS = ("api.github.com", "ghes-35", "ghes-34", "ghes-33", "ghes-32", "ghes-31")


@functools.cache
def _load(flavour: str) -> dict[str, list[Payload]]:
    path = _PACKAGE / flavour / "index.json"
    if not path.exists():
        pytest.skip("the npm packages of tests/node are not installed: run `make test` or `npm ci` there")
    return {entry["name"]: entry["examples"] for entry in json.loads(path.read_text(encoding="utf-8"))}


def published(event: str, flavour: str = "api.github.com") -> list[Payload]:
    """All published examples of one event."""
    return copy.deepcopy(_load(flavour).get(event, []))


def all_published() -> list[tuple[str, Payload]]:
    """Every published example of every flavour with its event name. Shared objects: do not change them."""
    return [(name, example) for flavour in _FLAVOURS for name, many in _load(flavour).items() for example in many]


def example(event: str, action: str) -> Payload:
    """The first published example of an event with this action."""
    return next(payload for payload in published(event) if payload.get("action") == action)


def comment(body: str, *, action: str = "created", on_pull_request: bool = True) -> Payload:
    """A published `issue_comment` payload with another body."""
    payload = example("issue_comment", action)
    payload["comment"]["body"] = body
    payload["comment"]["performed_via_github_app"] = None
    payload["sender"]["type"] = "User"
    if on_pull_request:
        url = f"{payload['repository']['url']}/pulls/{payload['issue']['number']}"
        payload["issue"]["pull_request"] = {"url": url}
    else:
        payload["issue"].pop("pull_request", None)
    return payload

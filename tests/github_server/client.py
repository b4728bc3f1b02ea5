"""Plain HTTP to the test server, for tests of the server itself."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    body: Any
    headers: Mapping[str, str]


def send(
    url: str, method: str = "GET", body: Any = None, *, token: str = "", headers: Mapping[str, str] | None = None
) -> Reply:
    """One request; error statuses are answers, not exceptions."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, method=method, headers=dict(headers or {}))
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return Reply(answer.status, _parse(answer.read()), dict(answer.headers))
    except urllib.error.HTTPError as error:
        with error:
            return Reply(error.code, _parse(error.read()), dict(error.headers))


def _parse(data: bytes) -> Any:
    return json.loads(data) if data else None

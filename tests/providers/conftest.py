"""aimock, the independent model server (npm), started once for this folder's tests."""

from __future__ import annotations

import http.client
import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NODE = Path(__file__).parents[1] / "node" / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
FIXTURES = Path(__file__).parent / "aimock.json"


class Aimock:
    """A running aimock, seen through one test's own scope (`X-Test-Id`)."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.headers = {"X-Test-Id": uuid.uuid4().hex}
        self._port = port

    def chaos(self, **rates: float) -> None:
        """Make every request of this test fail in this way."""
        self._control("POST", "/__aimock/chaos", rates)

    def calm(self) -> None:
        """End the chaos."""
        self._control("DELETE", "/__aimock/chaos", None)

    def requests(self) -> list[dict[str, Any]]:
        """What aimock received from this test."""
        found = self._control("GET", f"/__aimock/journal?testId={self.headers['X-Test-Id']}", None)
        return found if isinstance(found, list) else found["entries"]

    def _control(self, method: str, path: str, body: object) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, self.headers)
            response = connection.getresponse()
            text = response.read()
            assert response.status == 200, text
            return json.loads(text)
        finally:
            connection.close()


@pytest.fixture(scope="session")
def aimock_port() -> Iterator[int]:
    assert NODE.exists(), "aimock is not installed: run scripts/set-up test"
    argv = ["node", str(NODE), "--port", "0", "--fixtures", str(FIXTURES), "--strict"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "listening on" in line:
                break
        else:
            pytest.fail("aimock did not start:\n" + "".join(said))
        yield int(said[-1].strip().rpartition(":")[2])
        process.terminate()
        process.stdout.read()


@pytest.fixture
def aimock(aimock_port: int) -> Aimock:
    return Aimock(aimock_port)

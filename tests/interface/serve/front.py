"""A real `perstack serve` process and a client that speaks HTTP over a plain socket: what the tests of it share."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perstack.interface.serve.handlers import Handlers
from perstack.interface.serve.limits import Limits
from perstack.interface.serve.openapi import text
from perstack.interface.serve.routes import operations
from tests.interface.scripts import Desk

JSON = {"content-type": "application/json"}


@dataclass
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def kind(self) -> str:
        """The word of a problem."""
        assert self.headers["content-type"] == "application/problem+json", self.headers
        problem = self.json
        assert problem["status"] == self.status
        assert problem["detail"]
        return str(problem["type"].removeprefix("urn:perstack:problem:"))


@dataclass
class Front:
    """A server under way."""

    process: subprocess.Popen[str]
    ready: Mapping[str, Any]
    token: str
    told: list[str] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.ready["port"])

    def __call__(self, method: str, path: str, body: Any = None, *, token: str | None = None, **more: str) -> Reply:
        """One request; header names with `_` for `-`."""
        headers = {"authorization": f"Bearer {self.token if token is None else token}"}
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, data, {**(JSON if body is not None else {}), **headers})
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def raw(self, data: bytes) -> bytes:
        """Bytes to the server, and all that comes back until it closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as line:
            line.sendall(data)
            found = b""
            while part := line.recv(65536):
                found += part
        return found

    def follow(self, job: str, query: str = "", last: str = "") -> Stream:
        """A stream of a job's events."""
        return Stream(self, f"/v1/jobs/{job}/events{query}", last)

    def ended(self, job: str) -> str:
        """Wait for a job's end; how it stands."""
        with self.follow(job, "?type=completeRun") as stream:
            return str(next(data for name, _, data in stream.read() if name == "end")["status"])

    def stop(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """End it; its exit code and what it said on stderr."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=90)
        return self.process.returncode, err


class Stream:
    """Server-sent events, as a browser reads them: fields of a block, comments apart."""

    def __init__(self, front: Front, path: str, last: str) -> None:
        headers = {"authorization": f"Bearer {front.token}", **({"last-event-id": last} if last else {})}
        self.connection = http.client.HTTPConnection("127.0.0.1", front.port, timeout=60)
        self.connection.request("GET", path, headers=headers)
        self.answer = self.connection.getresponse()
        self.comments = 0

    def __enter__(self) -> Stream:
        assert self.answer.status == 200, self.answer.read()
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def read(self) -> Iterator[tuple[str, str, Any]]:
        """Name (empty for an event of the job), id and data of each, to the end."""
        block: dict[str, str] = {}
        for raw in self.answer:
            line = raw.decode().rstrip("\n")
            if line.startswith(":"):
                self.comments += 1
                yield "comment", "", None
            elif line:
                name, _, value = line.partition(": ")
                block[name] = value
            elif "data" in block:
                yield block.get("event", ""), block.get("id", ""), json.loads(block["data"])
                block = {}


def openapi_text() -> str:
    """The description as the code makes it."""
    # Handlers are named in the table and not called: they need nothing to be there.
    made: Any = Handlers
    return text(operations(made(None, None, None, Limits(), bytes)))


@contextmanager
def serving(desk: Desk, *options: str) -> Iterator[Front]:
    """A server over a desk's folder and model."""
    keep = desk.folder / "token"
    line = [sys.executable, "-m", "perstack", "serve", "--token-file", str(keep), "--provider", "openai-compatible"]
    line += ["--model", "test-1", "--sandbox", "bubblewrap", *options]
    process = subprocess.Popen(
        line, cwd=desk.folder, env=desk.env(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready, process.communicate(timeout=30)[1]
        yield Front(process, json.loads(ready), keep.read_text().strip())
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=90)


def events_of(folder: Path, job: str) -> list[str]:
    """The ids of a job's events that are shown, by its log."""
    lines = (folder / "perstack" / "jobs" / job / "events.jsonl").read_text().splitlines()[1:]
    return [event["id"] for event in map(json.loads, lines) if event["type"] != "startToolCall"]


if __name__ == "__main__":
    (Path(__file__).parents[3] / "docs" / "serve.openapi.json").write_text(openapi_text())

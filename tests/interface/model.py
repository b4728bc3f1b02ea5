"""A model for command-line tests: an OpenAI-compatible server on loopback that plays a script.

Stateless: which reply an expert gives is decided by how many it has given in the conversation it is asked with, so a
run that is resumed, continued or run again gets what it would have got.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What an expert says at one turn: text, calls as (tool, arguments), an HTTP status in place of a reply, or a function
# of the request that gives one of them.
Turn = str | int | Sequence[tuple[str, Mapping[str, Any]]] | Callable[[dict[str, Any]], Any]


@dataclass
class Model:
    """The running server. `scripts` are by a text that the expert's instruction holds; `asked` counts requests."""

    scripts: Mapping[str, Sequence[Turn]]
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def env(self) -> dict[str, str]:
        """Environment variables of a process that is to use it."""
        return {"OPENAI_COMPATIBLE_BASE_URL": self.url, "OPENAI_COMPATIBLE_API_KEY": "test-key-not-secret"}

    def wait_for(self, count: int, timeout_s: float = 60.0) -> None:
        """Until so many requests have come."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.requests) >= count, timeout_s)

    def turn(self, request: dict[str, Any]) -> Any:
        """What the asked expert says now."""
        system = str(request["messages"][0]["content"])
        key = next(key for key in self.scripts if key in system)
        given = sum(message["role"] == "assistant" for message in request["messages"])
        turn = self.scripts[key][min(given, len(self.scripts[key]) - 1)]
        with self.changed:
            self.requests.append(request)
            self.changed.notify_all()
        return turn(request) if callable(turn) else turn

    def answer(self, request: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body of a reply: an event stream with a usage that is made up, and the same every time."""
        turn, number = self.turn(request), len(request["messages"])
        if isinstance(turn, int):
            return turn, json.dumps({"error": {"message": f"status {turn}"}}).encode()
        chunks: list[dict[str, Any]] = []
        if isinstance(turn, str):
            chunks.append({"delta": {"content": turn}})
        else:
            calls = [
                {"index": i, "id": f"call_{number}_{i}", "type": "function",
                 "function": {"name": name, "arguments": json.dumps(args)}}
                for i, (name, args) in enumerate(turn)
            ]  # fmt: skip
            chunks.append({"delta": {"tool_calls": calls}})
        chunks.append({"delta": {}, "finish_reason": "stop" if isinstance(turn, str) else "tool_calls"})
        usage = {"prompt_tokens": 100 * number, "completion_tokens": 20, "total_tokens": 100 * number + 20}
        events: list[dict[str, Any]] = [{"choices": [{"index": 0, **chunk}], "model": "test-1"} for chunk in chunks]
        events.append({"choices": [], "usage": usage})
        lines = [f"data: {json.dumps(event)}\n\n" for event in events]
        return 200, "".join([*lines, "data: [DONE]\n\n"]).encode()


@contextmanager
def model(scripts: Mapping[str, Sequence[Turn]]) -> Iterator[Model]:
    """Serve the scripts on loopback."""
    serving = Model(scripts)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            status, data = serving.answer(request)
            try:
                self.send_response(status)
                self.send_header("content-type", "text/event-stream" if status == 200 else "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except ConnectionError:
                pass  # the client was killed, as some tests want it

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    serving.url = f"http://127.0.0.1:{server.server_port}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield serving
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

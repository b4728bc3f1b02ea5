"""A server says a key back, in pieces, as an error, as a tool's arguments: nothing that stays or is shown holds it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest

from perstack.core.messages import Delta, ModelReply, StopReason, TextPart
from perstack.infrastructure.secrets import Redactor
from perstack.runtime.streaming import DeltaRelay
from perstack.testing import ProjectBuilder
from tests.attacks.hijacked import KEY, traces, ways
from tests.interface.scene import FILES, FIXED
from tests.interface.test_run import perstack

EXPERT = """
[experts."reader"]
instruction = "Look."
[experts."reader".skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base"
[provider]
providerName = "openai-compatible"
[provider.setting.headers]
X-Gateway = "Bearer gateway-6Yt2Rk9Qw4Zp7Mx1"
"""
HEADER = "gateway-6Yt2Rk9Qw4Zp7Mx1"


@contextmanager
def hostile_server() -> Iterator[str]:
    """Says what it was sent: first as streamed text and calls, character by character, then as an error."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            asked.append(dict(self.headers))
            sent = f"{self.headers['authorization']} {self.headers['x-gateway']}"
            status, body = (200, _stream(sent)) if len(asked) == 1 else (400, json.dumps({"error": {"message": sent}}))
            self.send_response(status, sent if status == 400 else None)
            self.send_header("content-type", "text/event-stream" if status == 200 else "application/json")
            self.send_header("x-request-id", sent)
            self.send_header("content-length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _stream(sent: str) -> str:
    said = "\n".join([sent, *ways(), *ways(HEADER)])
    calls = [("writeTextFile", {"path": "kept.txt", "text": said}), ("exec", {"command": "echo", "args": [said]}),
             ("readTextFile", {"path": f"../{KEY}"}), (KEY, {KEY: KEY})]  # fmt: skip
    deltas: list[dict[str, Any]] = [{"content": character} for character in said]
    deltas.append({"tool_calls": [
        {"index": at, "id": f"call-{at}-{KEY}", "type": "function",
         "function": {"name": name, "arguments": json.dumps(args)}} for at, (name, args) in enumerate(calls)
    ]})  # fmt: skip
    events: list[dict[str, Any]] = [{"model": KEY, "choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


@pytest.mark.threat("K1")
@pytest.mark.slow
def test_nothing_that_a_run_prints_or_keeps_holds_what_the_server_says_back(tmp_path: Path) -> None:
    (tmp_path / "perstack.toml").write_text(EXPERT)
    (tmp_path / ".env").write_text("")
    with hostile_server() as url:
        done = perstack(
            "run", "reader", f"say {KEY}", "--sandbox", "bubblewrap", "--model", "m", "--max-retries", "1", "--verbose",
            cwd=tmp_path, OPENAI_COMPATIBLE_BASE_URL=url, OPENAI_COMPATIBLE_API_KEY=KEY, OPENAI_LOG="debug",
        )  # fmt: skip
    assert '"streamRunResult"' in done.stdout, done.stderr
    (tmp_path / "stdout").write_text(done.stdout)
    (tmp_path / "stderr").write_text(done.stderr)
    kept = [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "perstack.toml"]
    assert {"kept.txt", "events.jsonl", "job.json"} <= {path.name for path in kept}
    for path in kept:
        text = path.read_bytes().decode("utf-8", "replace")
        assert (path.name, traces(text)[:3], traces(text, HEADER)[:3]) == (path.name, [], [])
    pieces = [json.loads(line) for line in done.stdout.splitlines()]
    whole = "".join(piece["delta"] for piece in pieces if piece["type"] == "streamRunResult")
    assert "[redacted]" in whole
    assert traces(whole) == [], "also where pieces are put together"


def canaries(folder: Path) -> dict[str, list[str]]:
    """What holds a trace of the key, below a folder."""
    texts = {path: path.read_bytes().decode("utf-8", "replace") for path in folder.rglob("*") if path.is_file()}
    return {path.name: traces(text)[:2] for path, text in texts.items() if traces(text)}


@pytest.mark.threat("K1", "K6", on="bubblewrap")
@pytest.mark.slow
def test_nothing_that_a_verification_leaves_holds_a_key_of_code_tests_or_output(tmp_path: Path) -> None:
    project = ProjectBuilder(tmp_path / "work")
    says = f"def test_says():\n    print('{KEY}')\n    assert '{KEY}' == ''\n"
    anyio.run(project.commit, "Start", {**FILES, "tests/test_says.py": says})
    (project.path / "calc.py").write_text(f"{FIXED}\nTOKEN = '{KEY}'\n")
    told = tmp_path / "told"
    told.mkdir()

    def command(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        storage = str(tmp_path / "kept")
        done = perstack(*arguments, cwd=project.path, GATEWAY_TOKEN=KEY, PERSTACK_STORAGE_PATH=storage, HOME=str(told))
        (told / name).write_text(done.stdout + done.stderr)
        return done

    done = command("verify", "verify", "--sandbox", "bubblewrap", "--format", "json", "--out", str(tmp_path / "kept"))
    assert (done.returncode, "secret-in-patch" in done.stdout) == (1, True), done.stderr
    (job,) = [path.name for path in (tmp_path / "kept" / "jobs").iterdir()]
    for kind in ("html", "junit"):
        assert command(kind, "report", job, "--format", kind, "--out", str(told / f"report.{kind}")).returncode == 0
    assert command("export", "log", "--export", str(told / "exported")).returncode == 0
    audited = command("audit", "audit", str(tmp_path / "kept"))
    assert "every digest matches" in audited.stdout
    again = command("again", "audit", str(tmp_path / "kept"), "--rerun")
    assert (again.returncode, "does not keep" in again.stderr) == (2, True)
    assert canaries(tmp_path / "kept") == canaries(told) == {}
    assert "median" in (tmp_path / "kept" / "candidate.patch").read_text()


@pytest.mark.threat("K5")
@pytest.mark.slow
def test_a_process_that_crashes_leaves_no_picture_of_its_memory(tmp_path: Path) -> None:
    before = f"ulimit -c unlimited; exec {sys.executable} -m perstack serve --workspace {tmp_path}"
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GATEWAY_TOKEN": KEY, "PYTHONFAULTHANDLER": "1"}
    with subprocess.Popen(["sh", "-c", before], cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True) as served:
        assert served.stderr is not None
        assert served.stderr.readline(), "it is at work"
        limits = Path(f"/proc/{served.pid}/limits").read_text()
        served.send_signal(signal.SIGSEGV)
        _, told = served.communicate(timeout=30)
    assert "Segmentation fault" in told
    assert re.search(r"^Max core file size +1 ", limits, re.MULTILINE)
    assert [*tmp_path.glob("**/core*")] == []
    assert traces(told) == []


@pytest.mark.parametrize("size", [1, 5, 11, 12, 13, 100])
def test_a_secret_in_several_deltas_is_never_shown(size: int) -> None:
    shown: list[str] = []
    relay = DeltaRelay(lambda kind, payload: shown.append(str(payload.get("delta", ""))), Redactor([KEY]))
    text = f"It is {KEY}, and backwards {KEY[::-1]}. " + "Long and harmless words. " * 8
    for at in range(0, len(text), size):
        relay(Delta("text", text[at : at + size]))
    relay.finish(ModelReply((TextPart(text),), StopReason.END))
    assert traces("".join(shown)) == []
    assert "".join(shown).startswith("It is [redacted], and backwards [redacted]. Long")
    assert "".join(shown).endswith("harmless words. ")


def test_without_secrets_a_delta_is_shown_at_once() -> None:
    shown: list[str] = []
    relay = DeltaRelay(lambda kind, payload: shown.append(str(payload.get("delta", ""))))
    relay(Delta("text", "a"))
    assert shown[-1] == "a"

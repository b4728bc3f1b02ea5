"""`perstack models`: what is configured is told without a key, and what is asked is asked for a list only."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from perstack.core.errors import ExitCode
from perstack.interface.main import run

KEY = "sk-very-secret-0123456789"


class Server(BaseHTTPRequestHandler):
    """Lists one model to the right key."""

    asked: list[tuple[str, str]] = []  # noqa: RUF012  # cleared by the fixture

    def do_GET(self) -> None:
        self.asked.append((self.command, self.path))
        good = KEY in (self.headers.get("x-api-key") or "") + (self.headers.get("authorization") or "")
        body: dict[str, Any] = {"data": [{"id": "model-1"}]} if good else {"error": {"message": f"bad {KEY}"}}
        data = json.dumps(body).encode()
        self.send_response(200 if good else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.chdir(tmp_path)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "OPENAI_COMPATIBLE_BASE_URL", "DEEPSEEK_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://127.0.0.1:1")
    Server.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as listening:
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        thread.join(10)


def facts(text: str) -> dict[str, dict[str, Any]]:
    return {each["provider"]: each for each in json.loads(text)}


def test_a_key_is_said_to_be_there_and_never_shown(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server)
    assert run(["models", "--format", "json"]) == ExitCode.OK
    text = capsys.readouterr().out
    found = facts(text)
    assert KEY not in text
    assert Server.asked == []
    assert found["anthropic"]["chosen"]
    assert found["anthropic"]["reached"] is None
    haiku = found["anthropic"]["models"][0]
    assert (haiku["tier"], haiku["id"]) == ("low", "claude-haiku-4-5")
    assert (haiku["contextWindow"], haiku["inputUsdPerMillion"], haiku["outputUsdPerMillion"]) == (200_000, 1.0, 5.0)
    assert found["openai"]["missing"] == "OPENAI_API_KEY is not set"
    assert found["azure-openai"]["missing"] == "AZURE_API_KEY is not set"


def test_a_check_asks_all_that_is_configured_and_tells_each_failure(
    server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong-0123456789")
    monkeypatch.setenv("OPENAI_BASE_URL", f"{server}/v1")
    assert run(["models", "--check", "--format", "json"]) == ExitCode.OK
    text = capsys.readouterr().out
    found = facts(text)
    assert found["anthropic"]["listed"] == ["model-1"]
    assert "OPENAI_API_KEY was rejected (openai, 401)" in found["openai"]["error"]
    assert "no connection to ollama" in found["ollama"]["error"]
    assert KEY not in text
    assert sorted(Server.asked) == [("GET", "/v1/models"), ("GET", "/v1/models?limit=1000")]
    assert run(["models", "--check", "--provider", "openai"]) == ExitCode.INFRASTRUCTURE
    assert "* openai: not reached: OPENAI_API_KEY was rejected" in capsys.readouterr().out


def test_the_chosen_provider_without_its_key_is_a_mistake_of_use(
    server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", "--provider", "deepseek"]) == ExitCode.USAGE
    assert "* deepseek: DEEPSEEK_API_KEY is not set" in capsys.readouterr().out

"""The kind `http` through the verifier: real services in the sandbox, cheating ones, and ill ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.json import JsonObject
from perstack.core.signals import SignalKind, SignalSpec
from perstack.core.verdict import Report, Verdict
from tests.signals.project import Project, codes

pytestmark = [pytest.mark.slow, pytest.mark.anyio]

SERVICE = """\
import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from app import answer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, value = answer(self.path)
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)


HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
BUGGY = """\
def answer(path):
    if path == "/total":
        return 200, {"total": 6, "items": [1, 2, 3], "exact": 1.0}
    return 404, {"error": "not found"}
"""
FIXED = BUGGY.replace('"total": 6', '"total": 6, "currency": "EUR"')
FILES = {"service.py": SERVICE, "app.py": BUGGY, "README.md": "x\n"}
REQUESTS: JsonObject = {
    "requests": [
        {
            "path": "/total",
            "json": {"total": 6, "currency": "EUR", "items": [1, 2, 3], "exact": 1.0},
            "answerHeaders": {"content-type": "^application/json"},
            "within": 20_000,
        },
        {"path": "/nothing", "status": 404, "match": "not found"},
    ]
}
SPEC = SignalSpec(
    "api", SignalKind.HTTP, ("python3", "service.py"), repeat=1, timeout_s=30, expect=REQUESTS,
    options={"startTimeout": 8000},
)  # fmt: skip


def said(report: Report) -> str:
    return " | ".join(reason.detail for reason in report.reasons if reason.signal)


async def test_a_service_that_answers_as_it_must_turns_green(tmp_path: Path) -> None:
    project = Project.make(tmp_path, FILES)
    report = await project.verify({"app.py": FIXED}, SPEC)
    assert (report.verdict, codes(report)) == (Verdict.PASS, set())
    wrong = await project.verify({"app.py": FIXED.replace('"total": 6', '"total": True')}, SPEC)
    assert codes(wrong) == {"still-failing", "nothing-red"}
    assert "GET /total: the JSON body differs at $.total: true, wanted 6" in said(wrong)


async def test_a_service_that_says_the_same_to_everything_proves_nothing(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {**FILES, "app.py": FIXED})
    everything = 'def answer(path):\n    return 200, {"total": 6}\n'
    only_total: JsonObject = {"requests": [{"path": "/total", "match": "total"}]}
    spec = SignalSpec("api", SignalKind.HTTP, SPEC.run, repeat=1, timeout_s=30, expect=only_total)
    report = await project.verify({"app.py": everything}, spec, needs_red=False)
    assert (report.verdict, codes(report)) == (Verdict.FAIL, {"canary-failed"})
    honest = await project.verify({"app.py": FIXED.replace("not found", "unknown")}, spec, needs_red=False)
    assert honest.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("app", "code", "words"),
    [
        ("raise RuntimeError('no')\n", "command-failed", "ended with exit code 1 before it answered"),
        ("import time\ntime.sleep(100)\n", "command-failed", "did not answer on port"),
        (
            "import socket, time\ns = socket.create_server(('127.0.0.1', 45678))\ntime.sleep(99)\n",
            "command-failed",
            "it listens on port 45678",
        ),
        (
            "import time\ndef answer(path):\n    time.sleep(100)\n",
            "command-failed",
            "did not answer on port",
        ),
        (
            "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n",
            "report-missing",
            "was ended",
        ),
        ("import sys\ndef answer(path):\n    return 200, 'x' * 500_000\n", "command-failed", "the body is longer"),
        ("print('x' * 6_000_000)\n" + FIXED, "output-limit", "wrote more than"),
    ],
    ids=["dies", "never-answers", "elsewhere", "hangs", "kills-the-client", "endless-body", "floods"],
)
async def test_ill_services_are_told_and_never_green(tmp_path: Path, app: str, code: str, words: str) -> None:
    project = Project.make(tmp_path, {**FILES, "app.py": FIXED})
    report = await project.verify({"app.py": app}, SPEC, needs_red=False)
    assert report.verdict is not Verdict.PASS
    assert code in codes(report)
    assert words in said(report)


async def test_a_service_that_forks_into_the_background_is_asked_all_the_same(tmp_path: Path) -> None:
    project = Project.make(tmp_path, {**FILES, "app.py": FIXED})
    spec = SignalSpec("api", SignalKind.HTTP, ("sh", "-c", "setsid python3 service.py & sleep 1"), repeat=1,
                      timeout_s=30, expect=REQUESTS)  # fmt: skip
    report = await project.verify({"README.md": "y\n"}, spec, needs_red=False)
    assert report.verdict is Verdict.PASS


async def test_a_module_of_the_tree_cannot_stand_in_for_the_client(tmp_path: Path) -> None:
    project = Project.make(tmp_path, FILES)
    report = await project.verify(
        {"hmac.py": "def new(*a, **k): raise SystemExit(0)\n", "perstack_service.py": "x = 1\n"}, SPEC
    )
    assert report.verdict is Verdict.FAIL
    assert "still-failing" in codes(report)

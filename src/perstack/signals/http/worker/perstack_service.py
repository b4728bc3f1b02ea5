"""A service under test as a child process: start it, wait until it answers, ask it, end it. Runs in the sandbox.

The service has the same user as this program. It cannot look into it (not dumpable), and can at most end it, which
leaves no finish record.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import http.client
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

_BODY_LIMIT = 400_000
_HEADERS_LIMIT = 60_000
_PR_SET_DUMPABLE = 4
_DAEMON_GRACE_S = 2.0


def close_to_others() -> None:
    """Keep processes of the same user from reading this one's memory."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


class Service:
    """One service. `problem` says why it does not answer; empty when it is ready."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self.port: int = wanted["port"] or _free_port()
        self.problem = ""
        self._ready: str = wanted["ready"]
        self._limit: float = wanted["startTimeout"]
        if _connects(self.port):
            self.problem = f"something else listens on port {self.port} already"
            return
        environment = {**os.environ, "PORT": str(self.port), "HOST": "127.0.0.1"}
        try:
            self._child = subprocess.Popen(
                wanted["run"], cwd=wanted["cwd"], env=environment, stdin=subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            self.problem = f"the service could not be started: {error.strerror}"
            return
        self.problem = self._wait()

    def _wait(self) -> str:
        until, ended = time.monotonic() + self._limit, 0.0
        while time.monotonic() < until:
            if _connects(self.port):
                left = max(0.1, until - time.monotonic())
                answer = self.ask({"method": "GET", "path": self._ready}, limit=min(left, 10.0))
                if not str(answer.get("error", "")).startswith("no "):
                    return ""
            code = self._child.poll()
            if code is not None:
                ended = ended or time.monotonic()
                if code or time.monotonic() - ended > _DAEMON_GRACE_S:
                    return f"the service ended with exit code {code} before it answered{self._elsewhere()}"
            time.sleep(0.02)
        return f"the service did not answer on port {self.port} within {self._limit:g} s{self._elsewhere()}"

    def _elsewhere(self) -> str:
        ports = sorted(_listening() - {self.port})
        return f"; it listens on port {', '.join(map(str, ports[:5]))}, not on {self.port} (PORT)" if ports else ""

    def ended(self) -> str:
        """Why the service is not there any more; empty while it is."""
        code = self._child.poll()
        return f"the service ended with exit code {code}" if code else ""

    def ask(self, request: dict[str, Any], *, limit: float) -> dict[str, Any]:
        """Make one request within `limit` seconds: status, headers, body (base64), seconds; or `error`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=limit)
        started, late = time.monotonic(), threading.Event()

        def stop() -> None:
            late.set()
            with contextlib.suppress(OSError):
                if connection.sock is not None:
                    connection.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(limit, stop)
        timer.daemon = True
        timer.start()
        try:
            connection.request(
                request["method"],
                request["path"],
                body=request["body"].encode() if request.get("body") else None,
                headers=request.get("headers", {}),
            )
            return _answer(connection.getresponse(), started)
        except (OSError, http.client.HTTPException, ValueError) as error:
            said = f"no answer within {limit:g} s" if late.is_set() or isinstance(error, TimeoutError) else ""
            return {"error": said or f"no proper answer: {type(error).__name__}: {error}"[:300]}
        finally:
            timer.cancel()
            connection.close()

    def end(self) -> None:
        """Kill what the service started, as far as it stayed in its session; the sandbox ends the rest."""
        if hasattr(self, "_child"):
            with contextlib.suppress(OSError):
                os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()


def _answer(response: http.client.HTTPResponse, started: float) -> dict[str, Any]:
    headers = response.getheaders()
    if sum(len(name) + len(value) for name, value in headers) > _HEADERS_LIMIT:
        return {"error": f"the headers are longer than {_HEADERS_LIMIT} bytes"}
    body = response.read(_BODY_LIMIT + 1)
    if len(body) > _BODY_LIMIT:
        return {"error": f"the body is longer than {_BODY_LIMIT} bytes"}
    return {
        "status": response.status,
        "headers": [[name.lower(), value] for name, value in headers],
        "body": base64.b64encode(body).decode(),
        "seconds": round(time.monotonic() - started, 4),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _connects(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.5).close()
    except OSError:
        return False
    return True


def _listening() -> set[int]:
    """Ports that somebody listens on in this network namespace."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            for line in Path(table).read_text().splitlines()[1:]:
                words = line.split()
                if words[3] == "0A":
                    found.add(int(words[1].rpartition(":")[2], 16))
    return found

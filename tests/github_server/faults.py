"""Switches for what goes wrong on the way: each fault hits the next requests that match, then is used up."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field

from tests.github_server.answers import DOCS, Answer


@dataclass
class Fault:
    """What happens to matching requests.

    `kind`: `status` answers with `status` unseen by the server; `hidden` does the work and then answers with `status`;
    `drop` closes the connection; `drop-after` does the work first; `slow` waits `seconds` and then works;
    `secondary` is a 403 of the secondary rate limit, `primary` one of the primary.
    """

    kind: str
    method: str = ""
    path: str = ""
    times: int = 1
    status: int = 502
    seconds: float = 0.0
    message: str = "Server Error"
    retry_after: str = ""
    location: str = ""  # of a redirect
    hits: int = 0

    def matches(self, method: str, path: str) -> bool:
        """Whether this request is hit."""
        return self.hits < self.times and self.method in {"", method} and re.search(self.path, path) is not None

    def answer(self) -> Answer:
        """The answer that stands in for the real one."""
        if self.kind in {"secondary", "primary"}:
            text = {
                "secondary": "You have exceeded a secondary rate limit. Please wait a few minutes.",
                "primary": "API rate limit exceeded for installation.",
            }[self.kind]
            headers = {"Retry-After": self.retry_after} if self.retry_after else {}
            return Answer(403, {"message": text, "documentation_url": DOCS}, headers)
        headers = {"Location": self.location} if self.location else {}
        return Answer(self.status, {"message": self.message, "documentation_url": DOCS}, headers)


@dataclass
class Faults:
    """The faults to come."""

    faults: list[Fault] = field(default_factory=list)
    hit_at: list[float] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, fault: Fault) -> Fault:
        """Arm a fault."""
        with self._lock:
            self.faults.append(fault)
        return fault

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that hits this request, counted."""
        with self._lock:
            for fault in self.faults:
                if fault.matches(method, path):
                    fault.hits += 1
                    self.hit_at.append(time.monotonic())
                    return fault
        return None

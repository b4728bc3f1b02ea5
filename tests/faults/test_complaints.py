"""What programs of ours complain of the machine is told as the machine's, and not as a wrong repository."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from requests.exceptions import ReadTimeout

from perstack.core.errors import SandboxUnavailable
from perstack.core.faults import fault_in
from perstack.infrastructure.sandbox.docker_container import connected, first_sentence


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("fatal: unable to fork\n", "ulimit -u"),
        (
            "error: cannot fork() for upload-pack: Resource temporarily unavailable\nfatal: Could",
            "ulimit -u",
        ),
        ("warning: x\nfatal: cannot copy 'a' to 'b': No space left on device\n", "Free some space"),
        ("error: unable to create temporary file: Too many open files", "ulimit -n"),
        ("fatal: Out of memory, malloc failed (tried to allocate 9 bytes)", "more memory"),
        ("fatal: bad revision 'No space left on device'", ""),
        ("No space left on device", ""),
        ("fatal: not a git repository", ""),
        ("", ""),
    ],
)
def test_the_end_of_a_complaint_says_whether_the_machine_is_meant(words: str, hint: str) -> None:
    found = fault_in(words)
    assert (found is not None) == bool(hint), found
    assert found is None or hint in found[1]


NONSENSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 1\r\n\r\n<"
ANSWERS = {"broke the connection off": b"", "cannot be read": NONSENSE}


@pytest.mark.parametrize("told", ANSWERS)
def test_what_is_no_engine_is_told_in_words_of_ours_with_what_to_do(tmp_path: Path, told: str) -> None:
    def serve() -> None:
        with suppress(OSError):
            while True:
                taken = server.accept()[0]
                with taken, suppress(OSError):  # the first only looks whether somebody listens
                    taken.recv(65536)
                    taken.sendall(ANSWERS[told])

    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "e"))
        server.listen(8)
        serving = threading.Thread(target=serve)
        serving.start()
        with pytest.raises(SandboxUnavailable, match=told) as refused:  # noqa: SIM117  # one block, one error
            with connected(f"unix://{tmp_path / 'e'}", timeout_s=10) as client:
                client.info()
        server.shutdown(socket.SHUT_RDWR)
        serving.join()
    assert "bubblewrap" in refused.value.hint


def test_an_error_of_an_engine_without_words_is_told_too() -> None:
    assert first_sentence(OSError()) == "OSError"
    assert first_sentence(ReadTimeout("HTTPConnectionPool(…): Read timed out. (read timeout=9)")).endswith("in time")

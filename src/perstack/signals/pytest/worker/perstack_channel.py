"""The runner's end of the results channel: records that are numbered and authenticated, and one way to leave.

Lies beside the runners in the sandbox. The verifier's end is `signals/channel.py`.
"""
# os.path is loaded anyway; pathlib would be one more module that the code under test can touch.
# ruff: noqa: PTH119, PTH120

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    Emit = Callable[[dict[str, Any]], None]


def open_channel(path: str, nonce: str) -> Emit:
    """Connect and return the only function that can send. Records are numbered and authenticated."""
    folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # through /proc because the path may be longer than a socket address can be
    connection.connect("/proc/self/fd/%d/%s" % (folder, os.path.basename(path)))  # noqa: UP031
    os.close(folder)
    key, sequence, owner = nonce.encode(), itertools.count(), os.getpid()
    send, new, sha256, encode, pid = connection.sendall, hmac.new, hashlib.sha256, json.dumps, os.getpid

    def emit(record: dict[str, Any]) -> None:
        if pid() != owner:
            return  # a forked child of the code under test has nothing to say
        body = encode([next(sequence), record]).encode()
        send(new(key, body, sha256).hexdigest().encode() + b" " + body + b"\n")

    os.register_at_fork(after_in_child=connection.close)
    return emit

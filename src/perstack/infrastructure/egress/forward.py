"""Runs inside a sandbox, by itself: takes connections on loopback and passes their bytes to a socket. Decides nothing.

Arguments: the socket's path, the port. Says `ready` on its standard output, and closes it, once it listens; or where
an earlier one does already, and ends.
"""

import errno
import os
import socket
import sys
import threading
from contextlib import suppress


def copy(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until there are no more, then say so to the other side."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def join(client: socket.socket, path: str) -> None:
    """One connection, both ways, to its end."""
    with client, socket.socket(socket.AF_UNIX) as proxy:
        try:
            proxy.connect(path)
        except OSError:
            return
        back = threading.Thread(target=copy, args=(proxy, client), daemon=True)
        back.start()
        copy(client, proxy)
        back.join()


def main() -> None:
    """Listen for ever."""
    path, port = sys.argv[1], int(sys.argv[2])
    try:
        listener = socket.create_server(("127.0.0.1", port), backlog=128)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            os.write(1, b"ready\n")
        return
    os.write(1, b"ready\n")
    os.close(1)
    while True:
        with suppress(OSError):
            client = listener.accept()[0]
            threading.Thread(target=join, args=(client, path), daemon=True).start()


main()

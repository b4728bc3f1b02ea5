"""A program served by a container: a way out for each stream, so that neither waits for a reader of the other.

Those are two connections, or with Podman a connection and a pipe: it hands everything to every connection.

Its environment is written to its first words over standard input. Kept in the container's own settings it would lie
on the engine's disk, and values of `requiredEnv` are secrets.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
import docker
from docker.errors import DockerException
from docker.models.containers import Container
from requests.exceptions import RequestException

from perstack.core.errors import SandboxUnavailable
from perstack.infrastructure.sandbox.channel import STDERR, STDOUT
from perstack.infrastructure.sandbox.docker_container import first_sentence
from perstack.infrastructure.sandbox.docker_stream import Attached, NamedPipe
from perstack.infrastructure.sandbox.service import ENDED, KEPT_HOME_SCRIPT, passable

_READ_ENVIRONMENT = """unset TERM container
words=
while IFS= read -r line && [ "$line" != "$1" ]; do
  words="$words$line
"
done
[ "$line" = "$1" ] || exit 125
shift
eval "$words"
unset words line
"""


def first_words(argv: Sequence[str], before: str = "", errors: str = "") -> tuple[str, list[str]]:
    """The mark that `first_lines` end with, and the words of `/bin/sh` that read them and become `argv`.

    `before` are further shell lines that have the environment already; `errors` is a file that takes standard error.
    """
    mark = secrets.token_hex(16)
    apart = f"exec 2>{shlex.quote(errors)}\n" if errors else ""
    script = f'{apart}{KEPT_HOME_SCRIPT}\n{_READ_ENVIRONMENT}\n{before}\nexec "$@"'
    return mark, ["-c", script, "sh", mark, *argv]


def first_lines(environment: Mapping[str, str], mark: str) -> bytes:
    """The environment as shell lines of quoted words, and the mark."""
    values, odd = passable(environment)
    lines = [f"export {name}={shlex.quote(value)}" for name, value in values.items()]
    return "\n".join([*lines, odd, mark, ""]).encode("utf-8", "surrogateescape")


@dataclass(slots=True)
class DockerService:
    """See `core.contracts.Service`."""

    client: docker.DockerClient
    container: Container
    out: Attached
    err: Attached | NamedPipe
    _one_thread: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(1))
    _code: int | None = None
    _over: bool = False

    async def send(self, data: bytes) -> None:
        """See `core.contracts.Service.send`."""
        if self._over:  # the engine keeps its connection open for a while, and takes what nobody will read
            raise SandboxUnavailable(ENDED)
        try:
            await self.out.send(data)
        except (anyio.ClosedResourceError, OSError) as error:
            raise SandboxUnavailable(ENDED) from error

    async def receive(self) -> bytes:
        """See `core.contracts.Service.receive`."""
        return self._noted(await _bytes(self.out.readers[0], STDOUT))

    async def receive_errors(self) -> bytes:
        """See `core.contracts.Service.receive_errors`."""
        return self._noted(await _bytes(self.err.readers[0], STDERR))

    async def wait(self) -> int:
        """See `core.contracts.Service.wait`. Raises: SandboxUnavailable where the engine does not answer."""
        # A limiter of its own: the thread waits as long as the program runs, and must not hold up others.
        return await anyio.to_thread.run_sync(self._ended, abandon_on_cancel=True, limiter=self._one_thread)

    def _noted(self, data: bytes) -> bytes:
        if not data:
            self._end()
        return data

    def _end(self) -> None:
        self._over = True
        if isinstance(self.err, NamedPipe):
            self.err.release()

    def _ended(self) -> int:
        if self._code is None:
            try:
                self._code = int(self.client.api.wait(str(self.container.id), timeout=None)["StatusCode"])
            except (DockerException, RequestException, OSError) as error:
                raise SandboxUnavailable(f"Docker: {first_sentence(error)}") from error
        self._end()
        return self._code


async def _bytes(reader: Callable[[], Awaitable[tuple[int, bytes]]], wanted: int) -> bytes:
    """What comes next of one stream. Podman sends both over a connection that asked for one."""
    try:
        while True:
            stream, data = await reader()
            if stream == wanted or not data:
                return data
    except (anyio.EndOfStream, anyio.ClosedResourceError, OSError):
        return b""

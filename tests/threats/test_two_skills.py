"""Two skills with domains of their own: each has its own way out, and neither the other's."""

from __future__ import annotations

import anyio
import pytest

from perstack.core.sandbox import Network
from perstack.infrastructure.egress.proxy import open_egress
from tests.infrastructure.egress.world import skip_without_tools

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


def _unheard(*_: object) -> None:
    """Decisions are not looked at here."""


async def answer(network: Network, name: str) -> int:
    """The proxy's status for a connection to `name`; no such name exists, so an allowed one is a failure of its own."""
    with anyio.fail_after(30):
        async with await anyio.connect_unix(network.socket) as stream:
            await stream.send(f"CONNECT {name}:443 HTTP/1.1\r\n\r\n".encode())
            return int((await stream.receive()).split()[1])


@pytest.mark.threat("D13")
async def test_neither_skill_goes_where_the_other_may() -> None:
    skip_without_tools()
    async with (
        open_egress(["one.invalid"], lambda *_: None) as one,
        open_egress(["two.invalid"], lambda *_: None) as two,
    ):
        assert (await answer(one, "two.invalid"), await answer(two, "one.invalid")) == (403, 403)
        assert {await answer(one, "one.invalid"), await answer(two, "two.invalid")} <= {500, 503}

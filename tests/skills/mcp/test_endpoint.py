"""Which addresses a remote skill may be at. Names are judged by where they lead, not by how they look."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest

from perstack.skills.mcp.contract import SkillUnavailable
from perstack.skills.mcp.endpoint import PUBLIC_HTTPS, Policy, check, is_public

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1",
        "169.254.169.254", "100.64.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::",
        "2001:0:0:0:0:0:f5ff:fffe",
    ],
)  # fmt: skip
def test_an_address_that_is_not_of_the_public_internet_is_closed(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "172.32.0.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_a_public_address_is_open(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def leads_to(*addresses: str) -> Policy:
    """The strict policy with a name service of our own."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return Policy(resolve=resolve)


@pytest.mark.parametrize(
    ("url", "addresses", "words"),
    [
        ("http://tools.example.com/mcp", ["1.1.1.1"], "MCP SSE endpoint must use HTTPS: http://tools.example.com/mcp"),
        ("ftp://tools.example.com/", ["1.1.1.1"], "must use HTTPS"),
        ("https://tools.example.com/mcp", ["10.0.0.7"], "MCP SSE endpoint cannot use private/local IP: https://tools"),
        ("https://tools.example.com/mcp", ["1.1.1.1", "127.0.0.1"], "tools.example.com is at 127.0.0.1"),
        ("https://tools.example.com/mcp", [], "cannot use private/local IP"),
        ("https://user:pass@tools.example.com/", ["1.1.1.1"], "no user or password"),
        ("https:///mcp", ["1.1.1.1"], "must have a host"),
        ("https://tools.example.com:banana/", ["1.1.1.1"], "is no URL"),
    ],
)
async def test_an_endpoint_that_is_not_public_https_is_refused(url: str, addresses: list[str], words: str) -> None:
    with pytest.raises(SkillUnavailable, match=words):
        await check(url, leads_to(*addresses))


async def test_every_checked_address_is_kept_for_the_connection() -> None:
    endpoint = await check("https://tools.example.com/mcp", leads_to("2606:4700::1111", "1.1.1.1"))
    assert (endpoint.host, endpoint.port) == ("tools.example.com", 443)
    assert endpoint.addresses == ("2606:4700::1111", "1.1.1.1")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "2130706433", "[::ffff:127.0.0.1]"])
async def test_this_machine_is_closed_to_the_policy_for_everybody_however_it_is_written(host: str) -> None:
    with pytest.raises(SkillUnavailable, match=r"cannot use private/local IP|has no address"):
        await check(f"https://{host}/sse", PUBLIC_HTTPS)

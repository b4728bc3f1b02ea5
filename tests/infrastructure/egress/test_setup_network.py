"""What set-up can reach: the attacks on its network, made for real as its commands. What they want is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.infrastructure.egress.scene_addresses import OTHER, PUBLIC, PUBLIC6
from tests.infrastructure.egress.world import play, skip_without_tools
from tests.infrastructure.sandboxes import BACK_ENDS, back_end

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

# CONNECT targets that are refused, and why.
BLOCKED = {
    "inside.example:443": "private",
    "metadata.example:443": "private",
    "loop.example:443": "private",
    "inside6.example:443": "private",
    "mapped.example:443": "private",
    "azure.example:443": "private",
    "mixed.example:443": "private",
    "metadata.google.internal:443": "private",
    "host.docker.internal:443": "private",
    "allowed.example:80": "ports",
    "allowed.example:2375": "ports",
    "169.254.169.254:443": "Addresses",
    "[::ffff:10.1.2.3]:443": "Addresses",
    "2130706433:443": "Addresses",
    "0x7f000001:443": "Addresses",
}
WANTED: dict[str, Any] = {
    "network": [True, [], ["http://inside.example:2375", "https://metadata.example:443"]],
    "fetch": [
        "https://allowed.example/", "http://other.example/", "https://six.example/", "http://inside.example:2375/",
        "http://inside.example/", "http://allowed.example:2375/", "http://metadata.example/", "http://10.1.2.3/",
        "http://azure.example/machine?comp=goalstate",
    ],
    "connect": ["rebind.example:443", "REBIND.example:443", *BLOCKED],
    "raw": [
        "POST http://allowed.example/ HTTP/1.1\r\nHost: allowed.example\r\nContent-Length: 6\r\n\r\nsecret",
        "GET http://inside.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: inside.example\r\n\r\n",
        "GET /squid-internal-mgr/menu HTTP/1.1\r\nHost: perstack\r\n\r\n",
        "GET http://perstack/squid-internal-mgr/menu HTTP/1.1\r\nHost: perstack\r\n\r\n",
        "GET cache_object://localhost/config HTTP/1.0\r\n\r\n",
        "GET ftp://allowed.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
        "GET http://allowed.example@inside.example/ HTTP/1.1\r\nHost: allowed.example\r\n\r\n",
    ],
    "direct": [[PUBLIC, 443], ["169.254.169.254", 80], ["172.17.0.1", 2375], ["127.0.0.53", 53], [PUBLIC6, 443]],
    "resolve": ["allowed.example"],
    "unset": ["https://allowed.example/", "http://10.1.2.3/"],
}  # fmt: skip


@pytest.mark.threat("E5", "E6")
@pytest.mark.parametrize("name", BACK_ENDS)
async def test_set_up_reaches_public_hosts_and_its_mirror_through_the_proxy_and_nothing_else(
    name: str, tmp_path: Path
) -> None:
    skip_without_tools()
    await back_end(name, tmp_path / "cache")
    found = play(name, tmp_path, "", WANTED)
    fetched = found["fetch"]
    assert fetched.pop("https://allowed.example/") == f"200 hello from {PUBLIC}"
    assert fetched.pop("http://other.example/") == f"200 hello from {OTHER}"
    assert fetched.pop("https://six.example/") == f"200 hello from {PUBLIC6}"
    assert fetched.pop("http://inside.example:2375/") == "200 hello from 10.1.2.3"
    assert all("403" in answer for answer in fetched.values()), fetched
    connected = found["connect"]
    assert all(" 200 " in connected.pop(f"{name}.example:443") for name in ("rebind", "REBIND"))
    assert {target for target, answer in connected.items() if " 403 " not in answer} == set()
    assert all(answer.split()[1] in {"400", "403", "404"} for answer in found["raw"]), found["raw"]
    reached = {f"{PUBLIC} 443", f"{OTHER} 80", f"{PUBLIC6} 443", "10.1.2.3 2375"}
    assert found["reached"].keys() == reached
    assert all(e["setup"] is True for e in found["events"] if e["kind"] == "proxyAccess")
    told = {(f"{e['domain']}:{e['port']}", e.get("reason", "")) for e in found["events"] if e["action"] == "blocked"}
    for target, word in BLOCKED.items():
        if target[0].isalpha():
            assert any(word in reason for place, reason in told if place == target), (target, told)
    assert {e["domain"] for e in found["events"] if e["action"] == "allowed"} >= {"allowed.example", "inside.example"}
    assert all(answer.startswith("failed") for answer in (*found["direct"], *found["resolve"])), found
    assert all(answer.startswith("failed") for answer in found["unset"].values()), found["unset"]


async def test_names_narrow_it_and_without_network_there_is_no_way_out(tmp_path: Path) -> None:
    skip_without_tools()
    await back_end("bubblewrap", tmp_path / "cache")
    targets = ["allowed.example:443", "other.example:443", "api.wild.example:443", "wild.example:443",
               "notwild.example:443", "ALLOWED.EXAMPLE.:443"]  # fmt: skip
    for part, network in (("named", [True, ["allowed.example", "*.wild.example"], []]), ("none", [False, [], []])):
        (tmp_path / part).mkdir()
        found = play("bubblewrap", tmp_path / part, "", {"network": network, "connect": targets})
        through = {target for target, answer in found["connect"].items() if " 200 " in answer}
        named = {"allowed.example:443", "api.wild.example:443", "ALLOWED.EXAMPLE.:443"}
        assert through - {"ALLOWED.EXAMPLE.:443"} == (named - {"ALLOWED.EXAMPLE.:443"} if part == "named" else set())
        assert "other.example 1" not in found["asked"]

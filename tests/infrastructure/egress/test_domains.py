"""Names a skill may reach, and what the proxy's log is read as."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.errors import UserError
from perstack.infrastructure.egress.domains import Mirror, mirror, proxy_names
from perstack.infrastructure.egress.own_networks import own_networks
from perstack.infrastructure.egress.squid import decision


def test_names_are_put_as_the_proxy_wants_them() -> None:
    given = [
        "B.example",
        "*.a.example",
        "x.a.example",
        "a.example",
        "*.y.a.example",
        "na.example",
        "b.example.",
        "b.example",
    ]
    assert proxy_names(given) == (".a.example", "b.example", "na.example")


WRONG = [
    "", "*", "*.", "localhost", "a.*.example", "**.example", "*a.example", "http://a.example", "a.example/x",
    "a.example:443", "a_b.example", "-a.example", "a-.example", "a..example", ".example", "10.0.0.1", "1.2.3.4", "::1",
    "[::1]", "0x7f.1", "xn--e1afmkfd.example", "a.xn--p1ai", "exämple.com", "a.example\nhttp_access allow all",
    "a.example b.example", "a.example\r", "a.example\0", "a." * 130 + "example",
]  # fmt: skip


@pytest.mark.parametrize("domain", WRONG)
def test_what_is_no_name_is_refused(domain: str) -> None:
    with pytest.raises(UserError, match="allowedDomains"):
        proxy_names(["fine.example", domain])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("TCP_TUNNEL 200 CONNECT a.example:443 allowed", ("allowed", "a.example", 443, None)),
        ("NONE_NONE 503 CONNECT a.example:443 allowed", ("allowed", "a.example", 443, "could not be reached (503)")),
        ("TCP_DENIED 403 CONNECT b.example:443 domain", ("blocked", "b.example", 443, "Domain not in allowlist")),
        ("TCP_DENIED 403 GET http://b.example/x method", ("blocked", "b.example", 80, "Only HTTPS")),
        ("TCP_DENIED 403 GET https://u@b.example/x:1 method", ("blocked", "b.example", 443, "Only HTTPS")),
        ("TCP_DENIED 403 CONNECT [::1]:443 address", ("blocked", "::1", 443, "Addresses")),
    ],
)
def test_a_line_of_the_log_is_a_decision(line: str, expected: tuple[str, str, int, str | None]) -> None:
    found = decision(line)
    assert found is not None
    action, domain, port, reason = expected
    assert (found["action"], found["domain"], found["port"]) == (action, domain, port)
    assert (reason is None) is ("reason" not in found)
    assert (reason or "") in str(found.get("reason", ""))


@pytest.mark.parametrize("line", ["", "-", "TCP_DENIED 403 CONNECT a:443 -", "one two three", "a b c d e f"])
def test_other_lines_tell_nothing(line: str) -> None:
    assert decision(line) is None


def test_a_mirror_is_a_scheme_a_host_and_a_port() -> None:
    assert mirror("https://Mirror.example./simple/?x") == Mirror("https", "mirror.example", 443)
    assert mirror("http://10.0.0.5:3141") == Mirror("http", "10.0.0.5", 3141)


def test_the_networks_of_this_machine_are_its_own_and_never_the_way_to_all_others(tmp_path: Path) -> None:
    ways = [("eth0", "00000000", 3, "00000000"), ("eth0", "0002A8C0", 1, "00FFFFFF"), ("lan", "00000005", 1, "0000FF"),
            ("wg0", "00000000", 1, "00000080"), ("wg0", "00000080", 1, "00000080")]  # fmt: skip
    lines = [f"{name}\t{to}\t00000000\t{flags:04X}\t0\t0\t0\t{mask}\t0" for name, to, flags, mask in ways]
    (tmp_path / "route").write_text("\n".join(["Iface\tDestination\t…", *lines]))
    six = "20010db8000000010000000000000005 02 40 00 80"
    (tmp_path / "if_inet6").write_text(f"{six} eth0\n{'0' * 31}1 01 80 10 80 lo\n")
    assert own_networks(tmp_path) == ("192.168.2.0/24", "2001:db8:0:1::/64", "5.0.0.0/8")
    assert own_networks(tmp_path / "none") == ()


@pytest.mark.parametrize(
    "url",
    ["", "mirror.example", "ftp://a.example", "https://", "https://a.example:x", "https://a.example:99999",
     "https://[::1]/", "https://a b.example", "https://a.example\nhttp_access allow all", "https://a..example"],
)  # fmt: skip
def test_what_is_no_mirror_is_refused(url: str) -> None:
    with pytest.raises(UserError, match="setupMirrors"):
        mirror(url)

"""Definitions from a remote host: from one host only, over checked TLS, never by a redirect, never without end.

A real TLS server on loopback answers for the host's name; it is reached through a real CONNECT proxy.
"""

from __future__ import annotations

import datetime as dt
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from perstack.api.configuration import read_config
from perstack.core.errors import UserError
from perstack.infrastructure.remote import HOST, Route, fetch, is_remote
from perstack.interface.commands.experts import command as experts

URL = f"https://{HOST}/acme/experts/main/perstack.toml"
DEFINITION = b'model = "m"\n[experts.far]\ninstruction = "x"\n'


def certificate(folder: Path, name: str) -> Path:
    """A self-signed certificate for `name` with its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


def answered(status: str, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Remote:
    """A CONNECT proxy whose only far end is a TLS server in the same thread. `asked` records both requests' lines."""

    def __init__(self, pem: Path, answer: Callable[[ssl.SSLSocket], None]) -> None:
        self.asked: list[str] = []
        self._answer = answer
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.proxy = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
            with connection:
                connection.settimeout(5)
                self.asked.append(head(connection))
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                with self._context.wrap_socket(connection, server_side=True) as secure:
                    self.asked.append(head(secure))
                    self._answer(secure)
        except OSError:
            return  # the client left, which some of the tests are about


def head(connection: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(4096)
        if not piece:
            raise ConnectionError
        data += piece
    return data.decode().splitlines()[0]


@contextmanager
def remote(
    folder: Path, answer: bytes | Callable[[ssl.SSLSocket], None], name: str = HOST
) -> Iterator[tuple[Remote, Route]]:
    pem = certificate(folder, name)
    server = Remote(pem, answer if callable(answer) else lambda secure: secure.sendall(answer))
    try:
        yield server, Route(server.proxy, partial(ssl.create_default_context, cafile=str(pem)), timeout_s=5.0)
    finally:
        server.close()


def test_a_definition_is_fetched_over_tls_through_the_proxy(tmp_path: Path) -> None:
    with remote(tmp_path, answered("200 OK", DEFINITION)) as (server, route):
        text = fetch(f"{URL}?token=x", route)

    assert text == DEFINITION.decode()
    assert [line.rpartition(" ")[0] for line in server.asked] == [
        f"CONNECT {HOST}:443",
        "GET /acme/experts/main/perstack.toml?token=x",
    ]


def test_a_configuration_can_be_an_address(tmp_path: Path) -> None:
    with remote(tmp_path, answered("200 OK", DEFINITION)) as (_, route):
        config = read_config(URL, route)

    assert (config.model, config.path) == ("m", URL)
    assert "far" in config.experts


def test_a_wrong_definition_is_told_with_its_address(tmp_path: Path) -> None:
    with (
        remote(tmp_path, answered("200 OK", b'maxSteps = "x"')) as (_, route),
        pytest.raises(UserError, match=re.escape(f'expected a whole number, got "x" ({URL}:1)')),
    ):
        read_config(URL, route)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (f"http://{HOST}/x", "Remote config requires HTTPS"),
        (f"HTTP://{HOST}/x", "Remote config requires HTTPS"),
        ("https://example.com/perstack.toml", f"Remote config only allowed from: {HOST}"),
        (f"https://{HOST}.example.com/x", f"Remote config only allowed from: {HOST}"),
        (f"https://{HOST}./x", f"Remote config only allowed from: {HOST}"),
        (f"https://{HOST}:8443/x", f"Remote config only allowed from: {HOST}"),
        (f"https://example.com/{HOST}", f"Remote config only allowed from: {HOST}"),
        (f"https://{HOST}@example.com/x", "Invalid remote config URL: "),
        (f"https://user:secret@{HOST}/x", "Invalid remote config URL: "),
        (f"https://{HOST}/a b", "Invalid remote config URL: "),
        (f"https://{HOST}/a\r\nX: y", "Invalid remote config URL: "),
        ("https://", "Invalid remote config URL: https://"),
        ("https://[bad/x", "Invalid remote config URL: https://[bad/x"),
        (f"https://{HOST}:port/x", "Invalid remote config URL: "),
    ],
)
def test_another_place_is_refused_before_anything_is_asked(url: str, message: str) -> None:
    assert is_remote(url)
    with pytest.raises(UserError) as caught:
        read_config(url, Route("http://127.0.0.1:9"))

    assert caught.value.message.startswith(message)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (answered("302 Found", b"", f"Location: {URL}2"), "it answered 302, and redirects are not followed"),
        (answered("301 Moved", b"", "Location: https://evil.example.com/"), "it answered 301, and redirects"),
        (answered("404 Not Found", b"no"), "it answered 404"),
        (answered("500 Oops", b"no"), "it answered 500"),
        (answered("200 OK", b"\xff\xfe"), "it is not UTF-8 text (byte 0)"),
        (answered("200 OK", b"#" * 1_000_001), "it is larger than 1000000 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "it ended 95 bytes too early"),
        (b"nonsense\r\n\r\n", "nonsense"),
    ],
)  # fmt: skip
def test_an_answer_that_is_no_definition_is_refused(tmp_path: Path, answer: bytes, why: str) -> None:
    with remote(tmp_path, answer) as (_, route), pytest.raises(UserError) as caught:
        fetch(URL, route)

    assert caught.value.message.startswith("Failed to fetch remote config: ")
    assert why in caught.value.message


def test_an_answer_that_never_ends_is_left_at_the_deadline(tmp_path: Path) -> None:
    stop = threading.Event()

    def drip(secure: ssl.SSLSocket) -> None:
        secure.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stop.wait(0.02):
            secure.sendall(b"#")

    with remote(tmp_path, drip) as (_, route):
        with pytest.raises(UserError, match="Failed to fetch remote config: no answer in time"):
            fetch(URL, Route(route.proxy, route.trust, timeout_s=0.3))
        stop.set()


def test_a_certificate_of_another_name_is_refused(tmp_path: Path) -> None:
    with (
        remote(tmp_path, answered("200 OK", DEFINITION), name="example.com") as (server, route),
        pytest.raises(UserError, match=r"Failed to fetch remote config: .*certificate"),
    ):
        fetch(URL, route)
    assert len(server.asked) == 1


def test_a_proxy_that_is_not_there_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UserError, match="Failed to fetch remote config: "):
        fetch(URL, Route(f"127.0.0.1:{port}"))


def test_a_file_name_is_no_address() -> None:
    assert not is_remote("perstack.toml")
    assert not is_remote("ftp://x/perstack.toml")
    assert is_remote("HTTPS://x")


def test_a_command_takes_an_address_as_it_is_written() -> None:
    arguments = ["--config", "https://example.com//a/../perstack.toml"]

    with pytest.raises(UserError, match=f"Remote config only allowed from: {re.escape(HOST)}"):
        CliRunner().invoke(experts, arguments, standalone_mode=False, catch_exceptions=False)


def test_a_command_still_takes_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(DEFINITION)

    printed = CliRunner().invoke(
        experts, ["--config", str(tmp_path / "mine.toml")], standalone_mode=False, catch_exceptions=False
    )

    assert "far" in printed.output.splitlines()

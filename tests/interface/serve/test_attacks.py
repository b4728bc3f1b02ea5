"""`perstack serve` attacked over real connections, and fed with requests made from its own description."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from perstack.core.errors import UserError
from perstack.interface.main import run
from perstack.interface.serve.server import names_of
from perstack.interface.serve.token import token_of
from tests.interface.model import model
from tests.interface.scripts import Desk
from tests.interface.serve.front import Front, openapi_text, serving

ROOT = Path(__file__).parent.parent.parent.parent
DOCUMENT: Mapping[str, Any] = json.loads((ROOT / "docs" / "serve.openapi.json").read_text())
OPERATIONS = [
    (method, path, told) for path, methods in DOCUMENT["paths"].items() for method, told in methods.items()
]  # fmt: skip
PUBLIC = {"/v1/health", "/openapi.json"}


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    """A server in a folder that is no repository: what a request starts there ends at once."""
    with model({"APP": ["Done."]}) as server:
        desk = Desk(tmp_path_factory.mktemp("attacked"), server)
        with serving(
            desk, "--heartbeat", "0.2", "--max-queue", "100", "--allow-origin", "https://tool.example"
        ) as found:
            yield found


def test_the_written_description_is_the_codes_own_and_every_schema_in_it_is_one() -> None:
    assert (ROOT / "docs" / "serve.openapi.json").read_text() == openapi_text(), "python -m tests.interface.serve.front"
    for schema in DOCUMENT["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    names = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(DOCUMENT)))
    assert names <= set(DOCUMENT["components"]["schemas"])
    assert len({told["operationId"] for _, _, told in OPERATIONS}) == len(OPERATIONS)
    for _, path, told in OPERATIONS:
        placed = {one["name"] for one in told.get("parameters", ()) if one["in"] == "path"}
        assert placed == set(re.findall(r"\{(\w+)\}", path))


@pytest.mark.slow
def test_nothing_but_health_and_the_description_is_told_without_the_token(front: Front) -> None:
    assert front("GET", "/openapi.json", authorization="").json == DOCUMENT
    for method, path, _ in OPERATIONS:
        place = path.replace("{job}", "x").replace("{path}", "y")
        for token in ("", "wrong", front.token[:-1], front.token + "x", front.token.swapcase(), "ü"):
            given_token = f"Bearer {token}".encode().decode("latin-1")
            answer = front(method.upper(), place, authorization=given_token)
            if path in PUBLIC:
                assert answer.status == 200
            else:
                assert (answer.kind, answer.headers["www-authenticate"]) == ("no-token", "Bearer")
                assert front.token.encode() not in answer.body
    for scheme in ("Basic", "Token", ""):
        assert front("GET", "/v1/jobs", authorization=f"{scheme} {front.token}").kind == "no-token"
    for name in ("token", "access_token", "API-Key"):
        assert front("GET", f"/v1/jobs?{name}={front.token}").kind == "token-in-address"
    assert "set-cookie" not in front("GET", "/v1/jobs").headers


@pytest.mark.slow
def test_other_names_and_pages_of_other_origins_are_refused(front: Front) -> None:
    port = front.port
    for host in (
        "evil.example",
        f"evil.example:{port}",
        "127.0.0.1",
        "localhost:1",
        f"localhost.evil.example:{port}",
        "",
    ):
        assert front("GET", "/v1/health", host=host).kind == "wrong-host"
    assert front("GET", "/v1/health", host=f"LOCALHOST:{port}").status == 200
    for origin in ("http://evil.example", "null", f"http://localhost:{port}", "https://tool.example.evil.example"):
        refused = front("GET", "/v1/jobs", origin=origin)
        assert refused.kind == "foreign-origin"
        assert "access-control-allow-origin" not in refused.headers
    assert front("GET", "/v1/jobs", sec_fetch_site="cross-site").kind == "foreign-origin"
    allowed = front("GET", "/v1/jobs", origin="https://tool.example")
    assert (allowed.status, allowed.headers["access-control-allow-origin"]) == (200, "https://tool.example")
    asked = front(
        "OPTIONS", "/v1/jobs", origin="https://tool.example", access_control_request_method="POST", authorization=""
    )
    assert (asked.status, asked.headers["access-control-allow-headers"]) == (
        204,
        "authorization, content-type, last-event-id",
    )


@pytest.mark.slow
def test_broken_requests_end_as_requests_and_never_as_two(front: Front) -> None:
    head = f"POST /v1/jobs HTTP/1.1\r\nHost: 127.0.0.1:{front.port}\r\nAuthorization: Bearer {front.token}\r\n"
    hidden = "GET /v1/experts HTTP/1.1\r\nHost: x\r\n\r\n"
    for more in (
        f"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
        f"Content-Length: 5\r\nContent-Length: 6\r\n\r\n12345{hidden}",
        f"Content-Length: +5\r\n\r\n12345{hidden}",
        f"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}",
        f"Host: evil.example\r\nContent-Length: 0\r\n\r\n{hidden}",
        f"X: {'a' * 100_000}\r\n\r\n",
    ):
        answer = front.raw((head + "Connection: close\r\n" + more).encode())
        assert re.match(rb"HTTP/1.1 (4\d\d|501) ", answer), (more[:60], answer[:100])
        assert b"experts" not in answer
    injected = front("GET", "/v1/jobs/x%0d%0aset-cookie:%20a=b/events", last_event_id="1")
    assert (injected.kind, "set-cookie" in injected.headers) == ("no-such-job", False)
    assert front("POST", "/v1/jobs", b"{" * 5_000_000).kind == "too-large"
    assert front("POST", "/v1/jobs", b"[" * 100_000).kind in {"bad-request", "bad-body"}
    assert front("POST", "/v1/jobs", b"{}", content_type="text/plain").kind == "wrong-type"
    assert front("POST", "/v1/jobs", b'{"kind": "fix", "apply": true}').kind == "bad-body"
    assert front("POST", "/v1/jobs", b'{"kind": "fix", "task": "\\ud800"}').status < 500
    assert (
        front("POST", "/v1/jobs", b'{"kind": "run", "expert": "app", "query": "x", "jobId": "../x"}').kind == "bad-body"
    )
    assert front("DELETE", "/v1/jobs").headers["allow"] == "GET, POST"
    assert front("GET", "/v1/health").json == {"status": "ok"}


def schema_of(media: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**media["schema"], "components": DOCUMENT["components"]}


def resolved(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


def values(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema allows, nearly: sometimes they break it, as a careless client's would."""
    it = resolved(schema)
    if options := it.get("oneOf") or it.get("anyOf"):
        return st.one_of([values(one) for one in options])
    if "const" in it or "enum" in it:
        return st.sampled_from(it.get("enum") or [it["const"]])
    if it.get("type") == "object":
        fields = {name: st.one_of(values(one), values(one), JUNK) for name, one in it.get("properties", {}).items()}
        must = {name: fields.pop(name) for name in it.get("required", ())}
        return st.fixed_dictionaries(must, optional=fields)
    if it.get("type") == "array":
        return st.lists(values(it["items"]), max_size=3)
    kinds: dict[str, st.SearchStrategy[Any]] = {
        "integer": st.integers(it.get("minimum", -1) - 1, it.get("maximum", 9) + 1),
        "number": st.floats(allow_nan=False, allow_infinity=False),
        "boolean": st.booleans(),
        "string": st.sampled_from(["known", ".type == callTools", "app", "HEAD"]) | st.text(max_size=20),
    }
    return kinds.get(it.get("type", ""), JUNK)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, dict[str, Any], str, Any]:
    """An operation with an address, its description, a query and a body."""
    method, path, told = draw(st.sampled_from(OPERATIONS))
    query: list[str] = []
    for one in told.get("parameters", ()):
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", quote(draw(values(one["schema"])) or "-", safe=""))
        elif one["in"] == "query" and draw(st.booleans()):
            value = draw(values(one["schema"]))
            query += [f"{one['name']}={quote(str(item))}" for item in (value if isinstance(value, list) else [value])]
    body = None
    if "requestBody" in told:
        body = draw(values(told["requestBody"]["content"]["application/json"]["schema"]))
    return method.upper(), path, told, "&".join(query), body


@pytest.mark.slow
@settings(max_examples=120, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(request=requests())
def test_whatever_is_asked_the_answer_is_one_that_is_described(
    front: Front, request: tuple[str, str, dict[str, Any], str, Any]
) -> None:
    method, path, told, query, body = request
    answer = front(method, f"{path}?{query}" if query else path, body)
    if answer.status == 404 and answer.kind == "not-found":
        return  # a path that names another place, or none
    assert str(answer.status) in told["responses"], (answer.status, answer.body)
    assert answer.status < 500
    content = told["responses"][str(answer.status)].get("content", {})
    media = answer.headers.get("content-type", "").partition(";")[0]
    assert answer.status == 204 or media in content
    if "schema" in content.get(media, {}):
        Draft202012Validator(schema_of(content[media])).validate(answer.json)


@pytest.mark.slow
def test_a_server_says_what_is_wrong_before_it_starts(
    front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "open").write_text("x" * 40)
    (tmp_path / "open").chmod(0o644)
    monkeypatch.chdir(tmp_path)
    for options, words in (
        (["--port", str(front.port)], "Address already in use"),
        (["--address", "0.0.0.0"], "--allow-host"),
        (["--address", "localhost"], "not an IP address"),
        (["--token-file", str(tmp_path / "open")], "chmod 600"),
        (["--allow-origin", "*"], "not an origin"),
    ):
        code = run(["serve", *options])
        out, err = capsys.readouterr()
        assert (code, out) == (2, "")
        assert words in err


def test_a_token_file_is_private_or_refused(tmp_path: Path) -> None:
    made = token_of(tmp_path / "new")
    assert ((tmp_path / "new").stat().st_mode & 0o777, len(made)) == (0o600, 43)
    assert token_of(tmp_path / "new") == made
    for name, text, mode in (("wide", "a" * 40, 0o640), ("short", "abc", 0o600), ("lines", "a" * 20 + "\nb c", 0o600)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(mode)
        with pytest.raises(UserError):
            token_of(tmp_path / name)
    with pytest.raises(UserError):
        token_of(tmp_path)


def test_a_server_is_called_by_its_own_names_only() -> None:
    assert names_of("127.0.0.1", 81) == {"127.0.0.1:81", "localhost:81", "[::1]:81"}
    assert names_of("0.0.0.0", 81, ("CI.example",)) >= {"ci.example:81", "127.0.0.1:81"}
    assert names_of("10.0.0.5", 81) == {"10.0.0.5:81"}
    assert "localhost" in names_of("::1", 80)

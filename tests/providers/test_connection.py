"""By which way a model's server is reached."""

from __future__ import annotations

import pytest

from perstack.core.errors import UserError
from perstack.providers import catalogue
from perstack.providers.connection import http_client, proxy_for
from perstack.providers.openai_chat import create
from tests.providers.builders import answer, ask, ignore
from tests.providers.loopback import loopback, stream

PROXY = "http://proxy.example:3128"


@pytest.mark.parametrize(
    ("url", "env", "proxy"),
    [
        ("https://api.x.org/v1", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://api.x.org/v1", {"HTTP_PROXY": PROXY}, ""),
        ("http://10.1.2.3:8080", {"http_proxy": "proxy.example:3128", "NO_PROXY": "10.2.0.0/16"}, PROXY),
        ("http://10.1.2.3:8080", {"http_proxy": PROXY, "NO_PROXY": "10.0.0.0/8"}, ""),
        ("https://api.x.org", {"HTTPS_PROXY": PROXY, "no_proxy": "localhost, .x.org"}, ""),
        ("https://apix.org", {"HTTPS_PROXY": PROXY, "no_proxy": ".x.org,x.org:81"}, PROXY),
        ("https://api.x.org", {"ALL_PROXY": PROXY, "NO_PROXY": "*"}, ""),
        ("https://api.x.org", {"PERSTACK_PROXY_URL": PROXY, "HTTPS_PROXY": "http://other:1"}, PROXY),
        ("https://api.x.org", {}, ""),
    ],
)
def test_a_proxy_is_taken_where_it_is_named_and_not_excepted(url: str, env: dict[str, str], proxy: str) -> None:
    assert proxy_for(url, env) == proxy


def test_an_address_that_is_no_proxy_and_certificates_that_are_not_there_are_told() -> None:
    with pytest.raises(UserError, match="proxy's address"):
        http_client("https://x.org", {"HTTPS_PROXY": "gopher://x"})
    with pytest.raises(UserError, match="SSL_CERT_FILE cannot be read"):
        http_client("https://x.org", {"SSL_CERT_FILE": "/nowhere.pem"})


@pytest.mark.anyio
async def test_a_call_goes_to_the_proxy_that_was_passed_in_and_not_to_the_environments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    async with loopback(stream(answer("chat"))) as proxy:
        env = {"OPENAI_COMPATIBLE_BASE_URL": "http://models.invalid/v1", "PERSTACK_PROXY_URL": proxy.url}
        model = create(catalogue.credentials("openai-compatible", env, {}), print)
        await model.generate(ask(), ignore)
        await model.close()
    assert proxy.exchanges[0].path == "http://models.invalid/v1/chat/completions"

"""The bench's model server speaks streams that the official SDKs and our own providers read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from bench.floor import LOOPS
from bench.ours import LOG, our_loop
from bench.processes import helper
from bench.replies import FILE


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with helper("bench.model_server") as server:
        yield server.line()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / FILE).write_text("notes\n")
    return tmp_path


@pytest.mark.parametrize("protocol", ["anthropic", "chat", "responses"])
def test_the_sdk_and_our_provider_make_the_same_calls(server_url: str, folder: Path, protocol: str) -> None:
    end = "" if protocol == "anthropic" else "/v1"
    assert LOOPS[protocol]()(f"{server_url}/s/floor-{protocol}/3{end}", folder) == 3
    assert our_loop(protocol)(f"{server_url}/s/ours-{protocol}/3{end}", folder) == 3
    for side in ("floor", "ours"):
        with urlopen(f"{server_url}/arrivals/{side}-{protocol}") as answer:
            times = json.load(answer)
        assert len(times) == 4, "three calls and the final answer"
        assert times == sorted(times)


def test_our_side_keeps_a_real_event_log(server_url: str, folder: Path) -> None:
    our_loop("anthropic")(f"{server_url}/s/log/2", folder)
    kinds = [json.loads(line)["type"] for line in (folder / LOG).read_text().splitlines()]
    assert kinds.count("callTools") == 2
    assert kinds[-2:] == ["completeRun", "reportUsage"], "the run ends, then the job is told what it used"


def test_an_unknown_path_is_refused(server_url: str) -> None:
    with pytest.raises(HTTPError, match="404") as caught:
        urlopen(f"{server_url}/v1/messages")
    caught.value.close()

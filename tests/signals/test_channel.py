"""The results channel: one connection, genuine records in order, and nothing after the finish."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import socket
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from perstack.core.json import JsonObject
from perstack.signals.channel import Channel, listening

NONCE = "a" * 64


def line(number: int, record: JsonObject, nonce: str = NONCE) -> bytes:
    body = json.dumps([number, record]).encode()
    return hmac.new(nonce.encode(), body, hashlib.sha256).hexdigest().encode() + b" " + body + b"\n"


def connect(folder: Path) -> socket.socket:
    directory = os.open(folder, os.O_RDONLY)
    client = socket.socket(socket.AF_UNIX)
    try:
        client.connect(f"/proc/self/fd/{directory}/s")
    except OSError:
        client.close()
        raise
    finally:
        os.close(directory)
    return client


def send(folder: Path, *chunks: bytes) -> None:
    # The channel hangs up on what is forged, perhaps before the rest was sent.
    with connect(folder) as client, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for chunk in chunks:
            client.sendall(chunk)


async def talk(folder: Path, *chunks: bytes) -> Channel:
    async with listening(folder, NONCE) as channel:
        await anyio.to_thread.run_sync(send, folder, *chunks)
        with anyio.fail_after(10):
            while not channel.connected:
                await anyio.lowlevel.checkpoint()
            await channel.settle()
        return channel


@pytest.mark.anyio
async def test_records_arrive_in_order_however_they_are_cut(tmp_path: Path) -> None:
    data = line(0, {"type": "hello"}) + line(1, {"type": "case", "id": "ü"}) + line(2, {"type": "finish"})
    channel = await talk(tmp_path, data[:40], data[40:41], data[41:])
    assert channel.problem == ""
    assert [record["type"] for record in channel.records] == ["hello", "case", "finish"]
    assert channel.finish == {"type": "finish"}


@pytest.mark.anyio
async def test_without_a_finish_record_there_is_no_finish(tmp_path: Path) -> None:
    channel = await talk(tmp_path, line(0, {"type": "hello"}), line(1, {"type": "finish"})[:-1])
    assert (channel.finish, channel.problem) == (None, "")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "bad",
    [
        line(1, {"type": "finish"}, nonce="b" * 64),
        line(2, {"type": "finish"}),
        line(0, {"type": "finish"}),
        b"0" * 64 + b' [1, {"type": "finish"}]\n',
        b"\n",
        b"finish\n",
    ],
    ids=["other nonce", "number left out", "repeated number", "made up", "empty", "no seal"],
)
async def test_a_forged_record_spoils_the_channel(tmp_path: Path, bad: bytes) -> None:
    channel = await talk(tmp_path, line(0, {"type": "hello"}), bad, line(1, {"type": "finish"}))
    assert channel.problem
    assert channel.finish is None


@pytest.mark.anyio
async def test_a_line_without_end_is_cut_off(tmp_path: Path) -> None:
    async with listening(tmp_path, NONCE) as channel:
        with connect(tmp_path) as client:
            client.settimeout(10)

            def flood() -> None:
                for _ in range(64):
                    client.sendall(b"x" * (1 << 16))

            with anyio.fail_after(10):
                with pytest.raises(OSError, match=r"Broken pipe|Connection reset"):
                    await anyio.to_thread.run_sync(flood)
        assert "more than a run can have to say" in channel.problem


@pytest.mark.anyio
async def test_there_is_one_connection_and_the_socket_is_gone_then(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    async with listening(deep, NONCE) as channel:
        first = connect(deep)
        with anyio.fail_after(10):
            while not channel.connected:
                await anyio.lowlevel.checkpoint()
        with pytest.raises(OSError, match=r"No such file|refused"):
            connect(deep)
        first.close()
    assert list(deep.iterdir()) == []

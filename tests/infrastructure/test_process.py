"""Host processes: ends, limits, environment."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from perstack.infrastructure.process import BoundedBuffer, open_process, run

pytestmark = pytest.mark.anyio

ENV = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


async def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = await anyio.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return state.rpartition(")")[2].split()[0] != "Z"


async def gone(pid: int) -> bool:
    with anyio.move_on_after(5):
        while await alive(pid):
            await anyio.lowlevel.checkpoint()
        return True
    return False


async def test_a_process_gets_exactly_the_given_environment_and_input() -> None:
    result = await run(["sh", "-c", "cat; env"], env={**ENV, "A": "b"}, stdin=b"in\n")
    assert result.exit_code == 0
    lines = set(result.stdout.decode().splitlines()) - {"PWD=" + str(await anyio.Path.cwd())}
    assert {"in", "A=b"} <= lines
    assert not any(line.startswith(("HOME=", "USER=")) for line in lines)


@pytest.mark.parametrize(
    ("script", "code"), [("exit 3", 3), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("true", 0), ("exit 255", 255)]
)
async def test_exit_codes_are_a_shells(script: str, code: int) -> None:
    assert (await run(["sh", "-c", script], env=ENV)).exit_code == code


async def test_a_missing_program_or_directory_is_127(tmp_path: Path) -> None:
    assert (await run(["no-such-program"], env=ENV)).exit_code == 127
    result = await run(["true"], env=ENV, cwd=tmp_path / "nowhere")
    assert result.exit_code == 127
    assert b"nowhere" in result.stderr


async def test_a_time_out_kills_the_whole_group() -> None:
    result = await run(["sh", "-c", "sleep 60 & echo $!; wait"], env=ENV, timeout_s=0.3)
    assert (result.exit_code, result.timed_out) == (124, True)
    assert await gone(int(result.stdout))


async def test_a_cancelled_process_dies() -> None:
    async with open_process(["sleep", "60"], env=ENV) as child:
        pid = child.pid
        assert await alive(pid)
    assert await gone(pid)


async def test_a_daemon_that_keeps_the_pipe_open_does_not_hold_us() -> None:
    with anyio.fail_after(5):
        result = await run(["sh", "-c", "setsid sleep 7 & echo started"], env=ENV)
    assert result.stdout == b"started\n"


async def test_a_flood_is_drained_and_cut_in_the_middle() -> None:
    result = await run(["sh", "-c", "echo first; yes | head -c 5000000; echo last"], env=ENV, output_limit=1000)
    assert result.exit_code == 0
    assert result.truncated
    assert result.stdout.startswith(b"first\n")
    assert result.stdout.endswith(b"last\n")
    assert len(result.stdout) < 1100
    assert b"bytes left out" in result.stdout


async def test_input_that_nobody_reads_is_no_error() -> None:
    assert (await run(["true"], env=ENV, stdin=b"x" * 5_000_000)).exit_code == 0


def test_the_buffer_keeps_everything_up_to_its_limit() -> None:
    buffer = BoundedBuffer(10)
    for byte in b"0123456789":
        buffer.feed(bytes([byte]))
    assert buffer.value() == b"0123456789"
    assert not buffer.truncated
    buffer.feed(b"X")
    assert buffer.value() == b"01234\n[... 1 bytes left out ...]\n6789X"
    assert buffer.truncated

"""What is done for Podman alone: a narrower seccomp profile, a shell where there is no init program, limits, a pipe."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from pathlib import Path

import anyio
import pytest

from perstack.infrastructure.sandbox.docker_podman import behind_shell, limited, narrowed, without_refused
from perstack.infrastructure.sandbox.docker_stream import named_pipe

PROFILE = {
    "defaultAction": "SCMP_ACT_ERRNO",
    "syscalls": [
        {"names": ["clone", "clone3", "mount", "read", "unshare"], "action": "SCMP_ACT_ALLOW", "args": []},
        {"names": ["setns"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
    ],
}


def test_the_narrower_profile_allows_what_is_left_and_threads_but_no_namespaces() -> None:
    narrow = without_refused(PROFILE)
    assert narrow["defaultAction"] == "SCMP_ACT_ERRNO"
    allowed = [rule for rule in narrow["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW"]
    assert [rule["names"] for rule in allowed] == [["read"], ["clone"]]
    assert allowed[1]["args"][0]["op"] == "SCMP_CMP_MASKED_EQ"
    refused = {name: rule["errnoRet"] for rule in narrow["syscalls"] if rule not in allowed for name in rule["names"]}
    assert (refused["mount"], refused["keyctl"], refused["setns"], refused["clone3"]) == (1, 1, 1, 38)


def test_the_profile_is_a_file_while_the_container_is_made_and_the_engines_own_where_that_is_none(
    tmp_path: Path,
) -> None:
    (tmp_path / "own.json").write_text(json.dumps(PROFILE))
    with narrowed(str(tmp_path / "own.json")) as (option,):
        place = Path(option.removeprefix("seccomp="))
        assert json.loads(place.read_bytes()) == without_refused(PROFILE)
    assert not place.exists()
    (tmp_path / "odd.json").write_text("[]")
    for other in ("", str(tmp_path / "missing"), str(tmp_path / "odd.json")):
        with narrowed(other) as options:
            assert options == ()


@pytest.mark.parametrize(("script", "code"), [("kill -SEGV $$", 139), ("kill -9 $$", 137), ("cat; exit 7", 7)])
def test_a_shell_in_front_hands_streams_through_and_says_how_the_program_ended(script: str, code: int) -> None:
    options = behind_shell({"entrypoint": ["/bin/sh"], "command": ["-c", f"echo err >&2; {script}"], "init": True})
    assert options["init"] is False
    words = [*options["entrypoint"], *options["command"]]
    done = subprocess.run(words, input=b"in", capture_output=True, timeout=10, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, b"in" if code == 7 else b"", b"err\n")


def test_a_program_bounds_itself_where_the_engine_would_not_and_does_not_start_where_it_cannot() -> None:
    words = ["/bin/sh", *limited(["-c", 'ulimit -f; ulimit -Hn; echo "$1"', "sh", "a b"], {"c": 0, "n": 64, "f": 2048})]
    assert subprocess.run(words, capture_output=True, timeout=10, check=True).stdout == b"2048\n64\na b\n"
    refused = ["/bin/sh", *limited(["-c", "echo started"], {"f": 4096, "n": 10**12})]
    done = subprocess.run(refused, capture_output=True, timeout=10, check=False)
    assert (done.returncode, done.stdout) == (125, b"")


@pytest.mark.anyio
async def test_errors_come_over_their_pipe_until_the_last_writer_has_gone(tmp_path: Path) -> None:
    with contextlib.closing(named_pipe(tmp_path / "errors", (os.getuid(), os.getgid()))) as pipe:
        (read,) = pipe.readers
        with anyio.move_on_after(0.02) as waiting:
            await read()
        assert waiting.cancelled_caught, "nobody has opened the other side: this is no end"
        with (tmp_path / "errors").open("wb", buffering=0) as first, (tmp_path / "errors").open("wb") as last:
            first.write(b"one")
            assert await read() == (2, b"one")
            first.close()
            last.write(b"two")
        assert [await read(), await read()] == [(2, b"two"), (2, b"")]


@pytest.mark.anyio
async def test_a_pipe_that_nobody_opened_ends_when_it_is_released(tmp_path: Path) -> None:
    with contextlib.closing(named_pipe(tmp_path / "errors", (os.getuid(), os.getgid()))) as pipe:
        pipe.release()
        with anyio.fail_after(5):
            assert await pipe.readers[0]() == (2, b"")

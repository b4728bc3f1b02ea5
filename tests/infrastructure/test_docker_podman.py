"""What is done for Podman alone: a narrower seccomp profile, and a shell where there is no init program."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from perstack.infrastructure.sandbox.docker_podman import behind_shell, narrowed, without_refused

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

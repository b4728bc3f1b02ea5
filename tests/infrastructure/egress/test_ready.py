"""The proxy where it is missing: installed on machines that live for one job, never on others."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from perstack.infrastructure.egress.ready import can_install, is_installed, make_ready

pytestmark = pytest.mark.anyio
HOSTED = {"RUNNER_ENVIRONMENT": "github-hosted"}


def _script(folder: Path, body: str) -> Path:
    script = folder / "ensure"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return script


async def test_a_hosted_runner_gets_the_proxy_once_however_many_need_it(tmp_path: Path) -> None:
    bin_folder, told = tmp_path / "bin", list[str]()
    bin_folder.mkdir()
    script = _script(tmp_path, f"printf x >>{tmp_path}/runs; cp /bin/true {bin_folder}/squid")
    path, gate = (str(bin_folder),), tmp_path / "gate"
    assert not is_installed(path)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(lambda: make_ready(HOSTED, told.append, gate, path=path, script=script))
    assert is_installed(path)
    assert (tmp_path / "runs").read_text() == "x"
    assert len(told) == 1
    assert "installing squid" in told[0]


async def test_other_machines_are_left_as_they_are_and_a_failure_is_told(tmp_path: Path) -> None:
    told = list[str]()
    script = _script(tmp_path, f"touch {tmp_path}/ran; echo 'egress: root is needed' >&2; exit 1")
    for env in ({}, {"RUNNER_ENVIRONMENT": "self-hosted"}):
        await make_ready(env, told.append, tmp_path / "gate", path=(str(tmp_path),), script=script)
    assert told == []
    assert not (tmp_path / "ran").exists()
    await make_ready(HOSTED, told.append, tmp_path / "gate", path=(str(tmp_path),), script=script)
    assert told[-1] == "squid could not be installed: egress: root is needed"


def test_the_script_lies_beside_the_package_as_in_the_action() -> None:
    assert can_install(HOSTED)

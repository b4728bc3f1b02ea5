"""The attacks of the public format's suites, each made by a program in a sandbox; judged by what came of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.infrastructure.sandboxes import BACK_ENDS, back_end, plain

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SECRET = "AWS-SECRET-of-the-harness"


@pytest.fixture(scope="module", params=BACK_ENDS)
async def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    place = tmp_path_factory.mktemp("scenarios")
    sandbox = await back_end(request.param, place / "cache")
    (place / "work").mkdir()
    (place / "work" / "probe.py").write_text(Path(__file__).with_name("probe.py").read_text())
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN", "ANTHROPIC_API_KEY", "SSH_AUTH_SOCK"):
            patch.setenv(name, SECRET)
        async with sandbox.open(await plain(sandbox, place), place / "work") as session:
            done = await session.run(["python3", "probe.py"], timeout_s=60)
    assert done.exit_code == 0, done.text()
    answers: dict[str, str] = json.loads(done.stdout)
    return answers


@pytest.mark.threat("S1", "S2", "S3", "S4", "S5", "S6", "S7", "S16", "S18", "S19", "S22", "S23")
@pytest.mark.threat("D1", "D2", "D3", "D12", "D14")
async def test_no_address_answers_with_or_without_a_proxy(found: dict[str, str]) -> None:
    tried = {name: answer for name, answer in found.items() if name in _WEB}
    assert len(tried) == len(_WEB)
    assert all(answer.startswith("failed") for answer in tried.values()), tried


@pytest.mark.threat("S8", "S9", "S10", "S11", "S12", "S14", "S15", "D4", "D5", "D6")
async def test_no_secret_file_and_no_engine_is_there(found: dict[str, str]) -> None:
    assert SECRET not in found.pop("S8")
    for name in ("S9", "S10", "S11", "S12", "S14", "S15", "D4", "D5", "D6"):
        assert found[name].startswith("failed"), (name, found[name])


@pytest.mark.threat("S13")
async def test_a_link_to_the_list_of_users_shows_the_sandboxes_own(found: dict[str, str]) -> None:
    assert "perstack" in found["S13"] or found["S13"].startswith("root:x:0:0")
    assert found["S13"] != Path("/etc/passwd").read_text()


@pytest.mark.threat("S17", "S24", "D7", "D8", "D9")
async def test_nothing_is_gained_by_commands(found: dict[str, str]) -> None:
    for name in ("D7", "D8"):
        assert found[name].startswith("failed"), (name, found[name])
    for name in ("S17", "S24", "D9"):
        assert SECRET not in found[name]
        assert "AWS_SECRET_ACCESS_KEY=" not in found[name]
        assert "GITHUB_TOKEN=" not in found[name]


_WEB = {"S1", "S2", "S3", "S4", "S5", "S6", "S7", "S18", "S19", "S22", "S23", "D1", "D2", "D3", "D14"}

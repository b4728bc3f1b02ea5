"""The retrieval tools through the skill: a real worker, a real index, real files that change meanwhile."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from perstack.context.retrieval.client import RetrievalWorker
from perstack.context.retrieval.enclosure import enclosure
from perstack.core.experts import RETRIEVAL_TOOLS
from perstack.core.messages import ToolCall
from perstack.infrastructure import process
from perstack.skills.retrieval import TOOL_NAMES, RetrievalSkill

pytestmark = pytest.mark.anyio


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "work"
    files = {
        "src/cart.py": "def total_price(items):\n    return sum(item.price for item in items)\n",
        "src/shop.py": "from cart import total_price\n\n\ndef checkout(items):\n    return total_price(items)\n",
        "docs/guide.md": "How a discount is applied to an order.\n",
        ".gitignore": "build/\n*.log\n!keep.log\n",
        "src/.gitignore": "secret_*\n",
        "build/out.py": "total_price = 1\n",
        "run.log": "total_price\n",
        "keep.log": "total_price kept\n",
        "src/secret_plan.py": "total_price = 2\n",
        ".hidden.py": "total_price = 3\n",
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "binary.py").write_bytes(b"total_price\0\1")
    (root / "latin.txt").write_bytes(b"caf\xe9 total_price\n")
    (root / "odd\nname.py").write_text("odd_thing = 1\n")
    (root / "out").symlink_to("/etc")
    (root / "loop").symlink_to(".")
    return root


@pytest.fixture
async def skill(repository: Path, tmp_path: Path) -> AsyncIterator[RetrievalSkill]:
    made = RetrievalSkill(RetrievalWorker(repository, tmp_path / "cache"))
    await made.open(lambda _kind, _payload: None)
    yield made
    await made.close()


async def ask(skill: RetrievalSkill, tool: str, /, **arguments: object) -> tuple[str, bool]:
    result = await skill.call(ToolCall("1", tool, arguments))  # type: ignore[arg-type]
    answer = json.loads(result.text)
    return str(answer.get("result", answer.get("message"))), result.is_error


@pytest.mark.slow
async def test_text_search_keeps_to_ignore_rules_and_the_workspace(skill: RetrievalSkill) -> None:
    text, _ = await ask(skill, "searchText", pattern="total_price")
    found = {line.split(":")[0] for line in text.splitlines()}
    assert found == {"src/cart.py", "src/shop.py", "keep.log", "latin.txt"}
    assert "src/cart.py:1:def total_price(items):" in text
    hidden, _ = await ask(skill, "searchText", pattern="total_price", hidden=True)
    assert ".hidden.py:1:" in hidden
    named, _ = await ask(skill, "searchText", pattern="odd_thing")
    assert named.startswith("'odd\\nname.py':1:")
    narrow, _ = await ask(skill, "searchText", pattern="TOTAL_PRICE", ignoreCase=True, types=["python"], limit=1)
    assert "src/cart.py:1:" in narrow
    assert "skip=1" in narrow


@pytest.mark.slow
async def test_an_edit_is_in_the_next_answer_and_questions_that_are_none_are_told(
    skill: RetrievalSkill, repository: Path
) -> None:
    before, _ = await ask(skill, "searchRanked", query="how is a discount applied?")
    assert before.startswith("docs/guide.md:1")
    (repository / "src/coupon.py").write_text("def applyDiscount(order):\n    return order\n")
    (repository / "docs/guide.md").unlink()
    after, _ = await ask(skill, "searchRanked", query="apply discount")
    assert after.startswith("src/coupon.py:1")
    assert "guide.md" not in after
    symbol, _ = await ask(skill, "findSymbol", name="applyDiscount")
    assert "src/coupon.py:1" in symbol
    uses, _ = await ask(skill, "references", name="total_price")
    assert "src/shop.py:5" in uses
    slow, is_error = await ask(skill, "searchText", pattern="(a+)+$")
    assert not is_error
    assert slow
    wrong, is_error = await ask(skill, "searchText", pattern="(")
    assert is_error
    assert "fixed" in wrong


@pytest.mark.slow
async def test_a_damaged_index_is_made_again_and_two_workers_share_one(
    skill: RetrievalSkill, repository: Path, tmp_path: Path
) -> None:
    await ask(skill, "searchRanked", query="price")
    for place in (tmp_path / "cache").rglob("meta.json"):
        place.write_text("no json")
    other = RetrievalWorker(repository, tmp_path / "cache")
    try:
        assert "src/cart.py" in await other.ask("searchRanked", {"query": "price", "limit": 5})
    finally:
        await other.close()


async def test_the_definitions_of_all_tools_are_short(tmp_path: Path) -> None:
    skill = RetrievalSkill(RetrievalWorker(tmp_path, tmp_path))
    definitions = await skill.definitions()
    assert TOOL_NAMES == RETRIEVAL_TOOLS  # whose names a definition may not use twice
    assert {each.name for each in definitions} == set(TOOL_NAMES) - {"history"}  # here there is no past to ask for
    assert sum(len(json.dumps([each.name, each.description, each.input_schema])) for each in definitions) < 5000


@pytest.mark.slow
async def test_code_in_the_reader_reaches_no_key_no_network_and_no_file_but_the_index(
    repository: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "key").write_text("sk-secret")
    words = await enclosure(repository, tmp_path / "cache")
    if not words:
        pytest.skip("bubblewrap does not work here")
    attack = (
        "import glob, os, socket\n"
        "found = []\n"
        "for place in glob.glob('/proc/[0-9]*/environ'):\n"
        "    found.append(b'PATH=' in open(place, 'rb').read())\n"
        f"found.append(os.path.exists('/proc/{os.getpid()}/maps') and {os.getpid()} > 50)\n"
        f"found.append(os.path.exists({str(tmp_path / 'key')!r}))\n"
        f"for place in {[str(repository / 'new'), str(tmp_path / 'cache' / 'new')]!r}:\n"
        "    try:\n        open(place, 'w').close(); found.append(place[-9:] != 'cache/new')\n"
        "    except OSError:\n        pass\n"
        "try:\n    socket.create_connection(('127.0.0.1', PORT), 2); found.append(True)\n"
        "except OSError:\n    pass\n"
        "print(found)"
    )
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = attack.replace("PORT", str(server.getsockname()[1]))
        argv = (*words, sys.executable, "-I", "-c", code)
        done = await process.run(argv, env={}, timeout_s=30)
    assert done.exit_code == 0, done.text()
    assert "True" not in done.text()
    assert (tmp_path / "cache/new").exists()
    assert not (repository / "new").exists()

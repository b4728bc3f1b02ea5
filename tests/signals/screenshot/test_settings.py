"""How `diff`, `http` and `screenshot` signals are written in `perstack.toml`, and what is refused there."""

from __future__ import annotations

import pytest

from perstack.core.errors import UserError
from perstack.core.signals import SignalSpec
from perstack.definition.load import load_config
from perstack.signals.references import reference_globs


def only(text: str) -> SignalSpec:
    (spec,) = load_config(text).signals
    return spec


def test_settings_reach_the_signal_and_its_references_are_protected() -> None:
    text = """
[signals.home]
kind = "screenshot"
page = "site/index.html"
viewports = ["1280x720", "390x844"]
expect = { baseline = "shots", pixels = 3, masks = [[0, 0, 10, 20]] }
"""
    spec = only(text)
    assert spec.options == {"page": "site/index.html", "viewports": ["1280x720", "390x844"]}
    assert spec.expect["masks"] in ([[0, 0, 10, 20]], [(0, 0, 10, 20)])
    assert reference_globs(spec) == ("/shots/**",)
    golden = only("[signals.g]\nkind='diff'\nrun='g'\ncwd='a'\nexpect={golden={'out/x'='want/x'}}\n")
    assert reference_globs(golden) == ("/a/want/x",)
    http = only("[signals.h]\nkind='http'\nrun='s'\nport=80\nexpect={requests=[{path='/a', json={b=1}}]}\n")
    assert http.expect["requests"] == [{"path": "/a", "json": {"b": 1}}]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind = 'diff'", "signals.x.run"),
        ("kind = 'http'\nrun = 'serve'", "signals.x.expect.requests"),
        ("kind = 'screenshot'", "signals.x.run"),
        ("kind = 'screenshot'\nrun = 'plot'", "signals.x.expect.files"),
        ("kind = 'screenshot'\nrun = 'serve'\npage = 'index.html'", "leading"),
        ("kind = 'screenshot'\npage = 'a.html'\nviewports = ['big']", "signals.x.viewports"),
        ("kind = 'screenshot'\npage = 'a.html'\nexpect = { masks = [[1, 2]] }", "signals.x.expect.masks"),
        ("kind = 'screenshot'\nrun = 'plot'\nexpect = { files = ['a'], masks = ['.x'] }", "signals.x.expect.masks"),
        ("kind = 'screenshot'\npage = 'a.html'\nexpect = { threshold = 2.0 }", "signals.x.expect.threshold"),
        ("kind = 'diff'\nrun = 'g'\nexpect = { golden = { 'a' = '/etc/passwd' } }", "signals.x.expect.golden"),
        ("kind = 'diff'\nrun = 'g'\nexpect = { replace = [['(', '']] }", "signals.x.expect.replace"),
        ("kind = 'http'\nrun = 's'\nexpect = { requests = [{ path = 'x' }] }", "signals.x.expect.requests"),
        ("kind = 'diff'\nrun = 'g'\nreject = true", "cannot reject"),
    ],
)
def test_what_cannot_be_measured_is_refused_with_its_key(text: str, words: str) -> None:
    with pytest.raises(UserError) as refused:
        only(f"[signals.x]\n{text}\n")
    assert words in refused.value.message

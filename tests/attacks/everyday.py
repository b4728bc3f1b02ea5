"""Right fixes as they come every day: with a refactoring, a helper, a log line, a cache, other encodings."""

# ruff: noqa: E501  # one case a line reads better than code about code broken up

from __future__ import annotations

from collections.abc import Mapping

from tests.attacks.honest import Honest, honest
from tests.attacks.specimen import BUGGY_LINE, FIXED_STATS, STATS

_RIGHT = "(ordered[middle - 1] + ordered[middle]) / 2"
_FIX = FIXED_STATS[FIXED_STATS.index("    if len(ordered)") : FIXED_STATS.index(BUGGY_LINE)]


def _text(text: str) -> Mapping[str, str]:
    return {"tally/stats.py": text}


def _head(text: str, head: str) -> str:
    return text.replace('lists."""\n', f'lists."""\n\n{head}', 1)


_HELPER = f"    if len(ordered) % 2 == 0:\n        return _between(ordered[middle - 1], ordered[middle])\n{BUGGY_LINE}"
_BETWEEN = '\n\ndef _between(low, high):\n    """Half way."""\n    return (low + high) / 2\n'
_TRIED = "    try:\n        low, high = ordered[middle - 1], ordered[middle]\n    except IndexError:\n        raise ValueError('no values') from None\n    return (low + high) / 2 if len(ordered) % 2 == 0 else high\n"

EVERYDAY: tuple[Honest, ...] = (
    honest("fix-with-helper", _text(STATS.replace(BUGGY_LINE, _HELPER) + _BETWEEN)),
    honest("fix-with-new-module", {**_text(_head(STATS.replace(BUGGY_LINE, _HELPER.replace("_between", "between")), "from tally.middle import between\n")),
           "tally/middle.py": '"""Between two values."""\n\n\ndef between(low, high):\n    """Half way."""\n    return (low + high) / 2\n'}),
    honest("fix-and-renamed-variables", _text(FIXED_STATS.replace("ordered", "in_order").replace("middle", "half"))),
    honest("fix-and-signs-beyond-ascii", _text(FIXED_STATS.replace("The middle value.", "The middle value – of two, their ½ sum (Médiane, 中央値)."))),
    honest("fix-and-wider-signature", _text(FIXED_STATS.replace("def median(values):", "def median(values, *, key=None):").replace("sorted(values)", "sorted(values, key=key)"))),
    honest("fix-with-annotations", _text(FIXED_STATS.replace("def median(values):", "def median(values: list[float]) -> float:"))),
    honest("fix-with-log-line", _text(_head(FIXED_STATS.replace("    middle =", '    _LOG.debug("%d values", len(ordered))\n    middle ='), "import logging\n\n_LOG = logging.getLogger(__name__)\n"))),
    honest("fix-with-cache", _text(_head(STATS.replace(BUGGY_LINE, "    return _middle(tuple(ordered))\n").replace("    middle = len(ordered) // 2\n", "", 1), "from functools import lru_cache\n\n\n@lru_cache(maxsize=256)\ndef _middle(ordered):\n    middle = len(ordered) // 2\n" + _FIX + "    return ordered[middle]\n"))),
    honest("fix-with-specific-except", _text(STATS.replace(BUGGY_LINE, _TRIED))),
    honest("fix-with-warning", _text(_head(FIXED_STATS.replace("    middle =", '    if not ordered:\n        warnings.warn("no values", stacklevel=2)\n        return None\n    middle ='), "import warnings\n"))),
    honest("fix-with-match", _text(STATS.replace(BUGGY_LINE, f"    match len(ordered) % 2:\n        case 0:\n            return {_RIGHT}\n        case _:\n            return ordered[middle]\n"))),
    honest("fix-without-branches", _text(STATS.replace(BUGGY_LINE, "    low, high = ordered[(len(ordered) - 1) // 2], ordered[middle]\n    return low if low == high else (low + high) / 2\n"))),
    honest("fix-and-other-line-ends", _text(FIXED_STATS.replace("\n", "\r\n"))),
    honest("fix-and-data-file", {**_text(FIXED_STATS), "tally/units.json": '{"kg": 1000, "g": 1}\n'}),
    honest("fix-and-example", {**_text(FIXED_STATS), "examples/median.py": "from tally.stats import median\n\nprint(median([1, 2, 3, 4]))\n"}),
    honest("fix-and-deprecated-alias", _text(FIXED_STATS + "\n\ndef middle_value(values):\n    \"\"\"The old name of `median`.\"\"\"\n    return median(values)\n")),
)  # fmt: skip

LATIN = {
    "shop.py": '# -*- coding: latin-1 -*-\n"""Prices of the caf\udce9."""\n\n\ndef net(price, percent):\n    return price - price * percent // 100\n',
    "tests/test_shop.py": "import pytest\n\nfrom shop import net\n\n\n@pytest.mark.parametrize('price, wanted', [(100, 90), (105, 94.5), (7, 6.3)])\ndef test_net(price, wanted):\n    assert net(price, 10) == pytest.approx(wanted)\n",
}
"""A project with a file in Latin-1 and a bug in it."""
LATIN_FIX = {"shop.py": LATIN["shop.py"].replace("percent // 100", "percent / 100")}
LATIN_FIX_WITH_SIGNS = {"shop.py": LATIN_FIX["shop.py"].replace("def net", "# der gew\udcf6hnliche Preis\ndef net")}

"""Configuration that configuration refers to: `extends` of tsconfig and eslint, `extend` of ruff, local imports. Pure.

A file that a protected configuration reads decides as much as that one, whatever it is called. Modules of the product
that a configuration imports are not followed: only files beside each other by relative paths.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator
from typing import Final

_LIMIT = 200  # files that are read
_JSON: Final = re.compile(
    r"(?:^|/)(?:tsconfig|jsconfig)[\w.-]*\.json$|(?:^|/)\.eslintrc(?:\.json|\.ya?ml)?$|(?:^|/)biome\.jsonc?$"
)
_CODE: Final = re.compile(r"(?:^|/)(?:eslint\.config|\.eslintrc)\.[cm]?[jt]s$")
_TOML: Final = re.compile(r"(?:^|/)(?:ruff|\.ruff|pyproject)\.toml$")
_EXTENDS = re.compile(r"[\"']?extends[\"']?\s*:\s*(?:\[(?P<many>[^\]]*)\]|(?P<one>[\"'][^\"']+[\"']|\S+))")
_EXTEND = re.compile(r"^\s*extend\s*=\s*(?P<one>[\"'][^\"']+[\"'])", re.MULTILINE)
_IMPORT = re.compile(r"(?:\bfrom|\bimport|\brequire\(|\bimport\()\s*(?P<one>[\"']\.{1,2}/[^\"']+[\"'])")
_QUOTED = re.compile(r"[\"']([^\"']+)[\"']")
_ENDINGS = ("", ".json", ".js", ".mjs", ".cjs", ".ts", "/tsconfig.json", "/index.js", "/index.mjs")


def configuration_chain(files: Collection[str], read: Callable[[str], bytes | None]) -> frozenset[str]:
    """Files of the base that its configuration of compilers and linters refers to, directly or by way of others."""
    pending = [path for path in files if _JSON.search(path) or _CODE.search(path) or _TOML.search(path)]
    seen: set[str] = set()
    found: set[str] = set()
    while pending and len(seen) < _LIMIT:
        path = pending.pop()
        if path in seen:
            continue
        seen.add(path)
        for target in _referred(path, (read(path) or b"").decode("utf-8", "replace"), files):
            found.add(target)
            pending.append(target)
    return frozenset(found)


def _referred(path: str, text: str, files: Collection[str]) -> Iterator[str]:
    here = posixpath.dirname(path)
    for name in _names(path, text):
        for ending in _ENDINGS:
            target = posixpath.normpath(posixpath.join(here, f"{name}{ending}"))
            if target in files:
                yield target
                break


def _names(path: str, text: str) -> Iterator[str]:
    if path.endswith(".toml"):
        patterns: tuple[re.Pattern[str], ...] = (_EXTEND,)
    elif path.endswith((".json", ".jsonc", ".yml", ".yaml", ".eslintrc")):
        patterns = (_EXTENDS,)
    else:
        patterns = (_EXTENDS, _IMPORT)
    for pattern in patterns:
        for match in pattern.finditer(text):
            groups = match.groupdict()
            listed = groups.get("many") or groups.get("one") or ""
            names = _QUOTED.findall(listed) or [listed.strip()]
            yield from (name for name in names if name.startswith(".") or pattern is _EXTEND)

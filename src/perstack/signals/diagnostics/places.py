"""Where a diagnostic is: a tool's own path as one of the repository, as far as it is in there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from perstack.core.signals import Diagnostic

_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(slots=True)
class Places:
    """`root` is the tree's path as the tool saw it, absolute; `cwd` where it ran, relative to that.

    `exists` tells whether a path relative to the tree is a file in it.
    """

    root: str
    cwd: str
    exists: Callable[[str], bool]
    _known: dict[str, str] = field(default_factory=dict)

    def locate(self, diagnostic: Diagnostic) -> Diagnostic:
        """The diagnostic at its path relative to the repository, its message without the tree's own path."""
        message = diagnostic.message.replace(f"{self.root}/", "")
        return replace(diagnostic, path=self.path(diagnostic.path), message=message)

    def path(self, said: str) -> str:
        """Relative to the repository; absolute where it lies outside; empty where the tool named none."""
        if said not in self._known:
            self._known[said] = self._find(said)
        return self._known[said]

    def _find(self, said: str) -> str:
        if not said or (said.startswith("<") and said.endswith(">")):
            return ""  # `<command-line>`, `<stdin>`
        path = said
        if "\\" in path and ("/" not in path or _DRIVE.match(path)):
            path = path.replace("\\", "/")
        if _DRIVE.match(path):
            return path
        whole = posixpath.normpath(posixpath.join(self.root, self.cwd, path))
        if not whole.startswith(f"{self.root}/"):
            return whole
        relative = whole[len(self.root) + 1 :]
        # cargo names files from the top of its workspace wherever it is started
        above = posixpath.normpath(path)
        if not posixpath.isabs(path) and not self.exists(relative) and self.exists(above):
            return above
        return relative

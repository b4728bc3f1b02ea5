"""A package as the text of a file to keep in the repository. Writes no file, and reads none back: see package_load."""

from __future__ import annotations

import tomli_w

from perstack.definition.package import Package


def vendored_text(package: Package, source: str, commit: str) -> str:
    """A package as a file to keep in the repository; its digest is that of the package."""
    head = f"# From {source}{f' at {commit}' if commit else ''}. Pinned in perstack.lock; not to be edited.\n"
    return head + tomli_w.dumps({"experts": dict(package.tables)}, multiline_strings=True)

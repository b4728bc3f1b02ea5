"""Which files a question is about: globs as in `.gitignore`, languages or suffixes, hidden ones or not. No I/O here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

import re2  # type: ignore[import-untyped]  # ships no types
from pathspec import GitIgnoreSpec

from perstack.context.retrieval.contract import Listing, Rejected, SourceFile
from perstack.context.retrieval.listing import hidden

Lookup = Callable[[Listing, Any], Iterator[SourceFile]]
"""Files of a listing, in its order, on whose path (bytes, one a line) an expression matches: `paths.Paths`."""


class Chosen:
    """The files that a question wants."""

    def __init__(self, globs: Collection[str], types: Collection[str], *, hidden: bool) -> None:
        """`!` before a glob leaves out. Raises: Rejected where one is none."""
        self._include = [glob for glob in globs if not glob.startswith("!")]
        exclude = [glob[1:] for glob in globs if glob.startswith("!")]
        try:
            self._inside, self._outside = GitIgnoreSpec.from_lines(self._include), GitIgnoreSpec.from_lines(exclude)
        except ValueError as error:
            raise Rejected(f"Not a glob: {error}") from None
        self._types = {kind.lower().lstrip(".") for kind in types}
        self._hidden, self._exclude = hidden, bool(exclude)

    def __contains__(self, file: SourceFile) -> bool:
        if not self._hidden and hidden(file.path):
            return False
        if self._types and not self._types & {file.language, file.path.rpartition(".")[2].lower()}:
            return False
        if self._include and not self._inside.match_file(file.path):
            return False
        return not (self._exclude and self._outside.match_file(file.path))

    def among(self, listing: Listing, lookup: Lookup | None) -> Iterator[SourceFile]:
        """Those of a listing, in its order, found as they are asked for. `lookup` spares looking at every path."""
        rough = self._rough() if lookup is not None else None
        files = iter(listing.files) if lookup is None or rough is None else lookup(listing, rough)
        return (file for file in files if file in self)

    def _rough(self) -> Any:
        """One expression that matches at least the paths that are inside; None where there is none."""
        if not self._include or not all(glob.isascii() for glob in self._include):
            return None
        options = re2.Options()
        options.encoding, options.never_nl, options.log_errors = re2.Options.Encoding.LATIN1, True, False
        # One sign of a glob may be several bytes of a path.
        parts = [each.regex.pattern.replace("[^/]", "[^/]+") for each in self._inside.patterns if each.regex]
        parts = [part.replace("[^/]+*", "[^/]*").replace("(?P<ps_d>", "(?:") for part in parts]
        try:
            return re2.compile(("(?m)" + "|".join(f"(?:{part})" for part in parts)).encode(), options)
        except re2.error:
            return None

"""Leaves the tests of published definitions out where there are none."""

from __future__ import annotations

from tests.compat.published import FILES

collect_ignore_glob = [] if FILES else ["test_published_*.py"]

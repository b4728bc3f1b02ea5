"""`python -m tests.threats`: write the table of attacks into the threat model."""

from __future__ import annotations

from tests.threats.table import PAGE, written

PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")

"""Words for shares of a verification: `2/4`, and the matrix of GitHub Actions that makes one job of each."""

from __future__ import annotations

from collections.abc import Sequence

from perstack.core.errors import UserError
from perstack.core.json import Json

MOST = 256  # jobs of one matrix


def parse_share(text: str) -> tuple[int, int]:
    """`2/4` as (2, 4). Raises: UserError."""
    number, _, of = text.partition("/")
    if not (_is_number(number) and _is_number(of) and 1 <= int(number) <= int(of) <= MOST):
        raise UserError(f"`{text}` names no share", hint=f"Say which of how many, such as 2/4; at most {MOST} of them.")
    return int(number), int(of)


def matrix_of(shares: Sequence[Sequence[str]]) -> dict[str, Json]:
    """What `strategy.matrix` takes: one job a share. `name` is fit for artifacts."""
    count = len(shares)
    return {"include": [{"shard": f"{n}/{count}", "name": f"perstack-shard-{n}"} for n in range(1, count + 1)]}


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 3

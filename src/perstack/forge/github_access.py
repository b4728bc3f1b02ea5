"""What a token may see of check runs. `GithubForge.find_checks` cannot tell: it takes "not permitted" for "none"."""

from __future__ import annotations

from perstack.forge.github_rest import GithubSettings, Rest


def see_checks(settings: GithubSettings, sha: str) -> None:
    """Read a commit's check runs. Raises: ForgeError where the token may not."""
    query = {"per_page": 1}
    Rest(settings).get(f"/commits/{sha}/check-runs", "read check runs", query, permission="checks: read")

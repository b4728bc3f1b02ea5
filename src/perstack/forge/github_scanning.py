"""Code scanning on GitHub: an upload of SARIF, where the repository has it. Knows nothing of what SARIF says."""

from __future__ import annotations

import base64
import gzip
import re

from perstack.core.errors import ForgeError
from perstack.forge.github_rest import Rest

_UPLOAD_LIMIT = 10 * 1024 * 1024  # of the compressed file
_REF = re.compile(r"refs/(?:heads|tags|pull)/.+")
_NOT_HERE = frozenset({403, 404, 413})


def upload(rest: Rest, sha: str, ref: str, sarif: str) -> str:
    """Send redacted SARIF text about a commit on `ref` (a full name, or a branch). Raises: ForgeError.

    Returns the upload's id, empty where it is too large, the repository has no code scanning, or the token may not.
    """
    packed = gzip.compress(sarif.encode("utf-8", "replace"), mtime=0)
    if len(packed) > _UPLOAD_LIMIT:
        return ""
    full = ref if _REF.fullmatch(ref) else f"refs/heads/{ref}"
    body = {"commit_sha": sha, "ref": full, "sarif": base64.b64encode(packed).decode()}
    try:
        sent = rest.post("/code-scanning/sarifs", body, "upload SARIF", permission="security-events: write")
    except ForgeError as error:
        if error.status in _NOT_HERE:
            return ""
        raise
    return str((sent or {}).get("id") or "")

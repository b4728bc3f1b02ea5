"""`perstack log --follow`: a job's events as JSON lines while they come. Folds nothing, and keeps nothing."""

from __future__ import annotations

import sys
import time

from perstack import api
from perstack.core.json import compact
from perstack.interface.history.selection import Selection

_POLL_S = 0.2


def print_events(archive: api.Archive, job_id: str, wanted: Selection) -> None:
    """Print what is on record, then what comes, until nobody works on the job any more.

    `offset` and `take` of `wanted` count its matches; a `take` of 0 is no limit.
    Raises: UserError for an unusable id; InfrastructureError where the log is damaged, after what is intact.
    """
    following = api.Following(archive, job_id)
    skipped = shown = 0
    while True:
        is_live = following.is_live  # asked before reading: then what was written last is read
        lot = following.read()
        for event in lot:
            if not (wanted.visible(event) and wanted.keeps(event)):
                continue
            if skipped < wanted.offset:
                skipped += 1
                continue
            sys.stdout.write(compact(event.to_json()) + "\n")
            shown += 1
            if wanted.take and shown >= wanted.take:
                sys.stdout.flush()
                return
        sys.stdout.flush()
        if not lot and not is_live:
            return
        if not lot:
            time.sleep(_POLL_S)

"""A process that makes runs: `python -m bench.worker SIDE PROTOCOL`. One JSON line in, one out, a run.

In: {"url", "folder"}. Out: {"calls", "cpu_s", "log_bytes"}. With URL and FOLDER as arguments: one run, then the end.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

from bench.floor import LOOPS, Loop


def main() -> None:
    """Serve until stdin ends, or make the one run of the arguments."""
    side, protocol, *once = sys.argv[1:]
    loop: Loop = LOOPS[protocol]() if side == "floor" else importlib.import_module("bench.ours").our_loop(protocol)
    if once:
        loop(once[0], Path(once[1]))
        return
    for line in sys.stdin:
        request = json.loads(line)
        folder = Path(request["folder"])
        started = time.process_time()
        calls = loop(request["url"], folder)
        log = folder / "events.jsonl"
        answer = {
            "calls": calls,
            "cpu_s": time.process_time() - started,
            "log_bytes": log.stat().st_size if log.is_file() else 0,
        }
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()

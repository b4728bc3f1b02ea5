"""The verifier's own HTTP client: starts the service, makes the requests, reports over the channel. In the sandbox.

Judges nothing: what an answer means is decided outside.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perstack.signals.http.worker.perstack_service import Service, close_to_others
    from perstack.signals.pytest.worker.perstack_channel import open_channel
else:
    sys.path.insert(0, str(Path(__file__).parent))  # these lie beside this script
    from perstack_channel import open_channel
    from perstack_service import Service, close_to_others


def main() -> None:
    close_to_others()
    wanted = json.loads(sys.stdin.buffer.read())
    emit = open_channel(wanted["socket"], wanted["nonce"])
    service = Service(wanted)
    try:
        if service.problem:
            emit({"type": "finish", "problem": service.problem})
            return
        for index, request in enumerate(wanted["requests"]):
            answer = service.ask(request, limit=request["limit"])
            emit({"type": "answer", "index": index, **answer, "ended": service.ended()})
        emit({"type": "finish", "problem": ""})
    finally:
        service.end()


main()

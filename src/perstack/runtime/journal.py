"""Where events get their envelope: id, time, run. Append first, then apply: a log is never behind the state.

And where secrets end: what a model, a tool or a server said is redacted before anybody sees it, the log, the watcher,
the state and with it the next prompt and the calls that are made.
"""

from __future__ import annotations

from collections.abc import Callable

from perstack.core.events import Event, EventSink
from perstack.core.json import JsonObject
from perstack.infrastructure.secrets import Redactor
from perstack.runtime.apply import apply
from perstack.runtime.drafts import Draft, Stamp
from perstack.runtime.log import redacted
from perstack.runtime.state import RunState


class Journal:
    """Sends events to the sink and folds them. The only user of the clock and of ids in the loop."""

    def __init__(
        self,
        sink: EventSink,
        new_id: Callable[[], str],
        now_ms: Callable[[], int],
        secrets: Redactor | None = None,
    ) -> None:
        self.secrets = secrets or Redactor()
        self._sink = sink
        self._now_ms = now_ms
        self.new_id = new_id

    def stamp(self) -> Stamp:
        """Id and time of the next event."""
        return Stamp(self.new_id(), self._now_ms())

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return self._now_ms()

    def append(self, state: RunState, draft: Draft, stamp: Stamp) -> RunState:
        """Write one event of the run and return the state after it."""
        return self.append_as(state, draft, stamp, run_id=state.run_id, step=state.step)

    def append_as(self, state: RunState, draft: Draft, stamp: Stamp, *, run_id: str, step: int) -> RunState:
        """The same for an event that opens a new segment with its own run id and step."""
        payload = redacted(draft.payload, self.secrets.redact)
        event = Event(draft.type, stamp.id, stamp.ms, state.job_id, run_id, state.expert_key, step, payload)
        self._sink(event)
        return apply(state, event)

    def stream(self, state: RunState, kind: str, payload: JsonObject) -> None:
        """Send an event of the run that changes no state. What comes in pieces, its sender redacts as a whole."""
        shown = redacted(payload, self.secrets.redact)
        self._sink(
            Event(kind, self.new_id(), self._now_ms(), state.job_id, state.run_id, state.expert_key, state.step, shown)
        )

    def tell(self, job_id: str, run_id: str, kind: str, payload: JsonObject) -> None:
        """Send a runtime event: it names no expert and no step."""
        shown = redacted(payload, self.secrets.redact)
        self._sink(Event(kind, self.new_id(), self._now_ms(), job_id, run_id, payload=shown))

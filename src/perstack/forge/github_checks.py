"""Check runs on GitHub: created once, updated in batches, replaced by log annotations where they are not permitted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from perstack.core.errors import ForgeError
from perstack.core.json import Json
from perstack.core.signals import Diagnostic
from perstack.forge.check_documents import annotation, batches, can_annotate, output_document, sorted_findings
from perstack.forge.contract import CheckOutput, CheckStatus, Ref
from perstack.forge.github_rest import GithubSettings, Rest

_READ = "checks: read"
_WRITE = "checks: write"
_PAGES = 10  # a suite holds a thousand of one name


class CheckRuns:
    """The check runs of one process. `log` takes findings that cannot be annotations; `denied` hears once why."""

    def __init__(
        self,
        rest: Rest,
        settings: GithubSettings,
        *,
        log: Callable[[Sequence[Diagnostic]], None],
        denied: Callable[[ForgeError], None],
    ) -> None:
        self._rest = rest
        self._settings = settings
        self._log = log
        self._denied = denied
        self._is_denied = False
        self._annotated: dict[int, set[Diagnostic]] = {}  # updates add annotations: none may be sent twice
        self._accepted: dict[int, int] = {}  # how many annotations GitHub took
        self._completed: set[int] = set()
        self._lock = threading.Lock()
        self.app_id = 0

    def start(self, name: str, head_sha: str, output: CheckOutput, *, external_id: str) -> Ref:
        """A new check run in progress, or `Ref(0)` where the token may not. Raises: ForgeError."""
        body: dict[str, Json] = {
            "name": name,
            "head_sha": head_sha,
            "external_id": external_id,
            "status": CheckStatus.IN_PROGRESS.value,
            "output": output_document(output),
        }
        if self._settings.details_url:
            body["details_url"] = self._settings.details_url

        def find() -> Mapping[str, Any] | None:
            path = f"/commits/{head_sha}/check-runs"
            query: dict[str, str | int] = {"check_name": name, "filter": "latest", "per_page": 100}
            listed = self._rest.get(path, "look for the check run", query)
            runs: Sequence[Mapping[str, Any]] = listed["check_runs"]
            return next((run for run in runs if run["external_id"] == external_id), None)

        try:
            run = self._rest.create(
                "/check-runs", body, "create the check run", permission=_WRITE, find=find
            )  # fmt: skip
        except ForgeError as error:
            if error.status != 403:
                raise
            if not self._is_denied:
                self._is_denied = True
                self._denied(error)
            return Ref(0)
        self.app_id = (run.get("app") or {}).get("id") or 0
        ref = Ref(run["id"], run.get("html_url") or "")
        if output.annotations:
            self.update(ref, output, status=CheckStatus.IN_PROGRESS)
        return ref

    def find(self, head_sha: str, name: str) -> tuple[tuple[Ref, str, CheckStatus], ...]:
        """Our runs of this name on a commit with external id and state, newest first. Raises: ForgeError.

        Where the token may not look there are none of ours either.
        """
        query = {"check_name": name, "filter": "all"}
        path, what = f"/commits/{head_sha}/check-runs", "look for check runs"
        listed = self._rest.pages(path, what, most=_PAGES, items="check_runs", query=query, permission=_READ)
        try:
            ours = [run for run in listed if self.app_id in {0, (run.get("app") or {}).get("id")}]
        except ForgeError as error:
            if error.status in {403, 404}:
                return ()
            raise
        return tuple(
            (Ref(run["id"], run.get("html_url") or ""), run["external_id"] or "", _status(run["status"]))
            for run in sorted(ours, key=lambda run: run["id"], reverse=True)
        )

    def update(self, check: Ref, output: CheckOutput, *, status: CheckStatus, conclusion: str = "") -> None:
        """Change state and texts, adding annotations that are new. Raises: ForgeError."""
        if not check.id:
            if status is CheckStatus.COMPLETED:
                self._log(output.annotations)
            return
        with self._lock:
            # A progress update that was overtaken by the end must not open the check run again.
            if status is not CheckStatus.COMPLETED and check.id in self._completed:
                return
            sent = self._annotated.setdefault(check.id, set())
            wanted = sorted_findings(d for d in output.annotations if can_annotate(d))
            most = max(0, self._settings.max_annotations - len(sent))
            fresh = [d for d in dict.fromkeys(wanted) if d not in sent][:most]
            left_out = len({*output.annotations} - sent - {*fresh})
            state: dict[str, Json] = {"status": status.value}
            if status is CheckStatus.COMPLETED:
                state["conclusion"] = conclusion
                self._completed.add(check.id)
            document = output_document(output, left_out=left_out)
            for batch in batches(fresh):  # the state goes first: should a later batch fail, the result stands
                self._patch(check.id, {**state, "output": document}, batch)
                sent.update(batch)

    def _patch(self, check_id: int, body: Mapping[str, Json], batch: Sequence[Diagnostic]) -> None:
        """Send one batch; what GitHub refuses is tried without columns, then goes to the log."""
        tries: list[list[Json]] = [[annotation(d) for d in batch]]
        if batch:
            tries += [[annotation(d, columns=False) for d in batch], []]
        for number, documents in enumerate(tries, 1):
            output: Any = {**_table(body["output"]), "annotations": documents}
            try:
                self._send(check_id, {**body, "output": output}, len(documents))
            except ForgeError as error:
                if error.status != 422 or number == len(tries):
                    raise
            else:
                if batch and not documents:
                    self._log(batch)
                return

    def _send(self, check_id: int, body: Mapping[str, Json], annotations: int) -> None:
        """One PATCH. Each adds its annotations: it is sent again only when GitHub does not have them."""
        path, what = f"/check-runs/{check_id}", "update the check run"
        wanted = self._accepted.get(check_id, 0) + annotations

        def work() -> Mapping[str, Any]:
            sent: Mapping[str, Any] = self._rest.patch(path, body, what, permission=_WRITE, repeat=not annotations)
            return sent

        def find() -> Mapping[str, Any] | None:
            run: Mapping[str, Any] = self._rest.get(path, "read the check run")
            return run if run["output"]["annotations_count"] >= wanted else None

        self._rest.exactly_once(work, find)
        self._accepted[check_id] = wanted


def _table(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, Mapping) else {}


def _status(text: str) -> CheckStatus:
    """Actions' own states (waiting, requested, pending) have not begun either."""
    return next((status for status in CheckStatus if status.value == text), CheckStatus.QUEUED)

"""Check runs with the limits that GitHub enforces on them."""

from __future__ import annotations

from typing import Any

from tests.github_server.answers import Answer, Call, Handler, forbidden, invalid_request, not_found, utf16
from tests.github_server.git_data import branches, has_commit
from tests.github_server.state import CheckRun

_TEXT_LIMIT = 65_535
_ANNOTATIONS = 50
_MESSAGE_BYTES = 64 * 1024
_TITLE_LIMIT = 255
_R = "/repos/{owner}/{repo}"


def _create(call: Call) -> Answer:
    if call.token.app is None:
        raise forbidden("You must authenticate via a GitHub App.")
    body = call.body
    if not has_commit(call.repository.git, body["head_sha"]):
        raise invalid_request(f"No commit found for SHA: {body['head_sha']}")
    run = CheckRun(call.state.new_id(), body["name"], body["head_sha"], call.token.app)
    _change(run, body)
    call.repository.checks[run.id] = run
    return Answer(201, call.documents.check(call.repository, run))


def _find(call: Call) -> CheckRun:
    run = call.repository.checks.get(int(call.path["check_run_id"]))
    if run is None:
        raise not_found()
    return run


def _update(call: Call) -> Answer:
    run = _find(call)
    if call.token.app != run.app:
        raise forbidden(f"Invalid app_id `{call.token.app.id if call.token.app else ''}` - check run can only be "
                        f"modified by the GitHub App that created it.")  # fmt: skip
    _change(run, call.body)
    return Answer(200, call.documents.check(call.repository, run))


def _change(run: CheckRun, body: dict[str, Any]) -> None:
    """Check everything first, so that a refused request changes nothing."""
    output = body.get("output")
    if output is not None:
        _check_output(output)
    status = body.get("status", run.status if run.history else "queued")
    conclusion = body.get("conclusion")
    if conclusion:
        status = "completed"
    elif status == "completed":
        raise invalid_request('"conclusion" is required when "status" is "completed".')
    if status != "completed":
        conclusion = None
    run.status, run.conclusion = status, conclusion
    run.external_id = body.get("external_id", run.external_id)
    run.details_url = body.get("details_url", run.details_url)
    if output is not None:
        run.output = {key: value for key, value in output.items() if key != "annotations"}
        run.annotations.extend(output.get("annotations", ()))
    run.history.append(f"{status}:{conclusion}" if conclusion else status)


def _check_output(output: dict[str, Any]) -> None:
    if not output.get("title") or "summary" not in output:
        raise invalid_request('"title" and "summary" are required.')
    for name in ("summary", "text"):
        size = utf16(output.get(name) or "")
        if size > _TEXT_LIMIT:
            raise invalid_request(f"Only {_TEXT_LIMIT} characters are allowed; {size} were supplied.")
    annotations = output.get("annotations", [])
    if len(annotations) > _ANNOTATIONS:
        raise invalid_request(f"No more than {_ANNOTATIONS} items are allowed; {len(annotations)} were supplied.")
    for annotation in annotations:
        _check_annotation(annotation)


def _check_annotation(annotation: dict[str, Any]) -> None:
    path, start, end = annotation["path"], annotation["start_line"], annotation["end_line"]
    if not path or path.startswith("/") or ".." in path.split("/"):
        raise invalid_request(f"{path!r} is not a valid path.")
    if start < 1 or end < start:
        raise invalid_request("lines must be positive and in order.")
    first, last = (annotation.get(name) for name in ("start_column", "end_column"))
    if first is not None or last is not None:
        if start != end:
            raise invalid_request("columns can only be given when the annotation is on one line.")
        if first is None or last is None or not 1 <= first <= last:
            raise invalid_request("columns must be positive and in order.")
    if not annotation["message"].strip() or len(annotation["message"].encode()) > _MESSAGE_BYTES:
        raise invalid_request("message must have 1 byte to 64 KB.")
    if utf16(annotation.get("title", "")) > _TITLE_LIMIT:
        raise invalid_request("title is too long.")


def _get(call: Call) -> Answer:
    return Answer(200, call.documents.check(call.repository, _find(call)))


def _annotations(call: Call) -> Answer:
    empty = {"start_column": None, "end_column": None, "title": None, "raw_details": None, "blob_href": ""}
    return Answer(200, [{**empty, **annotation} for annotation in _find(call).annotations])


def _of_commit(call: Call) -> Answer:
    repository, query = call.repository, call.query
    sha = branches(repository.git).get(call.path["ref"].removeprefix("heads/"), call.path["ref"])
    runs = [
        run
        for run in repository.checks.values()
        if run.head_sha == sha
        and query.get("check_name", run.name) == run.name
        and query.get("app_id", str(run.app.id)) == str(run.app.id)
        and query.get("status", run.status) == run.status
    ]
    if query.get("filter", "latest") == "latest":
        runs = list({(run.app.id, run.name): run for run in runs}.values())
    documents = [call.documents.check(repository, run) for run in runs]
    return Answer(200, {"total_count": len(documents), "check_runs": documents})


CHECK_ROUTES: dict[str, tuple[tuple[str, str], Handler]] = {
    f"POST {_R}/check-runs": (("checks", "write"), _create),
    f"PATCH {_R}/check-runs/{{check_run_id}}": (("checks", "write"), _update),
    f"GET {_R}/check-runs/{{check_run_id}}": (("checks", "read"), _get),
    f"GET {_R}/check-runs/{{check_run_id}}/annotations": (("checks", "read"), _annotations),
    f"GET {_R}/commits/{{ref}}/check-runs": (("checks", "read"), _of_commit),
}

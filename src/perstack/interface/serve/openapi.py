"""The OpenAPI 3.1 description of the table of operations. Pure; describes nothing by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from perstack.core.version import __version__
from perstack.interface.serve.operations import Answer, Operation, Parameter
from perstack.interface.serve.problems import KINDS, MEDIA
from perstack.interface.serve.schemas import ProblemDocument

_REF = "#/components/schemas/{model}"
_ALWAYS = ("foreign-origin", "wrong-host", "token-in-address", "failed", "bug")
_JOB = {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$"}
_ABOUT = {"job": "A job's id.", "path": "A file's path, as `listFiles` gives it."}


def description(table: Sequence[Operation]) -> dict[str, Any]:
    """The document."""
    paths: dict[str, dict[str, Any]] = {}
    for one in table:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "perstack serve",
            "version": __version__,
            "summary": "Start jobs of experts, follow their events, fetch what they left.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [
            {"url": "/", "description": "Loopback; the port is in the line the server prints when it is ready."}
        ],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": _schemas(table),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def text(table: Sequence[Operation]) -> str:
    """The document as a file."""
    return json.dumps(description(table), indent=2, ensure_ascii=False) + "\n"


def _operation(it: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {"operationId": it.name, "summary": it.summary}
    if it.about:
        told["description"] = it.about
    if it.is_open:
        told["security"] = []
    parameters = [_path_parameter(name) for name in re.findall(r"\{(\w+)\}", it.path)]
    parameters += [_parameter(one, "query") for one in it.query]
    parameters += [_parameter(one, "header") for one in it.headers]
    if parameters:
        told["parameters"] = parameters
    if it.body is not None:
        told["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(it.body)}}}
    told["responses"] = {str(status): _answer(answer) for status, answer in it.answers.items()} | _problems(it)
    return told


def _path_parameter(name: str) -> dict[str, Any]:
    schema = _JOB if name == "job" else {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "description": _ABOUT[name], "schema": schema}


def _parameter(it: Parameter, place: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": it.kind}
    if it.kind == "integer":
        schema |= {"minimum": it.low, "maximum": it.high}
    if it.choices:
        schema["enum"] = list(it.choices)
    if it.pattern:
        schema["pattern"] = it.pattern
    if it.many:
        schema = {"type": "array", "items": schema}
    return {"name": it.name, "in": place, "required": False, "description": it.about, "schema": schema}


def _answer(it: Answer) -> dict[str, Any]:
    told: dict[str, Any] = {"description": it.about}
    if it.has_place:
        told["headers"] = {"Location": {"description": "Where the job is.", "schema": {"type": "string"}}}
    if it.model is not None:
        told["content"] = {"application/json": {"schema": _ref(it.model)}}
    elif it.media:
        told["content"] = {media: {} for media in it.media}
    return told


def _problems(it: Operation) -> dict[str, Any]:
    """Every problem it can end with, by status."""
    kinds = [*it.problems, *_ALWAYS, *(() if it.is_open else ("no-token",))]
    found: dict[str, list[str]] = {}
    for kind in dict.fromkeys(kinds):
        status, title = KINDS[kind]
        found.setdefault(str(status), []).append(f"{title} (`{kind}`).")
    content = {MEDIA: {"schema": _ref(ProblemDocument)}}
    return {status: {"description": " ".join(told), "content": content} for status, told in sorted(found.items())}


def _schemas(table: Sequence[Operation]) -> dict[str, Any]:
    bodies = {one.body for one in table if one.body is not None}
    answers = {answer.model for one in table for answer in one.answers.values() if answer.model is not None}
    wanted = [(model, "validation") for model in bodies] + [(model, "serialization") for model in answers]
    wanted.append((ProblemDocument, "validation"))  # what has a default may be missing
    ordered = sorted(wanted, key=lambda it: (it[0].__name__, it[1]))
    _, found = models_json_schema(ordered, by_alias=True, ref_template=_REF)  # type: ignore[arg-type]
    return dict(sorted(found["$defs"].items()))


def _ref(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REF.format(model=model.__name__)}

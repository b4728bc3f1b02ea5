"""GitHub's official API description as a judge of requests and answers. Cut once from the pinned npm package.

OpenAPI 3.0 schemas become JSON Schema 2020-12: `nullable` turns into a type, the rest is the same language.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator, FormatChecker

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS / "node" / "node_modules" / "@octokit" / "openapi"
CACHE = TESTS / ".cache"
_WANTED = re.compile(
    r"/user|/rate_limit|/users/\{username\}|/orgs/\{org\}/teams/\{team_slug\}/memberships/\{username\}"
    r"|/repos/\{owner\}/\{repo\}(?:/(?:branches|check-runs|check-suites|collaborators|commits|compare"
    r"|contents|git|issues|labels|pulls|rules|statuses|actions/(?:artifacts|jobs|runs)|code-scanning/sarifs)(?:/.*)?)?"
)
# Where GitHub does not answer as it describes. Each entry says why we believe the server, not the description.
_DESCRIPTION_IS_WRONG = (
    # A deleted fork: GitHub's own webhook types say `repo: Repository | null`.
    "/pulls/{pull_number}: answer 200: $.head.repo: None is not of type 'object'",
)
_VERBS = frozenset({"get", "post", "patch", "put", "delete"})


@dataclass(frozen=True)
class Operation:
    """One operation of the description with its parameters resolved."""

    key: str  # "GET /repos/{owner}/{repo}"
    pattern: re.Pattern[str]
    parameters: tuple[Mapping[str, Any], ...]
    body: Mapping[str, Any] | None
    body_required: bool
    responses: Mapping[str, Any]


class Description:
    """The operations the test server may be asked, and their judge."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.version: str = document["version"]
        self._schemas = document["schemas"]
        self._operations: dict[str, list[Operation]] = {}
        for template, verbs in document["paths"].items():
            for verb, operation in verbs.items():
                self._operations.setdefault(verb.upper(), []).append(_operation(verb, template, operation))
        for operations in self._operations.values():  # longer and more literal templates win
            operations.sort(key=lambda o: (-o.key.count("/"), [part.startswith("{") for part in o.key.split("/")]))

    def find(self, verb: str, path: str) -> tuple[Operation, dict[str, str]] | None:
        """The operation for a raw (still quoted) path, and its path parameters."""
        for operation in self._operations.get(verb, ()):
            match = operation.pattern.fullmatch(path)
            if match:
                return operation, {name: unquote(value) for name, value in match.groupdict().items()}
        return None

    def check_request(
        self, operation: Operation, path: Mapping[str, str], query: Mapping[str, str], body: Any
    ) -> Iterator[str]:
        """Everything GitHub's description says is wrong with a request."""
        known = {p["name"]: p for p in operation.parameters if p["in"] == "query"}
        for name, value in query.items():
            if name not in known:
                yield f"unknown query parameter `{name}`"
            else:
                yield from self._check(_coerce(value, known[name]["schema"]), known[name]["schema"], f"?{name}")
        for parameter in operation.parameters:
            name = parameter["name"]
            if parameter["in"] == "query" and parameter.get("required") and name not in query:
                yield f"missing query parameter `{name}`"
            if parameter["in"] == "path":
                yield from self._check(_coerce(path[name], parameter["schema"]), parameter["schema"], f"path {name}")
        if body is None:
            if operation.body is not None and operation.body_required:
                yield "the body is missing"
        elif operation.body is None:
            yield "there may be no body"
        else:
            yield from self._check(body, operation.body, "body")
            yield from self._unknown_fields(body, operation.body)

    def check_response(self, operation: Operation, status: int, body: Any) -> Iterator[str]:
        """Everything GitHub's description says is wrong with an answer."""
        if str(status) not in operation.responses:
            if status < 400:
                yield f"status {status} is not described"
            return
        schema = operation.responses[str(status)]
        if schema is None:
            if body is not None:
                yield f"status {status} has no body"
        else:
            for objection in self._check(body, schema, f"answer {status}"):
                if not any(wrong in f"{operation.key}: {objection}" for wrong in _DESCRIPTION_IS_WRONG):
                    yield objection

    def complete(self, operation: Operation, status: int, body: Any) -> Any:
        """Fill what the description requires and nothing here cares about with neutral values."""
        schema = operation.responses.get(str(status))
        return body if schema is None else self._complete(schema, body)

    def _check(self, value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
        validator = Draft202012Validator({**schema, "$defs": self._schemas}, format_checker=FormatChecker())
        for error in validator.iter_errors(value):
            yield f"{where}: {error.json_path}: {error.message[:300]}"

    def _unknown_fields(self, body: Any, schema: Mapping[str, Any]) -> Iterator[str]:
        """GitHub ignores fields it does not know; here they are mistakes."""
        schema = self._resolve(schema)
        properties = schema.get("properties")
        if not properties or not isinstance(body, Mapping) or "oneOf" in schema or "anyOf" in schema:
            return
        for name, value in body.items():
            if name not in properties:
                yield f"body: unknown field `{name}`"
                continue
            inner = self._resolve(properties[name])
            for item in value if isinstance(value, list) else [value]:
                yield from self._unknown_fields(item, inner.get("items", inner))

    def _resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self._schemas[schema["$ref"].rpartition("/")[2]]
        return schema

    def _complete(self, schema: Mapping[str, Any], value: Any) -> Any:
        schema = self._resolve(schema)
        if isinstance(value, list) and "items" in schema:
            return [self._complete(schema["items"], item) for item in value]
        if not isinstance(value, Mapping):
            return value
        merged = {**value}
        for part in self._parts(schema, value):
            properties = part.get("properties", {})
            for name in part.get("required", ()):
                if name not in merged:
                    merged[name] = self._neutral(properties.get(name, {}))
            for name in merged.keys() & properties.keys():
                merged[name] = self._complete(properties[name], merged[name])
        return merged

    def _parts(self, schema: Mapping[str, Any], value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        """The schema with what it is composed of; of alternatives, the first that the value could mean."""
        schema = self._resolve(schema)
        yield schema
        alternatives = schema.get("oneOf") or schema.get("anyOf") or ()
        chosen = next((a for a in alternatives if self._could_be(self._resolve(a), value)), None)
        for part in (*schema.get("allOf", ()), *([chosen] if chosen else ())):
            yield from self._parts(part, value)

    def _could_be(self, schema: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
        if schema.get("type", "object") != "object":
            return False
        properties = schema.get("properties", {})
        return all(value[name] in self._resolve(p).get("enum", (value[name],)) for name, p in properties.items()
                   if name in value)  # fmt: skip

    def _neutral(self, schema: Mapping[str, Any]) -> Any:
        schema = self._resolve(schema)
        kind = schema.get("type")
        if "null" in (kind or ()) and isinstance(kind, list):
            return None
        if "enum" in schema:
            return schema["enum"][0]
        alternatives = schema.get("oneOf") or schema.get("anyOf")
        if alternatives:
            nulls = (a for a in alternatives if a.get("type") == "null")
            return None if next(nulls, None) else self._neutral(alternatives[0])
        if kind == "string":
            formats = {"uri": "https://example.test/", "date-time": "2026-01-01T00:00:00Z"}
            return formats.get(schema.get("format", ""), "")
        plain: dict[Any, Any] = {"integer": 0, "number": 0, "boolean": False, "array": []}
        return plain[kind] if kind in plain else self._complete(schema, {})


def _coerce(value: str, schema: Mapping[str, Any]) -> Any:
    """A parameter as the type its schema wants; text that is not of that type stays text and fails there."""
    kind = schema.get("type")
    if kind == "integer" and re.fullmatch(r"-?\d{1,18}", value):
        return int(value)
    if kind == "boolean" and value in {"true", "false"}:
        return value == "true"
    return value


def _operation(verb: str, template: str, operation: Mapping[str, Any]) -> Operation:
    multi = {p["name"] for p in operation["parameters"] if p.get("x-multi-segment")} | {"ref", "path"}
    pattern = re.sub(
        r"\\\{(\w+)\\\}",
        lambda m: f"(?P<{m[1]}>{'.+' if m[1] in multi and template.endswith(m[0].replace(chr(92), '')) else '[^/]+'})",
        re.escape(template),
    )
    body = operation.get("requestBody") or {}
    return Operation(
        key=f"{verb.upper()} {template}",
        pattern=re.compile(pattern),
        parameters=tuple(operation["parameters"]),
        body=body.get("schema"),
        body_required=bool(body.get("required")),
        responses=operation["responses"],
    )


@functools.cache
def load() -> Description:
    """The cut description, from the cache where the installed package was cut before.

    Raises: FileNotFoundError when the npm packages of `tests/node` are not installed.
    """
    version = json.loads((PACKAGE / "package.json").read_text(encoding="utf-8"))["version"]
    rules = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    cached = CACHE / f"github-openapi-{version}-{rules}.json"
    if not cached.exists():
        CACHE.mkdir(exist_ok=True)
        part = cached.with_suffix(".part")
        part.write_text(json.dumps(_cut(version)), encoding="utf-8")
        part.replace(cached)
    return Description(json.loads(cached.read_text(encoding="utf-8")))


def _cut(version: str) -> dict[str, Any]:
    """The wanted operations with everything they refer to, as JSON Schema."""
    full = json.loads((PACKAGE / "generated" / "api.github.com.json").read_text(encoding="utf-8"))
    components = full["components"]
    paths: dict[str, Any] = {}
    for template, verbs in full["paths"].items():
        if _WANTED.fullmatch(template):
            shared = verbs.get("parameters", [])
            paths[template] = {
                verb: _cut_operation(operation, shared, components)
                for verb, operation in verbs.items()
                if verb in _VERBS
            }
    schemas: dict[str, Any] = {}
    waiting = set(_references(paths))
    while waiting:
        name = waiting.pop()
        schemas[name] = _to_json_schema(components["schemas"][name])
        waiting |= {n for n in _references(schemas[name]) if n not in schemas}
    return {"version": version, "paths": paths, "schemas": schemas}


def _cut_operation(operation: Mapping[str, Any], shared: list[Any], components: Mapping[str, Any]) -> dict[str, Any]:
    def resolve(value: Mapping[str, Any]) -> Mapping[str, Any]:
        if "$ref" not in value:
            return value
        _, _, kind, name = value["$ref"].split("/")
        found: Mapping[str, Any] = components[kind][name]
        return found

    parameters = [
        {**resolve(p), "schema": _to_json_schema(resolve(p).get("schema", {}))}
        for p in (*shared, *operation.get("parameters", ()))
    ]
    result: dict[str, Any] = {"parameters": parameters, "responses": {}}
    body = operation.get("requestBody")
    if body:
        schema = body["content"].get("application/json", {}).get("schema", {})
        result["requestBody"] = {"required": body.get("required", False), "schema": _to_json_schema(schema)}
    for status, response in operation["responses"].items():
        content = resolve(response).get("content", {}).get("application/json")
        result["responses"][status] = _to_json_schema(content["schema"]) if content else None
    return result


def _to_json_schema(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_to_json_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:  # OpenAPI 3.0 ignores what stands beside a reference
        return {"$ref": f"#/$defs/{schema['$ref'].rpartition('/')[2]}"}
    skipped = {"nullable", "example", "examples", "description", "deprecated", "discriminator", "externalDocs", "title"}
    # Under `properties` the keys are names, not keywords.
    result = {
        key: {name: _to_json_schema(inner) for name, inner in value.items()}
        if key == "properties"
        else _to_json_schema(value)
        for key, value in schema.items()
        if key not in skipped and not key.startswith("x-")
    }
    if not schema.get("nullable"):
        return result
    if "enum" in result:
        result["enum"] = [*result["enum"], None]
    if isinstance(result.get("type"), str):
        return {**result, "type": [result["type"], "null"]}
    return {"anyOf": [result, {"type": "null"}]}


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rpartition("/")[2]
        for inner in value.values():
            yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)

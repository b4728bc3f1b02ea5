"""The public tables of `perstack.toml` as pydantic models: keys, types, defaults, limits of one value.

Rules that need more than one value are in `rules.py`; the tables this harness adds are in `schema_harness.py`.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema

from perstack.core.experts import BASE_SKILL
from perstack.core.grammar import (
    DOMAIN,
    ENV_NAME,
    EXPERT_KEY,
    TAG,
    VERSION,
    domain_problem,
    is_public_https,
    is_url,
)
from perstack.definition.schema_provider import Provider
from perstack.definition.tables import Table, written

MAX_NUMBER = 10**12
REASONING_LEVELS = ("none", "minimal", "low", "medium", "high")


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _reasoning_budget(value: object) -> object:
    whole = _whole(value)
    if isinstance(whole, int) and not isinstance(whole, bool) and 0 <= whole <= MAX_NUMBER:
        return whole
    if isinstance(whole, str) and whole in REASONING_LEVELS:
        return whole
    raise ValueError('expected "none", "minimal", "low", "medium", "high" or a whole number of tokens ≥ 0')


def _version(value: str) -> str:
    if VERSION.fullmatch(value) is None:
        raise ValueError('expected a semantic version such as "1.0.0"')
    return value


def _domain(value: str) -> str:
    problem = domain_problem(value)
    if problem:
        raise ValueError(problem)
    return value


def _endpoint(value: str) -> str:
    if not is_public_https(value):
        raise ValueError("SSE endpoint must be a public HTTPS URL")
    return value


def _api_base(value: str) -> str:
    if not is_url(value, schemes=("https",)):
        raise ValueError("perstackApiBaseUrl must use HTTPS")
    return value


def _base_command(value: list[str]) -> list[str]:
    if not value:
        raise ValueError("perstackBaseSkillCommand must have at least one element")
    return value


def _json_schema(value: str) -> str:
    try:
        parsed = json.loads(value)
    except ValueError as error:
        raise ValueError(f"expected a string that holds a JSON Schema: {error}") from error
    if not isinstance(parsed, dict):
        raise ValueError("expected a string that holds a JSON Schema object")  # noqa: TRY004  # pydantic wants it
    return value


Natural = Annotated[int, Field(ge=0, le=MAX_NUMBER), BeforeValidator(_whole)]
Positive = Annotated[int, Field(ge=1, le=MAX_NUMBER), BeforeValidator(_whole)]
Domain = Annotated[str, AfterValidator(_domain), written(DOMAIN)]
EnvName = Annotated[str, written(ENV_NAME)]
ExpertKeyText = Annotated[str, written(EXPERT_KEY)]
Tag = Annotated[str, written(TAG)]
Strings = list[str]


class StdioSkill(Table):
    """An MCP server over stdio, or the built-in base tools under the name `@perstack/base`."""

    model_config = ConfigDict(
        json_schema_extra={"not": {"required": ["packageName", "args"], "properties": {"args": {"minItems": 1}}}}
    )
    type: Literal["mcpStdioSkill"]
    command: str = Field(description="Program that starts the server.", json_schema_extra={"minLength": 1})
    package_name: str | None = Field(default=None, description="Package to start; instead of `args`.")
    args: Strings | None = Field(default=None, description="Arguments; instead of `packageName`.")
    description: str | None = None
    rule: str | None = Field(default=None, description="Text for the system prompt.")
    pick: Strings = Field(default_factory=list, description="Only these tools; empty: all.")
    omit: Strings = Field(default_factory=list, description="Not these tools.")
    required_env: list[EnvName] = Field(default_factory=list, description="Environment variables the server gets.")
    allowed_domains: list[Domain] | None = Field(default=None, description="Hosts the server may reach.")
    lazy_init: bool = Field(default=False, description="Start of the run does not wait for it (2025 form).")


class SseSkill(Table):
    """An MCP server over SSE or streamable HTTP."""

    type: Literal["mcpSseSkill"]
    endpoint: Annotated[str, AfterValidator(_endpoint), written("https://.+")] = Field(
        description="Public HTTPS address."
    )
    description: str | None = None
    rule: str | None = None
    pick: Strings = Field(default_factory=list)
    omit: Strings = Field(default_factory=list)
    allowed_domains: list[Domain] | None = None


class InteractiveTool(Table):
    """A tool whose answer comes from a person."""

    name: str | None = Field(default=None, description="Same as the table's name.")
    description: str | None = None
    input_json_schema: Annotated[str, AfterValidator(_json_schema)] = Field(description="JSON Schema as a string.")


class InteractiveSkill(Table):
    """Tools whose answers come from a person."""

    type: Literal["interactiveSkill"]
    description: str | None = None
    rule: str | None = None
    tools: dict[str, InteractiveTool]


Skill = Annotated[StdioSkill | SseSkill | InteractiveSkill, Field(discriminator="type")]


class BuiltinProviderSkill(Table):
    """A document skill a provider ships."""

    type: Literal["builtin"]
    skill_id: Literal["pdf", "docx", "pptx", "xlsx"]


class CustomProviderSkill(Table):
    """A provider skill defined here; `definition` is JSON."""

    type: Literal["custom"]
    name: str
    definition: str


ProviderSkill = Annotated[BuiltinProviderSkill | CustomProviderSkill, Field(discriminator="type")]


class WebSearchOptions(Table):
    """Options of the provider tool `webSearch`."""

    max_uses: Positive | None = None
    allowed_domains: Strings | None = None


class WebFetchOptions(Table):
    """Options of the provider tool `webFetch`."""

    max_uses: Positive | None = None


class FileSearchOptions(Table):
    """Options of the provider tool `fileSearch`."""

    vector_store_ids: Strings | None = None
    max_num_results: Positive | None = None


class ProviderToolOptions(Table):
    """Options of tools that the model's own server runs."""

    web_search: WebSearchOptions | None = None
    web_fetch: WebFetchOptions | None = None
    file_search: FileSearchOptions | None = None


class Expert(Table):
    """One micro-agent."""

    version: Annotated[str, AfterValidator(_version), written(VERSION)] | None = Field(
        default=None, description='Default: "1.0.0".'
    )
    min_runtime_version: str | None = None
    description: str | None = Field(default=None, min_length=1, max_length=2048, description="What callers see.")
    instruction: str = Field(min_length=1, max_length=20480, description="The expert's own, private instruction.")
    skills: dict[str, Skill] = Field(default_factory=dict, description=f'Default: "{BASE_SKILL}", always there.')
    delegates: list[ExpertKeyText] = Field(default_factory=list, description="Experts it may call as tools.")
    tags: list[Tag] = Field(default_factory=list)
    default_model_tier: Literal["low", "middle", "high"] | None = None
    provider_tools: Strings = Field(default_factory=list)
    provider_skills: list[ProviderSkill] = Field(default_factory=list)
    provider_tool_options: ProviderToolOptions | None = None


class PublicTables(Table):
    """The keys of the public format."""

    model: str | None = Field(default=None, description="Model name. Default: by tier of the provider.")
    provider: Provider | None = None
    reasoning_budget: Annotated[
        str | int,
        BeforeValidator(_reasoning_budget),
        WithJsonSchema(
            {"anyOf": [{"enum": list(REASONING_LEVELS)}, {"type": "integer", "minimum": 0, "maximum": MAX_NUMBER}]}
        ),
    ] = Field(default="low", description="Tokens for thinking, by level or number.")
    runtime: Literal["local", "cursor", "claude-code", "gemini", "docker"] | None = Field(
        default=None, description="2025 form; has no effect here."
    )
    max_steps: Positive = Field(default=100, description="Steps of one job.")
    max_retries: Natural = Field(default=5, description="Retries of one generation.")
    timeout: Positive = Field(default=300_000, description="Limit of one generation, ms.")
    perstack_api_base_url: Annotated[str, AfterValidator(_api_base), written("https://.+")] | None = Field(
        default=None, description="Expert registry; not used here."
    )
    perstack_base_skill_command: (
        Annotated[Strings, AfterValidator(_base_command), Field(json_schema_extra={"minItems": 1})] | None
    ) = Field(default=None, description="Replacement of the base tools; not used here.")
    env_path: Strings = Field(default=[".env", ".env.local"], description="dotenv files.")
    experts: dict[str, Expert] = Field(
        default_factory=dict, json_schema_extra={"propertyNames": {"pattern": f"^(?:{EXPERT_KEY.pattern})$"}}
    )

"""Which providers there are, what each needs, and which model a tier means. Imports no SDK and reads no environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urlsplit

from perstack.core.errors import UserError
from perstack.core.json import Json

TIERS = ("low", "middle", "high")
_CHAT = ("perstack.providers.openai_chat", "OpenAIChatProvider")


@dataclass(frozen=True, slots=True)
class Entry:
    """One provider. `module` is empty where the public format knows a name that is not built in yet.

    `headers_env` maps an HTTP header to the variable and the setting it comes from.
    """

    name: str
    module: str = ""
    class_name: str = ""
    key_env: str = ""
    key_required: bool = True
    url_env: str = ""
    url: str = ""
    url_required: bool = False
    url_suffix: str = ""
    headers_env: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    tiers: Mapping[str, str] = field(default_factory=dict)
    reasoning_field: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a provider class is made with. The key is never shown by `repr`."""

    provider: str
    api_key: str = field(repr=False)
    key_name: str = ""
    base_url: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    reasoning_field: str = ""


_ENTRIES = (
    Entry(
        "anthropic",
        "perstack.providers.anthropic",
        "AnthropicProvider",
        key_env="ANTHROPIC_API_KEY",
        url_env="ANTHROPIC_BASE_URL",
        tiers={"low": "claude-haiku-4-5", "middle": "claude-sonnet-4-6", "high": "claude-opus-4-6"},
    ),
    Entry(
        "openai",
        "perstack.providers.openai",
        "OpenAIProvider",
        key_env="OPENAI_API_KEY",
        url_env="OPENAI_BASE_URL",
        headers_env={
            "OpenAI-Organization": ("OPENAI_ORGANIZATION", "organization"),
            "OpenAI-Project": ("OPENAI_PROJECT", "project"),
        },
        tiers={"low": "gpt-5-nano", "middle": "gpt-5-mini", "high": "gpt-5"},
    ),
    Entry(
        "openai-compatible",
        *_CHAT,
        key_env="OPENAI_COMPATIBLE_API_KEY",
        key_required=False,
        url_env="OPENAI_COMPATIBLE_BASE_URL",
        url_required=True,
    ),
    Entry(
        "ollama",
        *_CHAT,
        key_env="OLLAMA_API_KEY",
        key_required=False,
        url_env="OLLAMA_BASE_URL",
        url="http://localhost:11434",
        url_suffix="/v1",
        tiers={"low": "gemma3:12b", "middle": "gpt-oss:20b", "high": "gpt-oss:120b"},
    ),
    Entry(
        "deepseek",
        *_CHAT,
        key_env="DEEPSEEK_API_KEY",
        url_env="DEEPSEEK_BASE_URL",
        url="https://api.deepseek.com",
        tiers={"low": "deepseek-chat", "middle": "deepseek-chat", "high": "deepseek-reasoner"},
        reasoning_field="reasoning_content",
    ),
    Entry(
        "fireworks",
        *_CHAT,
        key_env="FIREWORKS_API_KEY",
        url_env="FIREWORKS_BASE_URL",
        url="https://api.fireworks.ai/inference/v1",
        tiers=dict.fromkeys(TIERS, "accounts/fireworks/models/kimi-k2p5"),
        reasoning_field="reasoning_content",
    ),
    Entry(
        "search",
        "perstack.providers.search",
        "SearchProvider",
        key_required=False,
        tiers=dict.fromkeys(TIERS, "search"),
    ),
    Entry("google", key_env="GOOGLE_GENERATIVE_AI_API_KEY"),
    Entry("azure-openai", key_env="AZURE_API_KEY"),
    Entry("amazon-bedrock", key_env="AWS_ACCESS_KEY_ID"),
    Entry("google-vertex"),
)
ENTRIES: Mapping[str, Entry] = MappingProxyType({entry.name: entry for entry in _ENTRIES})

_WINDOWS = (
    # By prefix, the longest one first wins; in tokens.
    ("claude-", 200_000),
    ("gpt-5-chat", 128_000),
    ("gpt-5", 400_000),
    ("gpt-4.1", 1_047_576),
    ("o3", 200_000),
    ("o4-mini", 200_000),
    ("deepseek-", 128_000),
    ("gpt-oss:", 131_072),
    ("gemma3:1b", 32_000),
    ("gemma3:", 128_000),
)


def entry(name: str) -> Entry:
    """The provider of this name, which is built in.

    Raises: UserError when there is none, or not yet.
    """
    found = ENTRIES.get(name)
    usable = ", ".join(sorted(known.name for known in _ENTRIES if known.module))
    if found is None:
        raise UserError(f'unknown provider "{name}"', hint=f"Use one of: {usable}.")
    if not found.module:
        raise UserError(
            f'provider "{name}" is not built in yet',
            hint=f'Use one of: {usable}. A gateway that speaks the OpenAI protocol works as "openai-compatible".',
        )
    return found


def resolve(name: str, model: str = "", tier: str = "") -> str:
    """The model's id: `model` if given, else the provider's model of `tier`, else its middle one.

    Raises: UserError for an unknown provider or tier, or where the provider has no models of its own.
    """
    known = entry(name)
    if model:
        return model
    if tier and tier not in TIERS:
        raise UserError(f'unknown model tier "{tier}"', hint=f"Use one of: {', '.join(TIERS)}.")
    found = known.tiers.get(tier or "middle", "")
    if not found:
        raise UserError(
            f'provider "{name}" has no default model', hint="Name one with --model or `model` in perstack.toml."
        )
    return found


def credentials(name: str, env: Mapping[str, str], setting: Mapping[str, Json]) -> Credentials:
    """What the provider needs, from the environment and `[provider.setting]`; a setting wins over the environment.

    Raises: UserError when something is missing or no URL.
    """
    known = entry(name)
    key = env.get(known.key_env, "").strip()
    if known.key_required and not key:
        raise UserError(
            f"{known.key_env} is not set",
            hint=f"Put the key of {name} into the environment variable {known.key_env}, or choose another provider.",
        )
    if not _fits_header(key):
        raise UserError(
            f"{known.key_env} is no key: it holds spaces, line breaks or letters beyond ASCII",
            hint=f"Set {known.key_env} again, to the key alone.",
        )
    headers = _headers(setting)
    for header, (variable, field_name) in known.headers_env.items():
        value = setting.get(field_name) or env.get(variable, "")
        if isinstance(value, str) and value:
            headers[header] = value
    return Credentials(name, key, known.key_env, _url(known, env, setting), headers, known.reasoning_field)


def context_window(model: str) -> int | None:
    """How many tokens a model can read; None where it is not known."""
    fits = [(len(prefix), size) for prefix, size in _WINDOWS if model.startswith(prefix)]
    return max(fits)[1] if fits else None


def _url(known: Entry, env: Mapping[str, str], setting: Mapping[str, Json]) -> str:
    given = setting.get("baseUrl") or env.get(known.url_env, "")
    url = given.strip().rstrip("/") if isinstance(given, str) else ""
    url = url or known.url
    if not url:
        if known.url_required:
            raise UserError(
                f"{known.url_env} is not set",
                hint=f'Provider "{known.name}" needs the address of its server, in {known.url_env} or '
                "`baseUrl` under [provider.setting], for example http://127.0.0.1:8080/v1.",
            )
        return ""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise UserError(
            f'the base URL of provider "{known.name}" is no URL', hint="It begins with https:// or http://."
        )
    if known.url_suffix and not url.endswith(known.url_suffix):
        url += known.url_suffix
    return url


def _headers(setting: Mapping[str, Json]) -> dict[str, str]:
    given = setting.get("headers")
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise UserError("`headers` under [provider.setting] must map names to strings")
    found: dict[str, str] = {}
    for name, value in given.items():
        if not isinstance(value, str) or not _fits_header(value.replace(" ", "")) or not _fits_header(name):
            raise UserError(
                f"header {name!r} under [provider.setting] cannot be sent",
                hint="Its value must be a string of ASCII letters, digits and signs.",
            )
        found[name] = value
    return found


def _fits_header(text: str) -> bool:
    """Threat: an HTTP library quotes a header it cannot send, so a malformed key would end up in a message."""
    return text.isascii() and text.isprintable() and " " not in text

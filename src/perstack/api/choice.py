"""Picks concrete classes: the sandbox that works, the provider that is asked for. Nobody else does.

Modules that are slow to import are named in tables and loaded when they are first needed.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

from anyio import to_thread

from perstack.api.host import Host
from perstack.api.snapshots import SNAPSHOTS, keeping
from perstack.core.capabilities import Capabilities
from perstack.core.contracts import Provider, Sandbox, Tell
from perstack.core.errors import SandboxUnavailable, UserError
from perstack.core.experts import CHECKS_EXPERT, Config, ProviderSpec
from perstack.core.sandbox import SandboxSpec, Snapshot
from perstack.providers import catalogue
from perstack.providers.facts import facts
from perstack.providers.fallback import FallbackProvider, Room

SANDBOXES = ("docker", "bubblewrap", "host")
# From strongest to weakest; `host` is never chosen automatically.
AUTOMATIC = ("docker", "bubblewrap")
_PLACE = "perstack.infrastructure.sandbox"


async def working_sandbox(
    name: str,
    path: tuple[Path, ...],
    *,
    host: Host | None = None,
    tell: Tell | None = None,
    spec: SandboxSpec | None = None,
) -> Sandbox:
    """The back end of this name, really tried. It keeps snapshots where `host` keeps them, and tells what set-up did.

    `spec` says which engine and runtime it must have; the engine is looked for as the environment of `host` says.

    Raises: UserError for an unknown name; SandboxUnavailable with the reason it does not work here.
    """
    if name not in SANDBOXES:
        raise UserError(f"unknown sandbox `{name}`", hint=f"choose one of {', '.join(SANDBOXES)} or auto")
    _require_engine(name, spec or SandboxSpec())
    module = importlib.import_module(f"{_PLACE}.{name}")
    problem, make = "", partial(getattr(module, name.capitalize()), path=path)
    if name == "docker":
        if host is None:
            problem, make = await module.probe_docker(), partial(module.Docker)
        else:
            wanted = spec or SandboxSpec()
            engine = await to_thread.run_sync(
                importlib.import_module(f"{_PLACE}.engines").choose, wanted.engine, host.env, wanted.runtime
            )
            make = partial(module.Docker, engine=engine.address)
    elif name == "bubblewrap":
        problem = await module.probe_bubblewrap(path)
        make = partial(make, scratch=host.scratch if host else None)
    if problem:
        raise SandboxUnavailable(problem)
    kept = {"cache": host.cache / SNAPSHOTS, "keeping": keeping(host.env)} if host else {}
    return cast("Sandbox", make(**kept, **({"tell": tell} if tell else {})))


def _require_engine(name: str, spec: SandboxSpec) -> None:
    if name != "docker" and (spec.compose or spec.services):
        raise SandboxUnavailable(
            f"[sandbox] services cannot run beside {name}: they are containers", hint="Start Docker or Podman."
        )
    if name != "docker" and spec.runtime:
        raise SandboxUnavailable(
            f"[sandbox] runtime: {name} has no {spec.runtime}, a container engine may", hint="Start one that has it."
        )


async def guaranteed(sandbox: Sandbox, made: Snapshot, wanted: Sequence[str]) -> Capabilities:
    """What a sandbox that is started for it guarantees, made sure that it is what the configuration demands.

    Raises: SandboxUnavailable with what is missing and what to do.
    """
    found = await capabilities_of(sandbox, made, thorough=bool(wanted))
    if missing := found.missing(wanted):
        raise SandboxUnavailable(
            f"[sandbox] require: {sandbox.name} does not guarantee {'; '.join(missing)}",
            hint="Use a machine or an engine that does (`perstack doctor` shows each), or take it out of `require`.",
        )
    return found


async def capabilities_of(sandbox: Sandbox, made: Snapshot, *, thorough: bool = True) -> Capabilities:
    """What a sandbox of this snapshot guarantees, measured; limits that cannot be seen are tried where `thorough`."""
    module = importlib.import_module(f"{_PLACE}.capabilities")
    return cast("Capabilities", await module.measured(sandbox, made, thorough=thorough))


def choose_provider(host: Host, config: Config) -> ProviderSpec:
    """The asked one, else the configured one, else the one whose key is there, else the model-free search."""
    configured = config.provider
    if host.provider:
        same = configured is not None and configured.name == host.provider
        return configured if same and configured else ProviderSpec(host.provider)
    if configured is not None:
        return configured
    for name in ("anthropic", "openai"):
        if host.env.get(f"{name.upper()}_API_KEY"):
            return ProviderSpec(name)
    return ProviderSpec("search")


def choose_checks(host: Host, config: Config) -> str:
    """Who writes held-out checks where nobody is named, or `off`: a search program has no opinion on a task.

    A program that brings its own provider names an expert if it wants checks.
    """
    asks = host.model_provider is None and choose_provider(host, config).name != "search"
    return CHECKS_EXPERT if asks and CHECKS_EXPERT in config.experts else "off"


def make_provider(
    spec: ProviderSpec, env: Mapping[str, str], say: Callable[[str], None], room: Room | None = None
) -> Provider:
    """The provider; `room` is asked before a model that it falls back on.

    Raises: UserError for an unknown provider, a missing key or a missing package.
    """
    entry = catalogue.entry(spec.name)
    credentials = replace(catalogue.credentials(spec.name, env, spec.setting), timeouts=spec.timeouts)
    threading.Thread(target=_load, args=("genai_prices.data",), daemon=True).start()
    provider = cast("Provider", catalogue.load(entry).create(credentials, say))
    if not spec.fallback:
        return provider
    return FallbackProvider(provider, spec.fallback, say, room=room, traits=partial(facts, spec.name, own=spec.models))


def attempts(wanted: str, spec: SandboxSpec, suggestion: SandboxSpec) -> tuple[tuple[str, SandboxSpec], ...]:
    """Which back ends to try with which image, in order. What the configuration names is never replaced.

    Without a configured image, Docker uses the local `perstack-base` where that can run the project (it holds Python),
    and else the image that fits the repository.
    """
    configured = spec.needs_images
    names = (wanted,) if wanted != "auto" else ("docker",) if configured or spec.runtime else AUTOMATIC
    if configured or not suggestion.image:
        return tuple((name, spec) for name in names)
    fitting = replace(spec, image=suggestion.image, setup=spec.setup or suggestion.setup)
    docker = (spec, fitting) if suggestion.image.startswith("python:") else (fitting,)
    found: list[tuple[str, SandboxSpec]] = []
    for name in names:
        found += [(name, variant) for variant in docker] if name == "docker" else [(name, spec)]
    return tuple(found)


def load_early(spec: ProviderSpec) -> None:
    """Start to load a provider's SDK (seconds of work) while a sandbox starts. What goes wrong shows when it is made.

    Raises: UserError for an unknown provider.
    """
    threading.Thread(target=_load, args=(catalogue.entry(spec.name).module,), daemon=True).start()


def _load(module: str) -> None:
    with contextlib.suppress(ImportError):
        importlib.import_module(module)

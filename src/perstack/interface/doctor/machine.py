"""Doctor's look at this machine: git, sandboxes, the network as seen from inside one, secrets, programs, the model."""

from __future__ import annotations

from collections.abc import Sequence

from perstack import api
from perstack.core.errors import ExitCode, PerstackError, ProviderError
from perstack.core.experts import BUILTIN_SKILLS, Config
from perstack.core.sandbox import SandboxSpec
from perstack.interface.doctor.finding import Finding, State, failed, well

_NO_SANDBOX = (
    "Start a Docker engine, or install bubblewrap (apt-get install bubblewrap). On hosted runners with Ubuntu 24.04 "
    "bubblewrap needs `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0` first; Docker works as it is."
)


async def git() -> Finding:
    """Whether there is a git."""
    try:
        return well("git", await api.git_version())
    except PerstackError as error:
        return failed("git", error)


async def sandbox(host: api.Host) -> Finding:
    """Which isolation works, and why not the others."""
    if host.sandbox == "host":
        hint = "Leave `sandbox` out: the strongest isolation that works is chosen."
        return Finding("sandbox", State.WARNING, "`host` gives no isolation: code of pull requests runs as you", hint)
    tried = await api.try_sandboxes(host)
    working = [name for name, problem in tried.items() if not problem]
    others = "; ".join(f"{name}: {problem}" for name, problem in tried.items() if problem)
    if not working:
        return Finding("sandbox", State.PROBLEM, f"no sandbox works here ({others})", _NO_SANDBOX)
    return well("sandbox", working[0] + (f" ({others})" if others else ""))


async def inside(
    host: api.Host, config: Config, suggestion: SandboxSpec, programs: Sequence[str]
) -> tuple[Finding, ...]:
    """What a sandbox lets through: the network, secrets; and which programs of the signals are in it."""
    try:
        seen = await api.look_inside(host, config, suggestion, programs)
    except PerstackError as error:
        return (failed("isolation", error),)
    proxy = _proxy(host, seen, config, suggestion)
    about = (*_guarantees(seen, config), _egress(seen), *proxy, *_builds(seen, config))
    return (*about, _secrets(seen), *_programs(seen, config, suggestion))


def _guarantees(seen: api.Inside, config: Config) -> tuple[Finding, ...]:
    """What the sandbox that was looked into holds, and what not."""
    found = seen.capabilities
    if found is None:
        return ()
    facts, told = {each.value: fact for each, fact in found.facts.items()}, found.document()
    if missing := found.missing(config.sandbox.require):
        hint = "Use an engine or a machine that does, or take it out of `require` under [sandbox]."
        message = f"{seen.sandbox} does not guarantee what is required: {'; '.join(missing)}"
        return (Finding("guarantees", State.PROBLEM, message, hint, data=told),)
    lacking = found.lacking()
    holds = ", ".join(f"{name} ({facts[name].known})" for name in facts if name not in lacking)
    without = "; ".join(f"{name} ({facts[name].detail})" for name in facts if name in lacking)
    message = f"{seen.sandbox} holds {holds or 'nothing'}" + (f"; not: {without}" if without else "")
    state = State.WARNING if seen.sandbox == "host" else State.OK
    return (Finding("guarantees", state, message, data=told),)


def _egress(seen: api.Inside) -> Finding:
    if seen.sandbox == "host":
        return Finding("egress", State.WARNING, "not closed: `host` gives no isolation")
    if seen.reached:
        hint = "Do not use this machine for code you do not trust; choose another `--sandbox`, and report this."
        return Finding("egress", State.PROBLEM, f"open: from inside {seen.sandbox} this machine was reached", hint)
    others = f"; interfaces inside: {', '.join(seen.interfaces)}" if seen.interfaces else ", no interface but loopback"
    if not seen.probe:
        hint = "Tried for real only with python3, bash or node in the image."
        return Finding("egress", State.NOTE, f"{seen.sandbox}: nothing inside can try to connect{others}", hint)
    return well("egress", f"closed: from inside {seen.sandbox}, {seen.probe} reached nothing{others}")


def _proxy(host: api.Host, seen: api.Inside, config: Config, suggestion: SandboxSpec) -> tuple[Finding, ...]:
    """Whether what is to reach something has the proxy to reach it with; nothing where nothing is."""
    every = (skill for expert in config.experts.values() for skill in expert.skills.values())
    skills = [skill for skill in every if skill.name not in BUILTIN_SKILLS]  # those are part of this program
    named = any(skill.allowed_domains for skill in skills)
    made = config.sandbox.setup or config.sandbox.devcontainer or (suggestion.setup and seen.sandbox == "docker")
    fetched = bool(made) or any(api.is_fetched(skill.command) for skill in skills)
    if not named and not (fetched and config.sandbox.network.open and seen.sandbox != "host"):
        return ()
    installed, comes = api.way_out(host)
    if installed:
        return (well("proxy", "squid is installed: set-up and skills reach what they may"),)
    if comes:
        return (Finding("proxy", State.NOTE, "squid is not installed: a job installs it when something needs it"),)
    hint = (
        "Install squid (`apt-get install squid`, `dnf install squid`; its service need not run), "
        'or write setupNetwork = "none" under [sandbox].'
    )
    return (Finding("proxy", State.PROBLEM, "squid is not installed: set-up and skills cannot fetch", hint),)


def _builds(seen: api.Inside, config: Config) -> tuple[Finding, ...]:
    """That images are built outside the network of set-up; nothing where nothing is built, or nothing fetched."""
    given = config.sandbox
    named = [name for name in (given.build, given.devcontainer, given.compose) if name]
    if seen.sandbox != "docker" or not named or not given.network.open:
        return ()
    message = f"{', '.join(named)}: images are built and pulled over the engine's own network, not through the proxy"
    hint = 'Name a pinned `image`, or have every image here and write setupNetwork = "none": then none is fetched.'
    return (Finding("builds", State.WARNING if given.build else State.NOTE, message, hint),)


def _secrets(seen: api.Inside) -> Finding:
    if seen.leaked:
        names = ", ".join(seen.leaked)
        if seen.sandbox == "host":
            return Finding("secrets", State.WARNING, f"{names} can be read: `host` gives no isolation")
        return Finding("secrets", State.PROBLEM, f"{names} can be read inside {seen.sandbox}", "Report this.")
    return well("secrets", "none can be read inside")


def _programs(seen: api.Inside, config: Config, suggestion: SandboxSpec) -> tuple[Finding, ...]:
    if not seen.missing:
        return ()
    names = ", ".join(seen.missing)
    if config.sandbox.setup or suggestion.setup:
        message = f"{names}: not in {seen.sandbox} before set-up, which doctor leaves out"
        return (Finding("programs", State.NOTE, message, "Nothing to do where set-up installs it."),)
    hint = (
        "Install it on this machine, or let a Docker engine run: images bring their own programs."
        if seen.sandbox == "bubblewrap"
        else "Name an `image` that has it under [sandbox] of perstack.toml, or install it in `setup`."
    )
    return (Finding("programs", State.PROBLEM, f"{names}: not found inside {seen.sandbox}", hint, ExitCode.USAGE),)


def keys(host: api.Host) -> tuple[Finding, ...]:
    """Where keys came from, never what they are; and what should be changed about it."""
    told = [well("key", f"{name}: from {origin}") for name, origin in sorted(host.key_origins.items())]
    return (*told, *(Finding("key", State.WARNING, warning) for warning in host.warnings))


async def model(host: api.Host, config: Config, *, ask: bool) -> Finding:
    """Which model a job would use, and, where asked for, whether it answers."""
    try:
        provider, name = api.chosen_model(host, config)
        if provider == "search":
            return well("model", "search: no key, so no model, and small faults only")
        if not ask:
            return well("model", f"{provider}, {name}; not asked")
        return well("model", f"{provider}: {await api.ask_model(host, config)} answers")
    except ProviderError as error:
        hint = error.hint or "Check the key, the model's name, and whether this machine may reach the provider."
        return Finding("model", State.PROBLEM, error.message, hint)
    except PerstackError as error:
        return failed("model", error)

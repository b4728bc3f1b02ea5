"""Which command a skill starts and which environment values it gets: those it names in `requiredEnv`, and only it."""

from __future__ import annotations

from collections.abc import Mapping

from perstack.core.errors import UserError
from perstack.core.experts import SkillSpec

# A value from outside under one of these names would choose what runs in the sandbox, or lead past its proxy.
_REFUSED = frozenset(
    {
        "path", "home", "shell", "node_path", "node_options", "ld_preload", "ld_library_path", "ld_audit",
        "dyld_insert_libraries", "dyld_library_path", "pythonpath", "pythonhome", "pythonstartup", "perl5lib",
        "perl5opt", "rubylib", "rubyopt", "bash_env", "env", "http_proxy", "https_proxy", "all_proxy", "no_proxy",
        "perstack_proxy_url", "npm_config_proxy", "npm_config_https_proxy",
    }
)  # fmt: skip


def command_line(spec: SkillSpec) -> tuple[str, ...]:
    """The command as written, with its arguments; `npx` never asks before it starts a package."""
    args = (spec.package_name,) if spec.package_name else spec.args
    if spec.command == "npx" and "-y" not in args and "--yes" not in args:
        args = ("-y", *args)
    return (spec.command, *args)


def missing_variables(spec: SkillSpec, env: Mapping[str, str]) -> tuple[str, ...]:
    """The variables of `requiredEnv` that have no value. An empty one counts as missing: so CI hands over no secret."""
    return tuple(name for name in spec.required_env if name.lower() not in _REFUSED and not env.get(name))


def environment(spec: SkillSpec, env: Mapping[str, str]) -> Mapping[str, str]:
    """The values of `requiredEnv` out of `env`, for this skill's server only. Names that steer a process stay out.

    Raises: UserError where a variable has no value.
    """
    missing = missing_variables(spec, env)
    if missing:
        raise UserError(
            f"Skill {spec.name} requires environment variable {missing[0]}",
            hint=f"Set {', '.join(missing)}, or take the skill out of the expert.",
        )
    return {name: env[name] for name in spec.required_env if name.lower() not in _REFUSED}

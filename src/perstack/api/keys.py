"""Where keys come from: the environment, a file it names, a command it names, or the operator's own `keys.toml`.

Who may say so: only whoever starts the process. A perstack.toml may name none of these, whosever it is, and neither may
a dotenv file of a checkout: either would run a command, or send a file's content to a server, for whoever wrote it.
Keeps no key anywhere but in the environment that it returns.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import stat
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perstack.core.errors import UserError
from perstack.infrastructure.process import output_of
from perstack.providers.entries import ENTRIES

FILE, COMMAND = "_FILE", "_COMMAND"
_FORGE = ("PERSTACK_GITHUB_TOKEN", "GITHUB_TOKEN")
# Read and written by others under this very name, and with another meaning.
_NOT_OURS = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
_MAX = 65_536
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Keys:
    """`env` with every key in it. `origins`: where each came from, in words; `warnings`: what should be changed.

    `fetched` are the names of those that were not in the environment.
    """

    env: Mapping[str, str]
    origins: Mapping[str, str]
    fetched: frozenset[str] = frozenset()
    warnings: tuple[str, ...] = ()


def key_names() -> tuple[str, ...]:
    """The variables that hold keys of providers and the forge's token."""
    found = [entry.key_env for entry in ENTRIES.values() if entry.key_env]
    return tuple(dict.fromkeys([*found, *_FORGE]))


def operators_names() -> frozenset[str]:
    """Variables that only the process's own environment may set: where a key is, what runs, what may be reached."""
    names = {f"{name}{end}" for name in (*key_names(), *_NOT_OURS) for end in (FILE, COMMAND)}
    machine = {"DOCKER_HOST", "XDG_RUNTIME_DIR", "PERSTACK_SETUP_MIRRORS", "RUNNER_ENVIRONMENT"}
    return frozenset(names | machine | {"XDG_CONFIG_HOME", "HOME", "PATH", "LD_PRELOAD", "LD_LIBRARY_PATH"})


def fetched(env: Mapping[str, str]) -> Keys:
    """Fetch the keys that `env` says where to find. What is there already wins.

    Raises: UserError for a file that cannot be read, a command that fails, a key that is none, two places for one key.
    """
    own = _own_places(env)
    known, origins, warnings, names = dict(env), dict[str, str](), list[str](), set[str]()
    for name in key_names():
        if env.get(name, "").strip():
            origins[name] = f"the environment variable {name}"
            continue
        file, command = env.get(name + FILE, ""), env.get(name + COMMAND, "")
        if file and command:
            raise UserError(f"{name}{FILE} and {name}{COMMAND} are both set", hint="Unset one of them.")
        place, source = (name + FILE if file else name + COMMAND), file or _argv(name + COMMAND, command)
        if not source:
            place, source = own.get(name, ("", ""))
        if not source:
            continue
        is_file = isinstance(source, str)
        known[name] = _from_file(place, source, warnings) if isinstance(source, str) else _said(place, source, env)
        origins[name] = f"{f'the file {source}' if is_file else f'the command `{source[0]}`'} ({place})"
        names.add(name)
    return Keys(known, origins, frozenset(names), tuple(warnings))


def _own_places(env: Mapping[str, str]) -> dict[str, tuple[str, str | tuple[str, ...]]]:
    """Variable → place and source, as the operator's own `keys.toml` says."""
    home = env.get("XDG_CONFIG_HOME") or (f"{env['HOME']}/.config" if env.get("HOME") else "")
    path = Path(home) / "perstack" / "keys.toml"
    if not home.startswith("/") or not path.is_file():
        return {}
    status = path.stat()
    if status.st_mode & 0o022 or status.st_uid not in {os.getuid(), 0}:
        raise UserError(f"{path}: others can write it, and it names commands", hint=f"chmod 600 {path}")
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    return {name: place for provider, table in document.items() for name, place in _entry(path, provider, table)}


def _entry(path: Path, provider: str, table: Any) -> list[tuple[str, tuple[str, str | tuple[str, ...]]]]:
    known = ENTRIES.get(provider)
    name = known.key_env if known else "PERSTACK_GITHUB_TOKEN" if provider == "github" else ""
    if not name or not isinstance(table, dict) or len(table) != 1 or not set(table) <= {"apiKeyFile", "apiKeyCommand"}:
        raise UserError(
            f"{path}: [{provider}] is not a provider with one of `apiKeyFile` and `apiKeyCommand`",
            hint='For example [anthropic] with apiKeyCommand = ["pass", "show", "anthropic"]; [github] is the forge.',
        )
    ((word, value),) = table.items()
    place = f"{word} in {path}"
    if word == "apiKeyFile" and isinstance(value, str) and value:
        return [(name, (place, value))]
    if word == "apiKeyCommand" and isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return [(name, (place, tuple(value)))]
    raise UserError(f"{path}: [{provider}] {word} is not a {'path' if word == 'apiKeyFile' else 'list of strings'}")


def _argv(place: str, text: str) -> tuple[str, ...]:
    """A program and its arguments: a JSON list, or words with quotes. No shell ever reads them."""
    try:
        words = json.loads(text) if text.lstrip().startswith("[") else shlex.split(text)
    except ValueError as error:
        raise UserError(f"{place} is no command: {error}") from error
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise UserError(f"{place} is no list of strings")
    return tuple(words)


def _from_file(place: str, name: str, warnings: list[str]) -> str:
    path = Path(name).expanduser()
    try:
        # Not blocking: a pipe that nobody writes to is refused, and not waited for.
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{place}: {path} is no regular file", hint="For a program's output use a command.")
            data = file.read(_MAX + 1)
    except OSError as error:
        raise UserError(f"{place}: {path} cannot be read: {error.strerror}") from error
    if status.st_mode & 0o004:
        warnings.append(f"{place}: every user of this machine can read {path}; change that with chmod 600")
    if path.resolve().is_relative_to(Path.cwd()):
        warnings.append(f"{place}: {path} lies below the current directory, where experts and tests may read it")
    return _key(place, data)


def _said(place: str, argv: Sequence[str], env: Mapping[str, str]) -> str:
    """What the command prints. It runs outside every checkout, and is found on absolute places of PATH only."""
    search = os.pathsep.join(part for part in env.get("PATH", os.defpath).split(os.pathsep) if part.startswith("/"))
    program = argv[0] if argv[0].startswith("/") else "" if "/" in argv[0] else shutil.which(argv[0], path=search) or ""
    if not program:
        raise UserError(f"{place}: there is no program `{argv[0]}`", hint="Give its absolute path.")
    code, data = output_of((program, *argv[1:]), env={**env, "PATH": search}, timeout_s=_PATIENCE_S, limit=_MAX + 1)
    if code != 0:
        how = f"did not end within {_PATIENCE_S:g} s" if code is None else f"ended with exit code {code}"
        raise UserError(
            f"{place}: `{argv[0]}` {how}", hint="Run it by hand to see why; what it says is not shown here."
        )
    return _key(place, data)


def _key(place: str, data: bytes) -> str:
    text = data.decode("utf-8", "replace").strip()
    if not text or len(data) > _MAX or not text.isascii() or not text.isprintable() or " " in text:
        what = "nothing" if not text else "no key: it has spaces, line breaks or letters beyond ASCII, or no end"
        raise UserError(f"{place} gives {what}", hint="It must be the key alone.")
    return text

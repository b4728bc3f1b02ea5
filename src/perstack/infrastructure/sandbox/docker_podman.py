"""What Podman needs that Docker does not: a narrower seccomp profile, a first program where it has none of its own,
and limits of a process, which it sets for nobody but root.

Podman's profile lets everybody make namespaces and mounts, and use keyrings, so that it can run inside itself. The
profile here is the engine's own without these. Starts nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException

from perstack.infrastructure.owned import owned_folder

_INFO = "/v4.0.0/libpod/info"
_NAMESPACES = 0x7E020000  # CLONE_NEW* of clone()
_EPERM, _ENOSYS = 1, 38
_REFUSED = frozenset((
    "add_key", "bpf", "clone", "clone3", "fanotify_init", "fsconfig", "fsmount", "fsopen", "fspick",
    "io_uring_enter", "io_uring_register", "io_uring_setup", "kexec_file_load", "kexec_load", "keyctl", "mount",
    "mount_setattr", "move_mount", "open_by_handle_at", "open_tree", "perf_event_open", "pivot_root", "quotactl",
    "quotactl_fd", "reboot", "request_key", "setdomainname", "sethostname", "setns", "swapoff", "swapon", "syslog",
    "umount", "umount2", "unshare", "userfaultfd",
))  # fmt: skip
_ALLOW, _REFUSE = "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO"

# The kernel spares a first program the signals it sends itself, and those that its children send. So it is a shell,
# which waits for the real one and says its end; what it would say itself (`Killed`) is nobody's output.
_FIRST = 'exec 3>&2 2>/dev/null; (exec "$@" 2>&3 3>&-); exit $?'


def behind_shell(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a container without an init program: a shell is its first one, and the rest runs as a child."""
    words = [*options["entrypoint"], *options["command"]]
    return {**options, "init": False, "entrypoint": ["/bin/sh"], "command": ["-c", _FIRST, "sh", *words]}


def limited(command: Sequence[str], limits: Mapping[str, int]) -> list[str]:
    """Words of `/bin/sh` that bound themselves before they become `/bin/sh` with `command`.

    `limits` by the letters of `ulimit`; files (`f`) in blocks of 512 bytes.
    """
    lines = [f"ulimit -{letter} {value}" for letter, value in limits.items()]
    return ["-c", "\n".join([*(f"{line} || exit 125" for line in lines), 'exec /bin/sh "$@"']), "sh", *command]


def own_profile(client: docker.DockerClient) -> str | None:
    """Where the seccomp profile of a Podman engine lies, "" where it does not say; None for an engine that is none."""
    try:
        answer = client.api.get(f"{client.api.base_url}{_INFO}")
        told = answer.json()["host"] if answer.ok else None
    except (DockerException, RequestException, ValueError, KeyError, TypeError):
        return None
    if not isinstance(told, dict):
        return None
    security = told.get("security")
    return str(security.get("seccompProfilePath") or "") if isinstance(security, dict) else ""


@contextlib.contextmanager
def narrowed(profile: str) -> Iterator[tuple[str, ...]]:
    """The option that gives a container the narrower profile; none where the engine's own cannot be read.

    Podman reads the file when it makes the container, and not later.
    """
    try:
        text = json.dumps(without_refused(json.loads(Path(profile).read_bytes()))) if profile else ""
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        text = ""
    if not text:
        yield ()
        return
    with owned_folder("seccomp") as folder:
        path = folder / "profile.json"
        path.write_text(text, "utf-8")
        yield (f"seccomp={path}",)


def without_refused(profile: Mapping[str, Any]) -> dict[str, Any]:
    """The profile without the system calls that nobody in a sandbox needs; `clone` stays, but for namespaces."""
    kept = [{**rule, "names": [n for n in rule["names"] if n not in _REFUSED]} for rule in profile["syscalls"]]
    plain = {"index": 0, "value": _NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
    ours = [
        {"names": ["clone"], "action": _ALLOW, "args": [plain]},
        {"names": ["clone3"], "action": _REFUSE, "errnoRet": _ENOSYS},  # its flags cannot be seen: use clone
        {"names": sorted(_REFUSED - {"clone", "clone3"}), "action": _REFUSE, "errnoRet": _EPERM},
    ]
    return {**profile, "syscalls": [*(rule for rule in kept if rule["names"]), *ours]}

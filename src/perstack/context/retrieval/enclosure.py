"""What the worker's process may see: Python, the root to read, its index. Made with bubblewrap, where that works.

Threat: a file that takes over a parser runs code as the user of the harness. Inside there is no network, no process of
the harness (so neither its memory nor its environment), no home and no secret on disk; only the index can be written.
Not a sandbox for programs of a checkout: `infrastructure/sandbox` is that.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from perstack.infrastructure import process
from perstack.infrastructure.sandbox.toolchain import SYSTEM_PATH

_PROBE_S = 20.0
_PACKAGE = Path(process.__file__).parents[1]
_SYSTEM = ("/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")


async def enclosure(root: Path, folder: Path) -> tuple[str, ...]:
    """Words before a Python command line that enclose it: `root` read-only, `folder` writable. () where it cannot."""
    program = shutil.which("bwrap", path=":".join(SYSTEM_PATH))
    if program is None:
        return ()
    words = (program, *_options(root, folder), "--")
    try:
        done = await process.run((*words, sys.executable, "-I", "-S", "-c", "0"), env={}, timeout_s=_PROBE_S)
    except OSError:
        return ()
    return words if done.exit_code == 0 else ()


def _options(root: Path, folder: Path) -> list[str]:
    found = [
        "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
        "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL",
        "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",  # noqa: S108  # an empty one, of its own
    ]  # fmt: skip
    if os.geteuid() != 0:
        found.insert(0, "--unshare-user")
    for path in (*_SYSTEM, *_python()):
        found += ["--ro-bind-try", path, path]
    return [*found, "--ro-bind", str(root), str(root), "--bind", str(folder), str(folder), "--chdir", "/"]


def _python() -> list[str]:
    """Where the interpreter and our own modules lie; never a folder that holds much else."""
    places = [Path(sys.base_prefix), Path(sys.prefix), _PACKAGE]
    places += [Path(path) for path in sys.path if path and (path.endswith(("-packages", "src")))]
    return [str(path) for path in dict.fromkeys(places) if path.is_absolute() and len(path.parts) > 1]

"""The worker's files as arguments of a command. Reads package data; starts nothing."""

from __future__ import annotations

from importlib import resources

PACKAGE = "perstack.providers.search.worker"
TRAVEL_NAME = "perstack_search_worker"

LAUNCHER = f"""\
import os, sys
home = os.path.dirname(os.path.abspath(__file__))
sys.path.append(home)
from {TRAVEL_NAME}.entry import start
sys.exit(start(sys.argv[1:], home))
"""

INSTALLER = f"""\
import os, sys, tempfile
home = tempfile.mkdtemp(prefix="perstack-search-")
package = os.path.join(home, "{TRAVEL_NAME}")
os.mkdir(package)
spec, launcher, *files = sys.argv[1:]
for index in range(0, len(files), 2):
    with open(os.path.join(package, files[index]), "w", encoding="utf-8") as stream:
        stream.write(files[index + 1])
with open(os.path.join(home, "go.py"), "w", encoding="utf-8") as stream:
    stream.write(launcher)
os.execv(sys.executable, [sys.executable, os.path.join(home, "go.py"), spec])
"""


def install_arguments(spec: str) -> list[str]:
    """Arguments for a Python interpreter that installs the worker below its temporary directory and starts it."""
    arguments = ["-c", INSTALLER, spec, LAUNCHER]
    for entry in sorted(resources.files(PACKAGE).iterdir(), key=lambda e: e.name):
        if entry.name.endswith(".py"):
            arguments += [entry.name, entry.read_text(encoding="utf-8").replace(PACKAGE, TRAVEL_NAME)]
    return arguments

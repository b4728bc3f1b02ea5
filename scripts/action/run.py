"""Perstack from the action's own directory, on the locked packages. Not for use outside the action."""

import importlib
import sys
from pathlib import Path

INTERRUPTED = 130

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
run = importlib.import_module("perstack.interface.main").run
if sys.argv[1] == "action" and run(["doctor", "--quick"]) == INTERRUPTED:
    sys.exit(INTERRUPTED)  # what else doctor finds, the job tells where people look
sys.exit(run([sys.argv[1]]))

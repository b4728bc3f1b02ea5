"""`perstack action` from the action's own directory, on the locked packages. Not for use outside the action."""

import importlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
sys.exit(importlib.import_module("perstack.interface.main").run(["action"]))

"""Composition root and programmatic API: interface and scripts come in here; concrete classes are picked here."""

from perstack.api.configuration import CONFIG_NAME, parse_config, read_config, validate
from perstack.api.engine import Engine, Job
from perstack.api.host import Fix, Host, Verify
from perstack.api.repository import GitRemote, commit, detect_signals, open_bare
from perstack.definition.document import json_schema, reference
from perstack.definition.load import find_config
from perstack.definition.topology import tree_lines as expert_lines
from perstack.infrastructure.apply import apply_tree
from perstack.infrastructure.git import Repository
from perstack.infrastructure.git_remote import locate
from perstack.signals.detect import Detection, render_toml

__all__ = [
    "CONFIG_NAME",
    "Detection",
    "Engine",
    "Fix",
    "GitRemote",
    "Host",
    "Job",
    "Repository",
    "Verify",
    "apply_tree",
    "commit",
    "detect_signals",
    "expert_lines",
    "find_config",
    "json_schema",
    "locate",
    "open_bare",
    "parse_config",
    "read_config",
    "reference",
    "render_toml",
    "validate",
]

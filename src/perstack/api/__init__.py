"""Composition root and programmatic API: interface and scripts come in here; concrete classes are picked here.

Names are loaded when they are first used: what answers a comment must not wait for what fixes code.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from perstack.api.adding import (
        Access,
        Dependencies,
        Proposal,
        accept,
        local_source,
        propose,
        remove,
        renewed,
        stale,
    )
    from perstack.api.artifacts import red_cases, unpacked
    from perstack.api.auditing import EvidenceRefused, audited, differences
    from perstack.api.checkout import (
        Checkout,
        FixCheckout,
        NotApplied,
        VerifyCheckout,
        fix_checkout,
        plan_shards,
        run_shard,
        verify_checkout,
    )
    from perstack.api.choice import choose_provider
    from perstack.api.configuration import CONFIG_NAME, committed_config, parse_config, read_config, validate
    from perstack.api.creating import Create, Definition, create_expert
    from perstack.api.deferred import DeferredEngine, Jobs
    from perstack.api.engine import Engine, Job
    from perstack.api.examining import (
        Inside,
        ask_model,
        chosen_model,
        git_version,
        look_inside,
        try_sandboxes,
        way_out,
    )
    from perstack.api.following import Following
    from perstack.api.hidden import redactor
    from perstack.api.history import Archive, JobHistory, Standing
    from perstack.api.host import Fix, Host, Review, Run, Verify
    from perstack.api.install import Installation, collect
    from perstack.api.install import write as write_lock
    from perstack.api.keys import operators_names
    from perstack.api.machine import surroundings
    from perstack.api.models import ModelFacts, ProviderFacts, survey
    from perstack.api.publishing import Publication, examine
    from perstack.api.repository import GitRemote, commit, detect_signals, open_bare
    from perstack.api.running import require_possible
    from perstack.api.snapshots import Pruned, keeping, prune
    from perstack.context.prompts import fence as as_data
    from perstack.definition.document import json_schema_text, reference
    from perstack.definition.load import find_config
    from perstack.definition.package import permissions
    from perstack.definition.topology import resolve_expert
    from perstack.definition.topology import tree_lines as expert_lines
    from perstack.infrastructure.apply import apply_tree
    from perstack.infrastructure.git import Repository
    from perstack.infrastructure.git_remote import locate
    from perstack.infrastructure.interruption import Interrupted, run_interruptibly
    from perstack.infrastructure.owned import owned_folder
    from perstack.infrastructure.package_words import is_fetched
    from perstack.infrastructure.remote import Route, is_remote
    from perstack.infrastructure.sandbox.snapshot_store import Kept
    from perstack.providers.prices import pricing
    from perstack.runtime.creating import Created
    from perstack.runtime.replay import ReplayReport
    from perstack.runtime.replay import check as check_log
    from perstack.runtime.replay_rerun import rerun as rerun_log
    from perstack.runtime.request import RunOutcome
    from perstack.signals.audit import Audit
    from perstack.signals.detect import Detection, render_toml
    from perstack.signals.sensitivity import Sensitivity, gates

__all__ = [
    "CONFIG_NAME",
    "Access",
    "Archive",
    "Audit",
    "Checkout",
    "Create",
    "Created",
    "DeferredEngine",
    "Definition",
    "Dependencies",
    "Detection",
    "Engine",
    "EvidenceRefused",
    "Fix",
    "FixCheckout",
    "Following",
    "GitRemote",
    "Host",
    "Inside",
    "Installation",
    "Interrupted",
    "Job",
    "JobHistory",
    "Jobs",
    "Kept",
    "ModelFacts",
    "NotApplied",
    "Proposal",
    "ProviderFacts",
    "Pruned",
    "Publication",
    "ReplayReport",
    "Repository",
    "Review",
    "Route",
    "Run",
    "RunOutcome",
    "Sensitivity",
    "Standing",
    "Verify",
    "VerifyCheckout",
    "accept",
    "apply_tree",
    "as_data",
    "ask_model",
    "audited",
    "check_log",
    "choose_provider",
    "chosen_model",
    "collect",
    "commit",
    "committed_config",
    "create_expert",
    "detect_signals",
    "differences",
    "examine",
    "expert_lines",
    "find_config",
    "fix_checkout",
    "gates",
    "git_version",
    "is_fetched",
    "is_remote",
    "json_schema_text",
    "keeping",
    "local_source",
    "locate",
    "look_inside",
    "open_bare",
    "operators_names",
    "owned_folder",
    "parse_config",
    "permissions",
    "plan_shards",
    "pricing",
    "propose",
    "prune",
    "read_config",
    "red_cases",
    "redactor",
    "reference",
    "remove",
    "render_toml",
    "renewed",
    "require_possible",
    "rerun_log",
    "resolve_expert",
    "run_interruptibly",
    "run_shard",
    "stale",
    "surroundings",
    "survey",
    "try_sandboxes",
    "unpacked",
    "validate",
    "verify_checkout",
    "way_out",
    "write_lock",
]

# Module below `perstack` → the names it gives; `new=old` where a name differs there.
_PLACES = {
    "api.adding": "Access Dependencies Proposal accept local_source propose remove renewed stale",
    "api.publishing": "Publication examine",
    "definition.package": "permissions",
    "api.artifacts": "red_cases unpacked",
    "api.auditing": "EvidenceRefused audited differences",
    "api.checkout": "Checkout FixCheckout NotApplied VerifyCheckout fix_checkout plan_shards run_shard verify_checkout",
    "api.choice": "choose_provider",
    "api.configuration": "CONFIG_NAME committed_config parse_config read_config validate",
    "api.creating": "Create Definition create_expert",
    "api.deferred": "DeferredEngine Jobs",
    "api.engine": "Engine Job",
    "api.examining": "Inside ask_model chosen_model git_version look_inside try_sandboxes way_out",
    "api.following": "Following",
    "api.history": "Archive JobHistory Standing",
    "api.hidden": "redactor",
    "api.host": "Fix Host Review Run Verify",
    "api.keys": "operators_names",
    "api.models": "ModelFacts ProviderFacts survey",
    "api.install": "Installation collect write_lock=write",
    "api.running": "require_possible",
    "api.snapshots": "Pruned keeping prune",
    "infrastructure.sandbox.snapshot_store": "Kept",
    "api.repository": "GitRemote commit detect_signals open_bare",
    "api.machine": "surroundings",
    "context.prompts": "as_data=fence",
    "definition.document": "json_schema_text reference",
    "definition.load": "find_config",
    "definition.topology": "resolve_expert expert_lines=tree_lines",
    "infrastructure.apply": "apply_tree",
    "infrastructure.git": "Repository",
    "infrastructure.git_remote": "locate",
    "infrastructure.interruption": "Interrupted run_interruptibly",
    "infrastructure.owned": "owned_folder",
    "infrastructure.package_words": "is_fetched",
    "infrastructure.remote": "Route is_remote",
    "providers.prices": "pricing",
    "signals.audit": "Audit",
    "runtime.creating": "Created",
    "runtime.replay": "ReplayReport check_log=check",
    "runtime.replay_rerun": "rerun_log=rerun",
    "runtime.request": "RunOutcome",
    "signals.detect": "Detection render_toml",
    "signals.sensitivity": "Sensitivity gates",
}
_NAMES = {
    new: (f"perstack.{module}", old or new)
    for module, names in _PLACES.items()
    for new, _, old in (name.partition("=") for name in names.split())
}


def __getattr__(name: str) -> object:
    if name not in _NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, original = _NAMES[name]
    value: object = getattr(importlib.import_module(module), original)
    globals()[name] = value
    return value

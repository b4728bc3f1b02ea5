"""The machine a job runs on: environment, programs, a private scratch directory. Starts nothing.

The one place outside the command line that reads the process's environment, and only where a program hands in none.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from perstack.api.choice import SANDBOXES
from perstack.api.hidden import logging_without, secrets_in, without_secrets
from perstack.api.host import Host
from perstack.api.keys import Keys, fetched
from perstack.core.contracts import Provider
from perstack.core.errors import UserError
from perstack.core.storage import Store
from perstack.infrastructure.owned import owned_folder, sweep

STORAGE = "perstack"
_RUNNERS_OWN = ("GITHUB_", "ACTIONS_", "RUNNER_", "PERSTACK_GITHUB_TOKEN")


@contextmanager
def surroundings(
    env: Mapping[str, str] | None = None,
    *,
    sandbox: str = "auto",
    provider: str | Provider = "",
    model: str = "",
    storage: Path | None = None,
    store: Store | None = None,
) -> Iterator[Host]:
    """A Host over `env` (None: the process's own) with a private scratch directory that is gone afterwards.

    What is left out comes from PERSTACK_PROVIDER, PERSTACK_MODEL and PERSTACK_STORAGE_PATH of `env`.
    Raises: UserError for an unknown sandbox, or a key that cannot be fetched.
    """
    if sandbox not in ("auto", *SANDBOXES):
        raise UserError(f"unknown sandbox `{sandbox}`", hint=f"Choose one of auto, {', '.join(SANDBOXES)}.")
    keys = fetched(os.environ if env is None else env)
    known = dict(keys.env)
    named = provider if isinstance(provider, str) else ""
    # Short, outside the checkout: unix sockets below it have a length limit of about 100 characters.
    sweep()
    with owned_folder() as scratch:
        host = Host(
            env=known,
            path=tool_path(known),
            scratch=scratch,
            storage=storage or Path(known.get("PERSTACK_STORAGE_PATH") or STORAGE),
            sandbox=sandbox,
            provider=named or known.get("PERSTACK_PROVIDER", ""),
            model=model or known.get("PERSTACK_MODEL", ""),
            store=store,
            model_provider=None if isinstance(provider, str) else provider,
            key_origins=keys.origins,
            masks=_masks(keys),
            warnings=keys.warnings,
        )
        secrets = host.redactor()
        try:
            with logging_without(secrets):
                yield host
        except BaseException as error:
            # Whoever tells it (a message, a traceback) has no secrets to look for.
            without_secrets(error, secrets)
            raise


def _masks(keys: Keys) -> tuple[str, ...]:
    """Secrets that a runner may not know: all but the tokens that it makes itself, whatever other name has them too."""
    own = {keys.env[name] for name in keys.env if name.startswith(_RUNNERS_OWN) and name not in keys.fetched}
    return secrets_in({name: value for name, value in keys.env.items() if value not in own})


def tool_path(env: Mapping[str, str]) -> tuple[Path, ...]:
    """PATH as the sandboxes that use the host's toolchain see it: this interpreter's own directory comes last."""
    entries = [Path(part) for part in env.get("PATH", os.defpath).split(os.pathsep) if part.startswith("/")]
    own = Path(sys.executable).parent
    return tuple(dict.fromkeys((*entries, own)))

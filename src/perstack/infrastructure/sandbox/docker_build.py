"""One build of a Dockerfile by an engine, such that every image it makes has a name of ours at any moment.

What a failed or killed build leaves is then found again: the engine keeps the images of its finished steps, and they
carry no label. A name moves along from step to step; in the end it stands for the last one. Blocking.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import APIError, BuildError

from perstack.infrastructure.owned import is_gone, owned_name

BUILDS = "perstack-build"  # what is built has this name, so that the engine notes when it was wanted last

_WORD = "making"
_STEP = re.compile(r"step \d+(/\d+)?\s*:\s*(\w+)", re.IGNORECASE)
_IMAGE = re.compile(r"-+>\s+([0-9a-f]{12,64})\s*$")
_DONE = re.compile(r"(?:^Successfully built |sha256:)([0-9a-f]+)$")


def built(client: docker.DockerClient, options: Mapping[str, Any]) -> str:
    """The id of the image that `options` of the engine's `build` come to; it has a name of ours.

    Raises: BuildError, with the lines of the build; APIError.
    """
    lines: list[dict[str, Any]] = []
    draft = f"{owned_name(_WORD)}-{secrets.token_hex(4)}"
    last = found = ""
    try:
        for made in _made(client.api.build(**options, decode=True), lines):
            found = made.image if made.is_last else found
            if made.is_own:
                last = made.image
                client.api.tag(last, BUILDS, draft, force=True)
        if not found:
            raise BuildError("it ended without an image", iter(lines))
    finally:
        # Named before the draft's name goes: what fails has its finished steps kept as those of others are.
        if found or last:
            _name(client, found or last)
        with contextlib.suppress(APIError):
            client.images.remove(f"{BUILDS}:{draft}", noprune=True)
    return str(client.images.get(found).id)


def is_abandoned(tag: str) -> bool:
    """Whether a name is one of a build that was killed."""
    repository, _, name = tag.partition(":")
    return repository == BUILDS and name.startswith(f"perstack-{_WORD}.") and is_gone(name)


def _name(client: docker.DockerClient, image: str) -> None:
    with contextlib.suppress(APIError):
        identity = str(client.images.get(image).id)
        client.api.tag(identity, BUILDS, identity.removeprefix("sha256:")[:12], force=True)


@dataclass(frozen=True, slots=True)
class _Made:
    """An image that a build tells of. `is_own` where this build made it: a base is somebody's, and so is a cache's."""

    image: str
    is_own: bool
    is_last: bool


def _made(stream: Iterator[dict[str, Any]], lines: list[dict[str, Any]]) -> Iterator[_Made]:
    is_own = False
    for part in stream:
        if "error" in part:
            raise BuildError(str(part["error"]), iter(lines))
        lines.append(part)
        for line in str(part.get("stream", "")).splitlines():
            if step := _STEP.match(line.strip()):
                is_own = step[2].upper() != "FROM"
            elif "Using cache" in line:
                is_own = False
            elif image := _IMAGE.search(line):
                yield _Made(image[1], is_own=is_own, is_last=False)
            if done := _DONE.search(line):
                yield _Made(done[1], is_own=False, is_last=True)

"""What jobs leave at an engine beyond snapshots: images built from Dockerfiles, and containers of killed harnesses.

Only what carries our label. An image that anybody gave another name, or that a container or another image needs, stays.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime

import docker
from docker.errors import APIError
from docker.models.images import Image

from perstack.infrastructure.sandbox.docker_container import LABEL, connected, reap
from perstack.infrastructure.sandbox.docker_image import BUILDS
from perstack.infrastructure.sandbox.snapshot_store import Keeping, Kept

_YOUNG_S = 3600.0  # a job may be about to use it, without a container yet


def remove_leftovers(
    keeping: Keeping, engine: str = "", *, now: float | None = None, dry_run: bool = False
) -> tuple[Kept, ...]:
    """Remove built images not used for as long as snapshots are kept, an hour at least; those that were or would be.

    Raises: SandboxUnavailable where the engine does not answer.
    """
    clock = time.time() if now is None else now
    with connected(engine) as client:
        if not dry_run:
            reap(client)
        every = [(image, _told(image)) for image in _built(client)]
        old = [pair for pair in every if clock - pair[1].used > max(keeping.max_age_s, _YOUNG_S)]
        return tuple(one for image, one in old if dry_run or _removed(client, image))


def _built(client: docker.DockerClient) -> Iterator[Image]:
    for image in client.images.list(filters={"label": f"{LABEL}=build"}):
        if all(tag.startswith(f"{BUILDS}:") for tag in image.tags):
            yield image


def _told(image: Image) -> Kept:
    """`used` is when a build came to this image last."""
    metadata = image.attrs.get("Metadata") or {}
    used = max(_seconds(metadata.get("LastTagTime")), _seconds(image.attrs.get("Created")))
    name = str(image.id).removeprefix("sha256:")[:12]
    return Kept(f"{BUILDS}:{name}", "[sandbox] build", _own_bytes(image), used, str(image.id))


def _own_bytes(image: Image) -> int:
    """Without the layers of images that have a name of their own."""
    total = 0
    for place, layer in enumerate(image.history()):
        if place and layer.get("Tags"):
            break
        total += int(layer.get("Size") or 0)
    return total


def _removed(client: docker.DockerClient, image: Image) -> bool:
    try:
        for name in image.tags or [str(image.id)]:
            client.images.remove(name)
    except APIError:
        return False  # somebody needs it, or was faster
    return True


def _seconds(text: object) -> float:
    with contextlib.suppress(ValueError, OverflowError):
        if isinstance(text, str) and not text.startswith("0001"):
            return datetime.fromisoformat(f"{text[:19]}+00:00").timestamp()
    return 0.0

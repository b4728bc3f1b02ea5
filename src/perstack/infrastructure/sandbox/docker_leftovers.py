"""What jobs leave at an engine beyond snapshots: images built from Dockerfiles, and containers of killed harnesses.

Only what carries our label. An image that anybody gave another name, or that a container or another image needs, stays.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import docker
from docker.errors import APIError
from docker.models.images import Image

from perstack.infrastructure.owned import is_gone
from perstack.infrastructure.sandbox.docker_build import BUILDS, is_abandoned
from perstack.infrastructure.sandbox.docker_container import LABEL, connected, reap
from perstack.infrastructure.sandbox.docker_image import FOLDER, SNAPSHOTS, remove_image
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
        old = [pair for pair in every if _is_old(*pair, clock, keeping)]
        built = tuple(one for image, one in old if dry_run or _removed(client, image))
        return (*remove_orphans(client, now=clock, dry_run=dry_run), *built)


def remove_orphans(
    client: docker.DockerClient, *, now: float | None = None, most: int | None = None, dry_run: bool = False
) -> tuple[Kept, ...]:
    """Remove images of snapshots that belong to none: nameless ones past their hour, and those whose folder is gone.

    A folder that cannot be seen from here says nothing: the process that made the image must have been of this PID
    namespace, and be gone. `most` bounds the work.
    """
    clock = time.time() if now is None else now
    gone: list[Kept] = []
    for told in client.api.images(filters={"label": f"{LABEL}=snapshot"}):
        if most is not None and len(gone) >= most:
            break
        labels, tags = told.get("Labels") or {}, [tag for tag in told.get("RepoTags") or () if ":<none>" not in tag]
        made, folder = float(told.get("Created") or 0), labels.get(FOLDER, "")
        lost = folder and is_gone(labels.get(f"{LABEL}.owner", "")) and not Path(folder).exists()
        ours = all(tag.startswith(f"{SNAPSHOTS}:") for tag in tags)
        if ours and (lost or (not tags and clock - made > _YOUNG_S)):
            one = Kept(tags[0] if tags else told["Id"][7:19], "set-up whose folder is gone", 0, made, told["Id"])
            if dry_run or all(remove_image(client, name) for name in tags or [told["Id"]]):
                gone.append(one)
    return tuple(gone)


def _is_old(image: Image, one: Kept, clock: float, keeping: Keeping) -> bool:
    if image.tags and all(is_abandoned(tag) for tag in image.tags):
        return True
    return clock - one.used > max(keeping.max_age_s, _YOUNG_S)


def _built(client: docker.DockerClient) -> Iterator[Image]:
    found = {str(image.id): image for image in client.images.list(filters={"label": f"{LABEL}=build"})}
    found |= {str(image.id): image for image in client.images.list(name=BUILDS)}  # steps of those that failed
    for image in found.values():
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

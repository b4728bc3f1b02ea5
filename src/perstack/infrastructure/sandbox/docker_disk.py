"""What containers put on an engine's disk themselves: the layers that they write, and the volumes of their images.

A layer is looked at where it lies. Where it cannot be seen from here (the engine is another user's, or keeps it
otherwise), the engine is asked for its bytes; its number of files is known to nobody then.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import docker
from docker.errors import DockerException
from docker.models.containers import Container
from requests.exceptions import RequestException

from perstack.infrastructure.sandbox.disk import DiskWatch, Used, is_same, nameless_bytes

_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Layers:
    """The writable layers of some containers: `folders` that can be seen here, and containers to ask for."""

    client: docker.DockerClient
    folders: tuple[Path, ...] = ()
    unseen: tuple[str, ...] = ()
    roots: tuple[os.stat_result, ...] = ()  # of those that run, as their programs see them

    def used(self) -> Used:
        """What the engine says of those that cannot be seen, and what programs hold open that has no name."""
        total = sum(nameless_bytes(partial(_is_rooted, root=root), root.st_dev) for root in self.roots)
        for name in self.unseen:
            with contextlib.suppress(DockerException, RequestException):
                for told in self.client.api.containers(size=True, all=True, filters={"id": name}):
                    total += int(told.get("SizeRw") or 0)
        return Used(total)


def layers_of(client: docker.DockerClient, containers: Sequence[Container]) -> Layers:
    """The layers of containers that run, and the volumes that are left to them."""
    seen: list[Path] = []
    unseen: list[str] = []
    roots: list[os.stat_result] = []
    for container in containers:
        container.reload()
        roots.extend(_root(container))
        volumes = (Path(mount["Source"]) for mount in container.attrs["Mounts"] if mount["Type"] == "volume")
        seen.extend(place for place in volumes if os.access(place, os.R_OK | os.X_OK))
        folder = _upper(container.attrs)
        if folder and os.access(folder, os.R_OK | os.X_OK):
            seen.append(folder)
        else:
            unseen.append(str(container.id))
    return Layers(client, tuple(seen), tuple(unseen), tuple(roots))


def _root(container: Container) -> Iterator[os.stat_result]:
    """Unless it is hidden from this user, or its number is another PID namespace's."""
    process = Path("/proc", str(container.attrs["State"].get("Pid") or 0))
    with contextlib.suppress(OSError):
        # Groups have its name where the engine may make some; /etc/hosts and others come from a folder of its name.
        if any(str(container.id) in (process / what).read_text("utf-8", "replace") for what in ("cgroup", "mountinfo")):
            yield (process / "root").stat()


def _is_rooted(process: Path, root: os.stat_result) -> bool:
    try:
        return is_same(process / "root", root)
    except OSError:
        return False


def volumes_of(image: Mapping[str, Any], taken: Collection[str], options: str) -> dict[str, str]:
    """A tmpfs with these options in place of each volume that an image declares, unless something else is there.

    Left alone it would be a nameless volume on the machine's disk: without a limit, and writable under a root that is
    not. What the image has there is not seen.
    """
    there = {posixpath.normpath(place) for place in taken}
    declared = (posixpath.normpath(str(place)) for place in image.get("Config", {}).get("Volumes") or {})
    return dict.fromkeys((place for place in declared if place not in there and place != "/"), options)


def _upper(attributes: Mapping[str, Any]) -> Path | None:
    data = (attributes.get("GraphDriver") or {}).get("Data") or {}
    return Path(data["UpperDir"]) if data.get("UpperDir") else None


@dataclass(slots=True)
class Stop:
    """Which limit stopped the container; "" for none."""

    limit: str = ""


@contextlib.contextmanager
def stopped_at(disk: DiskWatch, container: Container) -> Iterator[Stop]:
    """Kill the container where its disk's limit is exceeded, now or when the context ends."""
    stop, over = Stop(), threading.Event()

    def look() -> None:
        while not stop.limit and not over.wait(_EVERY_S):
            check()

    def check(*, at_last: bool = False) -> None:
        stop.limit = disk.check_here(at_last=at_last)
        if stop.limit:
            with contextlib.suppress(DockerException, RequestException):
                container.kill()

    watcher = threading.Thread(target=look, name="perstack-disk", daemon=True)
    watcher.start()
    try:
        yield stop
    finally:
        over.set()
        watcher.join()
        if not stop.limit:
            check(at_last=True)

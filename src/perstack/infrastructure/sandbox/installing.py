"""What set-up and installations have in common on every back end: a HOME that is thrown away, and whom to trust.

The certificate authorities of this machine are trusted inside too: where a company's own proxy stands between,
its authority is known here and not in an image. Authorities are public; nothing secret is handed in.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from perstack.core.json import JsonObject
from perstack.core.sandbox import Mount, Network
from perstack.infrastructure.egress.inside import network_mounts, setup_variables
from perstack.infrastructure.owned import remove_tree

INSTALL_OUTPUT = 200_000  # bytes of each stream

_HOME = ".home"
_AUTHORITIES = "/run/perstack-authorities.pem"
_BUNDLES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),
    Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),
    Path("/etc/ssl/ca-bundle.pem"),
    Path("/etc/ssl/cert.pem"),
)


@contextlib.contextmanager
def installing(folder: Mount) -> Iterator[dict[str, str]]:
    """The environment of one command over `folder`: HOME is a folder in it, gone afterwards."""
    home = folder.source / _HOME
    home.mkdir(exist_ok=True)
    try:
        yield {"HOME": f"{folder.target}/{_HOME}"}
    finally:
        remove_tree(home)


def silent(kind: str, payload: JsonObject) -> None:
    """For whoever does not want to be told."""
    del kind, payload


def outward_mounts(network: Network | None) -> tuple[Mount, ...]:
    """What set-up and installations see beyond their own: whom to trust, and the way out."""
    return (*authority_mounts(), *network_mounts(network))


def outward_variables(network: Network | None) -> Mapping[str, str]:
    """The variables for both."""
    return {**authority_variables(), **setup_variables(network)}


def authority_mounts() -> tuple[Mount, ...]:
    """This machine's certificate authorities, where it has a file of them."""
    found = next((bundle for bundle in _BUNDLES if bundle.is_file()), None)
    return (Mount(found.resolve(), _AUTHORITIES),) if found else ()


def authority_variables(place: str = _AUTHORITIES) -> dict[str, str]:
    """The variables that make package programs trust them: npm and node, pip, uv, curl and OpenSSL, git."""
    if not authority_mounts():
        return {}
    names = ("NODE_EXTRA_CA_CERTS", "PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "CURL_CA_BUNDLE")
    return dict.fromkeys((*names, "GIT_SSL_CAINFO", "NPM_CONFIG_CAFILE"), place)

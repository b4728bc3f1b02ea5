"""Fetching what GitHub keeps on other hosts (logs, artifacts): without our token, within limits of size and time."""

from __future__ import annotations

import time
from collections.abc import Iterable
from urllib.parse import urljoin, urlsplit

import requests

from perstack.core.errors import ForgeError
from perstack.forge.github_errors import unreachable

_ATTEMPTS = 3
_HOPS = 3
_WHOLE_S = 300.0
_CHUNK = 1 << 16


def download(
    location: str, what: str, *, most: int, keep_end: int, timeout_s: int, plain: bool, retry_wait_s: float
) -> bytes:
    """The bytes at an address that GitHub gave us. `plain` lets HTTP be used, for servers that speak nothing else.

    More than `most` bytes are refused; with `keep_end` the last so many of the first `most` are the answer.
    Raises: ForgeError.
    """
    ends = time.monotonic() + _WHOLE_S
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _fetch(location, what, most, keep_end, timeout_s, plain=plain, ends=ends)
        except OSError as error:  # all of `requests` derives from it
            if attempt == _ATTEMPTS or time.monotonic() > ends:
                raise unreachable(what, error) from None
        except ForgeError as error:
            if attempt == _ATTEMPTS or error.status is None or error.status < 500:
                raise
        time.sleep(retry_wait_s * attempt)
    raise AssertionError("unreachable")


def _fetch(location: str, what: str, most: int, keep_end: int, timeout_s: int, *, plain: bool, ends: float) -> bytes:
    with requests.Session() as session:
        session.auth = _nobody  # else a `.netrc` of the machine would be read
        for _ in range(_HOPS):
            if urlsplit(location).scheme not in ({"https", "http"} if plain else {"https"}):
                raise ForgeError(f"cannot {what}: GitHub named an address that is not HTTPS.")
            headers = {"User-Agent": "perstack", "Accept-Encoding": "identity"}
            with session.get(
                location, headers=headers, stream=True, allow_redirects=False, timeout=timeout_s
            ) as answer:
                if answer.is_redirect:
                    location = urljoin(location, answer.headers["Location"])
                    continue
                if answer.status_code != 200:
                    status = answer.status_code
                    raise ForgeError(f"cannot {what}: where it lies, {status} was answered.", status=status)
                return _collect(answer.iter_content(_CHUNK), what, most, keep_end, ends)
    raise ForgeError(f"cannot {what}: GitHub sent us from one address to the next.")


def _nobody(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _collect(chunks: Iterable[bytes], what: str, most: int, keep_end: int, ends: float) -> bytes:
    data = bytearray()
    read = 0
    for chunk in chunks:
        read += len(chunk)
        if time.monotonic() > ends:
            raise ForgeError(f"cannot {what}: it did not arrive within {_WHOLE_S:.0f} seconds.")
        if read > most and not keep_end:
            raise ForgeError(f"cannot {what}: it is larger than {most >> 20} MiB.")
        data += chunk
        if keep_end and len(data) > 2 * keep_end:
            del data[:-keep_end]
        if read > most:
            break
    return bytes(data[-keep_end:] if keep_end else data)

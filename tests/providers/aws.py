"""Amazon's side of the wire, written from its specification: event stream frames, and the check of a signature."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import struct
import zlib
from typing import Any
from urllib.parse import quote

from tests.providers.loopback import Exchange


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message: prelude, sum, headers (name, type 7, value), payload, sum."""
    named = b""
    for name, value in headers.items():
        named += bytes([len(name)]) + name.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    prelude = struct.pack(">II", 16 + len(named) + len(payload), len(named))
    whole = prelude + struct.pack(">I", zlib.crc32(prelude)) + named + payload
    return whole + struct.pack(">I", zlib.crc32(whole))


def chunk(event: dict[str, Any]) -> bytes:
    """A frame that holds one event of Anthropic's."""
    payload = {"bytes": base64.b64encode(json.dumps(event).encode()).decode(), "p": "abcdef"}
    head = {":event-type": "chunk", ":content-type": "application/json", ":message-type": "event"}
    return frame(head, json.dumps(payload).encode())


def exception(kind: str, message: str) -> bytes:
    """A frame that ends a stream with an error."""
    head = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(head, json.dumps({"message": message}).encode())


def signed_by(exchange: Exchange, secret: str, service: str = "bedrock") -> bool:
    """Whether the request's signature (version 4) was made with this secret over what has arrived."""
    kind, _, rest = exchange.headers["authorization"].partition(" ")
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    _, day, region, named, _ = fields["Credential"].split("/")
    names = fields["SignedHeaders"].split(";")
    lines = [f"{name}:{' '.join(exchange.headers[name].split())}" for name in names]
    path = quote(exchange.path, safe="/-_.~")
    digest = hashlib.sha256(exchange.body).hexdigest()
    canonical = "\n".join(["POST", path, "", *lines, "", ";".join(names), digest])
    scope = f"{day}/{region}/{named}/aws4_request"
    stamp = exchange.headers["x-amz-date"]
    text = "\n".join([kind, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in (day, region, named, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return named == service and hmac.new(key, text.encode(), hashlib.sha256).hexdigest() == fields["Signature"]

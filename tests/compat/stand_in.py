"""An MCP server over stdio, in the plain protocol, that stands in for one that needs a key or does not exist.

Its arguments are the names of its tools; each answers with its own name and arguments. `python -I` runs it, so it
imports nothing of the project.
"""

from __future__ import annotations

import json
import sys
from typing import Any

TOOLS = [
    {"name": name, "description": f"Stands in for {name}.", "inputSchema": {"type": "object"}} for name in sys.argv[1:]
]


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The result of one request."""
    params = request.get("params") or {}
    match request["method"]:
        case "initialize":
            return {
                "protocolVersion": params["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "stand-in", "version": "1.0.0"},
            }
        case "tools/list":
            return {"tools": TOOLS}
        case "tools/call":
            told = json.dumps({"tool": params["name"], "arguments": params.get("arguments")})
            return {"content": [{"type": "text", "text": told}]}
    return {}


for line in sys.stdin:
    message = json.loads(line)
    if "id" in message and "method" in message:
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer(message)}) + "\n")
        sys.stdout.flush()

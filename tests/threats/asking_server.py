"""An MCP server of the standard library alone, for a sandbox: its tool `ask` tries to connect to a name on port 443."""

import json
import socket
import sys
from typing import Any


def ask(name: str) -> str:
    """The proxy's first line."""
    with socket.create_connection(("127.0.0.1", 3128), timeout=30) as proxy:
        proxy.sendall(f"CONNECT {name}:443 HTTP/1.1\r\n\r\n".encode())
        return proxy.recv(100).split(b"\r\n")[0].decode()


def answer(method: str, params: dict[str, Any]) -> dict[str, Any]:
    """The result of one request."""
    if method == "initialize":
        about = {"name": "asking", "version": "1"}
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": about}
    if method == "tools/list":
        schema = {"type": "object", "properties": {"name": {"type": "string"}}}
        return {"tools": [{"name": sys.argv[1], "description": "Connect.", "inputSchema": schema}]}
    return {"content": [{"type": "text", "text": ask(params["arguments"]["name"])}]}


for line in sys.stdin:
    asked = json.loads(line)
    if "id" in asked and "method" in asked:
        result = answer(asked["method"], asked.get("params") or {})
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}) + "\n")
        sys.stdout.flush()

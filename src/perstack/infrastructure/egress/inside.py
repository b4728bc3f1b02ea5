"""The inside end of the way out: what a sandbox with `Network` gets mounted, set, and started before its program."""

from __future__ import annotations

import shlex
from pathlib import Path

from perstack.core.sandbox import Mount, Network

SOCKET = "/run/perstack-egress.sock"
_PORT = 3128
_URL = f"http://127.0.0.1:{_PORT}"
_HERE = Path(__file__).parent


def network_mounts(network: Network | None) -> tuple[Mount, ...]:
    """The proxy's socket. It is all there is of a network: loopback, and this."""
    return (Mount(network.socket, SOCKET),) if network else ()


def network_variables(network: Network | None) -> dict[str, str]:
    """What programs look at to find a proxy. Unset by a program, they leave it with no way out at all.

    Not `NODE_OPTIONS=--use-env-proxy`: a Node.js that does not know the option does not start with it.
    """
    if network is None:
        return {}
    proxied = ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "PERSTACK_PROXY_URL")
    values = dict.fromkeys((*proxied, "NPM_CONFIG_PROXY", "NPM_CONFIG_HTTPS_PROXY"), _URL)
    return {**values, "NO_PROXY": "localhost,127.0.0.1", "no_proxy": "localhost,127.0.0.1", "NODE_USE_ENV_PROXY": "1"}


def setup_variables(network: Network | None) -> dict[str, str]:
    """The same for set-up: what package programs look at beyond it (cargo, yarn, Maven and Gradle through Java)."""
    if network is None:
        return {}
    place = "".join(f" -D{way}.proxyHost=127.0.0.1 -D{way}.proxyPort={_PORT}" for way in ("http", "https"))
    java = f"-Djava.net.useSystemProxies=false{place} -Daether.connector.http.useSystemProperties=true"
    own = dict.fromkeys(("CARGO_HTTP_PROXY", "YARN_HTTP_PROXY", "YARN_HTTPS_PROXY"), _URL)
    return {**network_variables(network), **own, "JAVA_TOOL_OPTIONS": java}


def behind(network: Network | None, command: str) -> list[str]:
    """Words that run a shell command with its way out started before."""
    if network is None:
        return ["sh", "-c", command]
    return ["sh", "-c", f'{network_script(network)}\nexec sh -c "$1"', "sh", command]


def network_script(network: Network | None) -> str:
    """Shell lines that start the forwarder, in whichever language is there, and wait until it listens."""
    if network is None:
        return ""
    python = shlex.join(["python3", "-I", "-S", "-c", (_HERE / "forward.py").read_text("utf-8"), SOCKET, str(_PORT)])
    node = shlex.join(["node", "-e", (_HERE / "forward.js").read_text("utf-8"), SOCKET, str(_PORT)])
    perl = shlex.join(["perl", "-e", (_HERE / "forward.pl").read_text("utf-8"), SOCKET, str(_PORT)])
    return f"""forward() {{
  if command -v python3 >/dev/null 2>&1; then exec {python}; fi
  if command -v node >/dev/null 2>&1; then exec {node}; fi
  if command -v perl >/dev/null 2>&1; then exec {perl}; fi
}}
ready=$( (forward </dev/null 2>/dev/null &) )
if [ "$ready" != ready ]; then
  echo "perstack: the way out needs python3, node or perl in the sandbox, and none could be started" >&2
  exit 125
fi
unset ready"""

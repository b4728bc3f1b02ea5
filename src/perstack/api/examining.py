"""What a job would find on this machine: isolation that holds, programs, git, a model that answers.

For `perstack doctor`. Tries for real and changes nothing; nothing of a checkout is run, and set-up is left out.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace

import anyio
from anyio.abc import SocketAttribute, SocketStream

from perstack.api.choice import AUTOMATIC, attempts, capabilities_of, choose_provider, make_provider, working_sandbox
from perstack.api.host import Host
from perstack.core.capabilities import Capabilities
from perstack.core.contracts import Session
from perstack.core.errors import InfrastructureError, ProviderError, SandboxUnavailable, UserError
from perstack.core.experts import Config
from perstack.core.messages import ModelRequest, TextPart, UserMessage
from perstack.core.sandbox import SandboxSpec
from perstack.infrastructure import process
from perstack.infrastructure.egress.ready import can_install, is_installed
from perstack.infrastructure.git_command import environment
from perstack.providers import catalogue

_ANSWER_S = 30.0
_PROBE_S = 20.0
_TRIED = "tried"
# Each tries to connect to every address given, and says at the end that it did. The listener knows who got through.
_PYTHON = f"""
import socket, sys
for address in sys.argv[2:]:
    try:
        socket.create_connection((address, int(sys.argv[1])), 2).close()
    except OSError:
        pass
print("{_TRIED}")
"""
_BASH = f"""
port=$1; shift
for address; do (exec 3<>"/dev/tcp/$address/$port") 2>/dev/null; done
echo {_TRIED}
"""
_NODE = f"""
const [port, ...addresses] = process.argv.slice(1)
let left = addresses.length
for (const host of addresses) {{
  const socket = require("net").connect({{ host, port: Number(port), timeout: 2000 }})
  socket.on("connect", () => socket.destroy()).on("timeout", () => socket.destroy()).on("error", () => 0)
  socket.on("close", () => {{ left -= 1; if (left === 0) console.log("{_TRIED}") }})
}}
"""
_PROBES = (("python3", "-c", _PYTHON), ("bash", "-c", _BASH, "bash"), ("node", "-e", _NODE))


@dataclass(frozen=True, slots=True)
class Inside:
    """One sandbox as seen from inside. `reached`: whether this machine could be reached from there.

    `probe` is the program that tried, empty where the image has none. `leaked` are names of secret variables whose
    value was found inside; `missing` are programs that are not there.
    """

    sandbox: str
    reached: bool = False
    probe: str = ""
    interfaces: tuple[str, ...] = ()
    leaked: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    capabilities: Capabilities | None = None


async def git_version() -> str:
    """What git calls itself. Raises: InfrastructureError where there is none."""
    told = await process.run(["git", "--version"], env=environment(), timeout_s=10)
    if told.exit_code:
        raise InfrastructureError("git is not installed", hint="Install git 2.30 or newer.")
    return told.text().strip().removeprefix("git version ")


async def try_sandboxes(host: Host) -> dict[str, str]:
    """The back ends that a job would choose from, in order → "" for one that works, else why not."""
    names = AUTOMATIC if host.sandbox == "auto" else (host.sandbox,)
    found: dict[str, str] = {}
    for name in names:
        try:
            await working_sandbox(name, host.path, host=host)
            found[name] = ""
        except SandboxUnavailable as error:
            found[name] = error.message
    return found


async def look_inside(host: Host, config: Config, suggestion: SandboxSpec, programs: Sequence[str]) -> Inside:
    """Start the sandbox that a job would get, without its set-up, and look around in it.

    Raises: SandboxUnavailable and UserError where there is none.
    """
    place, problems = host.scratch / "doctor", list[str]()
    place.mkdir(exist_ok=True)
    for name, spec in attempts(host.sandbox, config.sandbox, suggestion):
        try:
            sandbox = await working_sandbox(name, host.path, host=host, spec=spec)
            snapshot = await sandbox.prepare(bare(spec), place, lambda _: None)
            capabilities = await capabilities_of(sandbox, snapshot)
            async with sandbox.open(snapshot, place) as session:
                return replace(await _look(session, name, host, programs), capabilities=capabilities)
        except (SandboxUnavailable, UserError) as error:
            problems.append(f"{name}: {error.message}")
    raise SandboxUnavailable("; ".join(dict.fromkeys(problems)))


def bare(spec: SandboxSpec) -> SandboxSpec:
    """Without what needs the files of a commit: set-up, and what is read or built from there."""
    return replace(spec, setup=(), build="", devcontainer="", compose="", services=())


def way_out(host: Host) -> tuple[bool, bool]:
    """Whether the proxy that set-up and skills need is installed here, and whether a job would install it."""
    return is_installed(), can_install(host.env)


async def ask_model(host: Host, config: Config) -> str:
    """Ask the model that a job would use for one word; its name.

    Raises: UserError where something is missing, ProviderError where it does not answer.
    """
    spec = choose_provider(host, config)
    model = catalogue.resolve(spec.name, host.model or config.model)
    provider = make_provider(spec, host.env, lambda _: None)
    question = UserMessage("doctor", (TextPart("Answer with the word ok."),))
    request = ModelRequest(model, "You are asked whether you can be reached.", (question,), (), _ANSWER_S, 64)
    try:
        with anyio.fail_after(_ANSWER_S):
            reply = await provider.generate(request, lambda _: None)
    except TimeoutError:
        raise ProviderError(f"{spec.name} did not answer within {_ANSWER_S:g} s") from None
    finally:
        await provider.close()
    return reply.model or model


def chosen_model(host: Host, config: Config) -> tuple[str, str]:
    """Provider and model that a job would use; nothing is asked.

    Raises: UserError where the key, the address or the model is missing.
    """
    spec = choose_provider(host, config)
    catalogue.credentials(spec.name, host.env, spec.setting)
    return spec.name, catalogue.resolve(spec.name, host.model or config.model)


async def _look(session: Session, name: str, host: Host, programs: Sequence[str]) -> Inside:
    reached, probe = await _connect(session)
    interfaces = await session.run(["cat", "/proc/net/dev"], timeout_s=10)
    names = [line.partition(":")[0].strip() for line in interfaces.text().splitlines() if ":" in line]
    seen = (await session.run(["cat", "/proc/1/environ", "/proc/self/environ"], timeout_s=10)).text()
    secrets = set(host.secrets())
    missing = []
    for program in dict.fromkeys(programs):
        found = await session.run(["sh", "-c", 'command -v "$1"', "sh", program], timeout_s=10)
        missing += [program] if found.exit_code else []
    return Inside(
        name,
        reached,
        probe,
        tuple(each for each in names if each != "lo"),
        tuple(key for key, value in host.env.items() if value in secrets and value in seen),
        tuple(missing),
    )


async def _connect(session: Session) -> tuple[bool, str]:
    """Try to reach this machine from inside: whether it worked, and what tried.

    Only addresses of this machine are tried: nothing leaves it, whatever the sandbox lets through.
    """
    reached = False

    async def take(stream: SocketStream) -> None:
        nonlocal reached
        reached = True
        await stream.aclose()

    probe = ""
    every = "0.0.0.0"  # noqa: S104  # for seconds, to see whether a sandbox gets through to any address; nothing is read
    async with await anyio.create_tcp_listener(local_host=every) as listener, anyio.create_task_group() as tasks:
        port = listener.listeners[0].extra(SocketAttribute.local_port)  # noqa: S610  # no Django here
        tasks.start_soon(listener.serve, take)
        for words in _PROBES:
            tried = await session.run([*words, str(port), *_addresses()], timeout_s=_PROBE_S)
            if _TRIED in tried.text():
                probe = words[0]
                break
        tasks.cancel_scope.cancel()
    return reached, probe


def _addresses() -> tuple[str, ...]:
    """Loopback, and the address under which others see this machine; asking for it sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect(("192.0.2.1", 9))
            own = str(asking.getsockname()[0])
        except OSError:
            own = ""
    return tuple(address for address in ("127.0.0.1", own) if address)

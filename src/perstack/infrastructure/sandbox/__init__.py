"""Sandbox back ends: where anything of a checkout runs. `docker`, `bubblewrap`, and `host` (explicit choice only)."""

"""Isolation and security boundaries: processes, sandboxes, workspace paths, git, secrets. Knows no model."""

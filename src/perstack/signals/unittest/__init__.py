"""The adapter for unittest: suites that `python -m unittest` would run."""

"""Measuring a pytest suite: the verifier's own runner, its configuration, its canaries, and the reading of results."""

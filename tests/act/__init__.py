"""The action for real: its process as the runner starts it, and its workflow under act, against the test server."""

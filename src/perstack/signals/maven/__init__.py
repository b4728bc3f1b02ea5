"""The adapter for Maven projects: built and tested by the verifier's own command, with canaries in every module."""

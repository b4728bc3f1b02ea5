"""Checks that no builder sees: calls from the tests, and their neighbours, in a process without a test runner."""

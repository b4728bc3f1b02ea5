"""Test suites as the verifier runs them: one adapter a framework, all with the same contract."""

"""The agent loop as a pure machine, its driver, the event log, and the plan, build, verify pipeline."""

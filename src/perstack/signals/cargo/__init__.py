"""Measuring `cargo test` suites: test programs built by the verifier, run one test a process, with canaries inside."""

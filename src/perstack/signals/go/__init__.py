"""Measuring `go test` suites: test binaries built by the verifier, run one test a process, with canaries inside."""

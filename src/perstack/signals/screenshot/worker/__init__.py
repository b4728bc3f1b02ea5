"""Programs of ours that run inside the sandbox, beside the service under test."""

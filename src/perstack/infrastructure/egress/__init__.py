"""The only way out of a sandbox, for skills with `allowedDomains` and for set-up: a proxy that decides."""

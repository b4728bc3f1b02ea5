"""Adapters for JavaScript and TypeScript suites: node:test, jest, vitest."""

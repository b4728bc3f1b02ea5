"""Diagnostics of compilers and linters: recognising the tool, reading its output, planting errors. No judging here."""

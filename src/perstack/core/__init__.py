"""Vocabulary shared by every layer: frozen data and errors. Imports nothing of ours; does no I/O."""

"""Sets of tools an expert may call."""

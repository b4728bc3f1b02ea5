"""Texts people read: Markdown for the forge, rich output for the terminal. Pure but for `terminal`, which prints."""

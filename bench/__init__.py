"""Measurements of Perstack beside their floors. Not a test: nothing here fails because a machine is slow."""

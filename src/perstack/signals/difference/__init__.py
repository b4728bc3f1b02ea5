"""The signal kind `diff`: what a command generates is up to date, or equals a golden file of the base."""

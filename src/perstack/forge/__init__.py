"""Where triggers come from and results go: GitHub, or a local folder that records the same things."""

"""The signal kind `screenshot`: what a page or a program shows is as on the base, or as in a folder of the base."""

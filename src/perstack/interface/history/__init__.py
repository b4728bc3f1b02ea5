"""The history of jobs as people and programs read it: what is chosen of a log, and how it looks. Reads no files."""

"""The demo: a small project as data, a bug injector, and the issue someone would write about the bug."""

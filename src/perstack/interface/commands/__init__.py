"""One module a command of the command line; each exports `command`. Loaded by name from `interface/commandline.py`."""

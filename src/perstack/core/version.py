"""The version, where every layer can read it: the package's own module gives names of the layers above."""

__version__ = "0.1.0"

"""thunderdl: a P2SP download manager."""

__version__ = "0.1.0"

"""The version, which the cache is kept by."""

__version__ = "0.1.0"

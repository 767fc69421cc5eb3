"""Fixtures of the tests of the documentation."""

from server_fixtures import cache_directory, serve  # noqa: F401

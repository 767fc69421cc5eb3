"""Fixtures of the tests of the documentation."""

from rendered import drawn_here  # noqa: F401
from server_fixtures import cache_directory, serve  # noqa: F401

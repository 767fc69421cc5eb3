"""Fixtures of the tests of the server."""

from server_fixtures import (  # noqa: F401
    cache_directory,
    logs,
    queue,
    serve,
    session_logs,
    slow_logs,
)

"""Fixtures of the tests of jobs."""

from server_fixtures import (  # noqa: F401
    cache_directory,
    logs,
    queue,
    serve,
    session_logs,
    slow_logs,
)

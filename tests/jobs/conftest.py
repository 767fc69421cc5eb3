"""Fixtures of the tests of jobs."""

from rendered import models  # noqa: F401
from server_fixtures import (  # noqa: F401
    cache_directory,
    logs,
    queue,
    serve,
    session_logs,
    slow_logs,
)

"""How a test says what its machine lacks."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip on a machine that lacks something; where CI is set nothing may be lacking."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}; continuous integration has to run the browser tests", pytrace=False)
    pytest.skip(what)

"""Fixtures that several areas share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="run the slow tests as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out slow tests unless asked for."""
    for item in items:
        if item.get_closest_marker("slow") and not config.getoption("--all"):
            item.add_marker(pytest.mark.skip(reason="slow; ./run test --all runs it"))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Real models and photos that are not part of the repository.

    Looked for in `../shared/data` beside the checkout, or where the environment
    variable TB_MODELCOMPARE_SHARED says.
    """
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    directory = Path(os.environ.get("TB_MODELCOMPARE_SHARED", default))
    if not (directory / "models").is_dir():
        pytest.skip(f"needs real models and photos in {directory}, which is absent")
    return directory

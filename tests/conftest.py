"""Fixtures that several areas share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let parallel workers share what is expensive to make.

    Tests of one file run in one worker, so that its servers and logs are made once. The browser
    tests share one browser and one TensorBoard, so all of them run in one worker.
    """
    for item in items:
        browser = "e2e" in item.path.parts
        item.add_marker(pytest.mark.xdist_group("browser" if browser else str(item.path)))


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

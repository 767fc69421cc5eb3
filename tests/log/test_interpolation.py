"""Directions between two directions of a layer."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import make_probe

from tb_modelcompare import SummaryWriter
from tb_modelcompare.errors import ActivationError, LimitError
from tb_modelcompare.log.reader import Snapshot, open_snapshot


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    probe = make_probe(count=4)
    rows = np.random.default_rng(0).random((len(probe.positions), 5), np.float32)
    with SummaryWriter(tmp_path, probe) as writer:
        writer.add_activations("net", {"conv": rows, "other": rows})
    return open_snapshot(tmp_path, ".")


def test_angles_are_equal_whatever_the_lengths(snapshot: Snapshot) -> None:
    start, end = 1e-3 * snapshot.unit("conv", 1), 1e3 * snapshot.direction("conv", [1, -1, 0, 0, 2])
    way = start.interpolate(end, 5)
    assert way[0] is start
    assert way[-1] is end
    vectors = [one.weights / np.linalg.norm(one.weights) for one in way]
    angles = [np.arccos(a @ b) for a, b in pairwise(vectors)]
    np.testing.assert_allclose(angles, np.arccos(vectors[0] @ vectors[-1]) / 4)
    assert len({one.name for one in way}) == 5


def test_a_way_that_is_none_is_refused(snapshot: Snapshot) -> None:
    unit = snapshot.unit("conv", 1)
    refused: list[tuple[type[Exception], str, Any, Any]] = [
        (ActivationError, "no way", 3 * unit, 3),
        (ActivationError, "no way", -unit, 3),
        (ActivationError, "two layers", snapshot.unit("other", 2), 3),
        (LimitError, "at least 2", snapshot.unit("conv", 2), 1),
        (LimitError, "at least 2", snapshot.unit("conv", 2), True),
        (LimitError, "at least 2", snapshot.unit("conv", 2), 2.5),
    ]
    for error, says, other, count in refused:
        with pytest.raises(error, match=says):
            unit.interpolate(other, count)

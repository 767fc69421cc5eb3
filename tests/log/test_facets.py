"""Facets of a direction: groups of the images that excite it most."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from serving import make_probe

from tb_modelcompare import SummaryWriter
from tb_modelcompare.errors import ActivationError, LimitError
from tb_modelcompare.log.reader import Snapshot, open_snapshot

IMAGES = 60
UNITS = 6


def logged(directory: Path, **layers: npt.NDArray[Any]) -> Snapshot:
    with SummaryWriter(directory, make_probe(count=IMAGES)) as writer:
        writer.add_activations("net", {k: v.astype(np.float32) for k, v in layers.items()})
    return open_snapshot(directory, ".")


def two_meanings() -> npt.NDArray[np.float64]:
    """Unit 0 answers to wheels (units 1 and 2) on 20 images, and to legs (3 and 4) on 12."""
    rng = np.random.default_rng(0)
    of_image = np.zeros((IMAGES, UNITS))
    of_image[:20, :3] = 5
    of_image[20:32, [0, 3, 4]] = 5
    rows = np.repeat(of_image, rows_per_image(), axis=0)
    return np.asarray(rows + rng.random(rows.shape))


def rows_per_image() -> int:
    return len(make_probe(count=IMAGES).positions) // IMAGES


def test_each_meaning_of_a_unit_is_a_facet(tmp_path: Path) -> None:
    rows = two_meanings()
    rows[:, 4] *= 1e4  # groups do not depend on how large a unit is
    snapshot = logged(tmp_path, conv=rows)
    wheels, legs = (one.weights for one in snapshot.unit("conv", 0).facets(2))
    for facet in (wheels, legs):
        assert facet[0] == pytest.approx(1)
        assert np.linalg.norm(facet[1:]) == pytest.approx(0.5)
    assert wheels[:5].argsort()[-3:].tolist() in ([2, 1, 0], [1, 2, 0])
    assert legs[1:].argmax() == 3
    assert legs[1] < 0
    names = [one.name for one in snapshot.unit("conv", 0).facets(3)]
    assert names == [f"conv:0, facet {number}" for number in (1, 2, 3)]
    again = [one.weights for one in snapshot.unit("conv", 0).facets(2)]
    assert np.array_equal(again, [wheels, legs])


def test_a_layer_may_be_below_zero_everywhere(tmp_path: Path) -> None:
    rows = two_meanings()
    snapshot = logged(tmp_path, relu=rows, linear=rows - 100)
    for of_relu, of_linear in zip(
        *(snapshot.unit(one, 0).facets(2) for one in ("relu", "linear")), strict=True
    ):
        np.testing.assert_allclose(of_linear.weights, of_relu.weights, atol=1e-4)


def test_any_direction_has_facets(tmp_path: Path) -> None:
    snapshot = logged(tmp_path, conv=two_meanings())
    direction = snapshot.direction("conv", [3, 0, 0, 0, 0, 4])
    for facet in direction.facets(2):
        along = facet.weights @ direction.weights / 5
        assert along == pytest.approx(1)
        assert np.linalg.norm(facet.weights) == pytest.approx(np.sqrt(1.25))


def test_fewer_meanings_than_asked_for_are_told(tmp_path: Path) -> None:
    rows = two_meanings()
    still = np.zeros_like(rows)
    still[:, 0] = rows[:, 0]
    alike = np.repeat(np.arange(IMAGES) < 30, rows_per_image())[:, None] * np.ones(UNITS)
    once = rows.copy()
    once[:, 0] = np.arange(len(rows)) == 5
    silent = 0 * rows
    snapshot = logged(
        tmp_path, still=still, alike=alike, once=once, silent=silent, alone=rows[:, :1]
    )
    for layer, says in (
        ("still", "fewer than 2 groups"),  # nothing else in the layer ever changes
        ("alike", "fewer than 2 groups"),  # the strongest images are all the same
        ("once", "mean image: 1, which is too few"),
        ("silent", "mean image: 0, which is too few"),
        ("alone", "fewer than 2 groups"),
    ):
        with pytest.raises(ActivationError, match=rf"^{layer}:0 of \S+: .*{says}"):
            snapshot.unit(layer, 0).facets(2)


@pytest.mark.parametrize("count", [0, 1, 9, 2.5, True, None])
def test_numbers_of_facets(tmp_path: Path, count: Any) -> None:
    snapshot = logged(tmp_path, conv=two_meanings())
    with pytest.raises(LimitError, match="it must be a whole number at least 2 and at most 8"):
        snapshot.unit("conv", 0).facets(count)

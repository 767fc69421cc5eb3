"""Maps of models: points in the plane from distances."""

from __future__ import annotations

import numpy as np
import pytest

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.training import embed


def between(points: np.ndarray) -> np.ndarray:
    return np.linalg.norm(points[:, None] - points[None], axis=2)


def test_points_of_the_plane_are_found_again_up_to_rotation() -> None:
    points = np.random.default_rng(0).standard_normal((12, 2))
    found = embed(between(points))
    np.testing.assert_allclose(between(found.points), between(points), atol=1e-6)
    assert found.stress < 1e-6


def test_stress_is_no_worse_than_scikit_learns() -> None:
    manifold = pytest.importorskip("sklearn.manifold")
    points = np.random.default_rng(1).standard_normal((15, 6))
    delta = between(points)
    found = embed(delta)
    plane, _ = manifold.smacof(
        delta, n_components=2, n_init=20, random_state=0, normalized_stress=False, max_iter=1000
    )
    theirs = np.sqrt(np.square(between(plane) - delta).sum() / np.square(delta).sum())
    ours = np.sqrt(np.square(between(found.points) - delta).sum() / np.square(delta).sum())
    assert found.stress == pytest.approx(ours)
    assert found.stress < 1.05 * theirs


def test_the_same_distances_give_the_same_picture_whatever_the_order() -> None:
    points = np.random.default_rng(2).standard_normal((9, 4))
    order = np.random.default_rng(3).permutation(9)
    first = embed(between(points)).points
    second = embed(between(points[order])).points
    np.testing.assert_allclose(second, first[order], atol=1e-4)


def test_few_points_and_equal_ones() -> None:
    np.testing.assert_array_equal(embed([[0.0]]).points, [[0.0, 0.0]])
    pair = embed([[0.0, 2.0], [2.0, 0.0]]).points
    np.testing.assert_allclose(np.sort(pair[:, 0]), [-1.0, 1.0], atol=1e-9)
    np.testing.assert_array_equal(embed(np.zeros((3, 3))).points, np.zeros((3, 2)))


@pytest.mark.parametrize(
    "wrong",
    [[[0.0, 1.0], [2.0, 0.0]], [[1.0]], [[0.0, -1.0], [-1.0, 0.0]], [[0.0, np.nan], [np.nan, 0.0]]],
)
def test_what_are_no_distances_is_refused(wrong: list[list[float]]) -> None:
    with pytest.raises(ActivationError):
        embed(wrong)

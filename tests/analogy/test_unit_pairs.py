"""The best unit pairs, against all correlations at once."""

from __future__ import annotations

import numpy as np
import pytest

from tb_modelcompare.analogy import unit_pairs
from tb_modelcompare.analogy.unit_pairs import best_unit_pairs


def by_brute_force(X: np.ndarray, Y: np.ndarray, count: int) -> list[tuple[int, int, float]]:
    r = np.corrcoef(X.T, Y.T)[: X.shape[1], X.shape[1] :]
    found = []
    for _ in range(count):
        a, b = np.unravel_index(np.argmax(r), r.shape)
        found.append((int(a), int(b), float(r[a, b])))
        r[a], r[:, b] = -2, -2
    return found


@pytest.mark.parametrize("shapes", [(9, 14), (30, 4), (40, 40)])
def test_pairs_are_those_of_brute_force_in_any_blocks(
    shapes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(sum(shapes))
    base = rng.standard_normal((80, 3))
    X, Y = (base @ rng.standard_normal((3, d)) + rng.standard_normal((80, d)) for d in shapes)
    count = min(4, *shapes)
    expected = by_brute_force(X, Y, count)
    for at_once in (2**23, 50):
        monkeypatch.setattr(unit_pairs, "_NUMBERS_AT_ONCE", at_once)
        found = best_unit_pairs(X.astype(np.float32), Y.astype(np.float32), count)
        assert [(pair.a, pair.b) for pair in found] == [pair[:2] for pair in expected]
        np.testing.assert_allclose(
            [pair.correlation for pair in found], [pair[2] for pair in expected], atol=1e-6
        )


def test_constant_units_and_units_of_any_scale() -> None:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((40, 4))
    Y = np.stack([np.ones(40), 1e30 * X[:, 2], 1e-30 * X[:, 0] + 0, -X[:, 3]], axis=1)
    found = best_unit_pairs(np.hstack([np.full((40, 1), 7.0), X]), Y, 5)
    assert [(pair.a, pair.b) for pair in found[:2]] == [(1, 2), (3, 1)]
    assert [pair.correlation for pair in found[:2]] == pytest.approx([1, 1])
    assert len(found) == 3  # three units of Y vary; the opposite of a unit is not it
    assert best_unit_pairs(np.ones((40, 2)), Y, 5) == []
    equal = best_unit_pairs(X[:, [0, 0, 0]], X[:, [0, 0]], 5)
    assert [(pair.a, pair.b) for pair in equal] == [(0, 0), (1, 1)]

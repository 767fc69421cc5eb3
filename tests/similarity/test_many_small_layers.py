"""Very many small layers: values of pairs that are computed together are those of each pair."""

from __future__ import annotations

import numpy as np
import pytest

from tb_modelcompare.similarity import compare, mean_cca, r2_cca, whitened_correlation

FUNCTIONS = {
    "mean_cca": mean_cca,
    "r2_cca": r2_cca,
    "whitened_correlation": whitened_correlation,
}
pytestmark = pytest.mark.filterwarnings("ignore::tb_modelcompare.errors.RowsFewerThanUnitsWarning")


def model(seed: int, dtype: type) -> dict[str, np.ndarray]:
    """Layers of two widths: with constant and equal units, ties, a row far away, or low rank."""
    random = np.random.default_rng(seed)
    shared = np.random.default_rng(9).standard_normal((150, 4))

    def layer(units: int) -> np.ndarray:
        noise = random.standard_normal((150, units))
        return np.maximum(shared @ random.standard_normal((4, units)) + noise, 0.0) + 1.0

    found = {f"plain {i}": layer(8) for i in range(3)} | {f"wide {i}": layer(11) for i in range(2)}
    constant, equal, tied, far = (layer(8) for _ in range(4))
    constant[:, 3], equal[:, 5] = 2.0, equal[:, 2]
    tied[::2], far[7] = tied[0], far[7] * 1e4
    found |= {"constant": constant, "equal": equal, "tied": tied, "far": far}
    found["low rank"] = (shared @ random.standard_normal((4, 8))).astype(dtype)
    return {name: one.astype(dtype) for name, one in found.items()}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("same", [False, True])
def test_pairs_of_small_layers_have_the_values_of_each_pair(
    name: str, dtype: type, same: bool
) -> None:
    a = model(0, dtype)
    b = a if same else model(1, dtype)
    expected = [[FUNCTIONS[name](x, y.copy()) for y in b.values()] for x in a.values()]
    found = compare(a, b, name)
    np.testing.assert_allclose(found.values, expected, atol=1e-5 if dtype == np.float32 else 1e-9)
    one = compare({"x": a["plain 0"]}, {"y": b["plain 1"]}, name).values[0, 0]
    where = found.rows.index("plain 0"), found.columns.index("plain 1")
    assert found.values[where] == pytest.approx(one, abs=1e-6)

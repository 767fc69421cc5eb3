"""One example that other libraries were run on, and small layers for properties."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

Matrix = npt.NDArray[np.float64]


@pytest.fixture(scope="session")
def example() -> tuple[Matrix, Matrix]:
    random = np.random.default_rng(0)
    X = random.standard_normal((500, 64))
    W = random.standard_normal((64, 48))
    Y = X @ W + 4 * random.standard_normal((500, 48))
    assert X.sum() == pytest.approx(86.947414, abs=1e-6)
    assert Y.sum() == pytest.approx(-207.259938, abs=1e-6)
    return X, Y

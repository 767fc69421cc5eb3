"""Every declared invariance, symmetry, range and self-value, on random layers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_modelcompare.similarity import MEASURES, compare

# Distances are roots or arccosines of 1 - something: near 0 they keep half of the digits.
TOLERANCE = {name: 1e-7 if measure.distance else 1e-9 for name, measure in MEASURES.items()}
# A ridge that is relative to the mean variance is not exactly invariant.
TOLERANCE |= {name: 1e-4 for name in MEASURES if name.startswith("cross_validated")}

NAMES = list(MEASURES)
SEEDS = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=5, deadline=None)


def layers(seed: int):
    random = np.random.default_rng(seed)
    rows, d1, d2 = int(random.integers(40, 60)), *random.integers(3, 9, 2)
    shared = random.standard_normal((rows, 6))
    X = shared @ random.standard_normal((6, d1)) + random.standard_normal((rows, d1)) + 0.5
    Y = shared @ random.standard_normal((6, d2)) + random.standard_normal((rows, d2)) - 0.3
    return random, np.maximum(X, -1.0), np.maximum(Y, -1.5)


def transform(name: str, X, random):
    d = X.shape[1]
    if name == "permutation":
        return X[:, random.permutation(d)]
    if name == "scaling":
        return X * float(random.uniform(0.01, 100))
    if name == "unit scaling":
        return X * random.uniform(0.1, 10, d)
    if name == "unit sign":
        return X * random.choice([-1.0, 1.0], d)
    if name == "translation":
        return X + random.uniform(-10, 10, d)
    if name == "orthogonal":
        return X @ np.linalg.qr(random.standard_normal((d, d)))[0]
    if name == "linear":
        rotations = [np.linalg.qr(random.standard_normal((d, d)))[0] for _ in range(2)]
        return X @ rotations[0] @ np.diag(random.uniform(0.1, 10, d)) @ rotations[1]
    assert name == "constant units"
    return np.column_stack([X, np.zeros((len(X), 2))])


@pytest.mark.parametrize(
    ("name", "invariance"),
    [(name, one) for name, measure in MEASURES.items() for one in measure.invariances],
)
@FEW
@given(seed=SEEDS)
def test_invariance(name, invariance, seed):
    random, X, Y = layers(seed)
    measure = MEASURES[name].function
    before = measure(X, Y)
    tolerance = TOLERANCE[name]
    assert measure(transform(invariance, X, random), Y) == pytest.approx(before, abs=tolerance)
    assert measure(X, transform(invariance, Y, random)) == pytest.approx(before, abs=tolerance)


@pytest.mark.parametrize("name", NAMES)
@FEW
@given(seed=SEEDS)
def test_range_symmetry_and_self(name, seed):
    _, X, Y = layers(seed)
    measure = MEASURES[name]
    value = measure.function(X, Y)
    assert measure.low - 1e-12 <= value <= measure.high + 1e-12
    if measure.symmetric:
        assert measure.function(Y, X) == pytest.approx(value, abs=1e-10)
    if measure.self_value is not None:
        assert measure.function(X, X) == pytest.approx(
            measure.self_value, abs=1e-7 if measure.distance else 1e-12
        )
        assert compare({"x": X}, {"x": X.copy()}, name).values[0, 0] == pytest.approx(
            measure.self_value, abs=1e-7 if measure.distance else 1e-12
        )


@pytest.mark.parametrize("name", [n for n, m in MEASURES.items() if not m.symmetric])
def test_what_is_declared_asymmetric_is(name):
    _, X, Y = layers(5)
    measure = MEASURES[name].function
    assert abs(measure(X, Y) - measure(Y, X)) > 1e-4
    other = name.replace("x_to_y", "#").replace("y_to_x", "x_to_y").replace("#", "y_to_x")
    if other == name:
        other = {"pwcca_x": "pwcca_y", "pwcca_y": "pwcca_x"}[name]
    assert MEASURES[other].function(Y, X) == pytest.approx(measure(X, Y), abs=1e-10)


@pytest.mark.parametrize("name", ["procrustes_angle", "procrustes_distance", "shape_metric"])
@FEW
@given(seed=SEEDS)
def test_triangle_inequality_of_metrics(name, seed):
    random, X, Y = layers(seed)
    Z = random.standard_normal((len(X), 5))
    d = MEASURES[name].function
    assert d(X, Z) <= d(X, Y) + d(Y, Z) + 1e-9


def laid_out(X):
    """The same numbers elsewhere in memory."""
    wide = np.zeros((2 * X.shape[0], 3 * X.shape[1]), X.dtype)
    wide[::2, 1::3] = X
    reversed_twice = X[::-1, ::-1].copy()[::-1, ::-1]
    return {
        "copy": X.copy(),
        "columns first": np.asfortranarray(X),
        "strided": wide[::2, 1::3],
        "negative strides": reversed_twice,
    }


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("measure", MEASURES.values(), ids=lambda m: m.name)
def test_a_copy_earns_the_value_of_a_layer_with_itself(measure, kind):
    """Nothing looks whether two arrays are equal: only a mapping that is compared with itself
    has its diagonal set. All copies come to it by computing, to rounding."""
    if measure.self_value is None:
        pytest.skip("depends on the layer")
    random = np.random.default_rng(0)
    mixed = random.standard_normal((120, 15)) @ random.standard_normal((15, 15))
    X = np.maximum(mixed, 0).astype(kind)
    deficient = np.hstack([X, X[:, :4], np.zeros((120, 3), kind)])
    angle = 1e-6 if kind == np.float32 else 2e-7  # an arccosine has half of the digits at 1
    bound = angle if measure.distance else 1e-6 if kind == np.float32 else 1e-9
    for layer in (X, deficient):
        model = {"x": layer}
        assert compare(model, model, measure.name).values[0, 0] == measure.self_value
        for name, other in {**laid_out(layer), "permuted": layer[:, ::-1]}.items():
            value = compare({"x": layer}, {"x": other}, measure.name).values[0, 0]
            assert value == pytest.approx(measure.self_value, abs=bound), name
            assert measure.function(layer, other) == pytest.approx(
                measure.self_value, abs=2e-7 if measure.distance else 1e-9
            ), name

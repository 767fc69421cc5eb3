"""What callers may give as models and layers; all else is an error that says so."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tb_modelcompare.analogy.directions import predict_direction
from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity import (
    MEASURES,
    MinibatchCKA,
    MomentStream,
    accumulate,
    compare,
    refine,
    unbiased_linear_cka,
)

Matrix = npt.NDArray[np.float64]


def layer(seed: int, rows: int = 60, units: int = 5) -> Matrix:
    return np.random.default_rng(seed).standard_normal((rows, units))


A, B = {"x": layer(0)}, {"y": layer(1)}


class Frame:
    """What of a pandas DataFrame could be mistaken for a mapping, and what makes it an array."""

    def __init__(self, values: Matrix) -> None:
        self.columns = {f"unit {index}": column for index, column in enumerate(values.T)}

    def keys(self):
        return self.columns.keys()

    def items(self):
        return self.columns.items()

    def __iter__(self):
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    def __getitem__(self, name: str) -> Matrix:
        return self.columns[name]

    def __array__(self, dtype: object = None, copy: object = None) -> Matrix:
        return np.stack(list(self.columns.values()), axis=1)


def test_models_that_are_no_mappings() -> None:
    for bad in (A["x"], [A["x"]], list(A.items()), Frame(A["x"]), "x", None):
        for door in (
            lambda a, b: compare(a, b),
            lambda a, b: refine(a, b),
            lambda a, b: MomentStream().update(a, b),
            lambda a, b: MinibatchCKA().update(a, b),
        ):
            with pytest.raises(ActivationError, match="pass a mapping from names of layers"):
                door(bad, B)
            if bad is not None:  # which is a stream's way to say "the same model"
                with pytest.raises(ActivationError, match="pass a mapping from names of layers"):
                    door(A, bad)
        if bad is not None:
            with pytest.raises(ActivationError, match="pass a mapping from names of layers"):
                compare(A, B, untrained=bad)


def test_layers_that_are_data_frames_are_taken_by_position() -> None:
    framed = compare({"x": Frame(A["x"])}, {"y": B["y"].tolist()})
    assert framed.values == compare(A, B).values


def test_short_floats_are_taken_as_float32() -> None:
    short = A["x"].astype(pytest.importorskip("ml_dtypes").bfloat16)  # as JAX and Keras have them
    expected = compare({"x": short.astype(np.float32)}, B).values
    assert compare({"x": short}, B).values == expected
    stream = MomentStream()
    stream.update({"x": short}, B)
    assert stream.compare().values == pytest.approx(expected, abs=1e-6)
    assert predict_direction(short, B["y"], np.ones(5)).shape == (5,)


def test_tensors_are_taken_with_gradients_and_in_bfloat16() -> None:
    torch = pytest.importorskip("torch")
    tensor = torch.from_numpy(A["x"].astype(np.float32)).requires_grad_()
    assert compare({"x": tensor}, B).values == compare({"x": A["x"].astype(np.float32)}, B).values
    short = tensor.to(torch.bfloat16)
    assert compare({"x": short}, B).values == compare({"x": short.detach().float()}, B).values


def strange() -> list[tuple[object, str]]:
    sparse = pytest.importorskip("scipy.sparse")
    return [
        (np.asmatrix(A["x"]), r"np\.asarray"),
        (np.ma.masked_array(A["x"], mask=A["x"] > 2), "masked"),
        (sparse.csr_matrix(A["x"]), "toarray"),
        (sparse.coo_array(A["x"]), "toarray"),
        (A["x"].astype(object), r"to_numpy\(dtype=float\)"),
        ([[1.0, 2.0], [3.0]], "cannot be read as an array"),
        (np.array([[2**60, 1]] * 60), r"beyond 2\*\*53"),
        (np.array([[2**63, 1]] * 60, np.uint64), r"beyond 2\*\*53"),
    ]


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # numpy's own, of np.matrix
def test_layers_that_compute_otherwise_than_arrays() -> None:
    for bad, says in strange():
        with pytest.raises(ActivationError, match=says):
            compare({"x": bad}, B)
        with pytest.raises(ActivationError, match=says):
            unbiased_linear_cka(B["y"], bad)
        for stream in (MomentStream(), MinibatchCKA()):
            with pytest.raises(ActivationError, match=says):
                stream.update(A, {"x": bad})


def test_integers_up_to_what_float64_holds_are_fine() -> None:
    whole = np.random.default_rng(0).integers(-(2**53), 2**53, (60, 4), endpoint=True)
    assert compare({"x": whole}, B).values == compare({"x": whole.astype(float)}, B).values


@pytest.mark.parametrize("name", list(MEASURES))
@pytest.mark.parametrize(
    ("kind", "factor"),
    [(np.float32, 1e37), (np.float32, 1e-38), (np.float64, 1e-315), (np.float64, 3e307)],
)
def test_values_at_the_ends_of_a_type(name: str, kind: type, factor: float) -> None:
    """Where squares, and differences, leave the range: the value is the same, and no NaN."""
    measure = MEASURES[name]
    X, Y = np.clip(layer(0), -5, 5).astype(np.float16), B["y"]
    # What is left of the digits, of values that are denormal: scaled back it is no rounding.
    extreme = (X.astype(kind) * kind(factor)).astype(kind)
    assert np.isfinite(extreme).all()
    back = (
        extreme.astype(np.float64) * 2.0**-100 * 2.0**-20
        if factor > 1
        else (np.ldexp(extreme.astype(np.float64), 120 if kind is np.float32 else 1040))
    )
    expected = measure.function(back, Y)
    close = 1e-6 if measure.distance else 1e-8
    assert measure.function(extreme, Y) == pytest.approx(expected, abs=close)
    in_matrix = compare({"x": extreme}, {"y": Y.astype(kind)}, name).values[0, 0]
    assert in_matrix == pytest.approx(measure.function(back, Y.astype(kind)), abs=1e-5)


def test_streams_at_the_ends_of_a_type_give_no_nan() -> None:
    for factor in (1e-315, 1e-200, 1e200, 1e307):
        X = A["x"] * factor
        batches = MinibatchCKA()
        for start in (0, 30):
            batches.update({"x": X[start : start + 30]}, {"y": B["y"][start : start + 30]})
        plain = MinibatchCKA()
        for start in (0, 30):
            plain.update({"x": A["x"][start : start + 30]}, {"y": B["y"][start : start + 30]})
        assert batches.compare().values == pytest.approx(plain.compare().values, abs=1e-6)
        with np.errstate(all="ignore"), pytest.raises(ActivationError):
            accumulate([({"x": X}, B)]).compare()
    huge = MinibatchCKA()
    huge.update({"x": A["x"] * 1e-150})
    with pytest.raises(ActivationError, match="so much larger"):
        huge.update({"x": A["x"] * 1e150})
    assert huge.compare().values == pytest.approx(1.0)

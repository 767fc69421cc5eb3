"""All pairs of layers of two models."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, RowsFewerThanUnitsWarning
from tb_modelcompare.similarity import products
from tb_modelcompare.similarity.activations import (
    Array,
    Layer,
    Matrix,
    open_layer,
    require_same_rows,
)
from tb_modelcompare.similarity.cka import KernelLayer, unbiased_hsic
from tb_modelcompare.similarity.measures import MEASURES
from tb_modelcompare.similarity.moments import Cross, LayerMoments, energy_of
from tb_modelcompare.similarity.registry import (
    KernelPlan,
    Measure,
    MomentPlan,
    Plan,
)

Precision = Literal["auto", "single", "double"]
MEMORY = 2**30


class ComparisonCancelled(Exception):  # noqa: N818 - it is asked for, not an error
    """`cancelled()` returned True."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A measure between all layers of two models.

    Attributes
    ----------
    values : array (len(rows), len(columns)), float64
    rows, columns : tuple of str
        Names of the layers of the first and the second model.
    measure : str
    warnings : tuple of str
        What to keep in mind when reading the values.
    """

    values: Matrix
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    measure: str
    warnings: tuple[str, ...] = ()


@dataclass
class _Progress:
    """Shares of a known amount of work, and the chance to stop."""

    total: float
    report: Callable[[float], None] | None
    cancelled: Callable[[], bool] | None
    done: float = 0.0

    def __call__(self, amount: float) -> None:
        self.done += amount
        if self.cancelled is not None and self.cancelled():
            raise ComparisonCancelled
        if self.report is not None:
            self.report(min(self.done / self.total, 1.0))


def compare(
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    measure: str | Measure = "linear_cka",
    *,
    precision: Precision = "auto",
    memory: int = MEMORY,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **options: Any,
) -> Comparison:
    """One measure between every layer of `a` and every layer of `b`.

    Parameters
    ----------
    a, b : mapping of name to array (rows, units)
        Layers in order. Row r of every layer is the same place of the same image. Arrays may
        be memory-mapped. Passing the same mapping twice halves the work.
    measure : str
        A name in `MEASURES`.
    precision : {"auto", "single", "double"}
        Of the large products. "auto" takes float32 for activations of at most 32 bits, and
        float64 for others and where the conditioning of a layer demands it.
    memory : int
        Bytes that may be used for work arrays.
    progress : callable, optional
        Called with the share of work done, from 0 to 1.
    cancelled : callable, optional
        Asked between products; when it returns True, `ComparisonCancelled` is raised.
    **options
        Of the measure, such as `threshold=` of "svcca".

    Raises
    ------
    ActivationError
        If a layer is not a matrix of finite real numbers, if rows differ in number or are too
        few, or if the measure is not defined for a layer (dead on all of the probe).
    ComparisonCancelled
    """
    chosen = find_measure(measure)
    plan = chosen.plan(**options)
    xs = open_layers(a, "the first model")
    ys = xs if b is a else open_layers(b, "the second model")
    for layer in (*xs, *ys):
        require_same_rows(xs[0], layer)
    xs[0].require_rows(plan.least_rows, chosen.title)
    notes = row_notes(chosen, xs, ys)
    for note in notes:
        warnings.warn(note, RowsFewerThanUnitsWarning, stacklevel=2)
    values = _values(plan, xs, ys, chosen.symmetric, precision, memory, progress, cancelled)
    if not np.isfinite(values).all():
        raise ActivationError(f"{chosen.title} has no finite value for these layers.")
    return Comparison(values, tuple(a), tuple(b), chosen.name, notes)


def find_measure(measure: str | Measure) -> Measure:
    """The measure of that name.

    Raises
    ------
    ActivationError
        If there is none.
    """
    if isinstance(measure, Measure):
        return measure
    if measure not in MEASURES:
        raise ActivationError(f"No measure is named {measure!r}. There are: {', '.join(MEASURES)}.")
    return MEASURES[measure]


def open_layers(model: Mapping[str, Any], whose: str) -> list[Layer]:
    if not model:
        raise ActivationError(f"No layers of {whose} were given.")
    return [open_layer(values, name) for name, values in model.items()]


def row_notes(measure: Measure, xs: Sequence[Layer], ys: Sequence[Layer]) -> tuple[str, ...]:
    """What to warn of: layers with too few rows for their units."""
    if not measure.wants_rows_over_units:
        return ()
    wide = {layer.name: layer.units for layer in (*xs, *ys) if layer.rows < layer.units}
    if not wide:
        return ()
    shown = ", ".join(f"{name} ({units})" for name, units in list(wide.items())[:4])
    more = f" and {len(wide) - 4} more" if len(wide) > 4 else ""
    return (
        f"{xs[0].rows} rows are fewer than the units of {shown}{more}: {measure.title} is close "
        "to its highest value there whatever the layers hold. Use a larger probe, or linear CKA.",
    )


def _values(
    plan: Plan,
    xs: list[Layer],
    ys: list[Layer],
    symmetric: bool,
    precision: Precision,
    memory: int,
    report: Callable[[float], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Matrix:
    assert isinstance(plan, MomentPlan)
    rows = xs[0].rows
    layers = xs if ys is xs else [*xs, *ys]
    units_x, units_y = (sum(layer.units for layer in side) for side in (xs, ys))
    own = float(rows) * sum(layer.units**2 for layer in layers)
    across = float(rows) * units_x * units_y * (0.5 if ys is xs and symmetric else 1.0)
    if not isinstance(plan, KernelPlan):
        tick = _Progress(own + across, report, cancelled)
        return _moment_values(plan, xs, ys, symmetric, precision, memory, tick)
    gram = products.gram_cost(rows, sum(layer.units for layer in layers), len(layers))
    tick = _Progress(min(gram, own + across), report, cancelled)
    dtype = _dtype(precision, layers)
    if gram < own + across:
        squares = products.gram_squares(layers, dtype, memory, tick)
        k = 0 if ys is xs else len(xs)
        return _kernel_values(
            plan,
            xs,
            ys,
            squares[: len(xs), k:],
            squares.diagonal()[: len(xs)],
            squares.diagonal()[k:],
        )
    own_x = _own_squares(xs, dtype, tick)
    own_y = own_x if ys is xs else _own_squares(ys, dtype, tick)
    squares = _panel_squares(xs, ys, dtype, memory, tick)
    if ys is xs:
        np.fill_diagonal(squares, own_x)
    return _kernel_values(plan, xs, ys, squares, own_x, own_y)


def _dtype(precision: Precision, layers: Sequence[Layer]) -> npt.DTypeLike:
    if precision == "auto":
        wide = any(layer.values.dtype.itemsize > 4 for layer in layers)
        return np.float64 if wide else np.float32
    return np.float32 if precision == "single" else np.float64


def _own_squares(layers: Sequence[Layer], dtype: npt.DTypeLike, tick: products.Tick) -> Matrix:
    squares = np.empty(len(layers))
    for index, layer in enumerate(layers):
        covariance = products.own_covariance(layer, dtype)
        squares[index] = np.vdot(covariance, covariance) * layer.rows**2
        tick(float(layer.rows) * layer.units**2)
    return squares


def _panel_squares(
    xs: list[Layer], ys: list[Layer], dtype: npt.DTypeLike, memory: int, tick: products.Tick
) -> Matrix:
    squares = np.zeros((len(xs), len(ys)))
    widths = [layer.units for layer in ys]
    for i, j, panel in _panels(xs, ys, dtype, memory, ys is xs, tick):
        end = j + int(np.searchsorted(np.cumsum(widths[j:]), panel.shape[1])) + 1
        columns = slice(j, end)
        squares[i, columns] = products.block_squares(panel, widths[columns]) * xs[0].rows ** 2
    return np.triu(squares, 1) + np.triu(squares, 1).T if ys is xs else squares


def _panels(
    xs: list[Layer],
    ys: list[Layer],
    dtype: npt.DTypeLike,
    memory: int,
    triangle: bool,
    tick: products.Tick,
) -> Iterator[tuple[int, int, Array]]:
    """Cross-covariances as `products.cross_panels`, by groups of layers that fit in memory."""
    limit = int(np.sqrt(memory / 8 / 2))
    groups_x = products.groups([layer.units for layer in xs], limit)
    groups_y = products.groups([layer.units for layer in ys], limit)
    for g in groups_x:
        for h in groups_y:
            if triangle and h.stop <= g.start + 1:
                continue
            left = xs[g.start : g.stop]
            right = left if triangle and h == g else ys[h.start : h.stop]

            def following(index: int, g: range = g, h: range = h) -> int:
                return max(g.start + index + 1 - h.start, 0) if triangle else 0

            for i, j, panel in products.cross_panels(left, right, dtype, following, tick):
                yield g.start + i, h.start + j, panel


def _kernel_values(
    plan: KernelPlan,
    xs: list[Layer],
    ys: list[Layer],
    squares: Matrix,
    own_x: Matrix,
    own_y: Matrix,
) -> Matrix:
    rows = xs[0].rows
    energy_x = np.stack([energy_of(layer) for layer in xs])
    energy_y = energy_x if ys is xs else np.stack([energy_of(layer) for layer in ys])
    sides = [
        [
            KernelLayer(
                layer.name, rows, float(square), float(energy.sum()), float(energy @ energy)
            ).hsic(plan.unbiased)
            for layer, square, energy in zip(layers, own, energies, strict=True)
        ]
        for layers, own, energies in ((xs, own_x, energy_x), (ys, own_y, energy_y))
    ]
    hsic = squares
    if plan.unbiased:
        hsic = unbiased_hsic(
            squares,
            energy_x @ energy_y.T,
            energy_x.sum(axis=1)[:, None],
            energy_y.sum(axis=1),
            rows,
        )
    return hsic / np.sqrt(np.outer(*sides))


def _moment_values(
    plan: MomentPlan,
    xs: list[Layer],
    ys: list[Layer],
    symmetric: bool,
    precision: Precision,
    memory: int,
    tick: products.Tick,
) -> Matrix:
    rows = xs[0].rows
    single = precision == "single"

    def prepared(layer: Layer, dtype: npt.DTypeLike) -> Any:
        energy = energy_of(layer)
        covariance = products.own_covariance(layer, dtype)
        tick(float(rows) * layer.units**2)
        return plan.prepare(
            LayerMoments(
                layer.name,
                rows,
                layer.mean,
                covariance,
                float(energy.sum()),
                float(energy @ energy),
            )
        )

    left = [prepared(layer, np.float32 if single else np.float64) for layer in xs]
    right = (
        left
        if ys is xs
        else [prepared(layer, np.float32 if single else np.float64) for layer in ys]
    )
    values = np.empty((len(xs), len(ys)))
    triangle = ys is xs and symmetric
    dtype = np.float32 if single else np.float64
    for i, j, panel in _panels(xs, ys, dtype, memory, triangle, tick):
        start = 0
        for k in range(j, len(ys)):
            if start == panel.shape[1]:
                break
            block = panel[:, start : start + ys[k].units]
            start += ys[k].units
            values[i, k] = plan.combine(left[i], right[k], Cross(block, 0.0))
    if triangle:
        for i, layer in enumerate(left):
            values[i, i] = 1.0
        values = np.triu(values) + np.triu(values, 1).T
    return values

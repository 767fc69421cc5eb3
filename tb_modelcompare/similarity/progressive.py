"""Progressive estimates, which say how far off they may be, then the exact values in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.special

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.errors.checks import whole
from tb_modelcompare.similarity import quadrature
from tb_modelcompare.similarity.activations import Array, Layer, open_layer
from tb_modelcompare.similarity.comparison import Comparison
from tb_modelcompare.similarity.engine import compare
from tb_modelcompare.similarity.few_rows import few_rows, shapes_of, warned_of_few_rows
from tb_modelcompare.similarity.images import image_indices
from tb_modelcompare.similarity.inputs import (
    Constant,
    check_inputs,
    find_measure,
    open_both,
    renamed,
)
from tb_modelcompare.similarity.labelled import labelled, names_of
from tb_modelcompare.similarity.measures.cca import SpectralMean
from tb_modelcompare.similarity.pairs import moment_pairs, prepared
from tb_modelcompare.similarity.registry import KernelPlan, Measure, MomentPlan, Plan
from tb_modelcompare.similarity.settings import MEMORY, Precision, Settings
from tb_modelcompare.similarity.significance import Indices, Layers, rows_by_image, taken_together
from tb_modelcompare.similarity.threads import spread

PARTS = 4
"""Disjoint parts of a sample, whose values tell its spread and its bias."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """A comparison, and whether it is the exact one.

    Attributes
    ----------
    comparison : Comparison
        With an interval for the exact values in `low` and `high`, unless it is exact.
    rows : int
        Rows that went into it.
    exact : bool
    """

    comparison: Comparison
    rows: int
    exact: bool


def refine(
    a: Layers,
    b: Layers,
    measure: str | Measure | Callable[..., float] = "linear_cka",
    *,
    groups: npt.ArrayLike | None = None,
    first: int = 1024,
    growth: int = 4,
    level: float = 0.95,
    seed: int = 0,
    constant: Constant = "raise",
    dead: Constant | None = None,
    precision: Precision = "auto",
    memory: int = MEMORY,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
    **options: Any,
) -> Iterator[Estimate]:
    """Progressive estimates with intervals for the exact values, at last these.

    - Whitened correlation, CCA and SVCCA, which a sample of rows makes too high: one from
      random vectors over all rows, see `quadrature`; none where the rows do not fit in `memory`.
    - Measures that a sample of rows estimates (`Measure.sampled`): one from about `first` rows
      of randomly taken whole images, at `growth` times as many, and so on. The bias of few rows
      is estimated from parts of the sample, and taken off.
    - Others have the exact values only.

    Parameters
    ----------
    a, b : mapping of str to array (rows, units)
        The layers of the two models, as of `compare`.
    measure : str, Measure or callable
        As of `compare`.
    groups : array of int (rows,), optional
        Image of each row. Samples take whole images.
    first : int
        Rows of the first sample, at least 1.
    growth : int
        How many times as many rows each next sample has, at least 2.
    level : float
        How often the interval holds the exact value, about, in (0, 1).
    seed : int
        Of samples and random vectors.
    constant : {"raise", "drop"}
        As of `compare`.
    dead : {"raise", "drop"}, optional
        The former name of `constant`. Deprecated.
    precision : {"auto", "single", "double"}
        As of `compare`.
    memory : int
        As of `compare`.
    progress : callable, optional
        Called with the share of work done, of the exact values only.
    cancelled : callable, optional
        As of `compare`.
    **options
        Of the measure, as of `compare`.

    Yields
    ------
    Estimate
        The last one is exact, and is what `compare` gives.

    Raises
    ------
    OptionError, ActivationError
        As of `compare`; what is wrong with an option is raised at once, before the first estimate.

    Examples
    --------
    >>> import numpy as np
    >>> a = {"layer": np.random.default_rng(0).standard_normal((4000, 4))}
    >>> [estimate.exact for estimate in refine(a, a, "linear_cka")][-1]
    True
    """
    constant, chosen = renamed(constant, dead), find_measure(measure)
    plan = chosen.planned(options)
    first, growth = whole("first", first, least=1), whole("growth", growth, least=2)
    check_inputs(a, b, groups, level, seed, constant)
    settings = Settings(precision, memory, progress, cancelled)
    return _progressive(
        a, b, chosen, plan, groups, first, growth, level, seed, constant, settings, options
    )


def _progressive(
    a: Layers,
    b: Layers,
    chosen: Measure,
    plan: Plan,
    groups: npt.ArrayLike | None,
    first: int,
    growth: int,
    level: float,
    seed: int,
    constant: Constant,
    settings: Settings,
    options: dict[str, Any],
) -> Iterator[Estimate]:
    """What `refine` yields."""
    if isinstance(plan, MomentPlan) and isinstance(plan.combine, SpectralMean):
        yield from _from_random_vectors(a, b, chosen, plan, level, seed, constant, settings)
        return  # with the exact values, too
    if chosen.sampled:
        fixed = {
            "constant": constant,
            "precision": settings.precision,
            "memory": settings.memory,
            "cancelled": settings.cancelled,
        }
        yield from _from_samples(
            a, b, chosen, groups, first, growth, level, seed, {**fixed, **options}
        )
    exact = compare(
        a,
        b,
        chosen,
        groups=groups,
        constant=constant,
        precision=settings.precision,
        memory=settings.memory,
        progress=settings.progress,
        cancelled=settings.cancelled,
        **options,
    )
    yield Estimate(exact, _rows(a), True)


def _rows(layers: Layers) -> int:
    return int(np.shape(next(iter(layers.values())))[0])


def _from_random_vectors(
    a: Layers,
    b: Layers,
    measure: Measure,
    plan: MomentPlan,
    level: float,
    seed: int,
    constant: Constant,
    settings: Settings,
) -> Iterator[Estimate]:
    """An estimate, and the exact values, which need the same moments of each layer.

    No estimate where the rows do not fit in `memory`: to read them again for the random vectors
    takes longer than the exact values.
    """
    assert isinstance(plan.combine, SpectralMean)
    xs, ys, notes = open_both(a, b, constant)
    xs[0].require_rows(plan.least_rows, measure.title)
    layers = xs if ys is xs else [*xs, *ys]
    tick = replace(settings, progress=None).tick(1.0)  # asks whether to stop
    rows = _centred_rows(layers, [settings.dtype(layers)] * len(layers), settings.memory)
    ready = prepared(plan, layers, settings, tick, rows)
    whitenings, exact = ready
    if rows is not None:
        dtypes = [np.float64 if one else np.float32 for one in exact]
        rows = _centred_rows(layers, dtypes, settings.memory, rows)
    models = ({layer.name: layer.values for layer in side} for side in (xs, ys))
    notes = (*warned_of_few_rows(measure, shapes_of(*models)), *notes)
    if rows is not None:
        sides = [
            quadrature.Whitened(layer, white, centred)
            for layer, white, centred in zip(layers, whitenings, rows, strict=True)
        ]
        del rows
        matrices = _estimated(xs, ys, sides, plan.combine, level, seed, settings, tick)
        estimated = labelled(measure, matrices[0], names_of(xs), names_of(ys), notes)
        note = f"A progressive estimate, from {quadrature.SAMPLES} random directions a pair."
        yield Estimate(
            replace(
                estimated, low=matrices[1], high=matrices[2], warnings=(*estimated.warnings, note)
            ),
            xs[0].rows,
            False,
        )
        del sides  # which hold all rows
    values = moment_pairs(measure, plan, xs, ys, settings, ready)
    yield Estimate(labelled(measure, values, names_of(xs), names_of(ys), notes), xs[0].rows, True)


def _estimated(
    xs: list[Layer],
    ys: list[Layer],
    sides: list[quadrature.Whitened],
    combine: SpectralMean,
    level: float,
    seed: int,
    settings: Settings,
    tick: Callable[[float], None],
) -> npt.NDArray[np.float64]:
    """Values of all pairs, and the ends of their intervals, (3, len(xs), len(ys))."""
    same = ys is xs
    pairs = [
        (i, j if same else len(xs) + j)
        for i in range(len(xs))
        for j in range(i + 1 if same else 0, len(ys))
    ]
    z = float(scipy.special.ndtri((1.0 + level) / 2))
    found = quadrature.estimate(sides, pairs, combine, z, settings.memory, seed, tick)
    matrices = np.full((3, len(xs), len(ys)), 1.0)  # of a layer with itself
    for (i, j), values in zip(pairs, found, strict=True):
        if same:
            matrices[:, i, j] = matrices[:, j, i] = values
        else:
            matrices[:, i, j - len(xs)] = values
    return matrices


def _centred_rows(
    layers: list[Layer],
    dtypes: Sequence[npt.DTypeLike],
    memory: int,
    before: Sequence[Array] = (),
) -> list[Array] | None:
    """All rows of each layer, centred; None where they are more than fit in memory.

    Those of `before` are taken where they are of that type.
    """
    sizes = [x.rows * x.units * np.dtype(t).itemsize for x, t in zip(layers, dtypes, strict=True)]
    if sum(sizes) > memory:
        return None

    def centred(index: int) -> Array:
        if before and before[index].dtype == dtypes[index]:
            return before[index]
        return layers[index].centred(slice(0, layers[index].rows), dtypes[index])

    return spread(centred, range(len(layers)), cost=lambda index: sizes[index])


def _from_samples(
    a: Layers,
    b: Layers,
    measure: Measure,
    groups: npt.ArrayLike | None,
    first: int,
    growth: int,
    level: float,
    seed: int,
    options: dict[str, Any],
) -> Iterator[Estimate]:
    rows = _rows(a)
    image = image_indices(groups, rows)
    by_image = rows_by_image(image)
    order = [by_image[index] for index in np.random.default_rng(seed).permutation(len(by_image))]
    ends = np.cumsum([len(one) for one in order])
    wanted, notes = first, few_rows(measure, shapes_of(a, b))
    while wanted * 2 <= rows:
        sample = order[: int(np.searchsorted(ends, wanted)) + 1]
        wanted *= growth
        if len(sample) < PARTS:  # too few images to tell a spread
            continue
        try:
            estimated = [
                _of_rows(a, b, measure, groups, image, images, options)
                for images in (sample, *(sample[part::PARTS] for part in range(PARTS)))
            ]
        except ActivationError:  # a layer that does not vary on so few rows
            continue
        if any(_silent_here(model, kept) for model, kept in _kept(a, b, estimated)):
            continue
        taken = sum(len(one) for one in sample)
        found = _without_bias(estimated, taken, rows, level)
        yield Estimate(replace(found, warnings=(*notes, *found.warnings)), taken, False)


def _kept(
    a: Layers, b: Layers, estimated: list[Comparison]
) -> Iterator[tuple[Layers, tuple[str, ...]]]:
    for one in estimated:
        yield a, one.rows
        yield b, one.columns


def _silent_here(model: Layers, kept: tuple[str, ...]) -> bool:
    """Whether a layer was left out that does vary, on other rows than these."""
    return any(open_layer(model[name], name).varies for name in set(model) - set(kept))


def _of_rows(
    a: Layers,
    b: Layers,
    measure: Measure,
    groups: npt.ArrayLike | None,
    image: Indices,
    images: list[Indices],
    options: dict[str, Any],
) -> Comparison:
    order = np.sort(np.concatenate(images))
    left, right = taken_together(a, b, order)
    of_rows = None if groups is None else image[order]
    share = len(order) / len(image)

    @wraps(measure.plan)
    def plan(**chosen: Any) -> Plan:
        """With the bias that all rows have, where it is known."""
        planned = measure.plan(**chosen)
        if isinstance(planned, KernelPlan) and planned.bias:
            return replace(planned, bias=share, least_rows=4)
        return planned

    quiet = replace(measure, plan=plan, rows_per_unit=0.0)  # of all rows is told, not of these
    return compare(left, right, quiet, groups=of_rows, **options)


def _without_bias(estimated: list[Comparison], taken: int, rows: int, level: float) -> Comparison:
    """The value on a sample less its bias, which falls with rows, and an interval.

    With a bias of c / rows, parts of the sample are (PARTS - 1) c / taken above the sample.
    """
    whole, parts = estimated[0], np.stack([one.values for one in estimated[1:]])
    left = 1.0 - taken / rows  # of a sample that is nearly everything little remains unknown
    bias = (parts.mean(axis=0) - whole.values) / (PARTS - 1) * left
    t = float(scipy.special.stdtrit(PARTS - 1, (1.0 + level) / 2))
    error = t * parts.std(axis=0, ddof=1) / np.sqrt(PARTS) * np.sqrt(left) + abs(bias)
    values = whole.values - bias
    note = f"A progressive estimate from {taken} of {rows} rows."
    return replace(
        whole,
        values=values,
        low=values - error,
        high=values + error,
        warnings=(*whole.warnings, note),
    )

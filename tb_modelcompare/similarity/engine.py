"""All pairs of layers of two models."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, OptionError
from tb_modelcompare.errors.checks import whole
from tb_modelcompare.similarity.activations import Matrix, check_model
from tb_modelcompare.similarity.ceiling import same_in, seed_ceiling
from tb_modelcompare.similarity.comparison import Comparison
from tb_modelcompare.similarity.few_images import carried_by_few, note_of_few_images
from tb_modelcompare.similarity.few_rows import (
    shapes_of,
    warned_of_few_rows,
    without_interval,
)
from tb_modelcompare.similarity.images import image_indices, require_images
from tb_modelcompare.similarity.inputs import (
    Constant,
    check_inputs,
    find_measure,
    renamed,
)
from tb_modelcompare.similarity.jackknife import jackknife_interval, variance_of_image_pairs
from tb_modelcompare.similarity.kernel_resampling import Resampling
from tb_modelcompare.similarity.registry import KernelPlan, Measure, VectorPlan
from tb_modelcompare.similarity.resampling import resampling
from tb_modelcompare.similarity.settings import (
    LEAST_RESAMPLES,
    MEMORY,
    ComparisonCancelled,
    Precision,
    Settings,
)
from tb_modelcompare.similarity.significance import (
    BLOCKS,
    Indices,
    Layers,
    are_permuted_as_wholes,
    effective_rows_of_pairs,
    interval_of,
    is_over_one_position,
    null_of,
    permutations_of,
    resamples_of,
)
from tb_modelcompare.similarity.values import Part, of_one_position, values_alone, where_known

__all__ = ["ComparisonCancelled", "compare"]


def compare(
    a: Layers,
    b: Layers,
    measure: str | Measure | Callable[..., float] = "linear_cka",
    *,
    groups: npt.ArrayLike | None = None,
    permutations: int = 0,
    resamples: int = 0,
    level: float = 0.95,
    untrained: Layers | None = None,
    seeds: Sequence[Layers] | None = None,
    seed: int = 0,
    constant: Constant = "raise",
    dead: Constant | None = None,
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
    measure : str, Measure or callable
        A name in `MEASURES`, one of its values, or the function on arrays, such as
        `similarity.linear_cka`.
    groups : array (rows,), optional
        Image of each row. Whole images are permuted, resampled and held out, as the positions of
        one image are not independent. By default each row is an image.
    permutations, resamples : int
        How often images are permuted, for a null and p-values, and one of 20 blocks of them is
        left out, for an interval, at least 5 times. Each costs one comparison; 199 and 200 are
        usual, and an interval from 20 is about as wide as one from 200. Images with different
        numbers of rows are permuted among those with as many. Where there are fewer than ten on
        average of each number, or more than 1,000 pairs, the null is over one position of each
        image, which `warnings` says. A debiased measure
        has an interval of the value of the population where `resamples` is not 0; how large it is
        makes no difference there.
    level : float
        Coverage of the interval.
    untrained : mapping, optional
        Activations, on the same probe, of a network like b with its initial weights and the
        names of b's layers, as a baseline.
    seeds : sequence of mappings, optional
        Activations, on the same probe, of other trainings of a, for `ceiling`: see `seed_ceiling`.
    seed : int
        Of permutations and resamples: the same seed gives the same numbers.
    constant : {"raise", "drop"}
        What to do about layers that have one value on all rows, which most measures are not
        defined for: raise, or leave them out of rows and columns and say so in `warnings`.
    dead : {"raise", "drop"}, optional
        The former name of `constant`. Deprecated.
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

    Returns
    -------
    Comparison

    Raises
    ------
    OptionError
        If an option has a value that it does not take, or the measure has none of that name.
    ActivationError
        If a layer is not a matrix of finite real numbers, if rows differ in number or are too
        few, if the measure is defined for no layer, if a layer is constant on the probe, or if
        layers of `untrained` are not b's.
    ComparisonCancelled

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> a = {"first": rng.standard_normal((60, 4)), "second": rng.standard_normal((60, 3))}
    >>> b = {"other": 2 * a["second"]}
    >>> found = compare(a, b, "linear_cka", groups="rows", permutations=20)
    >>> found.rows, found.columns, found.values.shape
    (('first', 'second'), ('other',), (2, 1))
    >>> round(float(found.values[1, 0]), 5)
    1.0
    """
    constant, chosen = renamed(constant, dead), find_measure(measure)
    permutations = whole("permutations", permutations, least=0)
    if whole("resamples", resamples, least=0) and resamples < LEAST_RESAMPLES:
        raise OptionError(
            f"resamples is {resamples}; an interval needs at least {LEAST_RESAMPLES}, and 200 are "
            "usual. Give 0 for no interval."
        )
    if permutations or resamples:
        require_images(groups)
    check_inputs(a, b, groups, level, seed, constant)
    if untrained is not None:
        check_model(untrained, "the untrained baseline")
        if list(untrained) != list(b):
            raise ActivationError(
                "The untrained baseline must have the layers of the second model."
            )
    estimates = assess(
        a,
        b,
        chosen,
        groups=groups,
        permutations=permutations,
        resamples=resamples,
        level=level,
        untrained=untrained,
        seed=seed,
        constant=constant,
        settings=Settings(precision, memory, progress, cancelled),
        options=options,
    )
    found = next(estimates)
    if seeds is None:
        return found
    of_a = {name: a[name] for name in found.rows}
    ceiling = seed_ceiling(of_a, seeds, chosen, groups=groups, **options)
    column = np.array(list(ceiling.values()))[:, None]
    notes = tuple(
        f"Layer {name!r} is the very same in {count} of {len(seeds)} other trainings, where its "
        "ceiling is what the measure gives a layer with itself."
        for name, count in same_in(of_a, seeds).items()
        if count and np.isfinite(ceiling[name])
    )
    ceilings = np.repeat(column, len(found.columns), axis=1)
    return replace(found, ceiling=ceilings, warnings=(*found.warnings, *notes))


def assess(
    a: Layers,
    b: Layers,
    measure: Measure,
    *,
    groups: npt.ArrayLike | None,
    permutations: int,
    resamples: int,
    settings: Settings,
    options: Mapping[str, Any],
    level: float = 0.95,
    untrained: Layers | None = None,
    seed: int = 0,
    constant: Constant = "raise",
    every: float = np.inf,
) -> Iterator[Comparison]:
    """What `compare` gives, before that about each `every` seconds what is known by then."""
    runs, done = 1 + permutations + resamples + (untrained is not None), 0

    def settings_of(some: int) -> Settings:
        """Those of so many more runs."""
        nonlocal done
        begun, done = done, done + some
        if settings.progress is None or not some:
            return replace(settings, progress=None)
        progress = settings.progress
        return replace(settings, progress=lambda share: progress((begun + share * some) / runs))

    def once(left: Layers, right: Layers, constant: Constant = "raise") -> Comparison:
        of_images = {} if groups is None or not measure.by_image else {"groups": groups}
        return values_alone(
            left, right, measure, constant, settings_of(1), {**options, **of_images}
        )

    comparison = once(a, b, constant)
    same = b is a
    a = {name: a[name] for name in comparison.rows}
    b = a if same else {name: b[name] for name in comparison.columns}
    few = warned_of_few_rows(measure, shapes_of(a, b))
    comparison = replace(comparison, warnings=(*few, *comparison.warnings))
    if untrained is not None:
        baseline = once(a, {name: untrained[name] for name in b}).values
        comparison = replace(comparison, baseline=baseline)
    if not (permutations or resamples):
        yield comparison
        return
    image = image_indices(groups, len(a[comparison.rows[0]]))
    units = [[np.shape(layer)[1] for layer in side.values()] for side in (a, b)]
    if resamples:
        models = () if measure.debiased else (a,) if same else (a, b)
        few = tuple(name for model in models for name in carried_by_few(model, image))
        comparison = replace(
            comparison,
            warnings=(*comparison.warnings, *note_of_few_images(few)),
            interval_label=measure.interval_label(int(image.max()) + 1, bool(few)),
        )
    none, notes = without_interval(measure, units[0], units[1], image)
    if not resamples:
        notes = ()
    elif none.all():
        ends = np.full(none.shape, np.nan)
        comparison, resamples = replace(comparison, low=ends, high=ends), 0
    notes = (*comparison.warnings, *notes)
    comparison = replace(
        comparison, effective_rows=effective_rows_of_pairs(a, b, image), warnings=notes
    )
    if measure.debiased and resamples and isinstance(measure.plan(), KernelPlan):
        low, high = jackknife_interval(
            a, b, comparison.values, image, level, settings_of(resamples)
        )
        comparison, resamples = replace(comparison, low=low, high=high), 0
    blocks = min(BLOCKS, resamples, int(image.max()) + 1)
    plan = measure.plan(**({"groups": groups} if measure.by_image else {}), **options)
    of_pairs: Matrix | float = 0.0
    if resamples and isinstance(plan, VectorPlan) and plan.images_of_pairs is not None:
        of_pairs = variance_of_image_pairs(plan, a, b, image, blocks, settings_of(0))
    permuted: list[Matrix] = []
    resampled: list[Matrix] = []
    whole = null = Part(a, b, comparison, image)
    if permutations and is_over_one_position(image, comparison.values.size):
        null = of_one_position(whole, measure, options, seed, settings_of(0))
        why = (
            "Compare fewer layers for a null over all rows."
            if are_permuted_as_wholes(image)
            else "Too few images have as many rows as others to be permuted as wholes."
        )
        note = (
            f"Null, p-values and calibrated scores of {comparison.values.size:,} pairs are "
            f"over one position of each image, {len(null.image):,} rows, where a biased "
            f"measure is higher than over all rows. {why}"
        )
        comparison = replace(comparison, warnings=(*comparison.warnings, note))

    def known() -> Comparison:
        added: dict[str, Any] = {}
        if permuted:
            of_null = null_of(permuted, null.comparison.values, measure)
            added |= {
                name: where_known(one, null.names, whole.names) for name, one in of_null.items()
            }
        if len(resampled) >= LEAST_RESAMPLES or len(resampled) == resamples > 0:
            ends = interval_of(resampled, comparison.values, level, blocks, of_pairs)
            within = {name: np.clip(one, measure.low, measure.high) for name, one in ends.items()}
            added |= {name: np.where(none, np.nan, one) for name, one in within.items()}
            if (np.isnan(within["low"]) & np.isfinite(comparison.values)).any():
                note = (
                    "Some pairs have no interval: without some of the images, the measure is not "
                    "defined for one of their layers."
                )
                added["warnings"] = (*comparison.warnings, note)
        return replace(comparison, **added)

    told = time.monotonic()
    orders = permutations_of(null.image, permutations, seed)
    taken = resamples_of(image, resamples, blocks, seed)

    def drawn(
        part: Part, orders: Iterator[Indices], taken: Iterator[Indices]
    ) -> Iterator[Resampling]:
        return resampling(measure, options, part.a, part.b, part.image, orders, taken, settings_of)

    if null is whole:  # both in one pass
        work = drawn(whole, orders, taken)
    else:
        work = itertools.chain(drawn(null, orders, iter(())), drawn(whole, iter(()), taken))
    for some in work:
        permuted += some.permuted
        resampled += some.resampled
        left = permutations + resamples - len(permuted) - len(resampled)
        if left and time.monotonic() - told > every:
            yield known()
            told = time.monotonic()
    yield known()

"""What a measure declares about itself, and the ways it can be computed."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from tb_modelcompare.errors.checks import only_known
from tb_modelcompare.similarity.activations import Array, Layer, open_layer, require_same_rows
from tb_modelcompare.similarity.few_rows import warned_of_few_rows
from tb_modelcompare.similarity.images import Images, Indices
from tb_modelcompare.similarity.moments import (
    Cross,
    LayerMoments,
    cross_of_layers,
    moments_of_layer,
)


@dataclass(frozen=True)
class MomentPlan:
    """A measure of second moments: one pass over rows, any number of them.

    `prepare` sees each layer once, `combine` each pair with its cross-covariance.
    """

    prepare: Callable[[LayerMoments], Any]
    combine: Callable[[Any, Any, Cross], float]
    least_rows: int = 2
    combine_many: Callable[[Any, Sequence[Any], Array], Array] | None = None
    """One layer with several that have equally many units, from their cross-covariances side by
    side, (d1, layers of d2). Where there are very many pairs of small layers, that is most of the
    time less."""
    single_precision: Callable[[Any], bool] = lambda prepared: True
    """Whether products in float32 are enough for the layer that was prepared from them."""
    white_rows: Callable[[Layer, Any], Array] | None = None
    """Of a measure that no invertible linear map of the units changes: white variates of the
    rows, from the layer and what was prepared from it. Resamples of rows are taken from these, as
    float32 and Cholesky's factor are enough there. None where there are no such variates."""


@dataclass(frozen=True)
class KernelPlan(MomentPlan):
    """A measure that sees a pair only through `||X'Y||²`, so that either the covariances
    or the Gram matrices give it, whichever is cheaper."""

    images: Images | None = None
    """Of the rows: pairs of rows of one image then count for nothing. None: every row is one."""
    bias: float = 1.0
    """Share of the bias of HSIC that is kept: all, or none for the unbiased estimator. As the
    bias is inverse to the number of rows, m / n makes m rows estimate what n rows give."""


@dataclass(frozen=True)
class VectorPlan:
    """A measure that is the inner product of one vector of length 1 per layer (its pairs of
    rows)."""

    prepare: Callable[[Layer], Array]
    length: Callable[[int], int]
    least_rows: int = 2
    images_of_pairs: Callable[[int], tuple[Indices, Indices]] | None = None
    """Of a debiased measure: the images of the two rows of each entry, given the number of rows.
    What pairs of images add to the variance is then known."""


@dataclass(frozen=True)
class RowPlan:
    """A measure that needs the rows themselves."""

    prepare: Callable[[Layer], Any]
    combine: Callable[[Any, Any], float]
    least_rows: int = 2


Plan: TypeAlias = MomentPlan | VectorPlan | RowPlan


@dataclass(frozen=True)
class Measure:
    """A function of two activation matrices (rows, d1), (rows, d2) to a number.

    Attributes
    ----------
    name, title, summary : str
        For code, for people, and what it tells in one sentence.
    family : str
        Under which heading a menu lists it.
    advice : str
        Of a measure that a menu offers first: when to choose it, in one line. Empty for others.
    low, high : float
        Range.
    symmetric : bool
        Whether f(X, Y) = f(Y, X).
    self_value : float or None
        f(X, X) in exact arithmetic, whatever X; None where it depends on X.
    invariances : tuple of str
        Maps of either side that leave the value as it is: names of `INVARIANCES`.
    formula, paper : str
        The convention used here, and where it comes from.
    rows_per_unit : float
        With fewer rows for each unit of a layer the measure is biased: two unrelated layers of
        independent units come a quarter of the way from what unrelated layers should have to
        what equal ones have, or further. There is a warning then. 0 where few rows do not bias
        it so, infinity where no number of rows is enough.
    interval_rows_per_unit : float
        With fewer rows for each unit of both layers together there is no interval: leaving images
        out moves a fit that has hardly more rows than units more than other images would.
    why_high : str
        Where no number of rows is enough: why unrelated layers look alike, as part of a sentence.
    instead : str
        Name of a measure without that bias, which the warning recommends.
    debiased : bool
        About 0 for unrelated layers, however few the images. It has no value, NaN, for a layer
        of which nothing is left without the bias, and its interval is that of a jackknife over
        blocks of images.
    distance : bool
        Small means similar.
    sampled : bool
        A sample of rows estimates it, with a bias that falls as 1 / rows: `refine` makes
        progressive estimates so.
    by_image : bool
        `plan` takes `groups=`, the image of each row.
    function : callable
        On two arrays.
    plan : callable
        Options of the function to the way `compare` computes it.
    """

    name: str
    title: str
    summary: str
    low: float
    high: float
    symmetric: bool
    self_value: float | None
    invariances: tuple[str, ...]
    formula: str
    paper: str
    function: Callable[..., float]
    plan: Callable[..., Plan]
    rows_per_unit: float = 0.0
    interval_rows_per_unit: float = 0.0
    why_high: str = ""
    instead: str = "unbiased_linear_cka"
    debiased: bool = False
    distance: bool = False
    by_image: bool = False
    sampled: bool = False
    family: str = "Others"
    advice: str = ""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """A measure of ours is pickled by its name, as functions are: its plan may be none."""
        from tb_modelcompare.similarity.measures import MEASURES  # which imports this module

        if MEASURES.get(self.name) is self:
            return _of_name, (self.name,)
        return Measure, tuple(getattr(self, one.name) for one in fields(self))

    @property
    def wants_rows_over_units(self) -> bool:
        """Whether few rows for the units of a layer bias the measure."""
        return self.rows_per_unit > 0.0

    @property
    def options(self) -> tuple[str, ...]:
        """Names of the options that `plan` takes, such as `threshold` of SVCCA."""
        return tuple(inspect.signature(self.plan).parameters)

    def interval_label(self, images: int, few_carry: bool = False) -> str:
        """What the ends of an interval from so many images are for.

        A debiased measure estimates the value over all images. The bias of others depends on the
        number of images, so that theirs is for the mean of the value over sets of as many images.
        It holds this less often where a few images, far from all others, carry a layer.

        Parameters
        ----------
        images : int
            How many images the probe has.
        few_carry : bool
            Whether a few images carry one of the layers.

        Returns
        -------
        str
            Words for a caption.
        """
        if self.debiased:
            return "interval for the value over all images"
        less = " (less than that here, as a few images carry a layer)" if few_carry else ""
        return f"repeatability at {images:,} images{less}"

    def planned(self, options: Mapping[str, Any]) -> Plan:
        """The way `compare` computes this measure with these options.

        Parameters
        ----------
        options : mapping of str to value

        Returns
        -------
        Plan

        Raises
        ------
        OptionError
            If the measure has no option of a name that is given, or if a value is not one that
            the option takes.
        """
        only_known(self.title, options, self.options)
        return self.plan(**options)


def _of_name(name: str) -> Measure:
    from tb_modelcompare.similarity.measures import MEASURES

    return MEASURES[name]


INVARIANCES: dict[str, str] = {
    "permutation": "reordering of units",
    "scaling": "one positive factor for the whole layer",
    "unit scaling": "a positive factor for each unit",
    "unit sign": "a sign for each unit",
    "translation": "a constant added to each unit",
    "orthogonal": "rotation and reflection of the space of units",
    "linear": "any invertible linear map of the units",
    "constant units": "units that have one value on all rows, added or left out",
}
"""Maps of a layer that can leave a measure as it is: name to meaning."""


def evaluate(plan: Plan, X: Any, Y: Any, measure: Measure | None = None) -> float:
    """One value of a measure from two arrays (rows, d1) and (rows, d2), in float64.

    Warns as `measure` does of few rows.
    """
    x = open_layer(X, "X")
    y = x if Y is X else open_layer(Y, "Y")
    require_same_rows(x, y)
    x.require_rows(plan.least_rows, "this measure")
    if measure is not None:
        shapes = [(name, x.rows, layer.units) for name, layer in (("X", x), ("Y", y))]
        warned_of_few_rows(measure, shapes)
    if isinstance(plan, MomentPlan):
        left = moments_of_layer(x)
        right = left if y is x else moments_of_layer(y)
        return plan.combine(plan.prepare(left), plan.prepare(right), cross_of_layers(x, y))
    if isinstance(plan, VectorPlan):
        return float(np.dot(plan.prepare(x), plan.prepare(y)))
    return plan.combine(plan.prepare(x), plan.prepare(y))

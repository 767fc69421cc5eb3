"""Similarity of models whose activations never fit in memory: sums over batches.

Every batch of a layer is taken as lines `[1, |z|², z]` with `z = x - shift`, where the shift
is near the mean. The sums of products of such lines hold the number of rows, the means, the
covariances and what the unbiased estimators need. Moving the shift is a linear map of the
lines, hence exact on the sums: that is how sums are centred at the end, and how sums of shards
that had other shifts are added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from copy import deepcopy
from functools import partial
from itertools import accumulate as running_total
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import (
    Array,
    Matrix,
    check_activations,
    check_model,
    open_layer,
)
from tb_modelcompare.similarity.comparison import Comparison
from tb_modelcompare.similarity.few_rows import warned_of_few_rows
from tb_modelcompare.similarity.image_stream import (
    ImageSums,
    images_of_batch,
    lines_of_images,
    moved,
)
from tb_modelcompare.similarity.images import ROWS
from tb_modelcompare.similarity.inputs import find_measure
from tb_modelcompare.similarity.measures import MEASURES
from tb_modelcompare.similarity.moments import Cross, LayerMoments
from tb_modelcompare.similarity.registry import KernelPlan, MomentPlan
from tb_modelcompare.similarity.threads import spread

Layers = Mapping[str, Any]
Batch = tuple[Layers, Layers | None] | tuple[Layers, Layers | None, npt.ArrayLike | None]
Shard = TypeVar("Shard")


class _Side:
    """Layers of one model in a stream: their names, shifts, and own sums."""

    def __init__(self, batch: Mapping[str, Any]) -> None:
        layers = [open_layer(values, name) for name, values in batch.items()]
        self.names = tuple(batch)
        self.shifts = [layer.shift + layer.offset for layer in layers]
        self.edges = [0, *running_total(len(shift) + 2 for shift in self.shifts)]
        self.own = [np.zeros((len(shift) + 2,) * 2) for shift in self.shifts]

    def columns(self, index: int) -> slice:
        return slice(self.edges[index], self.edges[index + 1])

    @property
    def all_columns(self) -> list[slice]:
        return [self.columns(index) for index in range(len(self.names))]

    def lines(self, batch: Mapping[str, Any]) -> Matrix:
        """`[1, |z|², z]` of all layers side by side, (rows of the batch, columns)."""
        if tuple(batch) != self.names:
            raise ActivationError(
                "Every batch must hold the same layers in the same order: "
                f"{list(self.names)}, not {list(batch)}."
            )
        arrays = [check_activations(values, name) for name, values in batch.items()]
        rows = len(arrays[0])
        lines = np.empty((rows, self.edges[-1]))
        for index, (array, shift) in enumerate(zip(arrays, self.shifts, strict=True)):
            self._check(self.names[index], array, rows, len(shift))
            part = lines[:, self.columns(index)]
            part[:, 0] = 1.0
            np.subtract(array, shift, out=part[:, 2:])
            part[:, 1] = np.einsum("ij,ij->i", part[:, 2:], part[:, 2:])
            if not np.isfinite(part[:, 1]).all():
                raise ActivationError(
                    f"{self.names[index]} has NaN or infinite values. Look for a division or an "
                    "overflow in the model."
                )
        return lines

    @staticmethod
    def _check(name: str, array: Array, rows: int, units: int) -> None:
        if array.shape != (rows, units):
            raise ActivationError(
                f"{name} has shape {array.shape} in this batch; it must be ({rows}, {units}), as "
                "the other layers and the batches before."
            )

    def moves_to(self, other: _Side) -> list[Matrix]:
        """What to add to z to have the other side's shifts."""
        if self.names != other.names or self.edges != other.edges:
            raise ActivationError("Only streams of the same layers can be merged.")
        return [mine - theirs for mine, theirs in zip(self.shifts, other.shifts, strict=True)]

    def moments(self, index: int) -> tuple[LayerMoments, Matrix]:
        """Moments of a layer about its mean, and the move that centres it."""
        own = self.own[index]
        rows = float(own[0, 0])
        delta = -own[0, 2:] / rows
        centred = moved(moved(own, delta).T, delta)
        moments = LayerMoments(
            name=self.names[index],
            rows=int(rows),
            mean=self.shifts[index] - delta,
            covariance=centred[2:, 2:] / rows,
            energy_total=float(centred[0, 1]),
            energy_square=float(centred[1, 1]),
        )
        return moments, delta


class MomentStream:
    """Second moments of all layers of two models, from batches of any size.

    Memory does not depend on the number of rows: 8 bytes for every pair of a unit of the one
    model and a unit of the other, and for every pair of units of one layer. Everything is
    in float64. Equal to the whole-array values to rounding, whatever the batches.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).standard_normal((100, 4))
    >>> stream = MomentStream()
    >>> for batch in np.array_split(rows, 5):
    ...     stream.update({"layer": batch}, {"twice": 2 * batch})
    >>> stream.compare("unbiased_linear_cka").values.round(6)
    array([[1.]])
    """

    def __init__(self) -> None:
        self._a: _Side | None = None
        self._b: _Side | None = None
        self._cross: Matrix | None = None
        self._images: ImageSums | None = None

    @property
    def rows(self) -> int:
        """Rows seen so far."""
        return 0 if self._a is None else int(self._a.own[0][0, 0])

    def update(
        self,
        a: Layers,
        b: Layers | None = None,
        groups: npt.ArrayLike | None = None,
    ) -> None:
        """Add a batch: name → (rows of the batch, units). Without b, a is compared with itself.

        Parameters
        ----------
        a, b : mapping of str to array (rows, units)
            The layers of the two models on the rows of this batch.
        groups : array (rows,), optional
            Image of each row, for debiased CKA over different images. A batch then holds all rows
            of its images. Either all batches have it or none; without it, or with "rows", every
            row is an image of its own. The labels of all images are kept.

        Raises
        ------
        ActivationError
            If a layer cannot be used, if an image was in a batch before, or if the batch does not
            fit the batches before. The stream is then as it was.
        """
        check_model(a, "the first model")
        if b is not None:
            check_model(b, "the second model")
        if self._a is not None and (b is None) != (self._b is None):
            raise ActivationError("All batches of a stream must be of one model, or all of two.")
        side_a = self._a or _Side(a)
        side_b = None if b is None else self._b or _Side(b)
        left = side_a.lines(a)
        right = left if side_b is None or b is None else side_b.lines(b)
        if len(left) != len(right):
            raise ActivationError(
                f"A batch has {len(left)} rows of the first model and {len(right)} of the second."
            )
        if isinstance(groups, str) and groups == ROWS:
            groups = None
        if self._a is not None and (groups is None) != (self._images is None):
            raise ActivationError("Give groups with every batch, or with none.")
        if groups is not None:
            sums = self._images or ImageSums(
                side_a.all_columns, None if side_b is None else side_b.all_columns
            )
            images, called = images_of_batch(groups, len(left), sums.seen)
            sides = [lines_of_images(left, side_a.all_columns, images)]
            if side_b is not None:
                sides.append(lines_of_images(right, side_b.all_columns, images))
            sums.add(sides, called)
            self._images = sums
        if self._cross is None:
            self._cross = np.zeros((left.shape[1], right.shape[1]))
        self._a, self._b = side_a, side_b
        self._cross += left.T @ right
        for side, lines in ((side_a, left), (side_b, right)):
            if side is not None:
                for index, own in enumerate(side.own):
                    part = lines[:, side.columns(index)]
                    own += part.T @ part

    def merge(self, other: MomentStream) -> None:
        """Add the sums of another stream over other rows of the same layers.

        Parameters
        ----------
        other : MomentStream

        Raises
        ------
        ActivationError
            If its layers are others, or if an image has rows in both.
        """
        if other._a is None:
            return
        if self._a is None:
            self.__dict__.update(deepcopy(other.__dict__))
            return
        assert self._cross is not None
        assert other._cross is not None
        if (self._b is None) != (other._b is None):
            raise ActivationError("Only streams of the same layers can be merged.")
        moves_a = other._a.moves_to(self._a)
        moves_b = moves_a if other._b is None or self._b is None else other._b.moves_to(self._b)
        if (self._images is None) != (other._images is None):
            raise ActivationError("Give groups with the batches of every stream, or of none.")
        if self._images is not None and other._images is not None:
            self._images.merge(other._images, [moves_a] if self._b is None else [moves_a, moves_b])
        self._cross = self._cross + _moved_blocks(
            other._cross, other._a, moves_a, other._b or other._a, moves_b
        )
        for mine, theirs, moves in ((self._a, other._a, moves_a), (self._b, other._b, moves_b)):
            if mine is not None and theirs is not None:
                mine.own = [
                    own + moved(moved(added, delta).T, delta)
                    for own, added, delta in zip(mine.own, theirs.own, moves, strict=True)
                ]

    def compare(self, measure: str = "linear_cka", **options: Any) -> Comparison:
        """All pairs of layers, as `similarity.compare` gives them.

        Parameters
        ----------
        measure : str
            A measure of second moments.
        **options
            Of the measure.

        Returns
        -------
        Comparison

        Raises
        ------
        ActivationError
            If nothing was added yet, or the measure needs more than second moments.
        """
        if self._a is None or self._cross is None:
            raise ActivationError("The stream is empty; add batches first.")
        chosen = find_measure(measure)
        plan = chosen.planned(options)
        if not isinstance(plan, MomentPlan):
            streamed = [m.name for m in MEASURES.values() if isinstance(m.plan(), MomentPlan)]
            raise ActivationError(
                f"{chosen.title} needs all rows at once; a stream has {', '.join(streamed)}."
            )
        if self.rows < plan.least_rows:
            raise ActivationError(f"{chosen.title} needs at least {plan.least_rows} rows.")
        a, b = self._a, self._b or self._a
        if self._images is not None and isinstance(plan, KernelPlan) and plan.bias == 0.0:
            names = [side.names for side in (self._a, self._b) if side is not None]
            return self._images.compare(chosen, names)
        left = [a.moments(index) for index in range(len(a.names))]
        right = left if b is a else [b.moments(index) for index in range(len(b.names))]
        xs = spread(plan.prepare, [moments for moments, _ in left])
        ys = xs if b is a else spread(plan.prepare, [moments for moments, _ in right])

        def value(pair: tuple[int, int]) -> float:
            i, j = pair
            if b is a and i == j and chosen.self_value is not None:
                return chosen.self_value
            block = moved(sums[a.columns(i), b.columns(j)], left[i][1])
            block = moved(block.T, right[j][1]).T
            cross = Cross(block[2:, 2:] / self.rows, float(block[1, 1]))
            return float(plan.combine(xs[i], ys[j], cross))

        sums = self._cross
        found = spread(value, list(np.ndindex(len(xs), len(ys))))
        values = np.array(found).reshape(len(xs), len(ys))
        shapes = [
            (name, self.rows, len(shift))
            for side in (a, b)
            for name, shift in zip(side.names, side.shifts, strict=True)
        ]
        notes = warned_of_few_rows(chosen, shapes)
        return Comparison(values, a.names, b.names, chosen.name, notes, distance=chosen.distance)


def _moved_blocks(
    sums: Matrix, a: _Side, moves_a: list[Matrix], b: _Side, moves_b: list[Matrix]
) -> Matrix:
    found = np.empty_like(sums)
    for i, delta in enumerate(moves_a):
        found[a.columns(i)] = moved(sums[a.columns(i)], delta)
    for j, delta in enumerate(moves_b):
        found[:, b.columns(j)] = moved(found[:, b.columns(j)].T, delta).T
    return found


def accumulate(batches: Iterable[Batch]) -> MomentStream:
    """The sums of some batches, each `(layers of a, layers of b or None)` or with groups.

    Parameters
    ----------
    batches : iterable of (mapping, mapping or None) or of (mapping, mapping or None, groups)
        Of each batch, the layers of the first and of the second model: name to (rows, units), and
        the image of each row, as of `MomentStream.update`.

    Returns
    -------
    MomentStream

    Raises
    ------
    ActivationError
        If a layer cannot be used, or a batch does not fit the batches before.

    Examples
    --------
    >>> import numpy as np
    >>> rows = np.random.default_rng(0).standard_normal((100, 4))
    >>> batches = [({"layer": batch}, None) for batch in np.array_split(rows, 5)]
    >>> accumulate(batches).rows
    100
    """
    stream = MomentStream()
    for batch in batches:
        stream.update(*batch)
    return stream


def _read_and_accumulate(read: Callable[[Any], Iterable[Batch]], shard: Any) -> MomentStream:
    return accumulate(read(shard))


def accumulate_shards(
    read: Callable[[Shard], Iterable[Batch]], shards: Iterable[Shard], executor: Executor
) -> MomentStream:
    """Sums of all shards, computed by an executor and added in the order of the shards.

    Parameters
    ----------
    read : callable
        From a shard (a path, a range of rows, …) to its batches. It runs in the executor and
        must be importable there.
    shards : iterable
    executor : concurrent.futures.Executor
        A process pool, or a cluster's, such as dask's `client.get_executor()`.

    Returns
    -------
    MomentStream

    Raises
    ------
    ActivationError
        As `accumulate`.
    """
    stream = MomentStream()
    for part in executor.map(partial(_read_and_accumulate, read), list(shards)):
        stream.merge(part)
    return stream

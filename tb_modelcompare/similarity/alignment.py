"""Which layer answers to which: alignments read from a matrix of similarities."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy  # scipy.optimize takes long to import, and is not needed by most

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Matrix
from tb_modelcompare.similarity.comparison import Comparison, Match
from tb_modelcompare.similarity.inputs import find_measure

_ROUNDING = 1e-12
"""Sums of values that differ by less, as a share of the largest value, are taken as equal."""


_LESS = 1e-6
"""How far below the least value a missing one counts, as a share of the largest value."""


@dataclass(frozen=True)
class Alignment:
    """Pairs of layers, in the order of the first model, and their mean value as a score."""

    matches: tuple[Match, ...]
    score: float


def best_matches(comparison: Comparison) -> Alignment:
    """For each layer of the first model the most similar layer of the second.

    Among equals the earlier layer. Layers without any value have no match, here and below: a
    debiased measure may have none for a layer.
    """
    similarity, rows, columns = _similarity(comparison, missing=-np.inf)
    return _alignment(comparison, rows, columns[similarity.argmax(axis=1)])


def mutual_best(comparison: Comparison) -> Alignment:
    """Pairs each of which is the other's best match. There is always at least one."""
    similarity, rows, columns = _similarity(comparison, missing=-np.inf)
    best_column, best_row = similarity.argmax(axis=1), similarity.argmax(axis=0)
    mutual = np.flatnonzero(best_row[best_column] == np.arange(len(similarity)))
    return _alignment(comparison, rows[mutual], columns[best_column[mutual]])


def one_to_one(comparison: Comparison) -> Alignment:
    """The one-to-one pairing with the largest sum (Hungarian method).

    Covers all layers of the model that has fewer. Where several pairings have the largest sum,
    it is the one that SciPy's ``linear_sum_assignment`` finds.
    """
    similarity, rows, columns = _similarity(comparison)
    paired = scipy.optimize.linear_sum_assignment(similarity, maximize=True)
    return _alignment(comparison, rows[paired[0]], columns[paired[1]])


def monotone_path(comparison: Comparison) -> Alignment:
    """The path through both models in depth order with the largest mean value.

    It leads from the first layers to the last, each step to the next layer of one model or of
    both (dynamic time warping over depth), so that every layer is met and no two matches
    cross. The mean, not the sum, is maximised: a path is not better for being longer. Of paths
    with the same mean it is the one that, seen from the last layers, goes to the layers before
    in both models where it can, else in the first model.
    """
    similarity, rows, columns = _similarity(comparison)
    slack = _ROUNDING * float(np.abs(similarity).max())
    path = _best_path(similarity, slack)
    while True:
        # Dinkelbach's iteration: it ends when no path has a mean above `level`. It has to begin
        # at the mean of some path, since it goes on upward only.
        level = float(similarity[path].mean())
        path = _best_path(similarity - level, slack)
        if similarity[path].mean() <= level + slack:
            return _alignment(comparison, rows[path[0]], columns[path[1]])


def _best_path(gain: Matrix, slack: float) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Indices of the monotone path from corner to corner that has the largest sum.

    Sums that differ by no more than `slack` are equal, so that rounding decides nothing.
    """
    height, width = gain.shape
    total = np.full((height + 1, width + 1), -np.inf)
    total[0, 0] = 0.0
    step = np.zeros((height, width), np.intp)
    for i, j in np.ndindex(height, width):
        before = (total[i, j], total[i, j + 1], total[i + 1, j])
        for other in (1, 2):
            if before[other] > before[step[i, j]] + slack:
                step[i, j] = other
        total[i + 1, j + 1] = before[step[i, j]] + gain[i, j]
    path = [(height - 1, width - 1)]
    while path[-1] != (0, 0):
        i, j = path[-1]
        path.append(((i - 1, j - 1), (i - 1, j), (i, j - 1))[step[i, j]])
    rows, columns = np.array(path[::-1], np.intp).T
    return rows, columns


def _similarity(
    comparison: Comparison, missing: float | None = None
) -> tuple[Matrix, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """What is aligned: more is more alike, of the rows and the columns that have a value at all.

    A value that is missing becomes `missing`, or a little less than the least that there is: it is
    paired only where there is nothing else, and `_alignment` leaves such pairs out.
    """
    distance = find_measure(comparison.measure).distance
    whole = -comparison.values if distance else comparison.values
    there = np.isfinite(whole)
    rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
    if not len(rows):
        raise ActivationError("The matrix has no finite value, so nothing can be aligned.")
    if missing is None:
        values = whole[there]
        missing = float(values.min()) - _LESS * (float(np.abs(values).max()) or 1.0)
    return np.where(there, whole, missing)[np.ix_(rows, columns)], rows, columns


def _alignment(
    comparison: Comparison, rows: npt.NDArray[np.intp], columns: npt.NDArray[np.intp]
) -> Alignment:
    there = np.isfinite(comparison.values[rows, columns])
    rows, columns = rows[there], columns[there]
    values = comparison.values[rows, columns]
    matches = tuple(
        Match(comparison.rows[i], comparison.columns[j], float(value))
        for i, j, value in zip(rows, columns, values, strict=True)
    )
    return Alignment(matches, float(values.mean()))

"""How a model's layers change over its training, against a fixed model or another's training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tb_modelcompare.cache.pair_values import PairValues
from tb_modelcompare.errors import ActivationError, UnknownSnapshotError
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.similarity import Measure
from tb_modelcompare.similarity.inputs import find_measure
from tb_modelcompare.training.pairs import Grid, LoggedLayer, Matrix, Work, fill_grids, with_files

Matching = Literal["names", "best"]


@dataclass(frozen=True, eq=False)
class Trend:
    """Similarity of every layer, at every step, to its partner in one reference snapshot.

    Attributes
    ----------
    values : array (layers, snapshots)
        NaN where there is no value: the layer is not in that snapshot, or it or its partner
        does not vary on the probe.
    layers, partners : tuple of str
        Layers of the trained model, and those of the reference that they are compared with.
    matching : {"names", "best"}
        Whether partners have the same name, or are most similar to the layer in the last
        snapshot.
    snapshots, steps : tuples
        Ids and steps of the columns, in order of step.
    reference, measure : str
    notes : tuple of str
    computed, found : int
        Pairs of layers that were computed for this, and that were known already.
    """

    values: Matrix
    layers: tuple[str, ...]
    partners: tuple[str, ...]
    matching: Matching
    snapshots: tuple[str, ...]
    steps: tuple[int, ...]
    reference: str
    measure: str
    notes: tuple[str, ...] = ()
    computed: int = 0
    found: int = 0


@dataclass(frozen=True, eq=False)
class StepMap:
    """Similarity of one layer of A at every step with one layer of B at every step.

    Attributes
    ----------
    values : array (snapshots of A, snapshots of B)
        NaN where there is no value, as in `Trend`.
    layer_a, layer_b : str
    snapshots_a, snapshots_b : tuple of str
        Ids, in order of step.
    measure : str
    notes : tuple of str
        What to keep in mind when reading the values.
    computed, found : int
        Pairs of layers that were computed for this, and that were known already.
    """

    values: Matrix
    layer_a: str
    layer_b: str
    snapshots_a: tuple[str, ...]
    snapshots_b: tuple[str, ...]
    measure: str
    notes: tuple[str, ...] = ()
    computed: int = 0
    found: int = 0


@dataclass(frozen=True)
class Partners:
    """Which layer is compared with which: equally long tuples of names."""

    layers: tuple[str, ...]
    partners: tuple[str, ...]
    matching: Matching


def find_partners(
    trained: Snapshot, reference: Snapshot, measure: str | Measure, work: Work
) -> Partners:
    """For every layer of a snapshot, the layer of the reference to compare it with.

    The one of the same name, if each layer has a namesake; otherwise for each layer the most
    similar one by `measure`, whatever it is called. A partner is chosen once, not per step: a
    curve over changing partners would rise wherever any layer came near.

    Raises
    ------
    ProbeMismatchError
        If the snapshots were made on different probes.
    """
    require_same_probe(trained, reference)
    names = trained.layer_names
    if set(names) <= set(reference.layer_names):
        return Partners(names, names, "names")
    chosen = find_measure(measure)
    grid = Grid.of(layers_of(trained), layers_of(reference))
    fill_grids([grid], chosen, work)
    values = np.where(np.isnan(grid.values), -np.inf, grid.values * (-1 if chosen.distance else 1))
    live = values.max(axis=1) > -np.inf
    if not live.any():
        raise ActivationError(f"No layer of {trained.id} has a partner in {reference.id}.")
    pairs = [
        (name, reference.layer_names[best])
        for name, best, alive in zip(names, values.argmax(axis=1), live, strict=True)
        if alive
    ]
    return Partners(tuple(a for a, _ in pairs), tuple(b for _, b in pairs), "best")


def fill_trend(
    snapshots: Sequence[Snapshot],
    reference: Snapshot,
    partners: Partners,
    measure: str | Measure,
    values: Matrix,
    work: Work,
) -> None:
    """Fill `values` (layers, snapshots) in place, coarse to fine; see `trend`."""
    for snapshot in snapshots:
        require_same_probe(snapshot, reference)
    grids = [
        Grid([find_layer(reference, partner)], column, values[row : row + 1])
        for row, (name, partner) in enumerate(zip(partners.layers, partners.partners, strict=True))
        for column in [[find_layer(snapshot, name) for snapshot in snapshots]]
    ]
    fill_grids(grids, find_measure(measure), work)


def trend(
    snapshots: Sequence[Snapshot],
    reference: Snapshot | None = None,
    measure: str | Measure = "linear_cka",
    *,
    work: Work | None = None,
) -> Trend:
    """How similar each layer is, at each step, to what it becomes (or to any other model).

    Snapshots whose files were deleted are left out, with a note.

    Parameters
    ----------
    snapshots : sequence of Snapshot
        Of one training run.
    reference : Snapshot, optional
        What every snapshot is compared with; the last one of `snapshots` if left out. It may
        be of another model: see `find_partners`.
    measure : str
        A name in `similarity.MEASURES`.
    work : Work, optional
        Where known values are kept, progress and cancelling.

    Returns
    -------
    Trend

    Raises
    ------
    UnknownSnapshotError
        If no snapshots are given.
    ProbeMismatchError
        If they were made on different probes.
    MissingAssetError
        If the files of the reference, or of all snapshots, are gone.
    ComparisonCancelled

    References
    ----------
    Raghu, Gilmer, Yosinski and Sohl-Dickstein 2017, SVCCA (section 4.1: networks converge
    bottom up); there by SVCCA, here by any measure.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from tb_modelcompare import Probe, SummaryWriter
    >>> from tb_modelcompare.log.reader import open_steps
    >>> logdir, rng = tempfile.mkdtemp(), np.random.default_rng(0)
    >>> with SummaryWriter(f"{logdir}/run", Probe(np.zeros((20, 8, 8, 3), np.uint8))) as writer:
    ...     for step in (0, 10):
    ...         _ = writer.add_activations("net", {"conv": rng.standard_normal((20, 4))}, step=step)
    >>> found = trend(open_steps(logdir, "run"))
    >>> found.layers, found.steps, found.values.shape
    (('conv',), (0, 10), (1, 2))
    """
    chosen = find_measure(measure)
    work = work or Work(PairValues(None))
    ordered = with_files(in_order(snapshots), work)
    against = reference or ordered[-1]
    partners = find_partners(ordered[-1], against, chosen, work)
    values = np.full((len(partners.layers), len(ordered)), np.nan)
    fill_trend(ordered, against, partners, chosen, values, work)
    return Trend(
        values,
        partners.layers,
        partners.partners,
        partners.matching,
        tuple(one.id for one in ordered),
        tuple(one.step for one in ordered),
        against.id,
        chosen.name,
        tuple(work.notes),
        work.computed,
        work.found,
    )


def step_map(
    a: Sequence[Snapshot],
    layer_a: str,
    b: Sequence[Snapshot],
    layer_b: str,
    measure: str | Measure = "linear_cka",
    *,
    work: Work | None = None,
    grid: Grid | None = None,
) -> StepMap:
    """One layer of A at step s against one of B at step t, for all s and t.

    Snapshots whose files were deleted are left out, with a note, unless `grid` is given.

    Parameters
    ----------
    a : sequence of Snapshot
        Of one training run.
    layer_a : str
    b : sequence of Snapshot
        Of another run, or of the same, to see when a layer changed.
    layer_b : str
    measure : str or Measure
        A name in `similarity.MEASURES`.
    work : Work, optional
        Where known values are kept, progress and cancelling.
    grid : Grid, optional
        As made by `step_grid`, to see values while they are computed.

    Returns
    -------
    StepMap

    Raises
    ------
    UnknownSnapshotError
        If no snapshots are given, or the layer is in none of them.
    ProbeMismatchError
        If they were made on different probes.
    ComparisonCancelled
        As soon as `work.cancelled` says so.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from tb_modelcompare import Probe, SummaryWriter
    >>> from tb_modelcompare.log.reader import open_steps
    >>> logdir, rng = tempfile.mkdtemp(), np.random.default_rng(0)
    >>> with SummaryWriter(f"{logdir}/run", Probe(np.zeros((20, 8, 8, 3), np.uint8))) as writer:
    ...     for step in (0, 10, 20):
    ...         _ = writer.add_activations("net", {"conv": rng.standard_normal((20, 4))}, step=step)
    >>> run = open_steps(logdir, "run")
    >>> step_map(run, "conv", run, "conv").values.shape
    (3, 3)
    """
    chosen = find_measure(measure)
    work = work or Work(PairValues(None))
    if grid is None:
        a, b = with_files(a, work), with_files(b, work)
        grid = step_grid(a, layer_a, b, layer_b)
    fill_grids([grid], chosen, work)
    return StepMap(
        grid.values,
        layer_a,
        layer_b,
        tuple(one.id for one in in_order(a)),
        tuple(one.id for one in in_order(b)),
        chosen.name,
        tuple(work.notes),
        work.computed,
        work.found,
    )


def step_grid(a: Sequence[Snapshot], layer_a: str, b: Sequence[Snapshot], layer_b: str) -> Grid:
    """The empty grid of a `step_map`; the rows are the columns where both sides are the same."""
    rows = _over_steps(a, layer_a)
    same = layer_a == layer_b and [s.id for s in in_order(a)] == [s.id for s in in_order(b)]
    columns = rows if same else _over_steps(b, layer_b)
    for snapshot in (*a, *b):
        require_same_probe(in_order(a)[0], snapshot)
    return Grid.of(rows, columns)


def _over_steps(snapshots: Sequence[Snapshot], layer: str) -> list[LoggedLayer | None]:
    ordered = in_order(snapshots)
    found = [find_layer(snapshot, layer) for snapshot in ordered]
    if not any(found):
        ordered[-1].layer(layer)  # raises, and names the nearest
    return found


def freezing_threshold(low: float, high: float, *, distance: bool = False) -> float:
    """From what value on a layer counts as frozen, unless another is chosen.

    Nine tenths of the way from no to perfect similarity: `low + 0.9 (high - low)`, or of a distance
    `low + 0.1 (high - low)`. The tab has the same in `freezingThreshold`.

    Parameters
    ----------
    low, high : float
        The range of the measure.
    distance : bool
        Small values mean similar.

    Returns
    -------
    float

    Raises
    ------
    ActivationError
        If the measure has no bounds.

    Examples
    --------
    >>> freezing_threshold(0.0, 1.0), freezing_threshold(0.0, 2.0, distance=True)
    (0.9, 0.2)
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ActivationError("a measure without bounds has no usual threshold; give one")
    return low + (0.1 if distance else 0.9) * (high - low)


def freezing_steps(
    values: npt.ArrayLike,
    steps: Sequence[int],
    threshold: float = 0.9,
    *,
    distance: bool = False,
) -> tuple[int | None, ...]:
    """When each layer froze: the first step from which its similarity stays at the threshold.

    For layer l with similarity v(l, s) to the reference, `min {s : v(l, t) >= threshold for all
    t >= s}`. A step without a value counts as not similar. None if even the last step is not.

    Parameters
    ----------
    values : array (layers, steps)
        NaN where there is no value.
    steps : sequence of int
        In ascending order.
    threshold : float
    distance : bool
        Small values mean similar: they have to stay at or below the threshold.

    Returns
    -------
    tuple of int or None
        One for each layer.

    Examples
    --------
    >>> values = [[0.5, 0.95, 0.97], [0.2, 0.95, 0.3]]
    >>> freezing_steps(values, steps=[0, 10, 20])
    (10, None)
    """
    matrix = np.asarray(values, np.float64)
    near = matrix <= threshold if distance else matrix >= threshold  # False for NaN
    stays = np.logical_and.accumulate(near[:, ::-1], axis=1)[:, ::-1]
    return tuple(int(steps[int(row.argmax())]) if row.any() else None for row in stays)


def in_order(snapshots: Sequence[Snapshot]) -> list[Snapshot]:
    """By step.

    Raises
    ------
    UnknownSnapshotError
        If there are none.
    """
    if not snapshots:
        raise UnknownSnapshotError("no snapshots were given; name those of one run")
    return sorted(snapshots, key=lambda snapshot: snapshot.step)


def layers_of(snapshot: Snapshot) -> list[LoggedLayer | None]:
    """All layers of a snapshot."""
    return [LoggedLayer(snapshot, record) for record in snapshot.layers]


def find_layer(snapshot: Snapshot, name: str) -> LoggedLayer | None:
    """The layer of that name, None if the snapshot has none."""
    for record in snapshot.layers:
        if record.name == name:
            return LoggedLayer(snapshot, record)
    return None

"""One distance between whole models, from the distances of their layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tb_modelcompare.cache.pair_values import PairValues
from tb_modelcompare.errors import ActivationError, UnknownSnapshotError
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.similarity import MEASURES
from tb_modelcompare.training.embedding import Embedding, embed
from tb_modelcompare.training.pairs import Grid, LoggedLayer, Matrix, Work, fill_grids, with_files
from tb_modelcompare.training.steps import find_layer

DEPTHS = 16
"""How many relative depths models without common names are compared at."""


@dataclass(frozen=True)
class Metric:
    """A true metric between layers: a measure, and what makes an angle of it.

    Attributes
    ----------
    name, title : str
        For code, and for people.
    measure : str
        A name in `similarity.MEASURES`.
    angle : callable
        From values of the measure to angles.
    formula, paper : str
    low, high : float
        Range.
    distance : bool
        Small means similar, as for all metrics.
    """

    name: str
    title: str
    measure: str
    angle: Callable[[Matrix], Matrix]
    formula: str
    paper: str
    low: float = 0.0
    high: float = np.pi / 2
    distance: bool = True


def _arccos(values: Matrix) -> Matrix:
    return np.asarray(np.arccos(np.minimum(values, 1.0)))  # above 1 by rounding alone


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "angular_cka",
            "Angular CKA",
            "linear_cka",
            _arccos,
            "arccos CKA(X, Y), linear, centred",
            "Williams et al. 2021; Lange et al. 2023",
        ),
        Metric(
            "procrustes_angle",
            "Procrustes angle",
            "procrustes_angle",
            lambda values: values,
            "arccos ||X'Y||_* / (||X|| ||Y||)",
            "Williams et al. 2021",
        ),
    )
}
"""The distances between models, by name; the first is the default."""


@dataclass(frozen=True, eq=False)
class Models:
    """Distances between models.

    Attributes
    ----------
    distances : array (n, n)
        Symmetric, zero on the diagonal.
    snapshots : tuple of str
    metric : str
    matching : {"names", "depth"}
        Whether layers of the same name were compared, or layers at the same relative depth.
    layers : tuple of tuples of str
        For each comparison of layers, the layer of each model.
    embedding : Embedding
    notes : tuple of str
    computed, found : int
        Pairs of layers that were computed for this, and that were known already.
    """

    distances: Matrix
    snapshots: tuple[str, ...]
    metric: str
    matching: Literal["names", "depth"]
    layers: tuple[tuple[str, ...], ...]
    embedding: Embedding
    notes: tuple[str, ...] = ()
    computed: int = 0
    found: int = 0


def model_distances(
    snapshots: Sequence[Snapshot], metric: str = "angular_cka", *, work: Work | None = None
) -> Models:
    """How far apart models are, and a map of them.

    `d(M, N) = sqrt(mean over k of θ(M_k, N_k)²)`, where M_k and N_k are matched layers and θ is
    an angle between layers. Where all models have layers of the same names, layers of one name
    are matched. Otherwise layers at 16 relative depths are: M_k is then layer
    floor((k + ½) L / 16) of the L layers of M.

    θ is a metric between layers up to rotation and scale. Each model has the same M_k in every
    comparison, so that the mean of squares d is a metric between models as well: it is zero
    between a model and itself, symmetric, and never more than the sum over a third model.

    Parameters
    ----------
    snapshots : sequence of Snapshot
        Two or more, of one probe. Those whose files were deleted are left out, with a note.
    metric : {"angular_cka", "procrustes_angle"}
    work : Work, optional
        Where known values are kept, progress and cancelling.

    Returns
    -------
    Models

    Raises
    ------
    UnknownSnapshotError
        If there are fewer than two.
    ProbeMismatchError
        If they were made on different probes.
    ActivationError
        If there is no such metric, or some model is constant in every matched layer.
    ComparisonCancelled

    References
    ----------
    Williams, Kunz, Kornblith and Linderman 2021, Generalized Shape Metrics on Neural
    Representations; Lange, Kwok, Matelsky, Wang, Rolnick and Kording 2023, Deep Networks as
    Paths on the Manifold of Neural Representations.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from tb_modelcompare import Probe, SummaryWriter, open_snapshot
    >>> logdir, rng = tempfile.mkdtemp(), np.random.default_rng(0)
    >>> with SummaryWriter(f"{logdir}/run", Probe(np.zeros((20, 8, 8, 3), np.uint8))) as writer:
    ...     for step in (0, 10, 20):
    ...         _ = writer.add_activations("net", {"conv": rng.standard_normal((20, 4))}, step=step)
    >>> models = model_distances([open_snapshot(logdir, f"run@{step}") for step in (0, 10, 20)])
    >>> models.distances.shape, models.embedding.points.shape
    ((3, 3), (3, 2))
    """
    if metric not in METRICS:
        raise ActivationError(f"no metric {metric!r:.100}; there are {', '.join(METRICS)}")
    work = work or Work(PairValues(None))
    snapshots = with_files(snapshots, work)
    if len(snapshots) < 2:
        raise UnknownSnapshotError("a map of models takes two snapshots or more")
    for snapshot in snapshots[1:]:
        require_same_probe(snapshots[0], snapshot)
    chosen = METRICS[metric]
    matching, matched = matched_layers(snapshots)
    grids = [Grid.of(layers, layers) for layers in matched]
    fill_grids(grids, MEASURES[chosen.measure], work, "double")
    whole = [grid for grid in grids if not np.isnan(grid.values).any()]
    if not whole:
        raise ActivationError(
            "Some model does not vary on the probe wherever models are compared, so that it has "
            "no distance to the others. Leave it out, or log a probe on which it responds."
        )
    if len(whole) < len(grids):
        work.notes[
            f"Left out {len(grids) - len(whole)} of {len(grids)} matched layers, which do not vary "
            "on the probe in some model."
        ] = None
    angles = np.stack([chosen.angle(grid.values) for grid in whole])
    distances = np.sqrt(np.square(angles).mean(axis=0))
    distances = (distances + distances.T) / 2
    np.fill_diagonal(distances, 0.0)
    return Models(
        distances,
        tuple(one.id for one in snapshots),
        metric,
        matching,
        tuple(
            tuple(layer.record.name for layer in grid.rows if layer is not None) for grid in whole
        ),
        embed(distances),
        tuple(work.notes),
        work.computed,
        work.found,
    )


def matched_layers(
    snapshots: Sequence[Snapshot],
) -> tuple[Literal["names", "depth"], list[list[LoggedLayer | None]]]:
    """How layers are matched, and for each match the layer of each model."""
    names = snapshots[0].layer_names
    if all(set(one.layer_names) == set(names) for one in snapshots):
        return "names", [[find_layer(one, name) for one in snapshots] for name in names]
    return "depth", [
        [
            LoggedLayer(one, one.layers[int((k + 0.5) * len(one.layers) / DEPTHS)])
            for one in snapshots
        ]
        for k in range(DEPTHS)
    ]

"""A measure between many logged layers, from coarse to fine; what is known is not computed."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from tb_modelcompare.cache.pair_values import PairValues, pair_key
from tb_modelcompare.errors import MissingAssetError, RowsFewerThanUnitsWarning
from tb_modelcompare.log.index import LayerRecord
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.similarity import ComparisonCancelled, Measure, compare
from tb_modelcompare.similarity.few_rows import few_rows, in_words, shapes_of
from tb_modelcompare.similarity.settings import Precision

Matrix = npt.NDArray[np.float64]

# Layers that are open at a time are bounded by their units: each holds matrices of units².
_UNITS_AT_ONCE = 8192
_STRIDES = (16, 4, 1)
_NAMED = 5  # snapshots in one note


@dataclass(frozen=True, eq=False)
class LoggedLayer:
    """A layer of a snapshot."""

    snapshot: Snapshot
    record: LayerRecord

    @property
    def sha256(self) -> str:
        return self.record.asset.sha256

    @property
    def label(self) -> str:
        return f"{self.record.name} of {self.snapshot.id}"


@dataclass
class Work:
    """How one request is computed, and what came of it.

    Attributes
    ----------
    known : PairValues
        Where values are looked up and kept.
    version : str
        Of whatever computes; values of another version are not taken.
    publish : callable, optional
        Called with the share of work done, whenever there are new values.
    cancelled : callable, optional
        When it returns True, `ComparisonCancelled` is raised.
    computed, found, total : int
        Pairs of layers that were computed here, that were known, and that are asked for.
    notes : dict of str to None
        What to keep in mind when reading the values, in order.
    """

    known: PairValues
    version: str = ""
    publish: Callable[[float], None] | None = None
    cancelled: Callable[[], bool] | None = None
    computed: int = 0
    found: int = 0
    total: int = 0
    notes: dict[str, None] = field(default_factory=dict)

    def tick(self) -> None:
        """Report, and stop if that is asked for."""
        if self.cancelled is not None and self.cancelled():
            raise ComparisonCancelled
        if self.publish is not None:
            self.publish(min((self.computed + self.found) / max(self.total, 1), 1.0))


@dataclass(eq=False)
class Grid:
    """A measure between row layers and column layers; None where a snapshot has no such layer.

    `values` (rows, columns) are filled by `fill_grids`: NaN where there is no value, because a
    layer is absent or does not vary on the probe, or where it is not computed yet.
    """

    rows: Sequence[LoggedLayer | None]
    columns: Sequence[LoggedLayer | None]
    values: Matrix

    @classmethod
    def of(cls, rows: Sequence[LoggedLayer | None], columns: Sequence[LoggedLayer | None]) -> Grid:
        return cls(rows, columns, np.full((len(rows), len(columns)), np.nan))


def with_files(snapshots: Sequence[Snapshot], work: Work) -> list[Snapshot]:
    """The snapshots whose activations are there, in the same order; a note tells of the others.

    A snapshot that was deleted to save space leaves the others comparable.

    Raises
    ------
    MissingAssetError
        If it is so of none.
    """
    there = [snapshot for snapshot in snapshots if snapshot.has_activations()]
    gone = [snapshot.id for snapshot in snapshots if snapshot not in there]
    if gone:
        named = ", ".join(gone[:_NAMED]) + (", …" if len(gone) > _NAMED else "")
        note = f"Left out {len(gone)} of {len(snapshots)} snapshots, whose files are gone: {named}."
        if not there:
            raise MissingAssetError(f"{note} Copy the whole run directory, or log the model again.")
        work.notes[note] = None
    return there


def fill_grids(
    grids: Sequence[Grid], measure: Measure, work: Work, precision: Precision = "auto"
) -> None:
    """Fill grids of the same number of columns: what is known, then the rest, coarse to fine.

    Raises
    ------
    ComparisonCancelled
        As soon as `work.cancelled` says so; what was computed until then is known.
    MissingAssetError, CorruptSnapshotError
        If activations are not what was logged.
    """
    name = f"{measure.name} {precision} {work.version}"
    missing = [_take_known(grid, measure, name, work) for grid in grids]
    work.tick()
    wide = max(len(grid.columns) for grid in grids)
    for stride in _STRIDES:
        if stride > 1 and wide < 4 * stride:
            continue
        for grid, lacking in zip(grids, missing, strict=True):
            rows = _every(grid.rows, stride)
            for columns in _bounded(grid.columns, _every(grid.columns, stride)):
                _compute(grid, lacking, rows, columns, measure, name, precision, work)


def _every(layers: Sequence[LoggedLayer | None], stride: int) -> list[int]:
    """Each `stride`-th index from the last one backwards, in order; all of a few."""
    if len(layers) < 4 * stride:
        stride = 1
    return sorted(range(len(layers) - 1, -1, -stride))


def _bounded(layers: Sequence[LoggedLayer | None], indices: Sequence[int]) -> Iterator[list[int]]:
    """Consecutive indices of layers that are few enough units to be open together."""
    group: list[int] = []
    units = 0
    for index in indices:
        layer = layers[index]
        if layer is None:
            continue
        if group and units + layer.record.units > _UNITS_AT_ONCE:
            yield group
            group, units = [], 0
        group.append(index)
        units += layer.record.units
    if group:
        yield group


def _keys(
    grid: Grid, measure: Measure, name: str, rows: Sequence[int], columns: Sequence[int]
) -> Iterator[tuple[int, int, bytes]]:
    for i in rows:
        for j in columns:
            x, y = grid.rows[i], grid.columns[j]
            if x is not None and y is not None:
                yield i, j, pair_key(name, measure.symmetric, x.sha256, y.sha256)


def _take_known(grid: Grid, measure: Measure, name: str, work: Work) -> npt.NDArray[np.bool_]:
    """Put known values into a grid; which pairs of it have to be computed."""
    pairs = list(_keys(grid, measure, name, range(len(grid.rows)), range(len(grid.columns))))
    known = work.known.find([key for _, _, key in pairs])
    lacking = np.zeros(grid.values.shape, bool)
    for i, j, key in pairs:
        if key in known:
            value = known[key]
            grid.values[i, j] = math.nan if value is None else value
        else:
            lacking[i, j] = True
    work.total += len(pairs)
    work.found += len(pairs) - int(lacking.sum())
    return lacking


def _compute(
    grid: Grid,
    lacking: npt.NDArray[np.bool_],
    rows: Sequence[int],
    columns: Sequence[int],
    measure: Measure,
    name: str,
    precision: Precision,
    work: Work,
) -> None:
    """Compute what lacks among these rows and columns, in as few comparisons as there can be.

    Columns that lack the same rows are compared together: a run that grew by a snapshot lacks
    one whole column, and one row of each other column.
    """
    patterns: dict[bytes, list[int]] = {}
    for j in columns:
        pattern = lacking[rows, j]
        if pattern.any():
            patterns.setdefault(pattern.tobytes(), []).append(j)
    for together in patterns.values():
        wanted = [i for i in rows if lacking[i, together[0]]]
        for some in _bounded(grid.rows, wanted):
            _compare(grid, some, together, measure, precision, work)
            found = {
                key: None if math.isnan(grid.values[i, j]) else float(grid.values[i, j])
                for i, j, key in _keys(grid, measure, name, some, together)
            }
            work.known.add(found)
            lacking[np.ix_(some, together)] = False
            if grid.rows is grid.columns and measure.symmetric:
                _mirror(grid, lacking, some, together, work)
            work.computed += len(some) * len(together)
            work.tick()


def _mirror(
    grid: Grid,
    lacking: npt.NDArray[np.bool_],
    rows: Sequence[int],
    columns: Sequence[int],
    work: Work,
) -> None:
    """Of layers among themselves, the other half is the same."""
    there = np.ix_(columns, rows)
    work.computed += int(lacking[there].sum())
    grid.values[there] = grid.values[np.ix_(rows, columns)].T
    lacking[there] = False


def _compare(
    grid: Grid,
    rows: Sequence[int],
    columns: Sequence[int],
    measure: Measure,
    precision: Precision,
    work: Work,
) -> None:
    a = _open([grid.rows[i] for i in rows])
    same = grid.rows is grid.columns and list(rows) == list(columns)
    b = a if same else _open([grid.columns[j] for j in columns])
    silent_a, silent_b = _silent(a), _silent(b)
    live_a = {name: values for name, values in a.items() if name not in silent_a}
    live_b = live_a if same else {n: v for n, v in b.items() if n not in silent_b}
    if silent_a or silent_b:
        work.notes["Cells without a value: a layer does not vary on the probe there."] = None
    if not live_a or not live_b:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RowsFewerThanUnitsWarning)  # told in the notes
        comparison = compare(
            live_a,
            live_b,
            measure,
            groups=_images([*grid.rows, *grid.columns]),
            precision=precision,
            cancelled=work.cancelled,
        )
    if few_rows(measure, shapes_of(live_a, live_b)):
        work.notes[
            f"The probe has few rows for the units of some layers: {measure.title} makes unrelated "
            f"layers look alike there. Use {in_words(measure.instead)}, or a probe with more "
            "images."
        ] = None
    at_rows = [i for i, name in zip(rows, a, strict=True) if name not in silent_a]
    at_columns = [j for j, name in zip(columns, b, strict=True) if name not in silent_b]
    grid.values[np.ix_(at_rows, at_columns)] = comparison.values


def _open(layers: Sequence[LoggedLayer | None]) -> dict[str, npt.NDArray[np.float32]]:
    return {
        layer.label: layer.snapshot.activations(layer.record.name)
        for layer in layers
        if layer is not None
    }


def _images(layers: Sequence[LoggedLayer | None]) -> npt.NDArray[np.intp]:
    """The image of each row; all layers are of one probe."""
    snapshot = next(layer.snapshot for layer in layers if layer is not None)
    return snapshot.image_of_row()


def _silent(layers: dict[str, npt.NDArray[np.float32]]) -> set[str]:
    """Layers that have one value per unit on all rows: measures are not defined for them."""
    return {
        name
        for name, values in layers.items()
        if (values[0] == values[-1]).all() and (values == values[:1]).all()
    }

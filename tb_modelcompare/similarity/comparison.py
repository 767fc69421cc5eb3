"""The values of a measure between all layers of two models, and what can be done with them."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from tb_modelcompare.errors import ActivationError, LayerSelectionError, nearest
from tb_modelcompare.errors.checks import whole
from tb_modelcompare.similarity.activations import Matrix

_VERSION = 1
STATISTICS = (
    "null_mean",
    "null_high",
    "p_value",
    "family_p_value",
    "calibrated",
    "low",
    "high",
    "effective_rows",
    "baseline",
    "ceiling",
)
"""What there can be beside the values, by the names of attributes."""

# What reading a file raises that is damaged, or is another.
_UNREADABLE = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, MemoryError),
    *(RuntimeError, zipfile.BadZipFile, zlib.error),
)
_SHOWN = 5
_LONGEST_NAME = 40


@dataclass(frozen=True)
class Match:
    """A layer of the first model, a layer of the second, and the measure between them.

    Attributes
    ----------
    row, column : str
        Names of the layers.
    value : float
    """

    row: str
    column: str
    value: float


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """A measure between all layers of two models; arrays are (len(rows), len(columns)).

    ``comparison["conv1", "block2"]`` is the value of two layers, and ``comparison["conv1"]`` maps
    every layer of the second model to its value with that layer of the first.

    Attributes
    ----------
    values : array (rows, columns), float64
        NaN for a layer for which the measure is not defined, which `warnings` says.
    rows, columns : tuple of str
        Names of the layers of the first and the second model.
    measure : str
    warnings : tuple of str
        What to keep in mind when reading the values.
    null_mean, null_high : array (rows, columns), optional
        Where permutations were asked for: mean of the measure when images of the second model are
        permuted, and its 95th percentile (of a distance, the 5th).
    p_value : array (rows, columns), optional
        Likewise: share of permutations, the true order counted as one, that are at least as
        similar.
    family_p_value : array (rows, columns), optional
        Where at least 199 permutations were asked for: the same for all pairs together. Where no
        layers are related, some pair is at 0.05 or below in 5 % of comparisons.
    calibrated : array (rows, columns), optional
        Where permutations were asked for and the measure has a finite best value: how far of the
        way from `null_high` to that value; 0 where it is not beyond the null.
    low, high : array (rows, columns), optional
        Where resamples were asked for: interval over images; `interval_label` says what it is for.
        NaN where a pair has none, which `warnings` says: fewer than 8 images, too few rows for its
        units, or a measure that is not defined for a layer without some of the images.
    effective_rows : array (rows, columns), optional
        Where either was asked for: independent rows that the pair amounts to, as the positions of
        an image are alike.
    baseline : array (rows, columns), optional
        Where an untrained network was given: the same measure against that.
    ceiling : array (rows, columns), optional
        Where other trainings of the first model were given: how similar the layer of that row is to
        the same layer of these, in the mean. It is the same in all columns.
    distance : bool
        Whether small means similar.
    interval_label : str
        Where resamples were asked for: what intervals are for, as `Measure.interval_label` says.
    """

    values: Matrix
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    measure: str
    warnings: tuple[str, ...] = ()
    null_mean: Matrix | None = None
    null_high: Matrix | None = None
    p_value: Matrix | None = None
    low: Matrix | None = None
    high: Matrix | None = None
    effective_rows: Matrix | None = None
    baseline: Matrix | None = None
    distance: bool = False
    family_p_value: Matrix | None = None
    calibrated: Matrix | None = None
    ceiling: Matrix | None = None
    interval_label: str = ""

    def __getitem__(self, layers: Any) -> Any:
        if isinstance(layers, str):
            row = self.values[_index(layers, self.rows, "first")]
            return dict(zip(self.columns, row.tolist(), strict=True))
        if isinstance(layers, tuple) and len(layers) == 2:
            row, column = layers
            i, j = _index(row, self.rows, "first"), _index(column, self.columns, "second")
            return float(self.values[i, j])
        raise LayerSelectionError(
            f"{layers!r:.100} names no layer; write comparison[layer of the first model, layer of "
            "the second], or comparison[layer of the first model]. The matrix is in .values."
        )

    def __repr__(self) -> str:
        size = f"{len(self.rows)} × {len(self.columns)} layers"
        lines = [f"Comparison of {size} by {self.measure}"]
        best = self.best(_SHOWN)
        if best:
            names = [(_short(match.row), _short(match.column)) for match in best]
            left, right = (max(map(len, side)) for side in zip(*names, strict=True))
            lines += [
                f"  {row:{left}}  {column:{right}}  {match.value:.3f}"
                for match, (row, column) in zip(best, names, strict=True)
            ]
            if self.values.size > len(best):
                lines.append(f"  … the {len(best)} most similar of {self.values.size} pairs")
        lines += [f"  note: {note}" for note in self.warnings]
        return "\n".join(lines)

    def best(self, n: int = 10) -> tuple[Match, ...]:
        """The most similar pairs of layers, the most similar first.

        Parameters
        ----------
        n : int
            How many at most, at least 1.

        Returns
        -------
        tuple of Match
            Of a distance the smallest values. Pairs without a value (NaN) are left out, and among
            equals the order is that of the layers.

        Raises
        ------
        OptionError
            If n is no whole number of at least 1.
        """
        whole("n", n, least=1)
        ranked = self.values.ravel() if self.distance else -self.values.ravel()
        order = np.argsort(ranked, kind="stable")[:n]  # NaN comes last
        pairs = zip(*np.unravel_index(order, self.values.shape), strict=True)
        return tuple(
            Match(self.rows[i], self.columns[j], float(self.values[i, j]))
            for i, j in pairs
            if not np.isnan(self.values[i, j])
        )

    def to_dataframe(self, *, pairs: bool = False) -> Any:
        """The values as a pandas DataFrame.

        Parameters
        ----------
        pairs : bool
            Whether to give a line for each pair of layers, with all that is known of it, in place
            of the matrix.

        Returns
        -------
        pandas.DataFrame
            The matrix, with the layers of the first model as its index and those of the second as
            its columns; or the columns "row", "column", the measure's name, and those of
            "null_mean", "null_high", "p_value", "family_p_value", "calibrated", "low", "high",
            "effective_rows", "baseline" and "ceiling" that there are.

        Raises
        ------
        ActivationError
            If pandas is not installed.
        """
        pandas = _imported("pandas", "the values are in .values, .rows and .columns without it")
        if not pairs:
            return pandas.DataFrame(self.values, index=self.rows, columns=self.columns)
        table: dict[str, Any] = {
            "row": np.repeat(np.array(self.rows, object), len(self.columns)),
            "column": np.tile(np.array(self.columns, object), len(self.rows)),
            self.measure: self.values.ravel(),
        }
        beside = {name: matrix.ravel() for name, matrix in self.statistics().items()}
        return pandas.DataFrame(table | beside)

    def plot(self, ax: Any = None) -> Any:
        """Draw the matrix with matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw. By default in a new figure.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        ActivationError
            If no axes are given and matplotlib is not installed.
        """
        if ax is None:
            pyplot = _imported("matplotlib.pyplot", "tb_modelcompare.show draws without it")
            ax = pyplot.figure(layout="constrained").add_subplot()
        picture = ax.imshow(self.values, cmap="viridis_r" if self.distance else "viridis")
        ax.set_xticks(range(len(self.columns)), self.columns, rotation=90)
        ax.set_yticks(range(len(self.rows)), self.rows)
        ax.figure.colorbar(picture, ax=ax, label=self.measure)
        return ax

    def save(self, file: str | Path) -> Path:
        """Write all of it to one file, which `load` reads.

        Parameters
        ----------
        file : str or Path
            Its name is taken as it is; ".npz" is usual.

        Returns
        -------
        Path
        """
        about = {
            "version": _VERSION,
            "rows": self.rows,
            "columns": self.columns,
            "measure": self.measure,
            "warnings": self.warnings,
            "distance": self.distance,
            "interval_label": self.interval_label,
        }
        path = Path(file)
        with path.open("wb") as stream:
            arrays: dict[str, Any] = {"values": self.values, **self.statistics()}
            np.savez(stream, about=np.array(json.dumps(about)), **arrays)
        return path

    @classmethod
    def load(cls, file: str | Path) -> Comparison:
        """Read what `save` wrote. Nothing is unpickled, so that any file is safe to read.

        Parameters
        ----------
        file : str or Path

        Returns
        -------
        Comparison

        Raises
        ------
        ActivationError
            If the file is not there, or holds no comparison.
        """
        try:
            with Path(file).open("rb") as stream:
                return cls(**_read(stream))
        except _UNREADABLE as error:
            raise ActivationError(
                f"{file} holds no comparison that this version can read ({error!s:.200}); give a "
                "file that Comparison.save wrote."
            ) from error

    def statistics(self) -> dict[str, Matrix]:
        """What there is beside the values: null, p-values, intervals and so on.

        Returns
        -------
        dict of str to array (rows, columns)
            By the names of the attributes.
        """
        found = {name: getattr(self, name) for name in STATISTICS}
        return {name: matrix for name, matrix in found.items() if matrix is not None}


def _index(layer: Any, names: tuple[str, ...], which: str) -> int:
    if layer not in names:
        raise LayerSelectionError(
            f"The {which} model has no layer {layer!r:.200}; {nearest(str(layer), names)}"
        )
    return names.index(layer)


def _short(name: str) -> str:
    """A name that fits in a line, without anything that a terminal would obey."""
    plain = "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in name
    )
    return plain if len(plain) <= _LONGEST_NAME else f"{plain[: _LONGEST_NAME - 1]}…"


def _imported(module: str, otherwise: str) -> Any:
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise ActivationError(
            f"This needs {package} ({error}): pip install {package}; {otherwise}."
        ) from error


def _read(stream: IO[bytes]) -> dict[str, Any]:
    if not zipfile.is_zipfile(stream):
        raise ValueError("it is no .npz file, or is cut off")
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as stored:
        about: dict[str, Any] = json.loads(str(stored["about"]))
        if about.pop("version") != _VERSION:
            raise ValueError("it is of another version")
        for name in ("rows", "columns", "warnings"):
            about[name] = tuple(map(str, about[name]))
        shape = (len(about["rows"]), len(about["columns"]))
        arrays = {name: stored[name] for name in ("values", *STATISTICS) if name in stored}
    for name, array in arrays.items():
        if array.shape != shape or array.dtype != np.float64:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, not float64 {shape}")
    return about | arrays

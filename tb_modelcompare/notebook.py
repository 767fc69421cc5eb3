"""The alignment graph in a cell of a notebook, or in a file, without a server."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from tb_modelcompare.compare.comparison import compare_snapshots
from tb_modelcompare.compare.wire import MatrixInfo, MeasureInfo
from tb_modelcompare.errors import LayerSelectionError, OptionError, UnknownSnapshotError, nearest
from tb_modelcompare.errors.checks import whole
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.report import figure_html, report_html
from tb_modelcompare.similarity.inputs import find_measure

DEFAULT_MEASURE = "linear_cka"

Named: TypeAlias = Snapshot | str
Lines: TypeAlias = Mapping[Any, Any] | npt.ArrayLike


@dataclass(frozen=True)
class Figure:
    """An interactive figure. A notebook shows it where it is the last value of a cell.

    Attributes
    ----------
    page : str
        A whole HTML page, which needs nothing else.
    height : int
        Of the frame in a notebook, in pixels.
    """

    page: str
    height: int

    def save(self, path: str | Path) -> Path:
        """Write the page to a file, which any browser shows.

        Parameters
        ----------
        path : str or Path

        Returns
        -------
        Path
        """
        file = Path(path)
        file.write_text(self.page, encoding="utf-8")
        return file

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that neither its style nor its code meets yours."""
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" sandbox="allow-scripts allow-downloads" '
            f'style="width: 100%; height: {self.height}px; border: 1px solid #8884"></iframe>'
        )


def show(
    a: Named,
    b: Named | None = None,
    *,
    measure: str = DEFAULT_MEASURE,
    lines: Lines | None = None,
    title: str = "Your own similarity",
    height: int = 640,
) -> Figure:
    """Draw the alignment graph of two models, of one model with itself, or of your own lines.

    Parameters
    ----------
    a, b : Snapshot or str
        A snapshot, or "LOGDIR:RUN@STEP", such as "logs:googlenet". Without b, a is compared with
        itself.
    measure : str
        A name of `similarity.MEASURES`. It is not used where lines are given.
    lines : mapping or array, optional
        Your own similarity of layers. One of

        - ``{("conv1", "block1"): 0.8}``: from pairs of layers to numbers,
        - ``{"conv1": {"block1": 0.8}}``: the same, nested,
        - an array (layers of a, layers of b).

        Pairs that are not named, and NaN, have no line.
    title : str
        What your own lines are called in the figure.
    height : int
        Of the figure in a notebook, in pixels, at least 200.

    Returns
    -------
    Figure
        Shown by a notebook; ``show(a, b).save("figure.html")`` writes a file.

    Raises
    ------
    UnknownSnapshotError
        If there is no such snapshot.
    ProbeMismatchError
        If the snapshots were logged on different probes.
    LayerSelectionError
        If lines name a layer that its model does not have.
    OptionError
        If lines are neither a mapping nor an array of the right shape, hold what is no number,
        or no number at all, or if another option has a value that it does not take.

    Examples
    --------
    ::

        show("logs:googlenet", "logs:mobilenet")
        show("logs:googlenet", "logs:mobilenet", lines={("conv1", "Conv1"): 0.9})
    """
    whole("height", height, least=200)
    left = _opened(a)
    right = left if b is None else _opened(b)
    if lines is None:
        comparison = compare_snapshots(left, right, find_measure(measure))
        return Figure(report_html(left, right, comparison), height)
    values = line_values(lines, left, right)
    described = MeasureInfo(
        name="own",
        title=title,
        low=min(0.0, float(np.nanmin(values))),
        high=max(1.0, float(np.nanmax(values))),
        symmetric=False,
        distance=False,
        wants_rows_over_units=False,
        rows_per_unit=0.0,
        instead="",
        formula="",
        paper="Your own values",
        summary="Numbers that you gave for pairs of layers.",
    )
    matrix = MatrixInfo(
        a=left.id,
        b=right.id,
        measure="own",
        rows=list(left.layer_names),
        columns=list(right.layer_names),
        low=described.low,
        high=described.high,
        warnings=[],
        estimate="exact",
        revision=1,
        interval=False,
    )
    return Figure(figure_html(left, right, described, matrix, values), height)


def line_values(lines: Lines, a: Snapshot, b: Snapshot) -> npt.NDArray[np.float64]:
    """Lines as a matrix (layers of a, layers of b), NaN where there is none.

    Raises
    ------
    LayerSelectionError, OptionError
        As `show`.
    """
    shape = (len(a.layer_names), len(b.layer_names))
    if isinstance(lines, Mapping):
        values = np.full(shape, np.nan)
        for (first, second), value in _pairs(lines):
            values[_index(first, a), _index(second, b)] = _number(value, first, second)
    else:
        try:
            values = np.array(lines, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise OptionError(
                f"lines are no numbers ({error}); give a mapping from pairs of layers to numbers, "
                f"or an array {shape}"
            ) from error
        if values.shape != shape:
            raise OptionError(
                f"lines have shape {values.shape}; {a.id} has {shape[0]} layers and {b.id} has "
                f"{shape[1]}, so give an array {shape}, or a mapping from pairs of layers"
            )
        if np.isinf(values).any():
            raise OptionError("lines hold an infinite value; use NaN for pairs without a line")
    if np.isnan(values).all():
        raise OptionError("lines hold no number, so there is nothing to draw")
    return values


def _pairs(lines: Mapping[Any, Any]) -> Iterator[tuple[tuple[str, str], Any]]:
    for key, value in lines.items():
        if isinstance(value, Mapping):
            yield from (((key, second), one) for second, one in value.items())
        elif isinstance(key, tuple) and len(key) == 2:
            yield key, value
        else:
            raise OptionError(
                f"{key!r:.100} is no pair of layers; write lines as {{(layer of the first model, "
                f"layer of the second): number}}"
            )


def _index(layer: str, snapshot: Snapshot) -> int:
    if layer not in snapshot.layer_names:
        raise LayerSelectionError(
            f"{snapshot.id} has no layer {layer!r}; {nearest(str(layer), snapshot.layer_names)}"
        )
    return snapshot.layer_names.index(layer)


def _number(value: Any, first: str, second: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.inf
    if math.isinf(number):
        raise OptionError(f"the line of {first!r} and {second!r} is {value!r:.50}; give a number")
    return number


def _opened(named: Named) -> Snapshot:
    if isinstance(named, Snapshot):
        return named
    if not isinstance(named, str):
        raise UnknownSnapshotError(
            f"{named!r:.100} is no snapshot; give one, or its name as 'LOGDIR:RUN@STEP'"
        )
    for colon in (i for i, letter in enumerate(named) if letter == ":"):
        directory, run = Path(named[:colon]).expanduser(), named[colon + 1 :]
        if run and directory.is_dir():  # a run's name may hold a colon, and so may a path
            return open_snapshot(directory, run)
    raise UnknownSnapshotError(
        f"{named!r} does not begin with a log directory; write 'LOGDIR:RUN' or 'LOGDIR:RUN@STEP', "
        f"such as 'logs:googlenet'"
    )

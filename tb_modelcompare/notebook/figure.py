"""The alignment graph in a cell of a notebook, or in a file, without a server."""

from __future__ import annotations

import html
import itertools
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tb_modelcompare.capture.contract import LayerFilter
from tb_modelcompare.compare.comparison import compare_snapshots
from tb_modelcompare.compare.layers import chosen_layers
from tb_modelcompare.compare.wire import own_matrix, own_measure
from tb_modelcompare.errors import OptionError
from tb_modelcompare.errors.checks import whole
from tb_modelcompare.kept_comparisons import Wanted, kept_comparison, make_comparison
from tb_modelcompare.log.lines import Lines, as_number, line_values
from tb_modelcompare.log.opening import Named, opened
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.notebook.pictures import caricatures
from tb_modelcompare.render.sheet import data_url
from tb_modelcompare.report import figure_html, report_html
from tb_modelcompare.similarity import MEASURES
from tb_modelcompare.similarity.inputs import find_measure

DEFAULT_MEASURE = "linear_cka"

_MOST_MODELS = 4
_TIP_SIZE, _TIP_STEPS = 112, 64  # of pictures beside the pointer, as in the tab


@dataclass(frozen=True, repr=False)
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

    def __repr__(self) -> str:
        return '<Figure: a notebook shows it, and save("figure.html") writes a file>'

    def _repr_html_(self) -> str:
        """The page in a frame of its own, so that neither its style nor its code meets yours."""
        return (
            f'<iframe srcdoc="{html.escape(self.page)}" sandbox="allow-scripts allow-downloads" '
            f'style="width: 100%; height: {self.height}px; border: 1px solid #8884"></iframe>'
        )


def show(
    a: Named,
    b: Named | None = None,
    *others: Named,
    measure: str | Callable[..., float] = DEFAULT_MEASURE,
    lines: Lines | None = None,
    layers: LayerFilter | None = None,
    image: str | Path | int | npt.NDArray[np.uint8] | None = None,
    title: str = "Your own similarity",
    height: int = 640,
) -> Figure:
    """Draw the alignment graph of two models, of one model with itself, or of your own lines.

    Parameters
    ----------
    a, b : Snapshot or str
        A snapshot, or "LOGDIR:RUN@STEP", such as "logs:googlenet". Without b, a is compared with
        itself.
    *others : Snapshot or str
        A third and a fourth model: all pairs are drawn, one below the other.
    measure : str or function
        A name of `similarity.MEASURES`, or your own function of two arrays (rows, units) to a
        number, which is called for every pair of layers. Lines are values themselves and take none.
    lines : mapping or array, optional
        Your own similarity of layers. One of

        - ``{("conv1", "block1"): 0.8}``: from pairs of layers to numbers,
        - ``{"conv1": {"block1": 0.8}}``: the same, nested,
        - an array (layers of a, layers of b).

        Pairs that are not named, and NaN, have no line.
    layers : regular expression, list of names or predicate of a `Node`, optional
        Which layers are compared: ``lambda node: node.kind == "conv"``, say. By default all.
    image : str, Path, int or array (height, width, 3) uint8, optional
        An image of the probe or a photo of your own, as for `caricatures`. What each layer sees
        in it is drawn, and shown beside the pointer.
    title : str
        What your own lines are called in the figure.
    height : int
        Of one graph in a notebook, in pixels, at least 200.

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
        If lines name a layer that its model does not have, or no layer is chosen.
    OptionError
        If lines are neither a mapping nor an array of the right shape, hold what is no number,
        or no number at all, if your function does not give a number, or if another option has a
        value that it does not take.
    NotRenderableError
        If an image is given and a snapshot was logged without its frozen graph.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from tb_modelcompare import Probe, SummaryWriter
    >>> logdir, rng = tempfile.mkdtemp(), np.random.default_rng(0)
    >>> probe = Probe(np.zeros((20, 8, 8, 3), np.uint8))
    >>> for run in ("first", "second"):
    ...     with SummaryWriter(f"{logdir}/{run}", probe) as writer:
    ...         _ = writer.add_activations("net", {"conv": rng.standard_normal((20, 4))})
    >>> figure = show(f"{logdir}:first", f"{logdir}:second", lines={("conv", "conv"): 0.8})
    """
    whole("height", height, least=200)
    if len(others) > _MOST_MODELS - 2:
        raise OptionError(f"there are {2 + len(others)} models; give at most {_MOST_MODELS}")
    if lines is not None and (others or layers is not None):
        raise OptionError("lines are of two models, and name the layers; leave out the others")
    if lines is not None and measure != DEFAULT_MEASURE:
        raise OptionError("lines are values themselves; leave out the measure, or the lines")
    models = [opened(one) for one in (a, a if b is None else b, *others)]
    for model in models[1:]:
        require_same_probe(models[0], model)
    pictures = {} if image is None else _caricatures(models, image, layers)
    pages = [
        _page(first, second, measure, lines, layers, title, pictures)
        for first, second in itertools.combinations(models, 2)
    ]
    if len(pages) == 1:
        return Figure(pages[0], height)
    frames = "".join(Figure(page, height)._repr_html_() for page in pages)
    head = '<!doctype html>\n<meta charset="utf-8">\n<title>Model comparison</title>\n'
    return Figure(f"{head}{frames}\n", len(pages) * (height + 8) + 16)


def _page(
    a: Snapshot,
    b: Snapshot,
    measure: str | Callable[..., float],
    lines: Lines | None,
    layers: LayerFilter | None,
    title: str,
    pictures: Mapping[str, Mapping[str, str]],
) -> str:
    """The page of one pair of models."""
    chosen = (chosen_layers(a, layers), chosen_layers(b, layers))
    if lines is not None:
        return _own_page(a, b, chosen, line_values(lines, a, b), title, pictures)
    ours = str(getattr(measure, "__module__", None)).startswith("tb_modelcompare.")
    if callable(measure) and not ours:
        return _own_page(a, b, chosen, _function_values(measure, a, b, chosen), title, pictures)
    found = find_measure(measure)
    if found is MEASURES.get(found.name):
        wanted = Wanted(a, b, found.name, layers=chosen)
        comparison = kept_comparison(wanted, make_comparison, warnings.warn)
    else:  # a measure of the reader's own, which a name does not say
        comparison = compare_snapshots(a, b, found, layers=chosen)
    return report_html(a, b, comparison, pictures)


def _own_page(
    a: Snapshot,
    b: Snapshot,
    layers: tuple[Sequence[str], Sequence[str]],
    values: npt.NDArray[np.float64],
    title: str,
    pictures: Mapping[str, Mapping[str, str]],
) -> str:
    """The page of values that are no measure of ours."""
    low = min(0.0, float(np.nanmin(values)))
    described = own_measure("own", title, low, max(1.0, float(np.nanmax(values))))
    matrix = own_matrix(a, b, described, *layers)
    return figure_html(a, b, described, matrix, values, pictures)


def _function_values(
    function: Callable[..., float],
    a: Snapshot,
    b: Snapshot,
    layers: tuple[Sequence[str], Sequence[str]],
) -> npt.NDArray[np.float64]:
    """What a function says of each pair of layers; NaN is a pair without a line."""
    rows, columns = layers
    values = np.empty((len(rows), len(columns)))
    for i, first in enumerate(rows):
        for j, second in enumerate(columns):
            found = function(a.activations(first), b.activations(second))
            values[i, j] = as_number(found, first, second)
    if np.isnan(values).all():
        raise OptionError("your function has no number for any pair, so there is nothing to draw")
    return values


def _caricatures(
    models: Sequence[Snapshot],
    image: str | Path | int | npt.NDArray[np.uint8],
    layers: LayerFilter | None,
) -> dict[str, dict[str, str]]:
    """What each layer sees in an image, as addresses of pictures."""
    found = {}
    for model in {model.id: model for model in models}.values():
        drawn = caricatures(model, image, layers=layers, size=_TIP_SIZE, steps=_TIP_STEPS).drawn
        found[model.id] = {
            one.item.layer: data_url(one.picture) for one in drawn if one.picture is not None
        }
    return found

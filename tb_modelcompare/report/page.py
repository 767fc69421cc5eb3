"""The page of a report: the tab's code around the data of one comparison."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from tb_modelcompare.compare.wire import (
    Listing,
    MatrixInfo,
    MeasureInfo,
    Measures,
    matrix_info,
    measure_info,
    snapshot_info,
)
from tb_modelcompare.errors import ModelCompareError
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.similarity import MEASURES, Comparison

Caricatures = Mapping[str, Mapping[str, str]]

_BUNDLE = Path(__file__).parent.parent / "static" / "report"


class BundleMissingError(ModelCompareError):
    """The tab's code was not built with this installation."""


def report_html(
    a: Snapshot,
    b: Snapshot,
    comparison: Comparison,
    caricatures: Caricatures | None = None,
    pictures: Mapping[str, Any] | None = None,
) -> str:
    """A page that shows `comparison` of `a` and `b` as the tab does, and needs nothing else.

    It asks for nothing over the network, which its content security policy enforces. Only
    the graphs, the matrix and these pictures are in it: no activations or weights.

    Parameters
    ----------
    a, b : Snapshot
        Of one probe.
    comparison : Comparison
        Of their layers, as `similarity.compare` gives it. With permutations, pairs that are not
        above their null are hatched.
    caricatures : mapping, optional
        Addresses of pictures by snapshot id and layer, which are shown beside the pointer.
    pictures : mapping, optional
        Of units, pairs and analogies, as `report.pictures.held_pictures` gives them.

    Raises
    ------
    ProbeMismatchError
        If the snapshots are of two probes.
    BundleMissingError
        If this installation was made without the tab.
    """
    measure = MEASURES[comparison.measure]
    matrix = matrix_info(a, b, measure, comparison)
    return figure_html(
        a,
        b,
        measure_info(measure),
        matrix,
        comparison.values,
        caricatures,
        p_values=comparison.p_value,
        pictures=pictures,
    )


def figure_html(
    a: Snapshot,
    b: Snapshot,
    measure: MeasureInfo,
    matrix: MatrixInfo,
    values: npt.NDArray[np.float64],
    caricatures: Caricatures | None = None,
    *,
    p_values: npt.NDArray[np.float64] | None = None,
    pictures: Mapping[str, Any] | None = None,
) -> str:
    """The page of `report_html` around any matrix, of a measure of ours or not.

    Parameters
    ----------
    a, b : Snapshot
        Of one probe.
    measure, matrix : MeasureInfo, MatrixInfo
        As the tab reads them.
    values : array (layers of a, layers of b)
        Without a value, NaN.
    caricatures : mapping, optional
        As for `report_html`.
    p_values : array (layers of a, layers of b), optional
        How often permuted images give as much; pairs above 0.05 are hatched.
    pictures : mapping, optional
        As for `report_html`.

    Raises
    ------
    ProbeMismatchError
        If the snapshots are of two probes.
    BundleMissingError
        If this installation was made without the tab.
    """
    require_same_probe(a, b)
    snapshots = list({s.id: snapshot_info(s) for s in (a, b)}.values())
    data = {
        "listing": Listing(snapshots, problems=[], supported=True, message=None),
        "measures": Measures([measure], default=measure.name),
        "graphs": {s.id: s.graph().to_json() for s in (a, b)},
        "matrix": {
            **msgspec.to_builtins(matrix),
            "values": _float64(values),
            "p_values": None if p_values is None else _float64(p_values),
        },
        "caricatures": caricatures or {},
        "pictures": pictures,
    }
    text = json.dumps(msgspec.to_builtins(data), separators=(",", ":"), allow_nan=False)
    return page(f"{a.id} and {b.id}: {measure.title}", text)


def _float64(values: npt.NDArray[np.float64]) -> str:
    return base64.b64encode(values.astype("<f8").tobytes()).decode()


def page(title: str, data: str) -> str:
    """The bundle around `data`, JSON of what the tab would ask a server for.

    Raises
    ------
    BundleMissingError
        If this installation was made without the tab.
    """
    script, style = (_bundled(name) for name in ("report.js", "report.css"))
    # Names come from log directories. "<" is the one character that could end the element.
    text = data.replace("<", "\\u003c")
    code = script.replace("</script", "<\\/script")
    code_hash = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{code_hash}'; style-src 'unsafe-inline'; "
        f"img-src data: blob:"
    )
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{html.escape(title)}</title>\n"
        f"<style>{style}</style>\n"
        "</head>\n<body>\n"
        f'<script type="application/json" id="modelcompare-data">{text}</script>\n'
        f"<script>{code}</script>\n"
        "</body>\n</html>\n"
    )


def _bundled(name: str) -> str:
    file = _BUNDLE / name
    if not file.is_file():
        raise BundleMissingError(
            f"{file} is not there: this installation was made without the tab; install "
            f"tb-modelcompare with pip, which builds it"
        )
    return file.read_text(encoding="utf-8")

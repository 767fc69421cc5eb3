"""`tb-modelcompare dynamics` and `tb-modelcompare models`: a training run, and many models."""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tb_modelcompare.cache.pair_values import PairValues
from tb_modelcompare.cache.results import code_version, values_file
from tb_modelcompare.cli.files import BAR, output_file
from tb_modelcompare.cli.heat_map import heat_map
from tb_modelcompare.cli.text import complain, csv_text, printable, table
from tb_modelcompare.errors import ActivationError
from tb_modelcompare.log.reader import list_snapshots, open_snapshot, open_steps
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.similarity import Measure
from tb_modelcompare.similarity.inputs import find_measure
from tb_modelcompare.training import (
    METRICS,
    Work,
    freezing_steps,
    freezing_threshold,
    model_distances,
    trend,
)


def dynamics(arguments: argparse.Namespace) -> int:
    """Compare all steps with the reference, print when layers froze, write what is asked for."""
    measure = find_measure(arguments.measure)
    run = open_steps(arguments.logdir, arguments.run_name)
    name = arguments.reference
    reference = None if name is None else open_snapshot(arguments.logdir, name)
    if reference is not None:
        require_same_probe(run[-1], reference)
    threshold = _threshold(measure, arguments.threshold)
    csv_file, png_file = output_file(arguments.csv), output_file(arguments.png)
    with _bar(measure.title) as bar:
        found = trend(run, reference, measure, work=_work(bar))
    _print_notes(found.notes)
    frozen = freezing_steps(found.values, found.steps, threshold, distance=measure.distance)
    title = f"{measure.title} of {len(found.steps)} steps to {found.reference}; {run[-1].rows} rows"
    print(printable(title))
    header = ("LAYER", "COMPARED WITH", ">FIRST STEP", ">LAST STEP", ">FROZEN FROM")
    print(
        table(
            header,
            [
                (layer, partner, _text(values[0]), _text(values[-1]), _step(step))
                for layer, partner, values, step in zip(
                    found.layers, found.partners, found.values.tolist(), frozen, strict=True
                )
            ],
        )
    )
    relation = "at most" if measure.distance else "at least"
    print(f"frozen: {relation} {threshold:.3g} from that step to the last")
    if csv_file is not None:
        rows = zip(found.layers, found.values.tolist(), strict=True)
        _write_csv(csv_file, [measure.name, *found.steps], rows)
    if png_file is not None:
        title = f"{measure.title} of {arguments.run_name} over steps to {found.reference}"
        columns = [str(step) for step in found.steps]
        picture = heat_map(found.values, found.layers, columns, title, measure)
        picture.save(png_file, format="PNG")
    return 0


def models(arguments: argparse.Namespace) -> int:
    """Compare models with one another, print and write what is asked for."""
    if arguments.metric not in METRICS:
        raise ActivationError(f"no metric {arguments.metric!r}; there are {', '.join(METRICS)}")
    metric = METRICS[arguments.metric]
    snapshots = _chosen(arguments)
    csv_file, png_file = output_file(arguments.csv), output_file(arguments.png)
    with _bar(metric.title) as bar:
        found = model_distances(snapshots, metric.name, work=_work(bar))
    _print_notes(found.notes)
    by = "layers of the same names" if found.matching == "names" else "relative depths"
    print(f"{metric.title}, root mean square over {len(found.layers)} {by}; radians")
    points = found.embedding.points.tolist()
    rows = [
        (name, f"{distances[0]:.4f}", f"{x:.3f}", f"{y:.3f}")
        for name, distances, (x, y) in zip(
            found.snapshots, found.distances.tolist(), points, strict=True
        )
    ]
    print(table(("SNAPSHOT", f">TO {found.snapshots[0]}", ">X", ">Y"), rows))
    print(f"stress of the map: {found.embedding.stress:.3f}; its axes mean nothing")
    if csv_file is not None:
        lines = [
            (name, [*distances, *point])
            for name, distances, point in zip(
                found.snapshots, found.distances.tolist(), points, strict=True
            )
        ]
        _write_csv(csv_file, [metric.name, *found.snapshots, "x", "y"], lines)
    if png_file is not None:
        names = found.snapshots
        heat_map(found.distances, names, names, metric.title, metric).save(png_file, format="PNG")
    return 0


def _chosen(arguments: argparse.Namespace) -> list[Snapshot]:
    if arguments.snapshots:
        return [open_snapshot(arguments.logdir, name) for name in arguments.snapshots]
    last = {(s.run, s.name): s for s in list_snapshots(arguments.logdir).snapshots}
    return list(last.values())


def _threshold(measure: Measure, given: float | None) -> float:
    if given is not None:
        return given
    try:
        return freezing_threshold(measure.low, measure.high, distance=measure.distance)
    except ActivationError as error:
        raise ActivationError(f"{measure.title} has no bounds; give --threshold") from error


def _bar(title: str) -> Any:
    return tqdm(total=1000, desc=title, bar_format=BAR, disable=None, leave=False)


def _work(bar: Any) -> Work:
    known = PairValues(values_file())  # which TensorBoard's tab shares
    return Work(known, code_version(), publish=lambda share: bar.update(int(1000 * share) - bar.n))


def _print_notes(notes: Sequence[str]) -> None:
    for note in notes:
        complain(f"warning: {note}")


def _text(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}"


def _step(step: int | None) -> str:
    return "never" if step is None else str(step)


def _write_csv(file: Path, header: Sequence[Any], rows: Any) -> None:
    """Every digit; a cell without a value is empty."""
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([csv_text(cell) if isinstance(cell, str) else cell for cell in header])
        for name, values in rows:
            writer.writerow(
                [csv_text(name), *("" if math.isnan(value) else value for value in values)]
            )

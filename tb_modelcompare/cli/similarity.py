"""`tb-modelcompare similarity` and `tb-modelcompare report`."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from tb_modelcompare.cli.files import BAR, following, output_file
from tb_modelcompare.cli.heat_map import heat_map
from tb_modelcompare.cli.text import complain, csv_text, printable, say, table
from tb_modelcompare.compare.layers import chosen_layers, one_for_each
from tb_modelcompare.compare.named_photo import named_photo
from tb_modelcompare.errors import OptionError
from tb_modelcompare.kept_comparisons import Wanted, kept_comparison, make_comparison
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.report import report_html
from tb_modelcompare.report.pictures import held_pictures, plan_pictures
from tb_modelcompare.similarity import MEASURES, Comparison, Measure
from tb_modelcompare.similarity.inputs import find_measure


def similarity(arguments: argparse.Namespace) -> int:
    """Compare, print the best matches, write the files that are asked for."""
    measure, a, b = _opened(arguments)
    csv_file, png_file = output_file(arguments.csv), output_file(arguments.png)
    untrained = None
    if arguments.untrained is not None:
        untrained = open_snapshot(arguments.logdir, arguments.untrained)
        require_same_probe(b, untrained)
    seeds = tuple(open_snapshot(arguments.logdir, name) for name in arguments.seeds or ())
    for seed in seeds:
        require_same_probe(a, seed)
    comparison = _compared(
        Wanted(
            a,
            b,
            measure.name,
            arguments.permutations,
            arguments.resamples,
            untrained,
            seeds,
            _layers(arguments.layers, a, b),
        )
    )
    distance = ", a distance" if measure.distance else ""
    print(f"{measure.title}{distance}, from {measure.low:g} to {measure.high:g}; {a.rows} rows")
    if comparison.low is not None:
        print(f"low, high: 95 % {comparison.interval_label}")
    if comparison.family_p_value is not None:
        findings = int((comparison.family_p_value <= 0.05).sum())
        print(
            f"{findings} of {comparison.values.size} pairs are beyond the null for all pairs "
            "together (family_p_value at most 0.05)"
        )
    print(_best_matches(comparison, measure, a.id, b.id))
    if csv_file is not None:
        _write_csv(csv_file, comparison)
    if png_file is not None:
        title = f"{measure.title}: {a.id} (down), {b.id} (across)"
        picture = heat_map(comparison.values, comparison.rows, comparison.columns, title, measure)
        picture.save(png_file, format="PNG")
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Write the comparison as a page."""
    measure, a, b = _opened(arguments)
    layers = _layers(arguments.layers, a, b)
    if arguments.photo is not None and arguments.pictures is None:
        raise OptionError("--photo is of caricatures, which a report has with --pictures")
    photo = None
    if arguments.pictures is not None and a.probe_record.is_of_images:
        photo = named_photo(a, 0 if arguments.photo is None else arguments.photo)
    elif arguments.photo is not None:
        raise OptionError("--photo: the probe holds arrays and no images; leave it out")
    wanted = Wanted(a, b, measure.name, arguments.permutations, layers=layers)
    file = output_file(arguments.out)
    assert file is not None
    comparison = _compared(wanted)
    held: dict[str, Any] = {}
    if arguments.pictures is not None:
        plan = plan_pictures(a, b, comparison, arguments.pictures, photo)
        say(plan.about())
        with following("pictures") as follow:
            held = held_pictures(plan, arguments.device, follow)
    page = report_html(a, b, comparison, held.pop("caricatures", None), held or None)
    file.write_text(page, encoding="utf-8")
    print(printable(str(file)))
    return 0


def _opened(arguments: argparse.Namespace) -> tuple[Measure, Snapshot, Snapshot]:
    measure = find_measure(arguments.measure)
    a = open_snapshot(arguments.logdir, arguments.a)
    b = open_snapshot(arguments.logdir, arguments.b)
    require_same_probe(a, b)  # before any output file is made
    return measure, a, b


def _layers(
    patterns: list[str] | None, a: Snapshot, b: Snapshot
) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Names of the layers of both that are meant; None for all."""
    if patterns is None:
        return None
    of_a, of_b = one_for_each(patterns, [a, b])
    return chosen_layers(a, of_a), chosen_layers(b, of_b)


def _compared(wanted: Wanted) -> Comparison:
    """The comparison, from the cache if it was made before, here or in the tab."""
    comparison = kept_comparison(wanted, _with_bar, lambda problem: complain(f"warning: {problem}"))
    for note in comparison.warnings:
        complain(f"warning: {note}")
    return comparison


def _with_bar(wanted: Wanted) -> Comparison:
    title = MEASURES[wanted.measure].title
    with tqdm(total=1000, desc=title, bar_format=BAR, disable=None, leave=False) as bar:
        return make_comparison(wanted, lambda share: bar.update(int(1000 * share) - bar.n))


def _best_matches(comparison: Comparison, measure: Measure, a: str, b: str) -> str:
    likeness = -comparison.values if measure.distance else comparison.values
    likeness = np.where(np.isnan(likeness), -np.inf, likeness)
    beside = comparison.statistics()
    rows = [
        (
            name,
            *(f"{matrix[i, best]:.3g}" for matrix in beside.values()),
            f"{comparison.values[i, best]:.3f}",
            "–" if np.isnan(comparison.values[i, best]) else comparison.columns[best],
        )
        for i, (name, best) in enumerate(zip(comparison.rows, likeness.argmax(axis=1), strict=True))
    ]
    headings = (f">{name}" for name in (*beside, measure.name))
    return table((a, *headings, f"most similar of {b}"), rows)


def _write_csv(file: Path, comparison: Comparison) -> None:
    """Layers of A down, of B across; with more than values, a line for each pair. Every digit."""
    beside = comparison.statistics()
    rows, columns = map(csv_text, comparison.rows), list(map(csv_text, comparison.columns))
    with file.open("w", newline="") as stream:
        writer = csv.writer(stream)
        if not beside:
            writer.writerow([comparison.measure, *columns])
            for name, values in zip(rows, comparison.values.tolist(), strict=True):
                writer.writerow([name, *values])
            return
        writer.writerow(["a", "b", comparison.measure, *beside])
        matrices = [comparison.values, *beside.values()]
        for i, row in enumerate(rows):
            for j, column in enumerate(columns):
                writer.writerow([row, column, *(float(matrix[i, j]) for matrix in matrices)])

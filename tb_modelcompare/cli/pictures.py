"""`tb-modelcompare draw`, `analogies` and `caricature`.

They ask for the same jobs as the tab does, in a worker process, and share its cache.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import astuple
from PIL import Image

from tb_modelcompare.cli.files import following, output_directory
from tb_modelcompare.cli.text import csv_text, printable, table
from tb_modelcompare.errors import OptionError
from tb_modelcompare.jobs.drawn import Drawn
from tb_modelcompare.log.assets import slug
from tb_modelcompare.log.direction import Direction, parsed_direction
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.notebook import directions, pictures
from tb_modelcompare.render.sheet import Sheet

_SHEET = "contact_sheet.png"
_HEADER = (
    "MODEL",
    "LAYER",
    ">CORRELATION",
    "95 % INTERVAL",
    ">NULL",
    ">R² OF THE LAYER",
    ">BEST UNIT",
    ">ITS CORRELATION",
    ">STRONGER THAN",
    "",
)
_CORRELATION = (
    "CORRELATION is that of the activity along the drawn direction with the unit's, on images that "
    "the direction was not fitted to; NULL is its 95 % quantile when images are permuted. STRONGER "
    "THAN is the share of the probe's images that excite the direction less than the picture does."
)


def draw(arguments: argparse.Namespace) -> int:
    """Render directions, with their facets or those between them."""
    a = open_snapshot(arguments.logdir, arguments.a)
    given = [parsed_direction(text, a) for text in arguments.units]
    if arguments.between and len(given) == 1:
        raise OptionError("--between is of two units or more; name another LAYER:UNIT")
    for at in range(len(given) - 1, 0, -1):
        given[at - 1 : at + 1] = given[at - 1].interpolate(given[at], arguments.between + 2)
    if arguments.facets is not None:
        given = [one for unit in given for one in (unit, *unit.facets(arguments.facets))]
    with following("pictures") as follow:
        found = directions.draw(given, progress=follow, **_rendering(arguments))
    rows = [
        (one.name, drawn.item.problem or f"{drawn.item.stronger_than:.0%}")
        for one, drawn in zip(given, found.drawn, strict=True)
    ]
    print(table(("DIRECTION", ">STRONGER THAN"), rows))
    names = [one.name for one in given]
    _save(arguments.out, f"draw-{slug(names[0])}", found.drawn, names, found.sheet())
    return 0


def analogies(arguments: argparse.Namespace) -> int:
    """Render a unit and its analogies."""
    a = open_snapshot(arguments.logdir, arguments.a)
    unit = parsed_direction(arguments.unit, a)
    models = [open_snapshot(arguments.logdir, name) for name in arguments.b]
    residual_of = None
    if arguments.residual_of is not None:
        name, layer = arguments.residual_of
        residual_of = open_snapshot(arguments.logdir, name).layer(layer)
    with following("analogies") as follow:
        found = pictures.analogies(
            -unit if arguments.negative else unit,
            models,
            layers=arguments.layers,
            direction=arguments.direction,
            residual_of=residual_of,
            progress=follow,
            **_rendering(arguments),
        )
    rows = [
        (model, *_numbers(one, found.unit)) for model, drawn in found.by_model() for one in drawn
    ]
    print(table(_HEADER, rows))
    print(found.notes[0])
    print(_CORRELATION)
    for note in found.notes[1:]:
        print(note)
    default = f"analogies-{slug(unit.layer)}-{_words(unit.name)}"
    _save(arguments.out, default, found.drawn, _layers(found.drawn), found.sheet())
    return 0


def caricature(arguments: argparse.Namespace) -> int:
    """Render a photo as the layers see it."""
    snapshot = open_snapshot(arguments.logdir, arguments.a)
    with following("caricatures") as follow:
        found = pictures.caricatures(
            snapshot,
            arguments.image,
            layers=arguments.layers,
            progress=follow,
            **_rendering(arguments),
        )
    default = f"caricature-{slug(Path(arguments.image).stem)}"
    _save(arguments.out, default, found.drawn, _layers(found.drawn), found.sheet())
    return 0


def _rendering(arguments: argparse.Namespace) -> dict[str, Any]:
    names = ("size", "steps", "seed", "cossim_pow", "device")
    return {name: getattr(arguments, name) for name in names}


def _words(name: str) -> str:
    """What of a direction's name follows its layer, for a file."""
    return slug(name.rpartition(":")[2])


def _numbers(one: Drawn, asked: Direction) -> tuple[str, ...]:
    """One line of the table of analogies, after the model."""
    item = one.item
    strength = "" if item.stronger_than is None else f"{item.stronger_than:.0%}"
    if item.role == "source":
        return f"{item.layer} ({asked.itself})", "", "", "", "", "", "", strength, ""
    if item.role == "difference":
        taken = f"{item.r2:.2f} taken away"
        return f"{item.layer} (what remains)", "", "", "", taken, "", "", strength, ""
    best, drawn = item.best_unit, item.drawn
    assert best is not None  # a finished analogy knows both
    assert drawn is not None
    return (
        item.layer,
        f"{drawn.correlation:.2f}",
        f"[{drawn.low:.2f}, {drawn.high:.2f}]",
        "" if drawn.null is None else f"{drawn.null:.2f}",
        f"{item.r2:.2f}",
        str(best.unit),
        f"{best.correlation:.2f}",
        strength,
        item.problem or "",
    )


def _new_directory(name: str | None, default: str) -> Path:
    """The directory that is asked for, or a new one here."""
    if name is not None:
        return output_directory(Path(name))
    path, number = Path(default), 2
    while path.exists():
        path, number = Path(f"{default}-{number}"), number + 1
    return output_directory(path)


def _layers(drawn: Sequence[Drawn]) -> list[str]:
    return [one.item.layer for one in drawn]


def _save(
    out: str | None, default: str, drawn: Sequence[Drawn], names: Sequence[str], sheet: Sheet
) -> None:
    """Pictures, numbers and the sheet, in the directory that is asked for or a new one."""
    directory = _new_directory(out, default)
    _write(directory, drawn, names)
    sheet.save(directory / "sheet.html")
    sheet.image().save(directory / _SHEET)
    print(printable(str(directory / _SHEET)))


def _write(out: Path, drawn: Sequence[Drawn], names: Sequence[str]) -> None:
    """A PNG per picture, called by its number and name, and what is known of each as CSV."""
    with (out / "pictures.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        numbers = ["r2", "best_unit", "correlation"]
        fields = ["direction", "direction_correlation", "low", "high", "null"]
        writer.writerow(
            ["file", "snapshot", "layer", "role", *numbers, "problem", *fields, "stronger_than"]
        )
        for number, (one, name) in enumerate(zip(drawn, names, strict=True)):
            item, file = one.item, ""
            if one.picture is not None:
                file = f"{number:03d}-{slug(name)}.png"
                Image.fromarray(one.picture).save(out / file)
            best = item.best_unit
            layer_of = (file, csv_text(item.snapshot), csv_text(item.layer), item.role)
            unit, correlation = (best.unit, best.correlation) if best else (None, None)
            found = (item.r2, unit, correlation)
            along = (None,) * len(fields) if item.drawn is None else astuple(item.drawn)
            writer.writerow([*layer_of, *found, item.problem, *along, item.stronger_than])

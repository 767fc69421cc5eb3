"""The commands that draw pictures, and their options."""

from __future__ import annotations

from typing import Any

from tb_modelcompare.cli.commands import command
from tb_modelcompare.cli.options import SNAPSHOT, device, layers_for_each, snapshots
from tb_modelcompare.cli.values import count, count_or, path

_UNIT = (
    "such as mixed4a:17, a sum or difference of units such as mixed4a:17+5-3, "
    "mixed4a:class=cat for the direction of a class by the probe's labels (whitened-class=), or "
    "mixed4a:FILE.npy, an array with a weight for each unit of the layer"
)


def draw_command(commands: Any) -> None:
    parser = command(
        commands,
        "draw",
        "pictures.draw",
        "units of a snapshot, beside the images that excite them most",
        "Renders units and other directions of A, each beside the images of the probe that excite "
        "it most.",
    )
    snapshots(parser, "A")
    parser.add_argument("units", metavar="LAYER:UNIT", nargs="+", help=_UNIT)
    more = parser.add_mutually_exclusive_group()
    more.add_argument(
        "--facets",
        metavar="N",
        type=count(2, 8),
        help="render N facets of each too: the unit, each time together with what else a group of "
        "the images that excite it most has",
    )
    more.add_argument(
        "--between",
        metavar="N",
        type=count(1),
        default=0,
        help="render N directions between each one and the next too, at equal angles",
    )
    _rendering(parser, size=96, cossim_pow=0, of_photo=False)


def analogies_command(commands: Any) -> None:
    parser = command(
        commands,
        "analogies",
        "pictures.analogies",
        "what a unit of one snapshot is in the layers of others",
        "Renders a unit of A, and in each layer of every B the direction that answers to it, with "
        "the correlation of the activity along that direction on images that it was not fitted to.",
    )
    snapshots(parser, "A")
    parser.add_argument("unit", metavar="LAYER:UNIT", help=_UNIT)
    parser.add_argument("b", metavar="B", nargs="+", help=f"snapshots: {SNAPSHOT}")
    parser.add_argument(
        "--direction",
        choices=("regression", "pattern", "decoder"),
        default="regression",
        help="which direction of B answers: that of linear regression (the default), the pattern "
        "that varies together with the unit, or the decoder that predicts the unit best",
    )
    parser.add_argument(
        "--less",
        nargs=2,
        dest="residual_of",
        metavar=("SNAPSHOT", "LAYER"),
        help="render the residual direction: the unit without what this layer has of it",
    )
    parser.add_argument(
        "--negative", action="store_true", help="what the unit is least, instead of most"
    )
    layers_for_each(parser, "of the Bs ", " of which there can be a picture", "for each B")
    _rendering(parser, size=96, cossim_pow=0, of_photo=False)


def caricature_command(commands: Any) -> None:
    parser = command(
        commands,
        "caricature",
        "pictures.caricature",
        "what each layer of a snapshot makes of a photo",
        "Renders, for each layer, a picture in which the layer sees what it saw in the photo, "
        "only more so (feature inversion).",
    )
    snapshots(parser, "A")
    parser.add_argument(
        "image", metavar="IMAGE", help="a photo's file, or the name of a photo of the probe"
    )
    parser.add_argument(
        "--layers",
        metavar="REGEX",
        help="only layers in whose name this is found (default: all of which there can be a "
        "picture)",
    )
    _rendering(parser, size=224, cossim_pow=1, of_photo=True)


def _rendering(parser: Any, size: int, cossim_pow: int, *, of_photo: bool) -> None:
    parser.add_argument(
        "--out", type=path, metavar="DIR", help="where to write (default: a new name here)"
    )
    parser.add_argument(
        "--size",
        metavar="PIXELS" if of_photo else "auto|PIXELS",
        type=count(1) if of_photo else count_or("auto", 1),
        default=size,
        help="height and width of a picture (default: %(default)s)"
        + ("" if of_photo else "; auto: 96, 192 or 384, by what a layer sees"),
    )
    parser.add_argument(
        "--steps",
        metavar="N",
        type=count(1),
        default=128,
        help="of optimisation; more is sharper (default: %(default)s)",
    )
    parser.add_argument(
        "--cossim-pow",
        metavar="P",
        type=float,
        default=cossim_pow,
        help="power of the cosine in the objective, from 0 to 16: more makes a picture purer and "
        "less strong (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", metavar="N", type=count(0), default=0, help="of the first noise (default: 0)"
    )
    device(parser)

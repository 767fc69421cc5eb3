"""The commands that log models, and their options."""

from __future__ import annotations

from typing import Any

from tb_modelcompare.cli.commands import command
from tb_modelcompare.cli.values import count, count_or, numbers, path
from tb_modelcompare.log.entries import MAX_STEP
from tb_modelcompare.log.format import DTYPES
from tb_modelcompare.probe.inputs import MAX_POSITIONS
from tb_modelcompare.probe.photos import MAX_PHOTO_SIZE
from tb_modelcompare.probe.sampling import REDUCTIONS

_PREPROCESSING = (
    "what the model wants its pixels to be: tf ([-1, 1]), torch (ImageNet mean and deviation), "
    "caffe (BGR, mean subtracted), a range LO,HI, or a formula of a pixel x from 0 to 255, such as "
    "'(x-127)/128' (default: what a model by name states, else 0,1). A wrong one gives wrong "
    "activations. Negative bounds: --preprocessing=-1,1"
)

_NAMES = (
    "zoo:NAME (lucid's modelzoo), keras:NAME, torchvision:NAME, timm:NAME or hf:OWNER/NAME, "
    "fetched the first time"
)


def log_command(commands: Any) -> None:
    parser = command(
        commands,
        "log",
        "log.run",
        "show a model a directory of photos and log what its layers compute",
        "Logs a model: activations of its layers on a probe, its graph, and what is needed "
        "to render its features. Models can be compared if they were logged with the same photos, "
        "--size, --limit, --positions and --seed, or on the probe of a former run (--probe RUN).",
    )
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a .keras or .h5 file, a SavedModel directory, a frozen .pb; .tflite and .onnx files "
        f"without pictures; or a name: {_NAMES}",
    )
    parser.add_argument(
        "--probe",
        type=path,
        metavar="DIR",
        required=True,
        help="directory of photos, or of a run whose probe is taken, or a .npy file of arrays such "
        "as token ids",
    )
    parser.add_argument(
        "--logdir", type=path, metavar="RUN", required=True, help="the run's directory"
    )
    parser.add_argument("--name", metavar="N", help="what to call it (default: its file's name)")
    parser.add_argument(
        "--step", metavar="S", type=count(0, MAX_STEP), default=0, help="of training (default: 0)"
    )
    parser.add_argument(
        "--initial-weights",
        action="store_true",
        help="of a model by name, its random initial weights in place of the trained ones; keras, "
        "torchvision and timm fetch nothing then",
    )
    parser.add_argument("--preprocessing", metavar="P", help=_PREPROCESSING)
    _model_options(parser)


def compare_command(commands: Any) -> None:
    parser = command(
        commands,
        "compare",
        "log.compare",
        "log two models on one directory of photos and open the tab on them",
        "Logs two models as `log` does, with one probe, then starts TensorBoard and opens a "
        "browser on their alignment graph. Ctrl-C ends it; `tensorboard --logdir D` shows the same "
        "again.",
    )
    for name, which in (("a", "first"), ("b", "second")):
        parser.add_argument(
            name,
            metavar=name.upper(),
            help=f"the {which} model's file (.keras, .h5, SavedModel, .pb, .tflite or .onnx) or "
            "its name, as `log` takes it",
        )
    parser.add_argument(
        "--probe",
        type=path,
        metavar="DIR",
        required=True,
        help="directory of photos, or of a run whose probe is taken, or a .npy file of arrays such "
        "as token ids",
    )
    parser.add_argument(
        "--logdir",
        type=path,
        metavar="D",
        default="logs/compare",
        help="where to log, a run for each model (default: %(default)s)",
    )
    parser.add_argument(
        "--preprocessing",
        metavar="P",
        action="append",
        help=_PREPROCESSING + ". Give it twice where the models want different pixels: the first "
        "is for A",
    )
    _model_options(parser)
    serving_options(parser)


def serving_options(parser: Any) -> None:
    served = parser.add_mutually_exclusive_group()
    served.add_argument(
        "--port",
        metavar="N",
        type=count(0, 65535),
        help="TensorBoard's port, 0 for any free one (default: 6006, or a free one)",
    )
    served.add_argument("--no-serve", action="store_true", help="only write the log directory")
    parser.add_argument(
        "--no-browser", action="store_true", help="print the address, and open no browser"
    )


def _model_options(parser: Any) -> None:
    """Options of whatever shows models a directory of photos."""
    for flag, what in (("--mean", "mean"), ("--std", "deviation")):
        parser.add_argument(
            flag,
            metavar="R,G,B",
            type=numbers,
            help=f"in place of --preprocessing: the {what} that pixels are normalised by, one "
            "number or three; of pixels from 0 to 1 if none of them is above 1, else from 0 to 255",
        )
    parser.add_argument(
        "--layers",
        metavar="REGEX",
        help="log the layers in whose name this is found, or all for every layer (default: one for "
        "each box of the drawn graph: what leaves a convolution with its activation, say)",
    )
    parser.add_argument(
        "--reduction",
        choices=REDUCTIONS,
        default="sample",
        help="what becomes of a layer's map: its value at the position of each row, its "
        "mean, that of the first or last token, or the whole map as units (default: %(default)s)",
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        help="how activations are stored; float16 takes half the room (default: %(default)s)",
    )
    parser.add_argument(
        "--limit",
        metavar="N",
        type=count(1),
        help="photos at most, taken evenly over the directory (default: 1000)",
    )
    parser.add_argument(
        "--positions",
        metavar="N",
        type=count_or("all", 1, MAX_POSITIONS),
        help="positions per photo, each a row of every layer (default: 4); of arrays 1 by default, "
        "and all for every token",
    )
    parser.add_argument(
        "--size",
        metavar="PIXELS",
        type=count(8, MAX_PHOTO_SIZE),
        help="height and width that photos are cropped to (default: 224)",
    )
    parser.add_argument("--seed", metavar="N", type=count(0), help="of the positions (default: 0)")
    parser.add_argument(
        "--pad-id",
        metavar="N",
        type=count(0),
        help="of a probe of token ids: the token that is padding; it has no rows, and counts in no "
        "mean",
    )
    parser.add_argument(
        "--labels",
        metavar="folders|CSV",
        type=path,
        help="the class of each photo, for accuracies and directions of classes: folders for the "
        "name of its directory, or a table of file,label. Labels are numbers of classes or names",
    )
    parser.add_argument(
        "--class-names",
        metavar="FILE",
        type=path,
        help="names of the model's classes in order, one a line (default: the labels' names in "
        "alphabetical order)",
    )

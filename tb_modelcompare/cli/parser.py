"""Commands and their options."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any, NoReturn

from tb_modelcompare.cli.commands import command
from tb_modelcompare.cli.deleting_commands import prune_command, rm_command
from tb_modelcompare.cli.logging_commands import compare_command, log_command, serving_options
from tb_modelcompare.cli.options import SNAPSHOT, device, layers_for_each, snapshots
from tb_modelcompare.cli.picture_commands import (
    analogies_command,
    caricature_command,
    draw_command,
)
from tb_modelcompare.cli.text import complain
from tb_modelcompare.cli.values import count, number, path
from tb_modelcompare.version import __version__


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, as all of the command line does."""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:  # argparse would show the usage of the whole program
            found.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found

    def error(self, message: str) -> NoReturn:
        usage = " ".join(self.format_usage().split())
        complain(f"{message} ({usage})")
        raise SystemExit(2)


def build_parser() -> argparse.ArgumentParser:
    """The parser; each command sets `run`, a function of its arguments to an exit status."""
    parser, _ = _parsers()
    return parser


def command_parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each command, by the command's name."""
    _, commands = _parsers()
    return dict(commands)


def _parsers() -> tuple[argparse.ArgumentParser, Mapping[str, argparse.ArgumentParser]]:
    parser = _Parser(
        prog="tb-modelcompare",
        description="What did two models learn, where is it the same, and where does it differ?",
        epilog="A snapshot is a model at one step of its training, logged on a probe: a fixed set "
        "of photos and of positions in them.",
    )
    parser.add_argument("--version", action="version", version=f"tb-modelcompare {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for define in (
        _demo,
        log_command,
        compare_command,
        _list,
        prune_command,
        rm_command,
        _similarity,
        _dynamics,
        _models,
        draw_command,
        analogies_command,
        caricature_command,
        _report,
    ):
        define(commands)
    return parser, commands.choices


def _demo(commands: Any) -> None:
    parser = command(
        commands,
        "demo",
        "demo.run",
        "train small networks on real photographs and compare them in TensorBoard",
        "Trains two networks of one architecture from different seeds, and one of another "
        "architecture, to tell fifteen photographs apart; logs them, starts TensorBoard, opens a "
        "browser on the tab and prints its address. About two minutes on two cores, without "
        "network. Ctrl-C ends it.",
    )
    parser.add_argument(
        "--logdir",
        type=path,
        metavar="D",
        help="where to log; a complete demo that is there is shown again (default: "
        "logs/tb_modelcompare_demo, or logs/tb_modelcompare_zoo with --zoo)",
    )
    serving_options(parser)
    parser.add_argument(
        "--steps",
        metavar="N",
        type=count(1, 10**6),
        help="training steps of each network (default: 400)",
    )
    parser.add_argument("--force", action="store_true", help="make again what is there already")
    parser.add_argument(
        "--zoo",
        action="store_true",
        help="in place of training, fetch InceptionV1, InceptionV2_slim and AlexNet of lucid's "
        "modelzoo once, and compare these",
    )


def _list(commands: Any) -> None:
    parser = command(
        commands,
        "list",
        "snapshots.run",
        "what a log directory holds",
        "Lists the snapshots under a log directory. Files that cannot be used are named on "
        "standard error, and the exit status is then 2.",
    )
    parser.add_argument("logdir", type=path, metavar="LOGDIR")


def _similarity(commands: Any) -> None:
    parser = command(
        commands,
        "similarity",
        "similarity.similarity",
        "how similar each layer of one snapshot is to each of another",
        "Prints, for every layer of A, the most similar layer of B.",
    )
    snapshots(parser, "A", "B")
    _measure(parser)
    layers_for_each(parser, "", "", "for A and once for B")
    _permutations(
        parser,
        "permute the images of B so often, for the null; 199 or more also give p-values for all "
        "pairs of layers together",
    )
    parser.add_argument(
        "--resamples",
        metavar="N",
        type=count(0),
        default=0,
        help="resample the images so often, for a 95 %% interval over images; 200 is usual",
    )
    parser.add_argument(
        "--untrained",
        metavar="C",
        help="a snapshot of B's network with its initial weights: what A has in common with that",
    )
    parser.add_argument(
        "--seeds",
        metavar="RUN",
        nargs="+",
        help="snapshots of other trainings of A's model: how similar they are to A, as a ceiling",
    )
    parser.add_argument(
        "--csv",
        type=path,
        metavar="F",
        help="write the whole matrix to this file; with any of the four options above, a line "
        "for each pair of layers",
    )
    parser.add_argument("--png", type=path, metavar="F", help="draw the whole matrix to this file")


def _dynamics(commands: Any) -> None:
    parser = command(
        commands,
        "dynamics",
        "training.dynamics",
        "how the layers of a run came to be what they are",
        "Compares every layer at every step of a run with the run's last step, or with another "
        "snapshot, and prints from which step on each layer is frozen.",
    )
    parser.add_argument("logdir", type=path, metavar="LOGDIR")
    parser.add_argument("run_name", metavar="RUN", help="a run of several steps, or RUN/NAME")
    parser.add_argument(
        "--reference",
        metavar="A",
        help=f"what to compare with (default: the last step): {SNAPSHOT}",
    )
    _measure(parser)
    parser.add_argument(
        "--threshold",
        metavar="X",
        type=number,
        help="a layer is frozen once it stays at X or above (of a distance, at X or below; "
        "default: nine tenths of the way to perfect similarity)",
    )
    parser.add_argument("--csv", type=path, metavar="F", help="write layers by steps to this file")
    parser.add_argument("--png", type=path, metavar="F", help="draw layers by steps to this file")


def _models(commands: Any) -> None:
    parser = command(
        commands,
        "models",
        "training.models",
        "how far apart several models are, and a map of them",
        "Prints distances between models by a true metric, and their points on a map whose "
        "distances are as near to the true ones as they can be in the plane.",
    )
    parser.add_argument("logdir", type=path, metavar="LOGDIR")
    parser.add_argument(
        "snapshots",
        metavar="SNAPSHOT",
        nargs="*",
        help=f"{SNAPSHOT}; the first is the one that distances are printed to (default: the last "
        "step of every model)",
    )
    parser.add_argument(
        "--metric",
        metavar="M",
        default="angular_cka",
        help="angular_cka (the default) or procrustes_angle",
    )
    parser.add_argument(
        "--csv", type=path, metavar="F", help="write distances and points to this file"
    )
    parser.add_argument("--png", type=path, metavar="F", help="draw the distances to this file")


def _report(commands: Any) -> None:
    parser = command(
        commands,
        "report",
        "similarity.report",
        "the tab's figure of two snapshots, interactive, in one HTML file",
        "Writes a page that shows the comparison as the tab does and needs nothing else: no "
        "TensorBoard, no network. It holds the graphs and the similarities, no weights, and "
        "pictures only with --pictures.",
    )
    snapshots(parser, "A", "B")
    _measure(parser)
    layers_for_each(parser, "", "", "for A and once for B")
    _permutations(
        parser,
        "permute the images of B so often, and hatch the pairs that are not above this null; 19 "
        "are the fewest that tell",
    )
    parser.add_argument(
        "--pictures",
        metavar="N",
        nargs="?",
        const=16,
        type=count(1, 64),
        help="hold pictures too: N units of each layer (default: %(const)s) with the parts of the "
        "probe's images that excite them most, a caricature of one photo for each layer, and "
        "renders of the best unit pairs of the strongest pairs of layers. It says first how much "
        "that is, and draws what was not drawn before",
    )
    parser.add_argument(
        "--photo",
        metavar="IMAGE",
        help="what the caricatures are of: a photo's file, or the name of a photo of the probe "
        "(default: its first)",
    )
    device(parser)
    parser.add_argument(
        "--out", type=path, metavar="FILE.html", required=True, help="the file to write"
    )


def _permutations(parser: Any, meaning: str) -> None:
    parser.add_argument("--permutations", metavar="N", type=count(0), default=0, help=meaning)


def _measure(parser: Any) -> None:
    parser.add_argument(
        "--measure",
        metavar="M",
        default="linear_cka",
        help="linear_cka (the default), whitened_correlation, mean_cca or another name of "
        "similarity.MEASURES",
    )

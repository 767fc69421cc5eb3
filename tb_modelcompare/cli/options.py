"""Options that several commands take."""

from __future__ import annotations

from typing import Any

from tb_modelcompare.cli.values import path
from tb_modelcompare.tensorflow_setup.device import DEFAULT_DEVICE, DEVICE_HELP, device_argument

SNAPSHOT = "RUN, RUN@STEP or RUN/NAME@STEP, as `tb-modelcompare list` shows it"


def snapshots(parser: Any, *names: str) -> None:
    parser.add_argument("logdir", type=path, metavar="LOGDIR")
    for name in names:
        parser.add_argument(name.lower(), metavar=name, help=f"a snapshot: {SNAPSHOT}")


def layers_for_each(parser: Any, of: str, which: str, each: str) -> None:
    parser.add_argument(
        "--layers",
        metavar="REGEX",
        action="append",
        help=f"only layers {of}in whose name this is found (default: all{which}). Give it once for "
        f"all, or once {each}, in their order",
    )


def device(parser: Any) -> None:
    parser.add_argument(
        "--device",
        metavar="DEVICE",
        type=device_argument,
        default=DEFAULT_DEVICE,
        help=f"{DEVICE_HELP} (default: %(default)s)",
    )

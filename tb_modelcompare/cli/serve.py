"""TensorBoard in front of the user, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import sys
import urllib.parse
import webbrowser
from collections.abc import Sequence

from tb_modelcompare.cli.tensorboard_process import TensorBoardError, tensorboard
from tb_modelcompare.cli.text import printable, say
from tb_modelcompare.log.format import PLUGIN_NAME
from tb_modelcompare.log.reader import open_snapshot


def serve(
    arguments: argparse.Namespace, logdir: str, pairs: Sequence[tuple[str, str, str]]
) -> None:
    """Start TensorBoard, print the address of each pair, and open the first in a browser.

    Parameters
    ----------
    arguments : Namespace
        With `no_serve`, `port` and `no_browser`.
    logdir : str
    pairs : sequence of (title, a, b)
        Names of snapshots.

    Raises
    ------
    TensorBoardError
        If TensorBoard does not start, or ends.
    """
    if arguments.no_serve:
        print(f"tensorboard --logdir {printable(logdir)}")
        return
    with tensorboard(logdir, arguments.port) as (address, process):
        addresses = []
        for title, a, b in pairs:
            ids = (open_snapshot(logdir, name).id for name in (a, b))
            addresses.append(_comparison_address(address, *ids))
            print(f"{title + ':':32} {addresses[-1]}")
        print(flush=True)
        if not arguments.no_browser and _open_in_browser(addresses[0]):
            say("a browser shows the first of these addresses; Ctrl-C ends TensorBoard")
        else:
            say("open one of these addresses; Ctrl-C ends TensorBoard")
        status = process.wait()
    raise TensorBoardError(f"TensorBoard ended with status {status}; its message is above")


def _comparison_address(address: str, a: str, b: str, measure: str = "unbiased_linear_cka") -> str:
    """The address of the tab with snapshots `a` and `b` and a measure chosen."""
    chosen = {"a": a, "b": b, "measure": measure}
    return f"{address}#{PLUGIN_NAME}&{urllib.parse.urlencode(chosen)}"


def _open_in_browser(address: str) -> bool:
    """Show an address to whoever sits at this machine; whether there is a screen to show it on.

    On Linux without a display Python would take a browser for terminals, which shows nothing of
    the tab and takes the terminal.
    """
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return False
    return webbrowser.open(address)

"""The commands that delete snapshots, and their options."""

from __future__ import annotations

from typing import Any

from tb_modelcompare.cli.commands import command
from tb_modelcompare.cli.values import count, path


def prune_command(commands: Any) -> None:
    parser = command(
        commands,
        "prune",
        "deleting.prune",
        "delete all but some steps of every model",
        "Says which snapshots would be deleted and how much room that makes, and deletes them with "
        "--yes. Of each model stay the first and the last, --keep in all, and every --every-th. "
        "What snapshots share is deleted with the last of them.",
    )
    parser.add_argument("logdir", type=path, metavar="LOGDIR", help="directory of runs")
    parser.add_argument(
        "--keep",
        metavar="N",
        type=count(2),
        help="N snapshots of each model stay: the first and the last N - 1, as with keep=N of the "
        "callback",
    )
    parser.add_argument(
        "--every",
        metavar="K",
        type=count(1),
        help="the first of each model and every K-th after it stay, in order of step",
    )
    parser.add_argument("--yes", action="store_true", help="delete them")


def rm_command(commands: Any) -> None:
    parser = command(
        commands,
        "rm",
        "deleting.rm",
        "delete a snapshot, or all steps of a model",
        "Deletes the snapshot, or without @STEP all snapshots of the model. What others share with "
        "it stays.",
    )
    parser.add_argument(
        "snapshot",
        type=path,
        metavar="LOGDIR:RUN[@STEP]",
        help="such as logs:googlenet@20, or logs:RUN/NAME where a run holds several models",
    )

"""`tb-modelcompare list`."""

from __future__ import annotations

import argparse
import datetime

from tb_modelcompare.cli.text import complain, counted, say, table
from tb_modelcompare.errors import UnknownSnapshotError
from tb_modelcompare.log.reader import list_snapshots
from tb_modelcompare.log.snapshot import Snapshot


def run(arguments: argparse.Namespace) -> int:
    """Print what is there; 2 if something that is there cannot be used."""
    listing = list_snapshots(arguments.logdir)
    if listing.snapshots:
        columns = ("SNAPSHOT", ">LAYERS", ">UNITS", ">ROWS", "PROBE", "PICTURES", "LOGGED")
        print(table(columns, [_row(one, one.id in listing.gone) for one in listing.snapshots]))
    if listing.deleted:
        names = sorted({one.rpartition("@")[0] for one in listing.deleted})
        say(f"{counted(len(listing.deleted), 'deleted snapshot')} left out: {', '.join(names)}")
    for problem in listing.problems:
        complain(f"{problem.where}: {problem.message}")
    if not listing.snapshots and not listing.problems:
        raise UnknownSnapshotError(
            f"{arguments.logdir} holds no snapshot; log a model with `tb-modelcompare log`, or "
            f"from Python with tb_modelcompare.SummaryWriter"
        )
    return 2 if listing.problems else 0


def _row(snapshot: Snapshot, gone: bool) -> tuple[str, ...]:
    logged = datetime.datetime.fromtimestamp(snapshot.wall_time)
    return (
        snapshot.id,
        str(len(snapshot.layers)),
        str(sum(layer.units for layer in snapshot.layers)),
        str(snapshot.rows),
        snapshot.probe_id[:8],
        "yes" if snapshot.frozen else "no",
        f"{logged:%Y-%m-%d %H:%M}" + (", its files are gone" if gone else ""),
    )

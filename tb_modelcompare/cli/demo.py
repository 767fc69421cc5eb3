"""`tb-modelcompare demo`."""

from __future__ import annotations

import argparse

from tb_modelcompare.cli import interrupt
from tb_modelcompare.cli.text import printable, say
from tb_modelcompare.demo.logs import make_logs
from tb_modelcompare.demo.serve import TensorBoardError, comparison_address, tensorboard
from tb_modelcompare.log.reader import open_snapshot


def run(arguments: argparse.Namespace) -> int:
    """Train and log unless that is done, then serve until Ctrl-C."""
    demo = make_logs(
        arguments.logdir,
        steps=arguments.steps,
        force=arguments.force,
        say=say,
        check=interrupt.check,
    )
    say(f"trained and logged in {demo.seconds:.0f} s; share of the test windows that are right:")
    for snapshot, share in demo.accuracy.items():
        print(f"{snapshot:12} {share:7.1%}")
    if arguments.no_serve:
        print(f"tensorboard --logdir {printable(arguments.logdir)}")
        return 0
    with tensorboard(demo.logdir, arguments.port) as (address, process):
        pairs = (
            ("two seeds of one architecture", "seed0", "seed1"),
            ("two architectures", "seed0", "mobile"),
            ("before and after training", "seed0@0", "seed0"),
        )
        for title, a, b in pairs:
            ids = (open_snapshot(demo.logdir, name).id for name in (a, b))
            print(f"{title + ':':32} {comparison_address(address, *ids)}")
        print(flush=True)
        say("open one of these addresses; Ctrl-C ends TensorBoard")
        status = process.wait()
    raise TensorBoardError(f"TensorBoard ended with status {status}; its message is above")

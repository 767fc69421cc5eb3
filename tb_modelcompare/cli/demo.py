"""`tb-modelcompare demo`."""

from __future__ import annotations

import argparse

from tb_modelcompare.cli import interrupt
from tb_modelcompare.cli.serve import serve
from tb_modelcompare.cli.text import say
from tb_modelcompare.demo.logs import make_logs


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
    pairs = (
        ("two seeds of one architecture", "seed0", "seed1"),
        ("two architectures", "seed0", "mobile"),
        ("before and after training", "seed0@0", "seed0"),
    )
    serve(arguments, arguments.logdir, pairs)
    return 0

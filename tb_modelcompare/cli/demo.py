"""`tb-modelcompare demo`."""

from __future__ import annotations

import argparse

from tb_modelcompare.cli import interrupt
from tb_modelcompare.cli.serve import serve
from tb_modelcompare.cli.text import say
from tb_modelcompare.demo.logs import make_logs
from tb_modelcompare.demo.zoo import log_zoo
from tb_modelcompare.errors import OptionError
from tb_modelcompare.tensorflow_setup.quiet_import import import_tensorflow

_STEPS = 400


def run(arguments: argparse.Namespace) -> int:
    """Train and log, or fetch and log, unless that is done, then serve until Ctrl-C."""
    if arguments.zoo:
        return _zoo(arguments)
    logdir = arguments.logdir or "logs/tb_modelcompare_demo"
    demo = make_logs(
        logdir,
        steps=_STEPS if arguments.steps is None else arguments.steps,
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
    serve(arguments, logdir, pairs)
    return 0


def _zoo(arguments: argparse.Namespace) -> int:
    if arguments.steps is not None:
        raise OptionError("--zoo trains nothing; leave out --steps")
    logdir = arguments.logdir or "logs/tb_modelcompare_zoo"
    import_tensorflow("auto")
    log_zoo(logdir, force=arguments.force, say=say, check=interrupt.check)
    pairs = (
        ("without and with batch norm", "InceptionV1", "InceptionV2_slim"),
        ("three years of architecture", "AlexNet", "InceptionV1"),
    )
    serve(arguments, logdir, pairs)
    return 0

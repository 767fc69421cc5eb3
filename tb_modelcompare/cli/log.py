"""`tb-modelcompare log`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tb_modelcompare.capture.contract import compiled
from tb_modelcompare.cli.text import printable, say
from tb_modelcompare.cli.values import number
from tb_modelcompare.errors import ModelFileError, ProbeError
from tb_modelcompare.log.entries import checked_name, checked_run_dir, checked_step
from tb_modelcompare.log.reader import list_snapshots
from tb_modelcompare.log.writer import SummaryWriter
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.tensorflow_setup.quiet_import import import_tensorflow

_NAMED = {"tf": Preprocessing.tf, "torch": Preprocessing.torch, "caffe": Preprocessing.caffe}


def run(arguments: argparse.Namespace) -> int:
    """Log one model file."""
    model = Path(arguments.model)
    if not model.exists():
        raise ModelFileError(f"{model} does not exist; give a model's file or directory")
    # Before the photos are read and TensorFlow is loaded.
    preprocessing = _preprocessing(arguments.preprocessing)
    name = checked_name(model.stem if arguments.name is None else arguments.name)
    checked_step(arguments.step)
    checked_run_dir(arguments.logdir)
    if arguments.layers is not None:
        compiled(arguments.layers)
    probe = Probe.from_directory(
        arguments.probe,
        size=arguments.size,
        limit=arguments.limit,
        positions_per_image=arguments.positions,
        seed=arguments.seed,
    )
    say(f"probe {probe.id[:8]}: {len(probe)} photos, {probe.rows} rows")
    if arguments.preprocessing is None:
        say("no --preprocessing: the model is shown RGB in [0, 1]")
    import_tensorflow("auto")
    with SummaryWriter(arguments.logdir, probe) as writer:
        writer.add_model(
            name,
            model,
            step=arguments.step,
            preprocessing=preprocessing,
            layers=arguments.layers,
            reduction=arguments.reduction,
        )
    (snapshot,) = (
        snapshot
        for snapshot in list_snapshots(arguments.logdir).snapshots
        if (snapshot.run, snapshot.name, snapshot.step) == (".", name, arguments.step)
    )
    units = sum(layer.units for layer in snapshot.layers)
    pictures = "with" if snapshot.frozen else "without"
    print(
        printable(
            f"{name}@{snapshot.step} in {arguments.logdir}: {len(snapshot.layers)} layers, {units} "
            f"units, {snapshot.rows} rows, {pictures} pictures"
        )
    )
    return 0


def _preprocessing(text: str | None) -> Preprocessing:
    if text is None:
        return Preprocessing()
    if text in _NAMED:
        return _NAMED[text]()
    try:
        low, high = map(number, text.split(","))
    except (ValueError, argparse.ArgumentTypeError) as error:
        raise ProbeError(
            f"--preprocessing {text!r} is none; give tf, torch, caffe, or a range such as 0,255"
        ) from error
    return Preprocessing.range(low, high)

"""`tb-modelcompare log` and `tb-modelcompare compare`."""

from __future__ import annotations

import argparse
from pathlib import Path

from tb_modelcompare import zoo
from tb_modelcompare.capture.contract import compiled_pattern
from tb_modelcompare.capture.open import require_known_file
from tb_modelcompare.cli.probe import probe_of
from tb_modelcompare.cli.serve import serve
from tb_modelcompare.cli.text import printable, say
from tb_modelcompare.compare.behaviour import behaviour_if_known
from tb_modelcompare.errors import LogDirectoryError, ModelFileError, OptionError, ProbeError
from tb_modelcompare.log.entries import checked_name, checked_run_dir, checked_step
from tb_modelcompare.log.reader import list_snapshots
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.log.writer import SummaryWriter
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.preprocessing_words import in_words, normalisation, preprocessing_from
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.tensorflow_setup.quiet_import import import_tensorflow


def run(arguments: argparse.Namespace) -> int:
    """Log one model."""
    called = _called(arguments.model)
    # Before the photos are read and TensorFlow is loaded.
    preprocessing = _preprocessing(arguments.preprocessing, arguments.mean, arguments.std)
    name = checked_name(called if arguments.name is None else arguments.name)
    checked_step(arguments.step)
    checked_run_dir(arguments.logdir)
    _check_layers(arguments)
    if arguments.initial_weights and not zoo.is_name(arguments.model):
        raise OptionError("--initial-weights is for models by name, such as keras:ResNet50")
    model = _loaded(arguments.model, trained=not arguments.initial_weights)
    probe = probe_of(arguments)
    _log_model(arguments, model, name, arguments.logdir, arguments.step, preprocessing, probe)
    return 0


def compare(arguments: argparse.Namespace) -> int:
    """Log two models on one probe, and open the tab on them."""
    called = [_called(arguments.a), _called(arguments.b)]
    given = arguments.preprocessing or [None]
    if len(given) > 2:
        raise OptionError(
            f"--preprocessing is given {len(given)} times; give it once for both models, or twice"
        )
    words = given * (2 // len(given))
    preprocessing = [_preprocessing(one, arguments.mean, arguments.std) for one in words]
    names = _different_names([arguments.a, arguments.b], called)
    runs = [Path(arguments.logdir) / name for name in names]
    for directory in runs:
        checked_run_dir(directory)
        if directory.exists():
            raise LogDirectoryError(
                f"{directory} is there already; give another --logdir, or open what is there: "
                f"tensorboard --logdir {arguments.logdir}"
            )
    _check_layers(arguments)
    models = [_loaded(arguments.a), _loaded(arguments.b)]
    probe = probe_of(arguments)
    snapshots = [
        _log_model(arguments, model, name, str(directory), 0, how, probe)
        for model, name, directory, how in zip(models, names, runs, preprocessing, strict=True)
    ]
    answers = behaviour_if_known(*snapshots)
    if answers is not None:
        print(answers, flush=True)
    ids = tuple(f"{Path(one.run_dir).name}/{one.name}@{one.step}" for one in snapshots)
    serve(arguments, arguments.logdir, (("both models", ids[0], ids[1]),))
    return 0


def _called(model: str) -> str:
    """What a model is called unless it is said: as its file, or as in its collection."""
    if zoo.is_name(model):
        return zoo.short_name(model)
    path = Path(model)
    if not path.exists():
        raise ModelFileError(
            f"{path} does not exist; give a model's file or directory, or a name such as "
            "keras:ResNet50"
        )
    require_known_file(path)
    return path.absolute().stem


def _loaded(model: str, trained: bool = True) -> Path | zoo.ZooModel:
    """A file, or what a name stands for, fetched if it is not there yet."""
    if not zoo.is_name(model):
        return Path(model)
    import_tensorflow("auto")
    return zoo.load(model, trained=trained)


def _different_names(models: list[str], names: list[str]) -> list[str]:
    """Names of the models, with their directories' or collections' where these are equal."""
    if names[0] == names[1]:
        names = [f"{_place(m)}-{name}" for m, name in zip(models, names, strict=True)]
    if names[0] == names[1]:
        names = [names[0], f"{names[1]}-2"]
    return [checked_name(name) for name in names]


def _place(model: str) -> str:
    return model.partition(":")[0] if zoo.is_name(model) else Path(model).resolve().parent.name


def _check_layers(arguments: argparse.Namespace) -> None:
    if arguments.layers is not None:
        compiled_pattern(arguments.layers)


def _log_model(
    arguments: argparse.Namespace,
    model: Path | zoo.ZooModel,
    name: str,
    logdir: str,
    step: int,
    preprocessing: Preprocessing | None,
    probe: Probe,
) -> Snapshot:
    layers = arguments.layers
    if isinstance(model, zoo.ZooModel):
        preprocessing = preprocessing or model.preprocessing
        layers = layers or model.layers
        model = model.model
    if not probe.is_of_images:
        if preprocessing is not None:
            raise ProbeError("--preprocessing is for photos; arrays are shown as they are")
    elif preprocessing is None:
        preprocessing = Preprocessing()
        say(f"{name}: no --preprocessing: the model is shown RGB in [0, 1]")
    else:
        say(f"{name}: of a pixel, {in_words(preprocessing)}")
    if Path(logdir).is_dir() and _find(logdir, name, step):
        say(f"{name}@{step} is in {logdir} already: the new one takes its place")
    import_tensorflow("auto")
    with SummaryWriter(logdir, probe) as writer:
        writer.add_model(
            name,
            model,
            step=step,
            preprocessing=preprocessing,
            layers=layers,
            reduction=arguments.reduction,
            dtype=arguments.dtype,
        )
    (snapshot,) = _find(logdir, name, step)
    units = sum(layer.units for layer in snapshot.layers)
    pictures = "with" if snapshot.frozen else "without"
    print(
        printable(
            f"{name}@{snapshot.step} in {logdir}: {len(snapshot.layers)} layers, {units} "
            f"units, {snapshot.rows} rows, {pictures} pictures"
        ),
        flush=True,
    )
    return snapshot


def _find(logdir: str, name: str, step: int) -> list[Snapshot]:
    """The snapshot of this name and step in a run's directory, if there is one."""
    return [
        snapshot
        for snapshot in list_snapshots(logdir).snapshots
        if (snapshot.run, snapshot.name, snapshot.step) == (".", name, step)
    ]


def _preprocessing(
    text: str | None, mean: list[float] | None, std: list[float] | None
) -> Preprocessing | None:
    if mean is None and std is None:
        return None if text is None else preprocessing_from(text)
    if text is not None:
        raise ProbeError("give either --preprocessing, or --mean and --std")
    return normalisation(mean or [0.0], std or [1.0])

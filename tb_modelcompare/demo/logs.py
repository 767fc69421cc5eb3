"""What the demo writes: two seeds of one architecture, another architecture, and a history."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tb_modelcompare.errors import LogDirectoryError
from tb_modelcompare.errors.checks import number, true_or_false, whole
from tb_modelcompare.log.reader import list_snapshots, local_directory
from tb_modelcompare.log.writer import SummaryWriter
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.tensorflow_setup.quiet_import import import_tensorflow

_MARKER = "tb_modelcompare_demo.json"
_TRAIN_WINDOWS, _TEST_WINDOWS = 600, 60  # per photograph
_PROBE_WINDOWS = 24  # of the test windows per photograph
_POSITIONS = 6


@dataclass(frozen=True)
class Demo:
    """A finished demo.

    Attributes
    ----------
    logdir : Path
    steps : int
        Of training, per network.
    accuracy : dict
        Share of held-out windows classified correctly, by snapshot ("seed0@0").
    seconds : float
        From start to finish.
    """

    logdir: Path
    steps: int
    accuracy: dict[str, float]
    seconds: float


@dataclass(frozen=True)
class _Training:
    run: str
    network: str
    seed: int
    snapshot_steps: tuple[int, ...]


def make_logs(
    logdir: str | Path,
    *,
    steps: int,
    force: bool = False,
    say: Callable[[str], None],
    check: Callable[[], None],
) -> Demo:
    """Train and log the demo's networks, or find that a former call has.

    Parameters
    ----------
    logdir : path
        New or empty, or a former demo's.
    steps : int
        Batches that each network is trained on.
    force : bool
        Train again even if `logdir` holds a complete demo.
    say : callable
        Called with each line of progress.
    check : callable
        Called after every step of training and before a snapshot; what it raises ends the
        training.

    Raises
    ------
    LogDirectoryError
        If `logdir` holds something else.
    OptionError
        If `steps` is no whole number from 1.
    """
    steps = whole("steps", steps, least=1)
    true_or_false("force", force)
    root = local_directory(logdir)
    trainings = _trainings(steps)
    former = _former(root)
    if former is not None and former.steps == steps and not force and _complete(root, trainings):
        say(f"{logdir} holds this demo already; --force trains it again")
        return former
    if former is not None or (root / _MARKER).exists():
        for training in trainings:
            shutil.rmtree(root / training.run, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    (root / _MARKER).write_text("{}\n")  # ours from now on, though not complete

    start = time.monotonic()
    accuracy = _train_all(root, trainings, steps, say, check)
    demo = Demo(root, steps, accuracy, time.monotonic() - start)
    kept = {**asdict(demo), "logdir": str(root)}
    (root / _MARKER).write_text(json.dumps(kept, indent=1) + "\n")
    return demo


def _trainings(steps: int) -> tuple[_Training, ...]:
    history = tuple(sorted({0, max(1, steps // 16), max(1, steps // 4), steps}))
    return (
        _Training("seed0", "inception", 0, history),
        _Training("seed1", "inception", 1, (steps,)),
        _Training("mobile", "mobile", 0, (steps,)),
    )


def _former(root: Path) -> Demo | None:
    """The demo that `root` says it holds; None if it holds none, or one that was cut short."""
    if root.exists() and not root.is_dir():
        raise LogDirectoryError(f"{root} is a file; give --logdir another place")
    marker = root / _MARKER
    if marker.is_file():
        try:
            demo = Demo(**{**json.loads(marker.read_text()), "logdir": root})
            whole("steps", demo.steps, least=1)
            for value in (demo.seconds, *dict(demo.accuracy).values()):
                number("a number of the demo", value)
            return demo
        except (ValueError, TypeError, RecursionError):
            return None
    if root.is_dir() and any(root.iterdir()):
        raise LogDirectoryError(
            f"{root} is not empty and was not made by the demo; give --logdir a new directory"
        )
    return None


def _complete(root: Path, trainings: tuple[_Training, ...]) -> bool:
    there = {(s.run, s.step) for s in list_snapshots(root).snapshots}
    return there >= {(t.run, step) for t in trainings for step in t.snapshot_steps}


def _train_all(
    root: Path,
    trainings: tuple[_Training, ...],
    steps: int,
    say: Callable[[str], None],
    check: Callable[[], None],
) -> dict[str, float]:
    import_tensorflow("auto")
    import keras

    from tb_modelcompare.demo import networks
    from tb_modelcompare.demo.photographs import CLASSES, cut_windows, load_photographs
    from tb_modelcompare.demo.training import accuracy, train

    photographs = load_photographs()
    training_set = cut_windows(photographs, _TRAIN_WINDOWS, test=False)
    test_set = cut_windows(photographs, _TEST_WINDOWS, test=True)
    shown = [i for i in range(len(test_set.names)) if i % _TEST_WINDOWS < _PROBE_WINDOWS]
    probe = Probe(
        test_set.images[shown],
        positions_per_image=_POSITIONS,
        names=[test_set.names[i] for i in shown],
    )
    say(
        f"{len(training_set.names)} training and {len(test_set.names)} test windows, cut from "
        f"different parts of {len(CLASSES)} photographs: which one is it?"
    )
    found: dict[str, float] = {}
    for training in trainings:
        keras.utils.set_random_seed(training.seed)
        model = getattr(networks, training.network)(keras)
        say(f"{training.run}: {training.network}, {model.count_params():,} parameters")
        with SummaryWriter(root / training.run, probe) as writer:

            def log(
                step: int, training: Any = training, model: Any = model, w: Any = writer
            ) -> None:
                check()  # what follows takes seconds, even before the first step
                share = accuracy(model, test_set)
                found[f"{training.run}@{step}"] = share
                say(f"{training.run}: step {step}, {share:.0%} of the test windows right; logged")
                w.add_model(
                    training.run,
                    model,
                    step=step,
                    preprocessing=Preprocessing.tf(),
                    layers=networks.compared_layers(model),
                    progress=False,
                )

            def report(step: int, loss: float, run: str = training.run) -> None:
                check()
                if step % 50 == 0:
                    say(f"{run}: step {step} of {steps}, loss {loss:.2f}")

            train(
                model,
                training_set,
                steps=steps,
                seed=training.seed,
                snapshot_steps=training.snapshot_steps,
                on_snapshot=log,
                on_step=report,
            )
    return found

"""The demo on networks of lucid's modelzoo: what the seed of this project compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tb_modelcompare import zoo
from tb_modelcompare.demo.photographs import CLASSES, load_photographs
from tb_modelcompare.errors import LogDirectoryError
from tb_modelcompare.errors.checks import true_or_false, whole
from tb_modelcompare.log.reader import list_snapshots, local_directory
from tb_modelcompare.log.writer import SummaryWriter
from tb_modelcompare.probe.probe import Probe

MODELS = ("InceptionV1", "InceptionV2_slim", "AlexNet")
WINDOWS = 16
"""Of each photograph. With six positions each there are more rows than units of any map."""

_MARKER = "tb_modelcompare_zoo"
_SIZE = 224
_POSITIONS = 6


def log_zoo(
    logdir: str | Path,
    *,
    force: bool = False,
    windows: int | None = None,
    say: Callable[[str], None],
    check: Callable[[], None],
) -> None:
    """Fetch and log the three networks, each in a run of its own, unless they are there already.

    Parameters
    ----------
    logdir : path
        New or empty, or a former call's.
    force : bool
        Log again what is there.
    windows : int, optional
        Windows that are cut from each photograph; `WINDOWS` if left out.
    say : callable
        Called with each line of progress.
    check : callable
        Called before each network; what it raises ends the logging.

    Raises
    ------
    LogDirectoryError
        If `logdir` holds something else.
    FetchError
        If a network cannot be fetched.
    OptionError
        If `windows` is no whole number from 1.
    """
    true_or_false("force", force)
    windows = whole("windows", WINDOWS if windows is None else windows, least=1)
    root = local_directory(logdir)
    if root.exists() and not root.is_dir():
        raise LogDirectoryError(f"{root} is a file; give --logdir another place")
    if root.is_dir() and any(root.iterdir()) and not (root / _MARKER).exists():
        raise LogDirectoryError(
            f"{root} is not empty and was not made by the demo; give --logdir a new directory"
        )
    probe = photographs_probe(windows)
    there = set()
    if root.is_dir():
        there = {s.name for s in list_snapshots(root).snapshots if s.probe_id == probe.id}
    for name in MODELS:
        check()
        if name in there and not force:
            say(f"{name}: is there already; --force logs it again")
            continue
        say(f"{name}: taken from lucid's modelzoo")
        found = zoo.load(f"zoo:{name}")
        root.mkdir(parents=True, exist_ok=True)
        (root / _MARKER).touch()
        with SummaryWriter(root / name, probe) as writer:
            writer.add_model(
                name, found.model, preprocessing=found.preprocessing, layers=found.layers
            )


def photographs_probe(windows: int) -> Probe:
    """Square windows from the demo's photographs, from half of a photograph to the whole of it."""
    images, names = [], []
    for label, photograph in enumerate(load_photographs()):
        rng = np.random.default_rng((0, label))
        shortest = min(photograph.size)
        for number in range(windows):
            side = int(rng.integers(shortest // 2, shortest + 1))
            left, top = (int(rng.integers(0, edge - side + 1)) for edge in photograph.size)
            window = photograph.resize(
                (_SIZE, _SIZE), Image.Resampling.BILINEAR, (left, top, left + side, top + side)
            )
            images.append(np.asarray(window))
            names.append(f"{CLASSES[label]}-{number}")
    return Probe(np.stack(images), positions_per_image=_POSITIONS, names=names)

"""The probe of a command that logs: photos, arrays such as token ids, or that of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from tb_modelcompare.cli.labels import labels_of
from tb_modelcompare.cli.text import counted, printable, say
from tb_modelcompare.errors import OptionError, ProbeError
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.probe.stored import stored_probes

# What options are where they are left out; each is for some kinds of probes alone.
PHOTO_OPTIONS = {"size": 224, "limit": 1000, "positions": 4, "seed": 0}
_ARRAY_OPTIONS = {"positions": 1, "seed": 0, "pad_id": None}


def probe_of(arguments: argparse.Namespace) -> Probe:
    """The probe that `--probe` and the options beside it ask for."""
    where, of = arguments.probe, ""
    if where.endswith(".npy"):
        chosen = _chosen(arguments, _ARRAY_OPTIONS, f"{where} holds arrays")
        probe = _of_arrays(where, **chosen)
    elif stored_probes(Path(where)):
        _chosen(arguments, {}, f"{where} is a run, whose probe is taken as it is")
        probe, of = Probe.from_run(where), f" of {where}"
    else:
        chosen = _chosen(arguments, PHOTO_OPTIONS, f"{where} is a directory of photos")
        positions = chosen.pop("positions")
        if positions == "all":
            raise OptionError("--positions all is for token ids; give how many for each photo")
        probe = Probe.from_directory(where, positions_per_image=positions, **chosen)
    labels = labels_of(arguments, probe)
    if labels is not None:
        probe = probe.with_labels(*labels)
    say(printable(f"probe {probe.id[:8]}{of}: {_described(probe)}"))
    return probe


def _chosen(arguments: argparse.Namespace, defaults: dict[str, Any], what: str) -> dict[str, Any]:
    """Options of this kind of probe; those of others must not be given."""
    names = {**PHOTO_OPTIONS, **_ARRAY_OPTIONS}
    given = {name: getattr(arguments, name) for name in names}
    extra = [
        f"--{name.replace('_', '-')}"
        for name, value in given.items()
        if value is not None and name not in defaults
    ]
    if extra:
        raise OptionError(f"{what}; leave out {', '.join(extra)}")
    return {n: default if given[n] is None else given[n] for n, default in defaults.items()}


def _of_arrays(file: str, positions: int | str, seed: int, pad_id: int | None) -> Probe:
    try:
        with Path(file).open("rb") as stream:
            arrays = np.load(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ProbeError(
            f"{file} cannot be read as an array ({error!s:.200}); write it with numpy.save"
        ) from error
    if positions == "all":
        return Probe.from_arrays(arrays, "all", pad_id=pad_id)
    each = int(positions)
    return Probe.from_arrays(arrays, positions_per_item=each, seed=seed, pad_id=pad_id)


def _described(probe: Probe) -> str:
    classes = "" if probe.labels is None else ", with labels"
    items = counted(len(probe), "photo" if probe.is_of_images else "array")
    return f"{items}, {counted(probe.rows, 'row')}{classes}"

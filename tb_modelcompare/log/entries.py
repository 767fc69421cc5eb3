"""What may be logged: names, steps, options and arrays, checked before anything is written."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, LogDirectoryError, OptionError
from tb_modelcompare.errors.checks import one_of, true_or_false, whole
from tb_modelcompare.graph import LayerGraph, Node
from tb_modelcompare.log.format import DTYPES
from tb_modelcompare.log.reader import local_directory
from tb_modelcompare.probe.sampling import Sampled, real_array

MAX_STEP = 2**53 - 1  # exact in every language that reads a log


def checked_run_dir(logdir: Any) -> Path:
    """The directory of a run, there or still to be made.

    Raises
    ------
    LogDirectoryError
        If it is no path, a remote address, or a file.
    """
    text = os.fspath(logdir) if isinstance(logdir, (str, os.PathLike)) else None
    if not isinstance(text, str) or not text or "\0" in text:
        raise LogDirectoryError(f"logdir is {logdir!r:.100}; give a directory to log to")
    run_dir = local_directory(text)
    if os.path.exists(run_dir) and not os.path.isdir(run_dir):
        raise LogDirectoryError(f"{run_dir} is a file; give a directory to log to")
    return run_dir


def checked_name(name: Any) -> str:
    """The name of a model as it may stand in a log.

    Raises
    ------
    OptionError
        If it has no character, more than 200, or any that cannot be printed.
    """
    if not isinstance(name, str) or not 0 < len(name.strip()) <= 200 or not name.isprintable():
        raise OptionError(f"name is {name!r:.250}; give 1 to 200 printable characters")
    return name


def checked_step(step: Any) -> int:
    """A step of training as it may stand in a log, or OptionError."""
    return whole("step", step, least=0, most=MAX_STEP)


def check_options(frozen: bool, batch_size: int, progress: bool, dtype: str) -> None:
    """How a model is to be logged, or OptionError."""
    one_of("dtype", dtype, DTYPES)
    true_or_false("frozen", frozen)
    whole("batch_size", batch_size, least=1)
    true_or_false("progress", progress)


def checked_activations(
    activations: Any, graph: LayerGraph | None
) -> tuple[tuple[str, ...], list[Sampled], LayerGraph]:
    """Names of layers, their activations, and their graph, which is a chain if none is given.

    Raises
    ------
    ActivationError
        If there is no layer, or one is no matrix of real numbers.
    """
    if not isinstance(activations, Mapping) or not activations:
        raise ActivationError(
            f"activations is {activations!r:.100}; give a mapping from at least one layer's "
            f"name to its array"
        )
    if graph is not None and not isinstance(graph, LayerGraph):
        raise ActivationError(f"graph is {graph!r:.100}; give a LayerGraph, or leave it out")
    sampled = [_as_sampled(layer, array) for layer, array in activations.items()]
    layers = tuple(activations)
    return layers, sampled, graph or _chain(layers, [one.values.shape[1] for one in sampled])


def _as_sampled(layer: str, array: npt.ArrayLike) -> Sampled:
    """A layer's activations (rows, units), given as an array, or ActivationError."""
    if not isinstance(layer, str) or not 0 < len(layer) <= 1024 or not layer.isprintable():
        raise ActivationError(
            f"layer name {layer!r:.100} is not a string of 1 to 1024 printable characters"
        )
    values = real_array(f"layer {layer!r}", array)
    if values.ndim != 2 or values.shape[1] == 0:
        raise ActivationError(
            f"layer {layer!r} has shape {values.shape}; give (rows, units), sampled at the "
            f"probe's positions"
        )
    with np.errstate(over="ignore"):  # beyond float32 becomes infinity, which is found later
        return Sampled(np.asarray(values, dtype=np.float32), None)


def _chain(layers: Sequence[str], units: Sequence[int]) -> LayerGraph:
    """The graph of layers of which nothing but their order is known."""
    return LayerGraph(
        tuple(
            Node(layer, "Activations", tuple(layers[max(i - 1, 0) : i]), (n,), n, True, layer)
            for i, (layer, n) in enumerate(zip(layers, units, strict=True))
        )
    )

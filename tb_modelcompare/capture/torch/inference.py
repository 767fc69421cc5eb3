"""Runs a module without a trace: modes, gradients and random generators are put back."""

from __future__ import annotations

import contextlib
import functools
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tb_modelcompare.capture.contract import Feed
from tb_modelcompare.errors import ModelFileError

_SEED = 0


@contextlib.contextmanager
def inference(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every training flag is put back afterwards.

    Random numbers start from a fixed seed, so that the same weights give the same values, and the
    generators go on afterwards as if nothing had been drawn. What torch.compile has compiled is
    run as it is written, as compiled code passes hooks by.
    """
    flags = [(child, child.training) for child in module.modules()]
    try:
        _evaluate(module)
        with (
            torch.no_grad(),
            torch.compiler.set_stance("force_eager"),
            _fixed_random_numbers(module),
        ):
            yield
    finally:
        for child, training in flags:
            child.training = training


def as_batch(items: npt.NDArray[Any], feed: Feed, module: torch.nn.Module) -> torch.Tensor:
    """Items as the module takes them: on its device, in its precision, images channels first."""
    ordered = np.moveaxis(items, -1, 1) if feed.is_image else items
    batch = torch.from_numpy(np.array(ordered, order="C")).to(_device(module))
    dtypes = (p.dtype for p in module.parameters() if p.is_floating_point() and p.itemsize > 1)
    return batch.to(next(dtypes, batch.dtype)) if batch.is_floating_point() else batch


def _evaluate(module: torch.nn.Module) -> None:
    try:
        module.eval()
    except NotImplementedError as error:  # an exported program
        raise ModelFileError(
            f"{type(module).__name__} has no evaluation mode ({error}); give the module that it "
            f"was exported from"
        ) from error


def _device(module: torch.nn.Module) -> torch.device:
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")


@contextlib.contextmanager
def _fixed_random_numbers(module: torch.nn.Module) -> Iterator[None]:
    devices = {tensor.device for tensor in (*module.parameters(), *module.buffers())}
    with contextlib.ExitStack() as stack:
        for device in devices:
            if device.type not in ("cpu", "meta"):
                stack.enter_context(_fixed_device_random_numbers(device))
        state = torch.get_rng_state()
        stack.callback(torch.set_rng_state, state)
        # Not torch.manual_seed, which would seed all accelerators as well.
        torch.default_generator.manual_seed(_SEED)
        stack.callback(np.random.set_state, np.random.get_state())
        np.random.seed(_SEED)
        stack.callback(random.setstate, random.getstate())
        random.seed(_SEED)
        yield


@contextlib.contextmanager
def _fixed_device_random_numbers(device: torch.device) -> Iterator[None]:
    backend = torch.get_device_module(device)
    generators = getattr(backend, "default_generators", None)
    if generators is None:  # a backend of one device
        state = backend.get_rng_state()
        backend.manual_seed(_SEED)
        restore = functools.partial(backend.set_rng_state, state)
    else:
        generator = generators[device.index or 0]
        restore = functools.partial(generator.set_state, generator.get_state())
        generator.manual_seed(_SEED)
    try:
        yield
    finally:
        restore()

"""What a module's own forward pass gives, layer by layer: for the self-check."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tb_modelcompare.capture.checking import Reference
from tb_modelcompare.capture.contract import Feed
from tb_modelcompare.capture.torch.axes import Arrangement
from tb_modelcompare.capture.torch.declared import own_units
from tb_modelcompare.capture.torch.inference import as_batch, inference
from tb_modelcompare.capture.torch.running import Run, copied, watching


@dataclass(frozen=True)
class Origin:
    """Where a layer's value comes from: which call, and which of its outputs.

    The call is that of the module at `path`, or of a function if there is none.
    """

    call: str
    output: int
    path: str | None
    turn: int


def torch_references(
    module: torch.nn.Module,
    run: Run,
    origins: Mapping[str, Origin],
    layout: Mapping[str, Arrangement],
    feed: Feed,
    items: npt.NDArray[Any],
) -> dict[str, Reference]:
    """Call the module itself, with plain hooks, and take down what the layers give.

    Parameters
    ----------
    module : torch.nn.Module
    run : Run
    origins : mapping of layer to Origin
        Of the layers that are asked for.
    layout : mapping of layer to Arrangement
        How an output is read whose module does not say which axis holds its units.
    feed : Feed
    items : array
    """
    given: dict[tuple[str, int], list[torch.Tensor]] = {}
    turns: dict[str, int] = defaultdict(int)

    def hook(path: str, child: torch.nn.Module, inputs: Any, output: Any) -> None:
        given[path, turns[path]] = copied(output)
        turns[path] += 1

    children = dict(module.named_modules())
    paths = {origin.path for origin in origins.values() if origin.path is not None}
    functions = {origin.call for origin in origins.values() if origin.path is None}
    with inference(module):
        batch = as_batch(items, feed, module)
        with watching({path: children[path] for path in paths if path in children}, hook):
            module(batch)
    with inference(module):
        called = run.functions(as_batch(items, feed, module), functions)
    found = {}
    for layer, origin in origins.items():
        if origin.path is None:
            outputs: Sequence[torch.Tensor] = called.get(origin.call, ())
        else:
            outputs = given.get((origin.path, origin.turn), ())
        if origin.output < len(outputs):
            child = None if origin.path is None or origin.output else children[origin.path]
            value = outputs[origin.output]
            found[layer] = _reference(value, child, layout[layer], len(items))
    return found


def _reference(
    value: torch.Tensor, module: torch.nn.Module | None, arrangement: Arrangement, items: int
) -> Reference:
    units = None if module is None else own_units(module)
    is_half = value.itemsize < 4
    array = value.detach().to(torch.float32).cpu()
    if units is not None and units[1] == 1 and tuple(value.shape[:2]) == (items, units[0]):
        values = np.moveaxis(array.numpy(), 1, -1)  # (n, c, …), whatever the capture takes it for
    elif arrangement.fits(value, items):
        values = arrangement.apply(array).numpy()
    else:
        values = array.numpy()
    return Reference([values], None if units is None else units[0], is_half)

"""PyTorch modules: layer graph and activations. The user's module is left as it is.

The graph is what torch.fx traces. Where a module's control flow cannot be traced, hooks on its
leaf modules see the same activations; edges are then known only between modules that hand
tensors to each other directly, and follow the order of execution otherwise.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tb_modelcompare.capture.contract import Feed, FrozenGraph, Model, Sampler
from tb_modelcompare.capture.torch.axes import Arrangement, Axes, arranged
from tb_modelcompare.capture.torch.following import Follower
from tb_modelcompare.capture.torch.inference import as_batch, inference
from tb_modelcompare.capture.torch.reference import Origin, torch_references
from tb_modelcompare.capture.torch.running import Call, Run, run_of
from tb_modelcompare.errors import ModelCompareError, ModelFileError
from tb_modelcompare.errors.checks import first_named
from tb_modelcompare.graph import LayerGraph, Node, kind_of
from tb_modelcompare.probe.sampling import (
    Floats,
    Mask,
    Peaks,
    Reading,
    Sampled,
    token_grid,
    unusable,
)

# What a module is described by; an output of another length is no row per image.
_BATCH = 3
_NAMED = 8  # of the layers that are not logged, in one warning


@dataclass(frozen=True)
class _Seen:
    """A call of the description, without its tensors."""

    node: Node
    axes: Axes | None
    shape: tuple[int, ...]
    is_floating: bool
    is_passive: bool
    origin: Origin


def open_model(module: torch.nn.Module, feed: Feed) -> Model:
    """A module that takes a batch of images (n, c, h, w), or of other arrays, opened for capture.

    Which axis of an output holds units is followed from the input on through every function that
    the module calls. Layers whose axes cannot be known, or that have none of the probe's items,
    are no candidates, and one warning names them.

    Parameters
    ----------
    module : torch.nn.Module
    feed : Feed
        An item of the probe: modules do not say what they take.

    Raises
    ------
    ModelFileError
        If the module cannot be run on such items.
    """
    module = _unwrapped(module)
    shape = feed.shape
    if feed.is_image:
        shape = (*shape[:2], _channels(module) or shape[2])
        if shape[2] not in (1, 3):
            raise ModelFileError(f"the module takes {shape[2]} channels and a probe has 1 or 3")
    with inference(module):
        items = as_batch(np.zeros((_BATCH, *shape), feed.dtype), feed, module)
        with _foreign_errors(module, items):
            run = run_of(module)
            seen = _described(run, items, feed)
    nodes = [Node("input", "InputLayer", (), shape, shape[-1], kind="input")]
    is_sequence = not feed.is_image and len(shape) <= 2
    layout: dict[str, Arrangement] = {}
    passive: set[str] = set()
    lost = dict.fromkeys(run.unseen, "TorchScript cannot be watched")
    for call in seen:
        name = call.node.name
        how = None if call.axes is None else arranged(call.axes, call.shape, is_sequence)
        if isinstance(how, Arrangement):
            nodes.append(_with_shape(call.node, how.shape))
            if call.is_floating:
                layout[name] = how
        else:
            nodes.append(call.node)
            if call.is_floating and not call.is_passive and (how or call.origin.path is not None):
                lost[name] = how or "nothing shows that it depends on the probe's items"
        if call.is_passive:
            passive.add(name)
    _warn_of(lost)
    origins = {call.node.name: call.origin for call in seen}
    return Model(
        graph=LayerGraph(tuple(nodes)),
        candidates=tuple(layout),
        passive=frozenset(passive.intersection(layout)),
        input_shape=shape,
        sampler=lambda layers, feed, reading: _sampler(module, run, layers, layout, feed, reading),
        reference=lambda layers, items: torch_references(
            module, run, {layer: origins[layer] for layer in layers}, layout, feed, items
        ),
        freeze=lambda layers, images: _freeze(module, run, layers, layout, images),
    )


def _described(run: Run, items: torch.Tensor, feed: Feed) -> list[_Seen]:
    """Every call of one run, with what is known of its axes at the end."""
    follower = Follower(items, feed.is_image)
    seen: list[_Seen] = []

    def visit(call: Call) -> None:
        axes = follower.follow_call(call.module, call.given, call.value)
        kind = kind_of(call.op)
        step = call.module is None and (kind == "other" or _is_single_join(kind, call))
        seen.append(
            _Seen(
                Node(call.name, call.op, call.inputs, label=call.name),
                axes,
                tuple(call.value.shape),
                call.value.is_floating_point(),
                kind == "reshape" or step,
                _origin(call),
            )
        )

    with follower:
        run.watch(items, visit)
    return [replace(call, axes=call.axes and follower.with_learned(call.axes)) for call in seen]


def _origin(call: Call) -> Origin:
    base = call.name.removesuffix(f":{call.output}") if call.output else call.name
    return Origin(base, call.output, None if call.module is None else call.path, call.turn)


def _with_shape(node: Node, shape: tuple[int, ...]) -> Node:
    return replace(node, shape=shape, units=shape[-1] if shape else None)


def _warn_of(lost: Mapping[str, str]) -> None:
    """One line for all that is left out, by reason."""
    reasons: dict[str, list[str]] = {}
    for name, reason in lost.items():
        reasons.setdefault(reason, []).append(name)
    parts = []
    for reason, names in reasons.items():
        parts.append(f"{first_named(names, _NAMED)} because {reason}")
    if parts:
        warnings.warn(f"not logged: {'; '.join(parts)}", stacklevel=5)


def _sampler(
    module: torch.nn.Module,
    run: Run,
    layers: Sequence[str],
    layout: Mapping[str, Arrangement],
    feed: Feed,
    reading: Reading,
) -> Sampler:
    wanted = frozenset(layers)

    def sampler(
        items: npt.NDArray[Any], positions: npt.NDArray[np.float64], mask: Mask | None
    ) -> list[Sampled]:
        found: dict[str, Sampled] = {}

        def visit(call: Call) -> None:
            if call.name in wanted:
                found[call.name] = _sample(call, layout[call.name], positions, reading, mask)

        with inference(module):
            batch = as_batch(items, feed, module)
            with _foreign_errors(module, batch):
                run.watch(batch, visit)
        missing = [layer for layer in layers if layer not in found]
        if missing:
            raise ModelFileError(
                f"{type(module).__name__} does not compute {', '.join(missing[:_NAMED])} for every "
                f"batch, as it branches on values; leave it out with layers="
            )
        return [found[layer] for layer in layers]

    return sampler


def _sample(
    call: Call,
    arrangement: Arrangement,
    positions: npt.NDArray[np.float64],
    reading: Reading,
    mask: Mask | None,
) -> Sampled:
    grid = token_grid(arrangement.shape, reading)
    if grid is None or not arrangement.fits(call.value, len(positions)):
        raise unusable(call.name, tuple(call.value.shape))
    value = arrangement.apply(call.value)
    tokens = value.reshape(len(value), grid.tokens, -1)
    real = grid.real_tokens(mask)
    counted = None if real is None else torch.from_numpy(real[..., None]).to(tokens.device)
    if grid.mean:
        tokens = tokens.to(torch.float32)
        if counted is not None:
            tokens = tokens.where(counted, 0).sum(1, keepdim=True) / counted.sum(1, keepdim=True)
        else:
            tokens = tokens.mean(1, keepdim=True)
    index = torch.from_numpy(grid.index(positions, real)).to(tokens.device)
    rows = torch.take_along_dim(tokens, index[..., None], dim=1)
    flat = rows.reshape(index.numel(), -1).to(torch.float32)
    if grid.spatial is None:
        return Sampled(flat.cpu().numpy(), None)
    map_ = tokens[:, grid.skip :]
    if counted is not None:
        map_ = map_.where(counted, -torch.inf)
    peaks, cells = map_.max(dim=1)  # of equal ones the first
    found = Peaks(peaks.to(torch.float32).cpu().numpy(), cells.to(torch.int32).cpu().numpy())
    return Sampled(flat.cpu().numpy(), grid.spatial, found)


def _freeze(
    module: torch.nn.Module,
    run: Run,
    layers: Sequence[str],
    layout: Mapping[str, Arrangement],
    images: Floats,
) -> FrozenGraph:
    from tb_modelcompare.capture.torch.translation import freeze_module

    wanted = frozenset(layers)

    def compute(batch: torch.Tensor) -> list[torch.Tensor]:
        found: dict[str, torch.Tensor] = {}

        def visit(call: Call) -> None:
            if call.name in wanted:
                # A copy: an operation in place may follow.
                found[call.name] = layout[call.name].apply(call.value).clone()

        run.watch(batch, visit)
        return [found[layer] for layer in layers]

    with inference(module):
        return freeze_module(run.module, compute, layers, images)


@contextlib.contextmanager
def _foreign_errors(module: torch.nn.Module, items: torch.Tensor) -> Iterator[None]:
    """What the user's own code raises on a probe's items is an error of ours, with advice."""
    try:
        yield
    except ModelCompareError:
        raise
    except torch.OutOfMemoryError as error:
        raise ModelFileError(
            f"{type(module).__name__} needs more memory than there is for {len(items)} items at a "
            f"time ({error}); give a smaller batch_size"
        ) from error
    except Exception as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        raise ModelFileError(
            f"{type(module).__name__} cannot be run on {tuple(items.shape)}: "
            f"{type(error).__name__}: {reason}; make the probe of the size that it takes, wrap it "
            f"in a module of one such input, or use add_activations"
        ) from error


def _unwrapped(module: torch.nn.Module) -> torch.nn.Module:
    """The module inside of torch.compile's wrapper, and of those for several devices."""
    parallel = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    while True:
        if isinstance(module, parallel):
            module = module.module
        elif hasattr(module, "_orig_mod"):
            module = module._orig_mod
        elif isinstance(module, torch.jit.ScriptModule):
            raise ModelFileError(
                "TorchScript modules cannot be watched; give the module that it was made from, or "
                "use add_activations"
            )
        else:
            return module


def _channels(module: torch.nn.Module) -> int | None:
    """Of the images: what the first convolution takes, of those that could be of images."""
    found = [int(c.in_channels) for c in module.modules() if isinstance(c, torch.nn.Conv2d)]
    return next((count for count in found if count in (1, 3)), found[0] if found else None)


def _is_single_join(kind: str, call: Call) -> bool:
    return kind in ("add", "concat") and len(call.inputs) < 2

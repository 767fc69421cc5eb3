"""PyTorch modules: layer graph and activations. The user's module is left as it is.

The graph is what torch.fx traces. Where a module's control flow cannot be traced, hooks on its
leaf modules see the same activations; edges are then known only between modules that hand
tensors to each other directly, and follow the order of execution otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.fx

from tb_modelcompare.capture import Feed, FrozenGraph, Model, Sampler
from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.graph import LayerGraph, Node, kind_of
from tb_modelcompare.graph.naming import unique_name
from tb_modelcompare.sampling import Floats, Reading, Sampled, placement, unusable

# An output of another length than this is no row per image.
_BATCH = 3
_CHANNELS_LAST = frozenset({"Linear", "LayerNorm", "linear", "layer_norm"})
# What a user's forward can raise when it is called with tracing stand-ins.
_UNTRACEABLE = (
    torch.fx.proxy.TraceError,
    TypeError,
    ValueError,
    RuntimeError,
    AttributeError,
    LookupError,
    AssertionError,
    NotImplementedError,
)


@dataclass(frozen=True)
class _Call:
    """A call while the module runs. `inputs` are the names of earlier calls."""

    name: str
    op: str
    inputs: tuple[str, ...]
    value: torch.Tensor
    is_module: bool
    permutation: tuple[int, ...] | None = None


_Visit = Callable[[_Call], None]


@dataclass(frozen=True)
class _Run:
    """How a module is run with an eye on each call; `module` is what is run."""

    module: torch.nn.Module
    watch: Callable[[torch.Tensor, _Visit], None]


def open_model(module: torch.nn.Module, feed: Feed) -> Model:
    """A module that takes a batch of images (n, c, h, w), or of other arrays, opened for capture.

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
    module = getattr(module, "_orig_mod", module)  # torch.compile's wrapper
    shape = feed.shape
    if feed.is_image:
        shape = (*shape[:2], _channels(module) or shape[2])
        if shape[2] not in (1, 3):
            raise ModelFileError(f"the module takes {shape[2]} channels and a probe has 1 or 3")
    nodes = [Node("input", "InputLayer", (), shape, shape[-1], kind="input")]
    candidates: list[str] = []
    passive: set[str] = set()
    layout: dict[str, bool] = {}

    def describe(call: _Call) -> None:
        last = layout[call.name] = _is_channels_last(call, layout)
        value = _units_last(call.value, last)
        shape = tuple(value.shape)[1:] if len(value) == _BATCH else None
        units = shape[-1] if shape else None
        nodes.append(Node(call.name, call.op, call.inputs, shape, units, label=call.name))
        if shape is not None and len(shape) <= 3 and value.is_floating_point():
            candidates.append(call.name)
        kind = kind_of(call.op)
        step = not call.is_module and (kind == "other" or _is_single_join(kind, call))
        if kind == "reshape" or step:
            passive.add(call.name)

    with _inference(module):
        items = _batch(np.zeros((_BATCH, *shape), feed.dtype), feed, module)
        try:
            run = _traced(module)
        except ModelFileError:
            raise
        except _UNTRACEABLE:
            run = _hooked(module)
        try:
            run.watch(items, describe)
        except (RuntimeError, TypeError, ValueError, NotImplementedError) as error:
            raise ModelFileError(
                f"{type(module).__name__} cannot be run on {tuple(items.shape)}: {error}; make the "
                f"probe of the size that it takes, or use add_activations"
            ) from error
    return Model(
        graph=LayerGraph(tuple(nodes)),
        candidates=tuple(candidates),
        passive=frozenset(passive.intersection(candidates)),
        input_shape=shape,
        sampler=lambda layers, feed, reading: _sampler(module, run, layers, layout, feed, reading),
        freeze=lambda layers, images: _freeze(module, run, layers, layout, images),
    )


def _sampler(
    module: torch.nn.Module,
    run: _Run,
    layers: Sequence[str],
    layout: dict[str, bool],
    feed: Feed,
    reading: Reading,
) -> Sampler:
    wanted = frozenset(layers)

    def sampler(items: npt.NDArray[Any], positions: npt.NDArray[np.float64]) -> list[Sampled]:
        found: dict[str, Sampled] = {}

        def visit(call: _Call) -> None:
            if call.name in wanted:
                found[call.name] = _sample(call, layout[call.name], positions, reading)

        with _inference(module):
            run.watch(_batch(items, feed, module), visit)
        return [found[layer] for layer in layers]

    return sampler


def _batch(items: npt.NDArray[Any], feed: Feed, module: torch.nn.Module) -> torch.Tensor:
    """Items as the module takes them: images channels first, other arrays as they are."""
    ordered = np.moveaxis(items, -1, 1) if feed.is_image else items
    return torch.from_numpy(np.array(ordered, order="C")).to(_device(module))


def _sample(
    call: _Call, channels_last: bool, positions: npt.NDArray[np.float64], reading: Reading
) -> Sampled:
    value = _units_last(call.value, channels_last)
    place = placement(tuple(value.shape)[1:], reading)
    if place is None:
        raise unusable(call.name, tuple(value.shape))
    tokens = value.reshape(len(value), place.tokens, -1)
    if place.mean:
        tokens = tokens.to(torch.float32).mean(1, keepdim=True)
    index = torch.from_numpy(place.index(positions)).to(tokens.device)
    rows = torch.take_along_dim(tokens, index[..., None], dim=1)
    flat = rows.reshape(index.numel(), -1).to(torch.float32)
    return Sampled(flat.cpu().numpy(), place.spatial)


def _freeze(
    module: torch.nn.Module,
    run: _Run,
    layers: Sequence[str],
    layout: dict[str, bool],
    images: Floats,
) -> FrozenGraph:
    from tb_modelcompare.torch.translation import freeze_module

    wanted = frozenset(layers)

    def compute(batch: torch.Tensor) -> list[torch.Tensor]:
        found: dict[str, torch.Tensor] = {}

        def visit(call: _Call) -> None:
            if call.name in wanted:
                # A copy: an operation in place may follow.
                found[call.name] = _units_last(call.value, layout[call.name]).clone()

        run.watch(batch, visit)
        return [found[layer] for layer in layers]

    with _inference(module):
        return freeze_module(run.module, compute, layers, images)


def _traced(module: torch.nn.Module) -> _Run:
    traced = torch.fx.symbolic_trace(module)
    modules = dict(traced.named_modules())
    names: dict[torch.fx.Node, str] = {}
    taken = {"input"}
    image = [node for node in traced.graph.nodes if node.op == "placeholder"]
    if len([node for node in image if not node.args]) != 1:
        raise ModelFileError(
            f"{type(module).__name__} takes {len(image)} inputs and a probe is one image; wrap "
            f"it in a module of one image, or use add_activations"
        )

    class Interpreter(torch.fx.Interpreter):  # type: ignore[misc]
        visit: _Visit
        seen: set[str]

        def run_node(self, n: torch.fx.Node) -> Any:
            result = super().run_node(n)
            values = _tensors(result)
            if values and n in names:
                called = modules.get(str(n.target)) if n.op == "call_module" else None
                inputs = dict.fromkeys(s for i in n.all_input_nodes for s in self.sources(i))
                self.seen.add(names[n])
                call = _Call(
                    names[n],
                    _op(n, called),
                    tuple(inputs),
                    values[0],
                    called is not None,
                    _permutation(n, called),
                )
                _visit_all(self.visit, call, values)
            return result

        def sources(self, n: torch.fx.Node) -> list[str]:
            """The calls whose values reach `n`, which may be no call itself (an index, a size)."""
            if n in names:
                return [names[n]] if names[n] in self.seen else []
            if n.op == "placeholder":
                return ["input"]
            if n.op == "call_function" and n.target is not getattr:
                return [s for i in n.all_input_nodes for s in self.sources(i)]
            return []

    for node in traced.graph.nodes:
        if node.op in ("call_module", "call_function", "call_method") and not _is_access(node):
            names[node] = unique_name(_fx_name(node), taken)

    def run(images: torch.Tensor, visit: _Visit) -> None:
        interpreter = Interpreter(traced)
        interpreter.visit, interpreter.seen = visit, set()
        interpreter.run(images)

    return _Run(traced, run)


def _hooked(module: torch.nn.Module) -> _Run:
    leaves = {
        name or type(module).__name__: child
        for name, child in module.named_modules()
        if not list(child.children())
    }

    def run(images: torch.Tensor, visit: _Visit) -> None:
        taken = {"input"}
        # Tensors are kept until the end, so that no two have the same id.
        made: list[tuple[torch.Tensor, str]] = [(images, "input")]
        last = "input"

        def hook(name: str, child: torch.nn.Module, inputs: Any, output: Any) -> None:
            nonlocal last
            values = _tensors(output)
            if not values:
                return
            given = {id(x) for x in inputs if isinstance(x, torch.Tensor)}
            sources = tuple(dict.fromkeys(n for tensor, n in made if id(tensor) in given))
            call = unique_name(name, taken)
            op = type(child).__name__
            _visit_all(visit, _Call(call, op, sources or (last,), values[0], True), values)
            made.extend((value, call) for value in values)
            last = call

        with contextlib.ExitStack() as stack:
            for name, child in leaves.items():
                handle = child.register_forward_hook(lambda c, i, o, name=name: hook(name, c, i, o))
                stack.callback(handle.remove)
            module(images)

    return _Run(module, run)


@contextlib.contextmanager
def _inference(module: torch.nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every training flag is put back afterwards."""
    flags = [(child, child.training) for child in module.modules()]
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for child, training in flags:
            child.training = training


def _channels(module: torch.nn.Module) -> int | None:
    """Of the images: what the first convolution takes, of those that could be of images."""
    found = [int(c.in_channels) for c in module.modules() if isinstance(c, torch.nn.Conv2d)]
    return next((count for count in found if count in (1, 3)), found[0] if found else None)


def _device(module: torch.nn.Module) -> torch.device:
    for tensor in (*module.parameters(), *module.buffers()):
        return tensor.device
    return torch.device("cpu")


def _tensors(value: Any) -> list[torch.Tensor]:
    """All tensors of an output, in order."""
    if isinstance(value, torch.Tensor):
        return [value] if value.ndim else []
    if isinstance(value, Mapping):
        value = list(value.values())
    return [t for v in value for t in _tensors(v)] if isinstance(value, (tuple, list)) else []


def _visit_all(visit: _Visit, call: _Call, values: Sequence[torch.Tensor]) -> None:
    """The call by its first output, and the others as calls that follow from it."""
    visit(call)
    for i, value in enumerate(values[1:], start=1):
        visit(replace(call, name=f"{call.name}:{i}", inputs=(call.name,), value=value))


def _is_access(node: torch.fx.Node) -> bool:
    name = getattr(node.target, "__name__", str(node.target))
    return node.op != "call_module" and name in ("getitem", "getattr", "size", "dim")


def _fx_name(node: torch.fx.Node) -> str:
    if node.op == "call_module":
        return str(node.target)
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    scope = stack[-1][0] if stack else ""
    return f"{scope}.{node.name}" if scope else node.name


def _op(node: torch.fx.Node, called: torch.nn.Module | None) -> str:
    if called is not None:
        return type(called).__name__
    return str(getattr(node.target, "__name__", node.target))


def _permutation(node: torch.fx.Node, called: torch.nn.Module | None) -> tuple[int, ...] | None:
    if "permute" not in _op(node, called).lower():
        return None
    dims = getattr(called, "dims", None) or node.kwargs.get("dims") or node.args[1:]
    flat = [d for dim in dims for d in (dim if isinstance(dim, (tuple, list)) else [dim])]
    return tuple(int(d) for d in flat) if all(isinstance(d, int) for d in flat) else None


def _is_channels_last(call: _Call, layout: dict[str, bool]) -> bool:
    """Whether the units of a map are its last axis: tracked from op to op."""
    if call.value.ndim != 4 or call.op in _CHANNELS_LAST:
        return True
    if call.permutation is not None and len(call.permutation) == 4:
        return call.permutation[3] == 1
    if kind_of(call.op) in ("conv", "pool", "norm"):
        return False
    return bool(call.inputs) and layout.get(call.inputs[0], False)


def _is_single_join(kind: str, call: _Call) -> bool:
    return kind in ("add", "concat") and len(call.inputs) < 2


def _units_last(value: torch.Tensor, channels_last: bool) -> torch.Tensor:
    return value if channels_last or value.ndim != 4 else value.movedim(1, -1)

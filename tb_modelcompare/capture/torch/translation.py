"""A module as a frozen TensorFlow graph, so that one renderer serves both.

`torch.export` writes the module down as ATen operators, which are translated one by one. What
does not depend on the image is computed by torch and becomes a constant. The translation has
to prove itself: it is compared with the module on images of the probe, layer by layer.
"""

from __future__ import annotations

import contextlib
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from tb_modelcompare.capture.checking import HALF_TOLERANCE, TOLERANCE
from tb_modelcompare.capture.contract import FrozenGraph
from tb_modelcompare.capture.torch import arithmetic, networks, shapes
from tb_modelcompare.capture.torch.layout import NHWC, Value, value
from tb_modelcompare.capture.torch.operators import TRANSLATIONS, Expected, Untranslatable, as_value
from tb_modelcompare.capture.tracing import freeze_function, without_gpus
from tb_modelcompare.errors import NotRenderableError
from tb_modelcompare.probe.sampling import Floats

__all__ = ["arithmetic", "freeze_module", "networks", "shapes"]  # they enter what they translate

# Images (n, c, h, w) → the logged layers, units last.
Compute = Callable[[torch.Tensor], list[torch.Tensor]]


class _Watched(torch.nn.Module):  # type: ignore[misc]
    """A module whose outputs are the layers that are logged."""

    def __init__(self, module: torch.nn.Module, compute: Compute) -> None:
        super().__init__()
        self.module = module
        self._compute = compute

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        return self._compute(images)


def freeze_module(
    module: torch.nn.Module,
    compute: Compute,
    layers: Sequence[str],
    images: Floats,
) -> FrozenGraph:
    """Translate a module in evaluation mode and freeze it.

    Parameters
    ----------
    module : torch.nn.Module
        Holds the parameters that `compute` uses.
    compute : callable
        The layers' values, in the order of `layers`.
    images : array (n, h, w, c)
        Prepared as the module wants them: what both are compared on. Fixes height and width.

    Raises
    ------
    NotRenderableError
        An operator cannot be translated, or a layer differs; the operator or layer is named.
    """
    batch = torch.from_numpy(np.ascontiguousarray(np.moveaxis(images, -1, 1)))
    batch = batch.to(next((p.device for p in module.parameters()), batch.device))
    program = _exported(_Watched(module, compute), batch)
    _, height, width, channels = images.shape

    def function(pixels: Any) -> Mapping[str, Any]:
        return dict(zip(layers, _translated(program, pixels), strict=True))

    try:
        with without_gpus():
            found = function(images)
            frozen = freeze_function(function, (height, width, channels))
    except NotRenderableError:
        raise
    except (ValueError, TypeError) as error:
        raise NotRenderableError(f"TensorFlow refuses its translation: {error}") from error
    _require_equal(dict(zip(layers, compute(batch), strict=True)), found)
    return frozen


def _exported(watched: _Watched, images: torch.Tensor) -> Any:
    try:
        with _plain_attention(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of torch about torch
            program = torch.export.export(
                watched, (images,), dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), strict=False
            )
            return program.run_decompositions({})  # functional, but no operator taken apart
    except (
        RuntimeError, TypeError, ValueError, AttributeError, LookupError, AssertionError,
        NotImplementedError,
    ) as error:  # fmt: skip
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if "Constraints violated" in reason:
            reason = (
                "its code fixes the number of images, as len(x) does where x.shape[0] would not"
            )
        raise NotRenderableError(f"torch.export cannot export it: {reason}") from error


@contextlib.contextmanager
def _plain_attention() -> Iterator[None]:
    """Without the fused kernels of inference, which are operators of their own."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def _translated(program: Any, images: Any) -> list[Any]:
    """The program's outputs on `images` (n, h, w, c), as TensorFlow tensors."""
    import tensorflow as tf

    count = tf.shape(images)[0]
    constants = _constants(program)
    values: dict[torch.fx.Node, Any] = {}
    outputs: list[Any] = []
    for node in program.graph.nodes:
        if node.op == "placeholder":
            values[node] = constants.get(node.name)
            if node.name in program.graph_signature.user_inputs:
                values[node] = value(images, _sizes(node.meta["val"]), NHWC)
        elif node.op == "output":
            outputs = [as_value(values[layer]) for layer in node.args[0]]
        elif node.users:
            values[node] = _translate(node, values, count)
    return [layer.stored(range(len(layer.sizes))) for layer in outputs]


def _constants(program: Any) -> dict[str, torch.Tensor]:
    signature = program.graph_signature
    targets = {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }
    tensors = {**program.constants, **program.state_dict}
    return {name: tensors[target].detach() for name, target in targets.items()}


class _Open:
    """A size that depends on the number of images: what torch predicts says it all."""


def _translate(node: torch.fx.Node, values: Mapping[torch.fx.Node, Any], count: Any) -> Any:
    args, kwargs = torch.fx.node.map_arg((node.args, dict(node.kwargs)), lambda n: values[n])
    if node.target is operator.getitem:
        return args[0][args[1]]
    predicted = node.meta.get("val")
    if isinstance(predicted, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return _Open()
    try:
        sizes = _sizes(predicted)
        if not any(isinstance(values[n], Value) for n in node.all_input_nodes) and _fixed(sizes):
            return node.target(*args, **kwargs)
        schema = node.target._schema
        translation = TRANSLATIONS.get(schema.name.removeprefix("aten::"))
        if translation is None:
            raise Untranslatable("there is no translation of it")
        named = dict(zip((argument.name for argument in schema.arguments), args, strict=False))
        dtype = getattr(predicted, "dtype", None)
        return translation(Expected(sizes, dtype, count, node.target), **named, **kwargs)
    except (Untranslatable, AttributeError, TypeError, ValueError) as error:
        raise NotRenderableError(
            f"the operator {node.target} {_place(node)}cannot be translated to TensorFlow: {error}"
        ) from error


def _place(node: torch.fx.Node) -> str:
    modules = [path for path, _ in (node.meta.get("nn_module_stack") or {}).values()]
    path = modules[-1].removeprefix("module").strip(".") if modules else ""
    return f"in {path!r} " if path else ""


def _fixed(sizes: Any) -> bool:
    if isinstance(sizes, list):
        return all(map(_fixed, sizes))
    return sizes is None or all(size >= 0 for size in sizes)


def _sizes(predicted: Any) -> Any:
    """Of a tensor, or a list of them; -k is k times the number of images."""
    if isinstance(predicted, (tuple, list)):
        return [_sizes(one) for one in predicted]
    if not isinstance(predicted, torch.Tensor):
        return None
    return tuple(size if isinstance(size, int) else _open_size(size) for size in predicted.shape)


def _open_size(size: torch.SymInt) -> int:
    factor, rest = size.node.expr.as_coeff_Mul()
    if not rest.is_Symbol:
        raise Untranslatable(f"a size depends on the number of images as {size}")
    return -int(factor)


def _require_equal(expected: Mapping[str, torch.Tensor], found: Mapping[str, Any]) -> None:
    for layer, tensor in expected.items():
        half = torch.finfo(tensor.dtype).bits < 32
        a: npt.NDArray[Any] = tensor.detach().to(torch.float32).cpu().numpy()
        b = np.asarray(found[layer])
        if a.shape != b.shape:
            raise NotRenderableError(
                f"translated to TensorFlow, layer {layer!r} has shape {b.shape} and not {a.shape}"
            )
        largest = float(np.abs(a).max())
        gap = float(np.abs(a - b).max())
        if not gap <= (HALF_TOLERANCE if half else TOLERANCE) * max(largest, 1e-6):
            raise NotRenderableError(
                f"translated to TensorFlow, layer {layer!r} differs by {gap:.2g} where its largest "
                f"value is {largest:.2g}"
            )

"""TensorFlow functions of a batch of images: sampled while they run, or frozen to a file."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.capture.contract import Feed, FrozenGraph, Sampler
from tb_modelcompare.errors import ModelCompareError, ModelFileError, NotRenderableError
from tb_modelcompare.probe.sampling import (
    Mask,
    Peaks,
    Reading,
    Sampled,
    TokenGrid,
    token_grid,
    unusable,
)

# Images (n, h, w, c) float32 → each layer's tensor. Called while tracing, never twice.
LayerFunction = Callable[[Any], Mapping[str, Any]]

_INPUT = "input"
# Inside a scope a layer may be called _conv, which TensorFlow refuses outside.
_SCOPE = "model"
# A serialised protocol buffer cannot be larger.
_MAX_BYTES = 2**31 - 1


def sample_function(
    function: LayerFunction, layers: Sequence[str], feed: Feed, reading: Reading
) -> Sampler:
    """Trace `function` once and gather the rows where the maps are, so that only they leave.

    A batch that is smaller than the first is filled up, so that nothing is traced again.
    """
    import tensorflow as tf

    grids: dict[str, TokenGrid] = {}

    def rows_and_peaks(layer: str, output: Any, index: Any, mask: Any) -> list[Any]:
        grid = token_grid(output.shape[1:], reading) if output.shape.rank is not None else None
        if grid is None:
            raise unusable(layer, output.shape)
        grids[layer] = grid
        units = math.prod(output.shape[1:]) // grid.tokens
        tokens = tf.reshape(output, (-1, grid.tokens, units))
        real = None if mask is None or grid.tokens == 1 else _real_tokens(grid, mask)
        if grid.mean and real is not None:
            total = tf.reduce_sum(tf.where(real, tokens, 0), 1, keepdims=True)
            tokens = total / tf.reduce_sum(tf.cast(real, total.dtype), 1, keepdims=True)
        elif grid.mean:
            tokens = tf.reduce_mean(tokens, 1, keepdims=True)
        taken = tf.gather(tokens, index, axis=1, batch_dims=1)
        rows = tf.cast(tf.reshape(taken, (-1, units)), tf.float32)
        if grid.spatial is None:
            return [rows]
        map_ = tokens[:, grid.skip :]
        if real is not None:
            map_ = tf.where(real, map_, map_.dtype.min)
        peaks = tf.cast(tf.reduce_max(map_, 1), tf.float32)
        return [rows, peaks, tf.argmax(map_, 1, tf.int32)]  # of equal ones the first

    def sampled(images: Any, indices: Any, mask: Any = None) -> list[list[Any]]:
        with tf.name_scope(_SCOPE):
            values = function(images)
        return [
            rows_and_peaks(layer, values[layer], indices[i], mask) for i, layer in enumerate(layers)
        ]

    def trace(batch: int, per_item: int, mask: Mask | None) -> Any:
        masks = () if mask is None else (tf.TensorSpec((batch, mask.shape[1]), tf.bool),)
        try:
            return tf.function(sampled, autograph=False).get_concrete_function(
                tf.TensorSpec((batch, *feed.shape), feed.dtype),
                tf.TensorSpec((len(layers), batch, per_item), tf.int64),
                *masks,
            )
        except ModelCompareError:
            raise
        except (tf.errors.OpError, ValueError, TypeError, NotImplementedError) as error:
            raise ModelFileError(
                f"TensorFlow cannot run the model on items {feed.shape}: {error}"
            ) from error

    traced: Any = None
    size = 0

    def run(
        items: npt.NDArray[Any], positions: npt.NDArray[np.float64], mask: Mask | None
    ) -> list[Sampled]:
        nonlocal traced, size
        count = len(items)
        if traced is None or count > size:
            # A fixed batch keeps the shapes known that a graph computes from its input's.
            traced, size = trace(count, positions.shape[1], mask), count
        indices = np.zeros((len(layers), size, positions.shape[1]), np.int64)
        for i, layer in enumerate(layers):
            grid = grids[layer]
            indices[i, :count] = grid.index(positions, grid.real_tokens(mask))
        shown = (items,) if mask is None else (items, mask)
        filled, *masks = (
            tf.constant(np.pad(array, [(0, size - count), *[(0, 0)] * (array.ndim - 1)]))
            for array in shown
        )
        results = traced(filled, tf.constant(indices), *masks)
        found = []
        for layer, (rows, *at_peaks) in zip(layers, results, strict=True):
            peaks = Peaks(*(one.numpy()[:count] for one in at_peaks)) if at_peaks else None
            values = rows.numpy()[: count * positions.shape[1]]
            found.append(Sampled(values, grids[layer].spatial, peaks))
        return found

    return run


def _real_tokens(grid: TokenGrid, mask: Any) -> Any:
    """`TokenGrid.real_tokens` in TensorFlow: (b, tokens, 1)."""
    import tensorflow as tf

    starts, ends = grid.spans(mask.shape[1])
    before = tf.pad(tf.cumsum(tf.cast(mask, tf.int32), axis=1), [(0, 0), (1, 0)])
    lines = tf.gather(before, ends, axis=1) > tf.gather(before, starts, axis=1)
    return tf.repeat(lines, grid.tokens // grid.length, axis=1)[..., None]


@contextlib.contextmanager
def without_gpus() -> Iterator[None]:
    """Leave a GPU to the framework that trains on it: TensorFlow's first operation takes it whole.

    TensorFlow sees none from here on. Where it is at work in this process already, it keeps what
    it has, and computes on the CPU here.
    """
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # raised where it is at work
        tf.config.set_visible_devices([], "GPU")
    with tf.device("CPU"):
        yield


def freeze_function(
    function: LayerFunction, shape: tuple[int | None, int | None, int]
) -> FrozenGraph:
    """Freeze `function` of images (n, *shape): one graph, variables as constants.

    Raises
    ------
    NotRenderableError
        If TensorFlow cannot convert it, saying what it objects to.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import (
        convert_variables_to_constants_v2,
    )

    names: dict[str, str] = {}

    def named(images: Any) -> list[Any]:
        outputs = []
        with tf.name_scope(_SCOPE):
            values = function(images)
        for layer, value in values.items():
            output = tf.identity(value, name=f"layer/{_op_name(layer)}")
            names[layer] = output.op.name
            outputs.append(output)
        return outputs

    try:
        concrete = tf.function(named, autograph=False).get_concrete_function(
            tf.TensorSpec((None, *shape), tf.float32, name=_INPUT)
        )
        frozen = convert_variables_to_constants_v2(concrete)
        graph_def = frozen.graph.as_graph_def()
    except (tf.errors.OpError, ValueError, TypeError, NotImplementedError) as error:
        raise NotRenderableError(f"TensorFlow cannot freeze it: {error}") from error
    for nodes in (graph_def.node, *(f.node_def for f in graph_def.library.function)):
        for node in nodes:
            node.device = ""  # whoever renders it chooses
            # Names a gradient that lives in this process alone (swish has one).
            node.attr.pop("_gradient_op_type", None)
    if graph_def.ByteSize() > _MAX_BYTES:
        raise NotRenderableError("its graph is larger than 2 GiB, the limit of a GraphDef file")
    present = {node.name for node in graph_def.node}
    lost = [layer for layer, name in names.items() if name not in present]
    if lost:
        raise NotRenderableError(f"freezing dropped layer {lost[0]!r}")
    return FrozenGraph(graph_def.SerializeToString(), frozen.inputs[0].op.name, shape, names)


def _op_name(layer: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", layer) or "_"

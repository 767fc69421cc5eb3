"""ONNX files: what onnxruntime computes, tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.capture.contract import Feed, Framework, Model, has_suffix
from tb_modelcompare.capture.operations import EMBEDDING, Operation, model_of_operations
from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.graph import kind_of

# A serialised protocol buffer cannot be larger, and onnxruntime is given one.
_MAX_BYTES = 2**31 - 1


def open_onnx(path: Path, feed: Feed) -> Model:
    """An .onnx file of one image, channels first or last, or of one array, opened for capture.

    Raises
    ------
    ModelFileError
        If it is none, needs data from outside of its directory, does not take one image or one
        array like the probe's, or onnx and onnxruntime are not installed.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise ModelFileError(
            f"{path} needs onnx and onnxruntime: pip install 'tb-modelcompare[onnx]'"
        ) from error
    model = _loaded(onnx, path)
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    shapes = [
        [dim.dim_value or None for dim in value.type.tensor_type.shape.dim] for value in inputs
    ]
    if len(inputs) != 1 or (feed.is_image and len(shapes[0]) != 4):
        wanted = "image (n, 1 or 3, h, w) or (n, h, w, 1 or 3)" if feed.is_image else "array"
        raise ModelFileError(
            f"{path} should take one {wanted}; it takes "
            + ", ".join(f"{one.name} {shape}" for one, shape in zip(inputs, shapes, strict=True))
        )
    count, *sizes = shapes[0]
    first = feed.is_image and (sizes[0] in (1, 3) or sizes[2] not in (1, 3))
    image = inputs[0].name
    code = inputs[0].type.tensor_type.elem_type
    shape: tuple[int | None, ...] = feed.shape
    if feed.is_image:
        dtype = np.dtype(np.float16 if code == onnx.TensorProto.FLOAT16 else np.float32)
        channels, height, width = sizes if first else (sizes[2], *sizes[:2])
        shape = (height, width, channels or 3)
    else:
        dtype = _dtype_of_arrays(onnx, path, code, feed)
        feed.require_arrays_fit(str(path), shapes[0])
    ranks = (4,) if feed.is_image else (3, 4)
    layout = _layout(model.graph.node, image, first, ranks)
    present = {value.name for value in model.graph.output}
    made = {tensor for node in model.graph.node for tensor in node.output if tensor in layout}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sorted(made - present))
    errors = onnxruntime.capi.onnxruntime_pybind11_state
    problems = (
        RuntimeError, ValueError, errors.Fail, errors.InvalidArgument, errors.InvalidGraph,
        errors.NotImplemented, errors.InvalidProtobuf,
    )  # fmt: skip
    options = onnxruntime.SessionOptions()
    # Fused operations would not give what lies between them.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except problems as error:
        raise ModelFileError(f"onnxruntime cannot load {path}: {error}") from error

    def run(images: npt.NDArray[Any], wanted: Sequence[Any]) -> Mapping[Any, npt.NDArray[Any]]:
        fed = np.moveaxis(images, -1, 1) if first else images
        fed = np.ascontiguousarray(fed, dtype)
        size = count or len(fed)
        spare = -len(fed) % size  # a fixed number of images is filled up
        fed = np.concatenate([fed, np.repeat(fed[-1:], spare, axis=0)])
        parts = []
        for start in range(0, len(fed), size):
            try:
                parts.append(session.run(list(wanted), {image: fed[start : start + size]}))
            except problems as error:
                raise ModelFileError(f"onnxruntime cannot run {path}: {error}") from error
        found = {}
        for tensor, values in zip(wanted, zip(*parts, strict=True), strict=True):
            whole = np.concatenate([np.atleast_1d(value) for value in values])
            if len(whole) == len(fed):
                whole = whole[: len(images)]
            maps = whole.ndim in ranks and not layout[tensor]
            found[tensor] = np.moveaxis(whole, 1, -1) if maps else whole
        return found

    sizes_of = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    operations = [
        Operation(
            (node.name or node.output[0]).strip("/"),
            EMBEDDING if _embeds(node, sizes_of, layout) else node.op_type,
            tuple(node.input),
            tuple(node.output),
            _units(node, sizes_of),
        )
        for node in model.graph.node
    ]
    return model_of_operations(str(path), shape, operations, image, run, feed)


def _dtype_of_arrays(onnx: Any, path: Path, code: int, feed: Feed) -> np.dtype[Any]:
    """The type that a model takes, for arrays of a probe: whole numbers, or real ones."""
    try:
        dtype: np.dtype[Any] = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(code))
    except KeyError as error:
        raise ModelFileError(f"{path} takes values of no known type ({code})") from error
    given = np.dtype(feed.dtype)
    if (given.kind in "iub") != (dtype.kind in "iub"):
        raise ModelFileError(
            f"{path} takes {dtype} and the probe's arrays are {given}; make the probe with arrays "
            "of that type"
        )
    return dtype


def _embeds(node: Any, sizes_of: Mapping[str, tuple[int, ...]], layout: Mapping[str, bool]) -> bool:
    """Whether a node takes rows of a table of weights by numbers that depend on the input."""
    if node.op_type != "Gather" or any(a.name == "axis" and a.i for a in node.attribute):
        return False
    table, index = node.input
    return len(sizes_of.get(table, ())) == 2 and index in layout


def _units(node: Any, sizes_of: Mapping[str, tuple[int, ...]]) -> int | None:
    """How many units a node has by its weights; None where they do not say."""
    if node.op_type == "Gather":
        table = sizes_of.get(node.input[0], ())
        return table[1] if len(table) == 2 else None
    weights = sizes_of.get(node.input[1]) if len(node.input) > 1 else None
    if weights is None:
        return None
    options = {attribute.name: attribute.i for attribute in node.attribute}
    if node.op_type == "Conv":
        return weights[0]
    if node.op_type == "ConvTranspose":
        return weights[1] * int(options.get("group", 1))
    if node.op_type == "Gemm":
        return weights[0 if options.get("transB") else 1]
    return None


def _loaded(onnx: Any, path: Path) -> Any:
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError) as error:
        raise ModelFileError(f"{path} is no ONNX model: {error}") from error
    directory = path.parent.resolve()
    size = path.stat().st_size
    for tensor in model.graph.initializer:
        where = {entry.key: entry.value for entry in tensor.external_data}.get("location")
        if where is None:
            continue
        file = (directory / where).resolve()
        if directory not in file.parents or not file.is_file():
            raise ModelFileError(
                f"{path} keeps weights in {where!r:.200}, which is no file in its own directory"
            )
        size += sum(int(e.value) for e in tensor.external_data if e.key == "length")
    if size > _MAX_BYTES:
        raise ModelFileError(f"{path} has {size} bytes with its weights; at most 2 GiB are read")
    try:
        onnx.load_external_data_for_model(model, str(directory))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ModelFileError(f"the weights of {path} cannot be read: {error}") from error
    return model


def _layout(nodes: Any, image: str, channels_first: bool, ranks: Sequence[int]) -> dict[str, bool]:
    """For each tensor that depends on the image: whether the units of a map are its last axis.

    `ranks` are the numbers of axes that maps have, of images 4, of sequences 3 too.
    """
    layout = {image: not channels_first}
    for node in nodes:
        sources = [name for name in node.input if name in layout]
        if not sources:
            continue
        last = layout[sources[0]]
        permutation = [list(a.ints) for a in node.attribute if a.name == "perm"]
        if node.op_type == "Transpose" and permutation and len(permutation[0]) in ranks:
            last = permutation[0][-1] == (len(permutation[0]) - 1 if last else 1)
        elif kind_of(node.op_type) in ("conv", "pool") or node.op_type == "BatchNormalization":
            last = False
        layout.update(dict.fromkeys(node.output, last))
    return layout


FRAMEWORK = Framework(
    opens=lambda model: has_suffix(model, ".onnx"),
    open=open_onnx,
    files=("a .onnx file",),
    files_take_arrays=True,
)

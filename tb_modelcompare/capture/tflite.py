"""TensorFlow Lite files: what the interpreter computes, tensor by tensor."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.capture.contract import Feed, Framework, Model, has_suffix
from tb_modelcompare.capture.operations import Operation, model_of_operations
from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.probe.sampling import Floats

# The kinds of layers are known by the names that TensorFlow's own ops have.
_OPS = {
    "CONV_2D": "Conv2D",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2dNative",
    "TRANSPOSE_CONV": "Conv2DTranspose",
    "FULLY_CONNECTED": "Dense",
    "BATCH_MATMUL": "BatchMatMul",
    "MAX_POOL_2D": "MaxPool",
    "AVERAGE_POOL_2D": "AvgPool",
    "MEAN": "Mean",
    "CONCATENATION": "Concat",
    "LOGISTIC": "Sigmoid",
    "HARD_SWISH": "HardSwish",
    "LEAKY_RELU": "LeakyRelu",
    "PRELU": "PReLU",
}


def open_tflite(path: Path, feed: Feed) -> Model:
    """A .tflite file of one image, opened for capture. Quantized values are given as numbers.

    Raises
    ------
    ModelFileError
        If it is none, or does not take one image (n, h, w, 1 or 3).
    """
    interpreter = _interpreter(path)
    inputs = interpreter.get_input_details()
    if len(inputs) != 1 or len(inputs[0]["shape"]) != 4:
        shapes = ", ".join(str(tuple(i["shape_signature"])) for i in inputs)
        raise ModelFileError(f"{path} should take one image (n, h, w, 1 or 3); it takes {shapes}")
    (image,) = inputs
    _, height, width, channels = (int(size) for size in image["shape"])
    details = {detail["index"]: detail for detail in interpreter.get_tensor_details()}

    def run(images: Floats, wanted: Sequence[Any]) -> Mapping[Any, npt.NDArray[Any]]:
        found: dict[Any, list[npt.NDArray[Any]]] = {tensor: [] for tensor in wanted}
        for one in images:  # a file may hold reshapes to one image
            interpreter.set_tensor(image["index"], _stored(one[None], image))
            interpreter.invoke()
            for tensor in wanted:
                found[tensor].append(_numbers(interpreter.get_tensor(tensor), details[tensor]))
        return {tensor: np.concatenate(values) for tensor, values in found.items()}

    operations = [
        Operation(
            details[step["outputs"][0]]["name"].partition(";")[0] or step["op_name"],
            _OPS.get(step["op_name"], step["op_name"]),
            tuple(int(tensor) for tensor in step["inputs"]),
            tuple(int(tensor) for tensor in step["outputs"]),
            _units(step, details),
        )
        for step in interpreter._get_ops_details()
        if len(step["outputs"])
    ]
    return model_of_operations(
        str(path), (height, width, channels), operations, int(image["index"]), run, feed
    )


def _units(step: Mapping[str, Any], details: Mapping[int, Any]) -> int | None:
    """How many units an operation has by its weights; None where they do not say."""
    axis = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "DEPTHWISE_CONV_2D": 3}.get(step["op_name"])
    return None if axis is None else int(details[int(step["inputs"][1])]["shape"][axis])


def _interpreter(path: Path) -> Any:
    """Without delegates, which hide the tensors of what they take over."""
    import tensorflow as tf

    resolver = tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that it will move to another package
            interpreter = tf.lite.Interpreter(
                model_content=path.read_bytes(),
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=resolver,
            )
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError, OSError) as error:
        raise ModelFileError(f"TensorFlow Lite cannot load {path}: {error}") from error
    return interpreter


def _stored(images: Floats, detail: Mapping[str, Any]) -> npt.NDArray[Any]:
    scale, zero = detail["quantization"]
    dtype = np.dtype(detail["dtype"])
    if dtype.kind == "f" or not scale:
        return images.astype(dtype)
    limits = np.iinfo(dtype)
    return np.asarray(np.clip(np.round(images / scale + zero), limits.min, limits.max), dtype)


def _numbers(values: npt.NDArray[Any], detail: Mapping[str, Any]) -> npt.NDArray[Any]:
    scale, zero = detail["quantization"]
    if values.dtype.kind == "f" or not scale:
        return values.copy()
    return np.asarray((values.astype(np.float32) - zero) * scale, np.float32)


FRAMEWORK = Framework(
    opens=lambda model: has_suffix(model, ".tflite"),
    open=open_tflite,
    files=("a .tflite file",),
)

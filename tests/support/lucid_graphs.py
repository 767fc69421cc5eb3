"""Networks of lucid's modelzoo as their files are: ops, names and widths, with random weights.

Nodes are written one by one, as the files hold ops that today's TensorFlow no longer makes. With
`size` below the network's own, the placeholder has that size and the classifiers fit it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

FLOAT = tf.float32.as_datatype_enum
_INCEPTION_V1 = {  # 1x1, 3x3_bottleneck, 3x3, 5x5_bottleneck, 5x5, pool_reduce
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 204, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64), "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 48, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}  # fmt: skip
_INCEPTION_V2 = {  # 1x1, two of branch 1, three of branch 2 (the last two equal), pool, its kind
    "3b": (64, (64, 64), (64, 96), 32, "Avg"),
    "3c": (64, (64, 96), (64, 96), 64, "Avg"),
    "4b": (224, (64, 96), (96, 128), 128, "Avg"),
    "4c": (192, (96, 128), (96, 128), 128, "Avg"),
    "4d": (160, (128, 160), (128, 160), 96, "Avg"),
    "4e": (96, (128, 192), (160, 192), 96, "Avg"),
    "5b": (352, (192, 320), (160, 224), 128, "Avg"),
    "5c": (352, (192, 320), (192, 224), 128, "Max"),
}


class Graph:
    """A GraphDef that is being written, with the width and the size of each node's map."""

    def __init__(self) -> None:
        self.proto = tf.compat.v1.GraphDef()
        self.proto.versions.producer = 21  # what wrote such files was TensorFlow 1
        self.rng = np.random.default_rng(0)
        self.maps: dict[str, tuple[int, int]] = {}

    def node(self, name: str, op: str, inputs: Iterable[str] = (), **attributes: Any) -> str:
        node = self.proto.node.add(name=name, op=op, input=list(inputs))
        for key, value in attributes.items():
            attribute = node.attr[key]
            match value:
                case bool():
                    attribute.b = value
                case float():
                    attribute.f = value
                case str():
                    attribute.s = value.encode()
                case int():
                    attribute.type = value
                case list():
                    attribute.list.i.extend(value)
                case tf.TensorShape():
                    attribute.shape.CopyFrom(value.as_proto())
                case _:
                    attribute.tensor.CopyFrom(value)
        return name

    def constant(self, name: str, value: Any, dtype: Any = tf.float32) -> str:
        tensor = tf.make_tensor_proto(value, dtype)
        return self.node(name, "Const", dtype=dtype.as_datatype_enum, value=tensor)

    def weights(self, name: str, *shape: int) -> str:
        spread = math.sqrt(2.0 / math.prod(shape[:-1]))
        values = self.rng.standard_normal(shape, np.float32) * np.float32(spread)
        return self.constant(name, values)

    def biases(self, name: str, units: int) -> str:
        return self.constant(name, self.rng.uniform(0.0, 0.1, units))

    def image(self, name: str, size: int, fixed: bool) -> str:
        shape = {"shape": tf.TensorShape((None, size, size, 3))} if fixed else {}
        self.maps[name] = (3, size)
        return self.node(name, "Placeholder", dtype=FLOAT, **shape)

    def windowed(
        self, name: str, op: str, inputs: Sequence[str], units: int, edge: int, step: int,
        padding: str, **more: Any,
    ) -> str:  # fmt: skip
        size = self.maps[inputs[0]][1]
        left = math.ceil(size / step) if padding == "SAME" else (size - edge) // step + 1
        self.maps[name] = (units, left)
        return self.node(
            name, op, inputs, T=FLOAT, strides=[1, step, step, 1], padding=padding, **more
        )

    def pool(
        self, name: str, x: str, kind: str, edge: int, step: int, padding: str = "SAME"
    ) -> str:
        window = {"ksize": [1, edge, edge, 1]}
        return self.windowed(
            name, f"{kind}Pool", [x], self.maps[x][0], edge, step, padding, **window
        )

    def convolution(
        self, name: str, x: str, weights: str, units: int, edge: int, step: int, padding: str
    ) -> str:
        return self.windowed(name, "Conv2D", [x, weights], units, edge, step, padding)

    def simple(self, name: str, op: str, *inputs: str, **more: Any) -> str:
        if inputs[0] in self.maps:
            self.maps[name] = self.maps[inputs[0]]
        return self.node(name, op, inputs, T=FLOAT, **more)

    def normalised(self, name: str, x: str, radius: int, alpha: float, beta: float) -> str:
        node = self.simple(name, "LRN", x, bias=1.0, alpha=alpha, beta=beta)
        self.proto.node[-1].attr["depth_radius"].i = radius
        return node

    def joined(self, name: str, parts: Sequence[str], old: bool) -> str:
        """`Concat`, whose axis comes first, or `ConcatV2`, whose axis comes last."""
        axis = self.constant(f"{name}/{'concat_dim' if old else 'axis'}", 3, tf.int32)
        inputs = [axis, *parts] if old else [*parts, axis]
        self.node(name, "Concat" if old else "ConcatV2", inputs, T=FLOAT)
        self.proto.node[-1].attr["N"].i = len(parts)
        self.maps[name] = (sum(self.maps[part][0] for part in parts), self.maps[parts[0]][1])
        return name

    def dense(self, name: str, x: str, features: int, units: int, of: str) -> str:
        weights = self.weights(f"{of}_w", features, units)
        product = self.simple(f"{name}/matmul", "MatMul", x, weights)
        return self.simple(name, "BiasAdd", product, self.biases(f"{of}_b", units))

    def reshaped(self, name: str, x: str, features: int) -> str:
        shape = self.constant(f"{name}/shape", [-1, features], tf.int32)
        return self.node(name, "Reshape", [x, shape], T=FLOAT)


def inception_v1(size: int = 224) -> Any:
    """lucid's InceptionV1: `Concat` with its axis first, LRN, two more heads, no fixed size."""
    graph = Graph()

    def layer(name: str, x: str, units: int, edge: int, step: int = 1) -> str:
        weights = graph.weights(f"{name}_w", edge, edge, graph.maps[x][0], units)
        y = graph.convolution(f"{name}_pre_relu/conv", x, weights, units, edge, step, "SAME")
        y = graph.simple(f"{name}_pre_relu", "BiasAdd", y, graph.biases(f"{name}_b", units))
        return graph.simple(name, "Relu", y)

    def module(name: str, x: str) -> str:
        one, three_in, three, five_in, five, pool = _INCEPTION_V1[name.removeprefix("mixed")]
        pooled = graph.pool(f"{name}_pool", x, "Max", 3, 1)
        towers = [
            layer(f"{name}_1x1", x, one, 1),
            layer(f"{name}_3x3", layer(f"{name}_3x3_bottleneck", x, three_in, 1), three, 3),
            layer(f"{name}_5x5", layer(f"{name}_5x5_bottleneck", x, five_in, 1), five, 5),
            layer(f"{name}_pool_reduce", pooled, pool, 1),
        ]
        return graph.joined(name, towers, old=True)

    def classes(number: int, x: str, features: int) -> None:
        logits = graph.dense(
            f"softmax{number}_pre_activation", x, features, 1008, f"softmax{number}"
        )
        graph.simple(f"softmax{number}", "Softmax", logits)
        graph.simple(f"output{number or ''}", "Identity", f"softmax{number}")

    def head(number: int, x: str) -> None:
        x = graph.pool(f"head{number}_pool", x, "Avg", min(5, graph.maps[x][1]), 3, "VALID")
        x = layer(f"head{number}_bottleneck", x, 128, 1)
        features = 128 * graph.maps[x][1] ** 2
        x = graph.reshaped(f"head{number}_bottleneck/reshape", x, features)
        x = graph.dense(f"nn{number}_pre_relu", x, features, 1024, f"nn{number}")
        x = graph.simple(f"nn{number}", "Relu", x)
        classes(number, graph.reshaped(f"nn{number}/reshape", x, 1024), 1024)

    x = graph.image("input", size, fixed=size != 224)
    x = graph.pool("maxpool0", layer("conv2d0", x, 64, 7, 2), "Max", 3, 2)
    x = graph.normalised("localresponsenorm0", x, 5, 1e-4, 0.5)
    x = layer("conv2d2", layer("conv2d1", x, 64, 1), 192, 3)
    x = graph.pool("maxpool1", graph.normalised("localresponsenorm1", x, 5, 1e-4, 0.5), "Max", 3, 2)
    x = graph.pool("maxpool4", module("mixed3b", module("mixed3a", x)), "Max", 3, 2)
    x = module("mixed4a", x)
    head(0, x)
    x = module("mixed4d", module("mixed4c", module("mixed4b", x)))
    head(1, x)
    x = graph.pool("maxpool10", module("mixed4e", x), "Max", 3, 2)
    x = module("mixed5b", module("mixed5a", x))
    x = graph.pool("avgpool0", x, "Avg", graph.maps[x][1], 1, "VALID")
    classes(2, graph.reshaped("avgpool0/reshape", x, 1024), 1024)
    return graph.proto


def inception_v2_slim(size: int = 224) -> Any:
    """slim's InceptionV2: a separable stem, fused batch norm, scopes within a scope of one name."""
    graph = Graph()
    outer, inner = "InceptionV2", "InceptionV2/InceptionV2"

    def normed(place: str, x: str) -> str:
        units = graph.maps[x][0]

        def variable(name: str, low: float, high: float) -> str:
            value = graph.rng.uniform(low, high, units)
            constant = graph.constant(f"{outer}/{place}/BatchNorm/{name}", value)
            return graph.simple(f"{constant}/read", "Identity", constant)

        scale = graph.constant(f"{inner}/{place}/BatchNorm/Const", np.ones(units))
        # After this the map has about unit variance where the input had.
        others = (variable("beta", 0, 0.2), variable("moving_mean", -0.1, 0.1),
                  variable("moving_variance", 0.5, 1))  # fmt: skip
        x = graph.simple(
            f"{inner}/{place}/BatchNorm/FusedBatchNorm", "FusedBatchNorm", x, scale, *others,
            epsilon=0.001, is_training=False,
        )  # fmt: skip
        return graph.simple(f"{inner}/{place}/Relu", "Relu", x)

    def read(name: str, *shape: int) -> str:
        weights = graph.weights(f"{outer}/{name}", *shape)
        return graph.simple(f"{weights}/read", "Identity", weights)

    def layer(place: str, x: str, units: int, edge: int, step: int = 1) -> str:
        weights = read(f"{place}/weights", edge, edge, graph.maps[x][0], units)
        y = graph.convolution(f"{inner}/{place}/Conv2D", x, weights, units, edge, step, "SAME")
        return normed(place, y)

    def chain(place: str, x: str, units: Sequence[int], names: Sequence[str], step: int = 1) -> str:
        for i, (count, name) in enumerate(zip(units, names, strict=True)):
            last = step if i == len(units) - 1 else 1
            x = layer(f"{place}/{name}", x, count, int(name[-1]), last)
        return x

    def module(end: str, x: str) -> str:
        one, two, three, pool, kind = _INCEPTION_V2[end]
        place = f"Mixed_{end}"
        pooled = graph.pool(f"{inner}/{place}/Branch_3/{kind}Pool_0a_3x3/{kind}Pool", x, kind, 3, 1)
        names = ("Conv2d_0a_1x1", "Conv2d_0b_3x3", "Conv2d_0c_3x3")
        towers = [
            layer(f"{place}/Branch_0/Conv2d_0a_1x1", x, one, 1),
            chain(f"{place}/Branch_1", x, two, names[:2]),
            chain(f"{place}/Branch_2", x, (*three, three[1]), names),
            layer(f"{place}/Branch_3/Conv2d_0b_1x1", pooled, pool, 1),
        ]
        return graph.joined(f"{inner}/{place}/concat", towers, old=False)

    def reduction(end: str, x: str, first: Sequence[int], second: Sequence[int]) -> str:
        place = f"Mixed_{end}"
        names = ("Conv2d_0a_1x1", "Conv2d_0b_3x3", "Conv2d_1a_3x3")
        towers = [
            chain(f"{place}/Branch_0", x, first, names[::2], 2),
            chain(f"{place}/Branch_1", x, second, names, 2),
            graph.pool(f"{inner}/{place}/Branch_2/MaxPool_1a_3x3/MaxPool", x, "Max", 3, 2),
        ]
        return graph.joined(f"{inner}/{place}/concat", towers, old=False)

    x = graph.image("input", size, fixed=True)
    stem = "Conv2d_1a_7x7"
    deep = graph.windowed(
        f"{inner}/{stem}/separable_conv2d/depthwise", "DepthwiseConv2dNative",
        [x, read(f"{stem}/depthwise_weights", 7, 7, 3, 8)], 24, 7, 2, "SAME",
    )  # fmt: skip
    wide = read(f"{stem}/pointwise_weights", 1, 1, 24, 64)
    x = graph.convolution(f"{inner}/{stem}/separable_conv2d", deep, wide, 64, 1, 1, "VALID")
    x = graph.pool(f"{inner}/MaxPool_2a_3x3/MaxPool", normed(stem, x), "Max", 3, 2)
    x = layer("Conv2d_2c_3x3", layer("Conv2d_2b_1x1", x, 64, 1), 192, 3)
    x = graph.pool(f"{inner}/MaxPool_3a_3x3/MaxPool", x, "Max", 3, 2)
    x = reduction("4a", module("3c", module("3b", x)), (128, 160), (64, 96, 96))
    x = module("4e", module("4d", module("4c", module("4b", x))))
    x = reduction("5a", x, (128, 192), (192, 256, 256))
    x = module("5c", module("5b", x))
    logits = f"{outer}/Logits"
    x = graph.pool(f"{logits}/AvgPool_1a_7x7/AvgPool", x, "Avg", graph.maps[x][1], 1, "VALID")
    weights = read("Logits/Conv2d_1c_1x1/weights", 1, 1, 1024, 1001)
    x = graph.convolution(f"{logits}/Conv2d_1c_1x1/Conv2D", x, weights, 1001, 1, 1, "SAME")
    biases = graph.biases(f"{logits}/Conv2d_1c_1x1/biases", 1001)
    x = graph.simple(f"{logits}/Conv2d_1c_1x1/BiasAdd", "BiasAdd", x, biases)
    x = graph.simple(f"{logits}/SpatialSqueeze", "Squeeze", x, squeeze_dims=[1, 2])
    graph.simple(f"{outer}/Predictions/Softmax", "Softmax", x)
    return graph.proto


def alexnet(size: int = 227) -> Any:
    """lucid's AlexNet: convolutions in two groups, each an op of its own, and LRN."""
    graph = Graph()
    numbers: dict[str, int] = {}

    def called(name: str) -> str:
        """As TensorFlow numbers ops of one name: Conv2D, Conv2D_1, …"""
        numbers[name] = numbers.get(name, -1) + 1
        return f"{name}_{numbers[name]}" if numbers[name] else name

    def split(x: str, units: int) -> list[str]:
        name = called("split")
        axis = graph.constant(f"{name}/split_dim", 3, tf.int32)
        graph.node(name, "Split", [axis, x], T=FLOAT)
        graph.proto.node[-1].attr["num_split"].i = 2
        parts = [name, f"{name}:1"]
        for part in parts:
            graph.maps[part] = (units, graph.maps.get(x, (0, 0))[1])
        return parts

    def layer(
        name: str, x: str, units: int, edge: int, groups: int, step: int = 1, padding: str = "SAME"
    ) -> str:
        inputs = graph.maps[x][0] // groups
        weights = graph.weights(f"{name}/weights", edge, edge, inputs, units)
        pairs = [(x, weights)]
        if groups == 2:
            pairs = list(zip(split(x, inputs), split(weights, 0), strict=True))
        parts = [
            graph.convolution(called("Conv2D"), part, w, units // groups, edge, step, padding)
            for part, w in pairs
        ]
        y = parts[0] if groups == 1 else graph.joined(called("concat"), parts, old=False)
        biases = graph.biases(f"{name}/biases", units)
        biased = graph.simple(called("BiasAdd"), "BiasAdd", y, biases)
        shape = graph.node(
            called("Shape"), "Shape", [y], T=FLOAT, out_type=tf.int32.as_datatype_enum
        )
        x = graph.simple(called("Reshape"), "Reshape", biased, shape)
        return graph.simple(f"{name}_1", "Relu", x)

    def dense(name: str, x: str, features: int, units: int) -> str:
        weights = graph.weights(f"{name}/weights", features, units)
        x = graph.simple(f"{name}_1/MatMul", "MatMul", x, weights)
        return graph.simple(f"{name}_1", "BiasAdd", x, graph.biases(f"{name}/biases", units))

    def narrowed(number: int, x: str) -> str:
        x = graph.normalised(f"norm{number}", x, 2, 1e-5, 0.75)
        return graph.pool(f"pool{number}", x, "Max", 3, 2, "VALID")

    x = narrowed(1, layer("conv1", graph.image("Placeholder", size, True), 96, 11, 1, 4, "VALID"))
    x = narrowed(2, layer("conv2", x, 256, 5, 2))
    x = layer("conv5", layer("conv4", layer("conv3", x, 384, 3, 1), 384, 3, 2), 256, 3, 2)
    x = graph.pool("pool5", x, "Max", 3, 2, "VALID")
    features = 256 * graph.maps[x][1] ** 2
    x = graph.reshaped(called("Reshape"), x, features)
    x = graph.simple(called("Relu"), "Relu", dense("fc6", x, features, 4096))
    x = graph.simple(called("Relu"), "Relu", dense("fc7", x, 4096, 4096))
    graph.simple("Softmax", "Softmax", dense("fc8", x, 4096, 1000))
    return graph.proto


def with_metadata(graph_def: Any, **metadata: Any) -> Any:
    """As lucid's `Model.save` writes it: what the model wants, as JSON in a constant of text."""
    text = tf.make_tensor_proto(json.dumps(metadata), tf.string)
    node = graph_def.node.add(name="lucid_metadata_json", op="Const")
    node.attr["dtype"].type = tf.string.as_datatype_enum
    node.attr["value"].tensor.CopyFrom(text)
    return graph_def


# For each model: its path below lucid's base address, how it is built, its own and a small size.
FILES: dict[str, tuple[str, Callable[[int], Any], int, int]] = {
    "InceptionV1": ("other_models/InceptionV1.pb", inception_v1, 224, 112),
    "InceptionV2_slim": ("slim_models/InceptionV2.pb", inception_v2_slim, 224, 64),
    "AlexNet": ("other_models/AlexNet.pb", alexnet, 227, 67),
}


def write_zoo(directory: Path, small: bool) -> None:
    """The three files of the seed's models, below a directory that stands for lucid's address."""
    for path, build, own, other in FILES.values():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(build(other if small else own).SerializeToString())

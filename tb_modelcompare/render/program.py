"""One optimisation: pictures of a few layers of one model, in one TensorFlow graph.

The parameterisation (Fourier, decorrelated colours), the objective's dot product and the assembly
by `make_vis_T` are lucid's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, LimitError, NotRenderableError
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.render.frozen import FrozenModel
from tb_modelcompare.render.input_gradients import of_inputs_alone
from tb_modelcompare.render.lucid_bridge import Lucid, load_lucid
from tb_modelcompare.render.redirected import redirectable
from tb_modelcompare.render.spectrum import (
    fourier_image,
    noise_spectrum,
    picture_spectrum,
    spectrum_shape,
)

Objective = Literal["direction", "caricature"]

_LEARNING_RATE = 0.04  # goes with the decay of frequencies
# Each step sees a warp of its own. Momentum, of which lucid has 0.9, would carry on what was right
# for the last ones. What is right for one warp alone is not in the average of some pictures, which
# is what is shown: of the last quarter of the steps, or about so many.
_MOMENTUM = 0.3
_AVERAGED_STEPS = 10


@dataclass(frozen=True)
class Recipe:
    """What a program is compiled for; directions, photo and seed come with each job."""

    layers: tuple[str, ...]
    height: int
    width: int
    kind: Objective
    cossim_pow: float


class Program:
    """A compiled optimisation of one picture per layer of a recipe.

    Parameters
    ----------
    model : FrozenModel
    graph_def : tensorflow GraphDef
        The checked part of the model's graph that the layers need.
    recipe : Recipe
    indices : sequence of int
        Where in the batch of its layer each picture is (`leaving_early`).
    """

    def __init__(
        self, model: FrozenModel, graph_def: Any, recipe: Recipe, indices: Sequence[int]
    ) -> None:
        import tensorflow

        tf = tensorflow.compat.v1
        lucid = load_lucid()
        self.recipe = recipe
        self._graph = tf.Graph()
        self._session = tf.Session(graph=self._graph, config=_configuration(tf))
        channels = model.input_shape[2]
        edge = margin(recipe.height, recipe.width)
        with self._graph.as_default(), self._session.as_default():
            size = recipe.height + 2 * edge, recipe.width + 2 * edge

            def decoded(spectrum: Any) -> Any:
                values = fourier_image(tf, spectrum, *size)
                if channels == 1:
                    return tf.nn.sigmoid(values)
                return lucid.param.to_valid_rgb(values, decorrelate=True)

            self._shape = spectrum_shape(len(recipe.layers), *size, channels)
            self._given = tf.placeholder(tf.float32, self._shape, "spectrum")
            self._spectrum = tf.Variable(self._given)
            self._average = tf.Variable(self._given, trainable=False)
            self._weight = tf.placeholder(tf.float32, (), "weight")
            picture = decoded(self._spectrum)
            self._matrix = tf.placeholder(tf.float32, (1, 8), "warp")
            seen = picture
            self._targets: Any
            if recipe.kind == "caricature":
                self._targets = tf.placeholder(tf.float32, (1, *picture.shape[1:]), "photo")
                seen = tf.concat([picture, self._targets], 0)
            else:
                self._targets = [
                    tf.placeholder(tf.float32, (None,), "direction") for _ in recipe.layers
                ]
            self._subject = _lucid_model(tf, lucid, model, graph_def)
            self._objectives = _objectives(tf, model, recipe, self._targets, indices)
            self._seen = seen
            with of_inputs_alone(self._graph), redirectable(tf, self._graph) as self._redirect:
                self._update = self._assembled(_adam(tf))
            average = decoded(self._average)
            self._shown = average[:, edge : edge + recipe.height, edge : edge + recipe.width]
            self._initialise = tf.global_variables_initializer()
        self._feed: dict[Any, Any] = {}

    def _assembled(self, adam: Any) -> tuple[Any, Any]:
        """The update and the objectives."""
        import tensorflow

        lucid = load_lucid()
        warp = _warp(tensorflow, self._matrix, self.recipe)
        each: list[Any] = []

        def total(T: Callable[[str], Any]) -> Any:
            each.extend(self._objectives(T))
            return tensorflow.add_n(each)

        try:
            T = lucid.render.make_vis_T(
                self._subject,
                lucid.objectives.Objective(total, self.recipe.kind),
                self._seen,
                adam,
                [warp],
            )
        except (LookupError, ValueError) as error:  # an op without gradient; no path to the image
            raise NotRenderableError(
                f"the frozen graph has no gradient from its layers to the image: {error}"
            ) from error
        with tensorflow.control_dependencies([T("vis_op")]):
            change = self._spectrum.read_value() - self._average
            update = self._average.assign_add(self._weight * change).op
        return update, tensorflow.stack(each)

    def start(
        self,
        seed: int,
        targets: Sequence[npt.NDArray[np.float32]],
        pictures: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Begin anew towards `targets`, from the noise of `seed` or from `pictures`.

        `targets` are one direction (units,) per layer, or for caricatures as often the photo
        (height, width, channels) in [0, 1]. `pictures` (layers, height, width, channels) have the
        size of the recipe.
        """
        edge = margin(self.recipe.height, self.recipe.width)
        if pictures is None:
            spectrum = noise_spectrum(seed, self._shape)
        else:
            spectrum = picture_spectrum(pictures, edge)
        self._run(self._initialise, {self._given: spectrum})
        if self.recipe.kind == "caricature":
            widened = np.pad(targets[0], ((edge, edge), (edge, edge), (0, 0)), "reflect")
            self._feed = {self._targets: widened[None]}
        else:
            self._feed = {
                placeholder: np.asarray(direction, np.float32)
                for placeholder, direction in zip(self._targets, targets, strict=True)
            }
        self._taken = 0
        self._silent = True  # before the first step nobody knows

    def step(self, matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """One update of all pictures, seen through `matrix`; returns each one's objective."""
        self._taken += 1
        feed = {
            **self._feed,
            self._matrix: matrix[None],
            self._redirect: self._silent,
            self._weight: 1 / min(max(1, self._taken / 4), _AVERAGED_STEPS),
        }
        _, values = self._run(self._update, feed)
        # A unit behind a ReLU that no position excites gives exactly 0, and no gradient.
        self._silent = bool((values == 0).any())
        if not np.isfinite(values).all():
            broken = self.recipe.layers[int(np.argmin(np.isfinite(values)))]
            raise ActivationError(
                f"layer {broken!r} gave a value that is not finite after {self._taken} steps; "
                "check the model's weights and preprocessing"
            )
        return np.asarray(values)

    def pictures(self) -> npt.NDArray[np.float32]:
        """The average of the last pictures, (layers, height, width, channels) in [0, 1]."""
        return np.asarray(self._run(self._shown))

    def _run(self, fetches: Any, feed: dict[Any, Any] | None = None) -> Any:
        from tensorflow.errors import OpError, ResourceExhaustedError

        try:
            return self._session.run(fetches, feed)
        except ResourceExhaustedError as error:
            raise LimitError(
                f"{len(self.recipe.layers)} pictures of {self.recipe.height}×{self.recipe.width} "
                "need more memory than there is; render fewer or smaller ones"
            ) from error
        except OpError as error:
            raise NotRenderableError(
                f"TensorFlow cannot run the frozen graph: {error.message}"
            ) from error

    def close(self) -> None:
        """Give the memory back."""
        self._session.close()


# TensorFlow rewrites a graph before its first step. Of all its rewrites two make steps of a
# render faster, by a third; these only make the first step late, by up to a second.
_IDLE_REWRITES = (
    "arithmetic_optimization",
    "auto_mixed_precision",
    "common_subgraph_elimination",
    "debug_stripper",
    "function_optimization",
    "implementation_selector",
    "layout_optimizer",
    "loop_optimization",
    "pin_to_host_optimization",
    "remapping",
    "scoped_allocator_optimization",
    "shape_optimization",
)


def _configuration(tf: Any) -> Any:
    configuration = tf.ConfigProto()
    configuration.gpu_options.allow_growth = True  # where there is one, others use it too
    if not tf.config.list_physical_devices("GPU"):  # layouts and remapping matter there
        rewrites = configuration.graph_options.rewrite_options
        for rewrite in _IDLE_REWRITES:
            setattr(rewrites, rewrite, rewrites.OFF)
        rewrites.memory_optimization = rewrites.NO_MEM_OPT
    return configuration


@cache
def warm_up() -> None:
    """Compile a program of next to nothing, once, as the first one takes longer."""
    import tensorflow

    tf = tensorflow.compat.v1
    with tf.Graph().as_default() as graph:
        image = tf.placeholder(tf.float32, (None, None, None, 3), "image")
        kernel = np.ones((3, 3, 3, 4), np.float32)
        tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(image, kernel, padding="SAME"), [0.0] * 4), "layer")
        tf.nn.max_pool2d(graph.get_tensor_by_name("layer:0"), 3, 1, "SAME", name="pool")
    tensors = {"layer": "pool"}
    model = FrozenModel(Path(), "", "image", (None, None, 3), tensors, Preprocessing())
    recipe = Recipe(("layer",), 32, 32, "direction", 0.0)
    program = Program(model, graph.as_graph_def(), recipe, [0])
    program.start(0, [np.ones(4, np.float32)])
    program.step(random_warps(0, 1, 32, 32)[0])
    program.pictures()
    program.close()


def _adam(tf: Any) -> Any:
    """lucid's Adam, without the identities and groups that make gradients wait for each other."""

    class Adam(tf.train.AdamOptimizer):  # type: ignore[misc]
        def minimize(self, loss: Any, global_step: Any) -> Any:
            return super().minimize(loss, global_step, gate_gradients=self.GATE_NONE)

    return Adam(_LEARNING_RATE, _MOMENTUM)


def margin(height: int, width: int) -> int:
    """Pixels around a picture that are optimised with it and cut off in the end.

    What jitter and rotation bring in at the edges is then more of the picture: no frame, and
    nothing in the visible part that the network saw only now and then.
    """
    return min(12, min(height, width) // 8)


def random_warps(seed: int, count: int, height: int, width: int) -> npt.NDArray[np.float32]:
    """lucid's standard jitter, scales and rotations, each step's fused into one matrix.

    Returns
    -------
    array (count, 8)
        Projective transforms from the pixels of what the network sees to those of the picture.
    """
    rng = np.random.RandomState(seed)
    reach = min(6.0, min(height, width) / 16)  # lucid jitters by 8, then by 4, pixels
    dx, dy = rng.uniform(-reach, reach, (2, count))
    scale = 1 + (rng.randint(0, 11, count) - 5) / 50
    angles = np.concatenate([np.arange(-10, 11), np.zeros(5)])
    angle = np.deg2rad(rng.choice(angles, count))
    cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
    cx, cy = (width - 1) / 2, (height - 1) / 2
    edge = margin(height, width)
    dx, dy = dx + edge, dy + edge
    zero = np.zeros(count)
    rows = [cos, -sin, cx + dx - cos * cx + sin * cy, sin, cos, cy + dy - sin * cx - cos * cy]
    return np.stack([*rows, zero, zero], axis=1).astype(np.float32)


def _warp(tensorflow: Any, matrix: Any, recipe: Recipe) -> Callable[[Any], Any]:
    def warp(images: Any) -> Any:
        return tensorflow.raw_ops.ImageProjectiveTransformV3(
            images=images,
            transforms=matrix,
            output_shape=(recipe.height, recipe.width),
            fill_value=0.5,
            interpolation="BILINEAR",
            fill_mode="CONSTANT",
        )

    return warp


def _objectives(
    tf: Any, model: FrozenModel, recipe: Recipe, targets: Any, indices: Sequence[int]
) -> Callable[[Callable[[str], Any]], list[Any]]:
    """From lucid's T, which gives a layer's tensor, to one scalar per picture."""

    def towards_direction(T: Callable[[str], Any]) -> list[Any]:
        values = []
        for i, layer, direction in zip(indices, recipe.layers, targets, strict=True):
            activations = tf.cast(T(model.tensor(layer)), tf.float32)
            # Of all pictures at once, then one: a slice of the activations has a slow gradient.
            dot = tf.tensordot(activations, direction, 1)[i]
            if recipe.cossim_pow:
                # lucid's direction_cossim has no gradient where all units are silent: sqrt(0).
                norm = tf.sqrt(tf.reduce_sum(activations[i] ** 2, -1) + 1e-8) * tf.norm(direction)
                dot *= tf.maximum(dot / (1e-4 + norm), 0.1) ** recipe.cossim_pow
            values.append(tf.reduce_mean(dot))
        return values

    def towards_photo(T: Callable[[str], Any]) -> list[Any]:
        # As in lucid's recipe for caricatures, the photo's activations are the direction, a
        # different one at each position. The cosine leaves out the photo's norm, which is
        # constant.
        values = []
        for i, layer in zip(indices, recipe.layers, strict=True):
            activations = tf.cast(T(model.tensor(layer)), tf.float32)
            photo, seen = tf.stop_gradient(activations[-1]), activations[i]
            dot = tf.reduce_sum(photo * seen)
            cosine = tf.maximum(dot / (1e-6 + tf.norm(seen)), 0.1)
            values.append(dot * cosine**recipe.cossim_pow)
        return values

    return towards_photo if recipe.kind == "caricature" else towards_direction


def _lucid_model(tf: Any, lucid: Lucid, model: FrozenModel, graph_def: Any) -> Any:
    """lucid's Model, with our preprocessing, and importing what was checked."""
    channels = model.input_shape[2]
    preprocessing = model.preprocessing.for_channels(channels)
    scale, offset = np.array([preprocessing.scale, preprocessing.offset], np.float32)

    class Checked(lucid.vision_base.Model):  # type: ignore[misc, name-defined]
        def import_graph(self, t_input: Any, scope: str, **_: Any) -> Callable[[str], Any]:
            ordered = tf.reverse(t_input, [-1]) if preprocessing.bgr else t_input
            prepared = ordered * scale + offset
            scope = tf.get_default_graph().unique_name(scope, mark_as_used=False)
            tf.import_graph_def(graph_def, {model.input: prepared}, name=scope)

            def tensor(name: str) -> Any:
                suffix = "" if ":" in name else ":0"
                return tf.get_default_graph().get_tensor_by_name(f"{scope}/{name}{suffix}")

            return tensor

    return Checked()

"""How strongly a layer answers to finished pictures, seen as the model sees its photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tb_modelcompare.probe.preprocessing import unit_range
from tb_modelcompare.render.frozen import FrozenModel, pruned_graph
from tb_modelcompare.render.resize import resized

# Pixels by which a picture is moved, as shares of its side: an answer to a few pixels at their
# very positions is lost with them.
_SHIFT = 1 / 28


def picture_activities(
    model: FrozenModel,
    directions: Sequence[tuple[str, npt.ArrayLike]],
    pictures: Sequence[npt.NDArray[np.uint8]],
) -> npt.NDArray[np.float64]:
    """Mean activity along a direction in each picture, at the size of the model's input.

    A picture is resized to the model's input (it keeps its size where the model takes any), moved
    to four sides, and the activity averaged over them and over all positions of the layer.

    Parameters
    ----------
    model : FrozenModel
    directions : sequence of (layer, array (units,))
        One for each picture.
    pictures : sequence of array (height, width, 3) uint8

    Returns
    -------
    array (pictures,)

    Raises
    ------
    NotRenderableError
        The graph holds an op that we do not run.
    """
    import tensorflow

    tf = tensorflow.compat.v1
    layers = [layer for layer, _ in directions]
    channels = model.input_shape[2]
    configuration = tf.ConfigProto()
    configuration.gpu_options.allow_growth = True
    # Every layer is computed a few times only, which no rewriting of the graph pays for.
    configuration.graph_options.rewrite_options.disable_meta_optimizer = True
    graph = tf.Graph()
    with graph.as_default():
        image = tf.placeholder(tf.float32, (None, None, None, channels))
        graph_def = pruned_graph(model, layers, tf.GraphDef)
        names = [name if ":" in (name := model.tensor(layer)) else f"{name}:0" for layer in layers]
        tensors = tf.import_graph_def(graph_def, {model.input: image}, names, name="")
    found = []
    with tf.Session(graph=graph, config=configuration) as session:
        for tensor, (_, direction), picture in zip(tensors, directions, pictures, strict=True):
            seen = model.preprocessing.apply(_moved(model, picture))
            # One at a time: some graphs hold the batch of one that they were traced with.
            maps = [session.run(tensor, {image: one[None]}) for one in seen]
            means = [np.asarray(one, np.float64).reshape(-1, one.shape[-1]).mean(0) for one in maps]
            found.append(float(np.mean(means, axis=0) @ np.asarray(direction, np.float64)))
    return np.array(found)


def _moved(model: FrozenModel, picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """A picture in [0, 1] at the size of the input, moved to four sides (4, h, w, channels)."""
    height, width, channels = model.input_shape
    inner = resized(picture, height or picture.shape[0], width or picture.shape[1])
    unit = unit_range(inner[None], channels)[0]
    height, width = unit.shape[:2]
    dy, dx = (max(1, round(_SHIFT * side)) for side in (height, width))
    wide = np.pad(unit, ((dy, dy), (dx, dx), (0, 0)), "reflect")
    corners = [(top, left) for top in (0, 2 * dy) for left in (0, 2 * dx)]
    return np.stack([wide[top : top + height, left : left + width] for top, left in corners])

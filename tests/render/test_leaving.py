"""Pictures leave the batch behind their own layer, and are the same as if they went on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from responses import one_hot

from tb_modelcompare.render import FrozenModel, render_caricatures, render_directions
from tb_modelcompare.render import loop as rendering
from tb_modelcompare.render.frozen import pruned_graph
from tb_modelcompare.render.leaving import leaving_early


def shapes(net: FrozenModel, layers: list[str], count: int) -> tuple[list[int], list[int]]:
    """Pictures that each layer computes of a batch, and where each one's own is among them."""
    import tensorflow

    tf = tensorflow.compat.v1
    targets = [net.tensor(layer) for layer in layers]
    graph_def, places = leaving_early(pruned_graph(net, layers, tf.GraphDef), net.input, targets)
    with tf.Graph().as_default():
        images = tf.placeholder(tf.float32, (count, 32, 32, 3))
        names = [f"{target.removesuffix(':0')}:0" for target in targets]
        tensors = tf.import_graph_def(graph_def, {net.input: images}, names)
    return [tensor.shape[0] for tensor in tensors], places


def test_a_layer_computes_the_pictures_that_need_it(small_net: FrozenModel) -> None:
    layers = ["first", "second", "second", "third"]
    assert shapes(small_net, layers, 4) == ([4, 3, 3, 1], [0, 0, 1, 0])
    # A photo after the pictures goes everywhere.
    assert shapes(small_net, layers, 5) == ([5, 4, 4, 2], [0, 0, 1, 0])
    # A dense layer comes behind an op that does not keep pictures apart for sure.
    assert shapes(small_net, ["first", "hidden"], 2)[1] == [0, 1]


@pytest.mark.parametrize("kind", ["directions", "caricatures"])
def test_a_picture_is_the_same_whether_it_leaves_or_not(
    small_net: FrozenModel, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def drawn() -> Any:
        rendering.forget_programs()
        if kind == "caricatures":
            photo = np.random.default_rng(0).random((24, 32, 3))
            return render_caricatures(small_net, photo, ["first", "third"], size=32, steps=6)
        along = [("first", one_hot(8, 1)), ("second", one_hot(16, 3)), ("third", one_hot(24, 5))]
        return render_directions(small_net, along, size=32, steps=6)

    leaving = drawn()
    calls = []

    def staying(graph_def: Any, source: str, targets: list[str]) -> tuple[Any, list[int]]:
        calls.append(targets)
        return graph_def, list(range(len(targets)))

    monkeypatch.setattr(rendering, "leaving_early", staying)
    staying_pictures = drawn()
    rendering.forget_programs()
    assert calls
    # Rounding may differ with the size of a batch.
    assert np.abs(leaving.astype(int) - staying_pictures).max() <= 2

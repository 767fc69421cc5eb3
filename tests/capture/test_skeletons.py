"""Graphs are imported without their weights, which are handed over and not copied."""

from __future__ import annotations

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tb_modelcompare.capture.skeleton import large_constants, skeleton_of  # noqa: E402


def test_large_constants_are_apart_and_the_rest_is_as_it_was() -> None:
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, (None, 40), name="image")
        weights = tf.constant(np.ones((40, 50), np.float32), name="weights")
        awaited = tf.constant(np.ones((40, 50), np.float32), name="awaited")
        shape = tf.constant([-1, 5, 10], name="shape")
        with tf.control_dependencies([awaited]):
            tf.reshape(image @ weights, shape, name="map")
    graph_def = graph.as_graph_def()
    assert set(large_constants(graph_def)) == {"weights"}
    skeleton = skeleton_of(graph_def)
    assert skeleton.ByteSize() < graph_def.ByteSize() - 40 * 50 * 4 + 1000
    assert {n.name: n.op for n in skeleton.node if n.name in ("weights", "awaited", "shape")} == {
        "weights": "Placeholder",
        "awaited": "Const",
        "shape": "Const",
    }
    with tf.Graph().as_default() as graph:
        (found,) = tf.graph_util.import_graph_def(skeleton, return_elements=["map:0"], name="")
        assert found.shape.as_list() == [None, 5, 10]
        fed = {"image:0": np.ones((2, 40)), "weights:0": np.ones((40, 50))}
        with tf.compat.v1.Session(graph=graph) as session:
            np.testing.assert_array_equal(session.run(found, fed), np.full((2, 5, 10), 40.0))

"""lucid runs on today's TensorFlow, and nothing else in the process notices."""

from __future__ import annotations

import logging
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare.errors import NotRenderableError
from tb_modelcompare.render import FrozenModel, lucid_bridge, render_directions
from tb_modelcompare.render.lucid_bridge import load_lucid


def forget_lucid() -> None:
    for name in [n for n in sys.modules if n == "lucid" or n.startswith("lucid.")]:
        del sys.modules[name]


def test_importing_lucid_leaves_the_process_as_it_was() -> None:
    import tensorflow  # noqa: F401  its own import changes things

    forget_lucid()
    before = (list(sys.meta_path), list(logging.root.handlers), logging.root.level)
    filters = list(warnings.filters)
    lucid = load_lucid()
    assert "lucid.optvis.render" in sys.modules
    assert (sys.meta_path, logging.root.handlers, logging.root.level) == before
    assert list(warnings.filters) == filters
    assert load_lucid() == lucid


def test_nothing_is_compiled_beside_the_packed_sources() -> None:
    forget_lucid()
    load_lucid()
    assert not list(lucid_bridge.PACKED.rglob("*.pyc"))


def test_an_unmodified_lucid_that_was_imported_before_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_lucid()
    (tmp_path / "lucid").mkdir()
    (tmp_path / "lucid" / "__init__.py").write_text("mine = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    __import__("lucid")
    load_lucid()
    assert not hasattr(sys.modules["lucid"], "mine")


def test_what_is_not_packed_says_so() -> None:
    lucid = load_lucid()
    with pytest.raises(NotImplementedError, match=r"lucid\.misc\.io\.load is not part"):
        lucid.vision_base.load("file")
    with pytest.raises(ImportError):
        __import__("lucid.recipes")


def test_an_unpacked_checkout_is_told_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lucid_bridge, "PACKED", tmp_path)
    with pytest.raises(NotRenderableError, match="pack_lucid"):
        load_lucid()


def test_eager_tensorflow_and_keras_work_after_a_render(small_net: FrozenModel) -> None:
    import keras
    import tensorflow as tf

    render_directions(small_net, [("first", np.eye(8)[0])], size=32, steps=2)
    assert tf.executing_eagerly()
    assert not hasattr(tf, "contrib")
    assert not hasattr(tf.compat.v1, "contrib")
    with tf.GradientTape() as tape:
        x = tf.Variable([-1.0, 2.0])
        y = tf.reduce_sum(tf.nn.relu(x))
    np.testing.assert_array_equal(tape.gradient(y, x), [0, 1])  # not the redirected one
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((8, 4)), np.ones((8, 1)), verbose=0)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_rotate_by_right_angles(turns: int) -> None:
    import tensorflow as tf

    from tb_modelcompare.render.lucid_stand_ins import rotate

    image = np.random.default_rng(0).random((1, 7, 7, 2), np.float32)
    turned = rotate(tf.constant(image), tf.constant(np.pi / 2 * turns, tf.float32))
    np.testing.assert_allclose(turned[0], np.rot90(image[0], turns), atol=1e-5)


def test_rotate_has_a_gradient() -> None:
    import tensorflow as tf

    from tb_modelcompare.render.lucid_stand_ins import rotate

    image = tf.Variable(np.random.default_rng(0).random((1, 9, 9, 1), np.float32))
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(rotate(image, tf.constant(0.2)))
    assert float(tf.reduce_min(tape.gradient(y, image)[0, 2:-2, 2:-2])) > 0.5

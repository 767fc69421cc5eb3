"""Pictures of directions for inputs and layers of every kind, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from responses import noise, one_hot, response

from tb_modelcompare.errors import ActivationError, LimitError, NotRenderableError
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.render import FrozenModel, render_directions
from tests.render.conftest import Freeze


def test_grey_input(freeze: Freeze) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(6, 5, activation="swish", name="conv"),
            layers.Flatten(name="flat"),
            layers.Dense(10, name="logits"),
        ]
    )
    frozen = freeze(model, Preprocessing.range(-1, 1))
    job = [("conv", one_hot(6, 2)), ("logits", one_hot(10, 4))]
    pictures = render_directions(frozen, job, size=56, steps=32)
    assert pictures.shape == (2, 56, 56, 3)
    np.testing.assert_array_equal(pictures[..., 0], pictures[..., 2])
    assert pictures.std((1, 2, 3)).min() > 10


def test_a_fixed_size_head_is_rendered_at_the_models_own_size(freeze: Freeze) -> None:
    """A flatten made for 40×24 must not be fed another size: a batch of four pictures of
    20×12 would pass for one."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((40, 24, 3)),
            layers.Conv2D(8, 3, strides=2, padding="same", activation="relu", name="conv"),
            layers.Flatten(name="flat"),
            layers.Dense(7, name="logits"),
        ]
    )
    frozen = freeze(model)
    jobs = [("logits", one_hot(7, unit)) for unit in range(4)] + [("conv", one_hot(8, 0))]
    pictures = render_directions(frozen, jobs, size=80, steps=64)
    assert pictures.shape == (5, 80, 80, 3)
    # Not square, so shown with its proportions between grey bars.
    assert (pictures[0, :, :16] == 128).all()
    assert (pictures[0, :, -16:] == 128).all()
    assert pictures[4, :, :16].std() > 10
    from PIL import Image

    shown = [np.asarray(Image.fromarray(p[:, 16:64]).resize((24, 40))) for p in pictures[:4]]
    values = np.array(
        [[response(model, "logits", unit, s[None]) for unit in range(4)] for s in shown]
    )
    np.testing.assert_array_equal(values.argmax(1), range(4))


@pytest.mark.parametrize(("padding", "drawn_at"), [("same", 96), ("valid", 160)])
def test_what_deep_layers_lose_at_the_border_is_made_up_for(
    freeze: Freeze, padding: str, drawn_at: int
) -> None:
    """Shallow layers, and whatever is padded, are drawn as large as they are shown."""
    import keras
    import tensorflow as tf
    from keras import layers

    from tb_modelcompare.render.frozen import pruned_graph
    from tb_modelcompare.render.plan import sized_layers

    def conv(name: str, strides: int = 2) -> Any:
        return layers.Conv2D(8, 5, strides, padding, activation="relu", name=name)

    model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            conv("first"),
            conv("second"),
            conv("third"),
            conv("fourth"),
            layers.GlobalAveragePooling2D(name="pooled"),
            layers.Dense(3, name="logits"),
        ]
    )
    frozen, names = freeze(model), ["first", "second", "fourth", "logits"]
    graph = pruned_graph(frozen, names, tf.compat.v1.GraphDef)
    sizes = {p.name: (p.height, p.width) for p in sized_layers(frozen, graph, names, 96, 96)}
    assert sizes == {
        "first": (96, 96),
        "second": (96, 96),
        "fourth": (drawn_at, drawn_at),
        "logits": (drawn_at, drawn_at),
    }
    pictures = render_directions(frozen, [(name, np.eye(8)[0]) for name in names[:3]], steps=2)
    assert pictures.shape == (3, 96, 96, 3)


def test_small_inputs_beyond_the_first_layers(freeze: Freeze) -> None:
    """A network for 32×32 with swish and a dense head, drawn at its own size and at others."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(8, 3, padding="same", activation="swish", name="conv"),
            layers.MaxPooling2D(4, name="pool"),
            layers.Conv2D(12, 3, padding="same", activation="swish", name="deep"),
            layers.GlobalAveragePooling2D(name="mean"),
            layers.Dense(10, activation="softmax", name="classes"),
        ]
    )
    frozen = freeze(model)
    for size in (32, 64):
        jobs = [("conv", one_hot(8, 1)), ("deep", one_hot(12, 2)), ("classes", one_hot(10, 3))]
        pictures = render_directions(frozen, jobs, size=size, steps=48)
        assert pictures.shape == (3, size, size, 3)
        if size == 32:
            on_noise = response(model, "classes", 3, noise(size=32))
            assert response(model, "classes", 3, pictures[2:]) > on_noise


def test_tokens(freeze: Freeze) -> None:
    """Patches, a position embedding and attention: rank 3, and a fixed number of tokens."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    image = keras.Input((32, 32, 3))
    x = layers.Conv2D(16, 8, strides=8, name="patches")(image)
    x = layers.Reshape((16, 16), name="tokens")(x)
    x = x + keras.random.normal((1, 16, 16), seed=1)
    x = layers.LayerNormalization(name="norm")(x)
    x = x + layers.MultiHeadAttention(2, 8, name="attention")(x, x)
    x = layers.Dense(20, activation="gelu", name="mixed")(x)
    model = keras.Model(image, x)
    picture = render_directions(freeze(model), [("mixed", one_hot(20, 3))], size=64, steps=64)
    assert picture.shape == (1, 64, 64, 3)
    small = picture[:, ::2, ::2]
    assert response(model, "mixed", 3, small) > 2 * response(model, "mixed", 3, noise(size=32))


def test_separable_unfused_and_half_precision_layers(freeze: Freeze) -> None:
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                layers.Conv2D(8, 3, use_bias=False, name="conv"),
                layers.BatchNormalization(name="normed"),
                layers.ReLU(max_value=6, name="relu6"),
                layers.DepthwiseConv2D(3, name="depthwise"),
                layers.Conv2D(12, 1, activation="swish", name="pointwise"),
            ]
        )
    finally:
        keras.mixed_precision.set_global_policy("float32")
    jobs = [(name, one_hot(8, 1)) for name in ("normed", "relu6", "depthwise")]
    pictures = render_directions(
        freeze(model), [*jobs, ("pointwise", one_hot(12, 1))], size=48, steps=16
    )
    assert pictures.std((1, 2, 3)).min() > 5


@pytest.mark.parametrize(
    ("direction", "message"),
    [
        (np.ones(7), "8 numbers"),
        (np.zeros(8), "zero"),
        (np.full(8, np.nan), "not finite"),
        (np.ones((8, 1)), "8 numbers"),
    ],
)
def test_a_direction_that_is_none(
    small_net: FrozenModel, direction: np.ndarray, message: str
) -> None:
    with pytest.raises(ActivationError, match=message):
        render_directions(small_net, [("first", direction)], size=32, steps=1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"size": 8}, "size is 8"), ({"size": 5000}, "size"), ({"steps": 0}, "steps is 0")],
)
def test_bounds(small_net: FrozenModel, arguments: dict[str, int], message: str) -> None:
    with pytest.raises(LimitError, match=message):
        render_directions(small_net, [("first", np.ones(8))], **arguments)


def test_nothing_to_render(small_net: FrozenModel) -> None:
    with pytest.raises(LimitError, match="pictures is 0"):
        render_directions(small_net, [])


def test_an_unknown_layer_is_named(small_net: FrozenModel) -> None:
    with pytest.raises(NotRenderableError, match="'fourth'"):
        render_directions(small_net, [("fourth", np.ones(8))])


def test_an_op_without_a_gradient_is_refused(freeze: Freeze) -> None:
    import keras
    from keras import layers

    image = keras.Input((16, 16, 3))
    rounded = keras.ops.round(layers.Conv2D(4, 3, name="conv")(image))
    model = keras.Model(image, layers.Conv2D(4, 3, name="after")(rounded))
    with pytest.raises(NotRenderableError, match="gradient"):
        render_directions(freeze(model), [("after", np.ones(4))], size=32, steps=1)


def test_a_relu6_is_not_the_end(freeze: Freeze) -> None:
    """Where the unit reads 6 all over any picture, its picture still has to show something."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    image = keras.Input((32, 32, 3))
    linear = layers.Conv2D(4, 5, bias_initializer=keras.initializers.Constant(7), name="linear")
    capped = layers.ReLU(max_value=6, name="capped")
    model = keras.Model(image, layers.Conv2D(4, 3, name="after")(capped(linear(image))))
    grey = np.full((1, 32, 32, 3), 128)
    frozen = freeze(model)
    assert response(model, "capped", 1, grey) == 6
    picture = render_directions(frozen, [("capped", one_hot(4, 1))], size=32, steps=64)
    assert response(model, "linear", 1, picture) > response(model, "linear", 1, grey) + 0.1
    # Behind it the network is as it was: the cap stays.
    after = render_directions(frozen, [("after", one_hot(4, 1))], size=32, steps=4)
    both = render_directions(
        frozen, [("after", one_hot(4, 1)), ("capped", one_hot(4, 1))], size=32, steps=4
    )
    assert np.abs(both[0].astype(int) - after[0]).max() <= 1

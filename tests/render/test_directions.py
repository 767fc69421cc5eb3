"""Pictures of directions: seeds, callbacks, and that the layer really responds to them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tb_modelcompare.errors import ActivationError, LimitError, NotRenderableError
from tb_modelcompare.probe import Preprocessing
from tb_modelcompare.render import FrozenModel, RenderCancelled, render_directions
from tests.render.conftest import Freeze


def one_hot(units: int, unit: int) -> np.ndarray:
    return np.eye(units)[unit]


def response(model: Any, layer: str, unit: int, pictures: np.ndarray) -> float:
    """Mean of one unit for pictures (n, h, w, 3 or 1) in [0, 255], computed by Keras."""
    import keras

    part = keras.Model(model.inputs, model.get_layer(layer).output)
    return float(np.mean(part(pictures.astype(np.float32) / 255)[..., unit]))


def noise(count: int = 16, size: int = 64) -> np.ndarray:
    """Grey with the contrast of an ordinary photo."""
    pixels = np.random.default_rng(0).normal(128, 40, (count, size, size, 3))
    return np.clip(pixels, 0, 255)


@pytest.mark.parametrize(
    ("layer", "units", "factor"), [("first", 8, 1.3), ("third", 24, 1.5), ("hidden", 12, 1.5)]
)
def test_a_unit_responds_to_its_picture_far_more_than_to_noise(
    small_net: FrozenModel, small_model: Any, layer: str, units: int, factor: float
) -> None:
    on_noise = [response(small_model, layer, unit, noise()) for unit in range(units)]
    unit = int(np.argsort(on_noise)[3 * units // 4])  # one that noise excites well already
    picture = render_directions(small_net, [(layer, one_hot(units, unit))], size=64, steps=64)
    assert picture.shape == (1, 64, 64, 3)
    assert picture.dtype == np.uint8
    assert response(small_model, layer, unit, picture) > factor * on_noise[unit]


def test_a_negative_direction_suppresses_the_unit(small_net: FrozenModel, small_model: Any) -> None:
    both = [("logits", one_hot(5, 2)), ("logits", -one_hot(5, 2))]
    up, down = render_directions(small_net, both, size=64, steps=48)
    middle = response(small_model, "logits", 2, noise())
    assert response(small_model, "logits", 2, up[None]) > middle
    assert response(small_model, "logits", 2, down[None]) < middle


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(small_net: FrozenModel) -> None:
    from tb_modelcompare.render import loop

    jobs = [("second", one_hot(16, 3)), ("third", one_hot(24, 5)), ("logits", one_hot(5, 0))]
    first = render_directions(small_net, jobs, size=48, steps=24, seed=7)
    warm = render_directions(small_net, jobs, size=48, steps=24, seed=7)
    loop.forget_programs()
    cold = render_directions(small_net, jobs, size=48, steps=24, seed=7)
    other = render_directions(small_net, jobs, size=48, steps=24, seed=8)
    np.testing.assert_array_equal(first, warm)
    np.testing.assert_array_equal(first, cold)
    assert (first != other).mean() > 0.5


def test_rendering_leaves_numpys_global_random_state_alone(small_net: FrozenModel) -> None:
    np.random.seed(5)
    expected = np.random.rand()
    np.random.seed(5)
    render_directions(small_net, [("first", one_hot(8, 0))], size=32, steps=2)
    assert np.random.rand() == expected


def test_each_direction_gets_its_own_layers_picture(
    small_net: FrozenModel, small_model: Any
) -> None:
    units = {"first": 8, "second": 16, "third": 24}

    def nth(layer: str, rank: int) -> tuple[str, int]:
        """A unit that noise excites, so that random weights have not left it dead."""
        order = np.argsort([-response(small_model, layer, u, noise()) for u in range(units[layer])])
        return layer, int(order[rank])

    jobs = [nth("third", 0), nth("first", 0), nth("third", 1), nth("second", 1), nth("first", 1)]
    directions = [(layer, one_hot(units[layer], unit)) for layer, unit in jobs]
    pictures = render_directions(small_net, directions, size=64, steps=24).astype(float)
    for own, direction in enumerate(directions):
        (alone,) = render_directions(small_net, [direction], size=64, steps=24)
        distances = [np.abs(picture - alone).mean() for picture in pictures]
        assert int(np.argmin(distances)) == own


def test_previews_come_in_order_and_sharpen(small_net: FrozenModel, small_model: Any) -> None:
    seen: list[tuple[int, dict[int, np.ndarray]]] = []
    steps: list[tuple[int, int]] = []
    final = render_directions(
        small_net,
        [("third", one_hot(24, 5)), ("first", one_hot(8, 1))],
        size=48,
        steps=40,
        preview_steps=(4, 16, 32, 64),
        on_step=lambda step, total: steps.append((step, total)),
        on_images=lambda step, images: seen.append((step, images)),
    )
    assert [step for step, _ in seen] == [4, 16, 32, 40]
    assert steps == [(i, 40) for i in range(1, 41)]
    assert all(list(images) == [1, 0] for _, images in seen)  # in order of depth
    for i, picture in seen[-1][1].items():
        np.testing.assert_array_equal(picture, final[i])
    values = [response(small_model, "third", 5, images[0][None]) for _, images in seen]
    assert values == sorted(values)


def test_cancel_is_seen_within_one_step(small_net: FrozenModel) -> None:
    steps: list[int] = []
    with pytest.raises(RenderCancelled):
        render_directions(
            small_net,
            [("first", one_hot(8, 0))],
            size=32,
            steps=200,
            on_step=lambda step, _: steps.append(step),
            cancelled=lambda: len(steps) >= 5,
        )
    assert len(steps) == 5


def test_the_next_job_is_not_disturbed_by_a_cancelled_one(small_net: FrozenModel) -> None:
    job = [("first", one_hot(8, 0))]
    expected = render_directions(small_net, job, size=32, steps=12)
    with pytest.raises(RenderCancelled):
        render_directions(
            small_net, job, size=32, steps=12, seed=3,
            on_step=lambda step, _: None, cancelled=iter([False] * 6 + [True]).__next__,
        )  # fmt: skip
    np.testing.assert_array_equal(render_directions(small_net, job, size=32, steps=12), expected)


def test_the_preprocessing_is_the_models(freeze: Freeze, small_model: Any) -> None:
    """A model that wants BGR of 0..255 less a mean, and does what `small_model` does, looks
    at the same picture."""
    import keras

    mean = np.array([103.0, 117.0, 123.0])
    image = keras.Input((64, 64, 3))
    unit = (image + keras.ops.convert_to_tensor(mean, "float32"))[..., ::-1] / 255.0
    wrapped = freeze(
        keras.Model(image, small_model(unit)), Preprocessing.caffe(mean=tuple(mean.tolist()))
    )
    plain = freeze(small_model)
    inner = next(name for name in wrapped.tensors if name.endswith("third"))
    job = one_hot(24, 5)
    expected = render_directions(plain, [("third", job)], size=48, steps=24)
    actual = render_directions(wrapped, [(inner, job)], size=48, steps=24)
    wrong = render_directions(
        FrozenModel(**{**vars(wrapped), "preprocessing": Preprocessing()}),
        [(inner, job)],
        size=48,
        steps=24,
    )
    assert np.abs(actual.astype(int) - expected).mean() < 1.0
    assert np.abs(wrong.astype(int) - expected).mean() > 10.0


@pytest.mark.parametrize("activation", ["relu", "relu6"])
def test_a_unit_that_noise_does_not_excite_gets_going(freeze: Freeze, activation: str) -> None:
    """Without the redirected gradient nothing would ever flow back through this unit."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            layers.Conv2D(4, 5, activation=activation, name="silent"),
        ]
    )
    kernel, bias = model.layers[0].get_weights()
    kernel -= kernel.mean((0, 1, 2))  # constant grey excites nothing
    model.layers[0].set_weights([kernel, bias - 0.1])
    assert response(model, "silent", 1, np.full((1, 32, 32, 3), 128)) == 0
    picture = render_directions(freeze(model), [("silent", one_hot(4, 1))], size=32, steps=64)
    assert response(model, "silent", 1, picture) > 0.1


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
    from tb_modelcompare.render.plan import place

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
    sizes = {p.layer: (p.height, p.width) for p in place(frozen, graph, names, 96, 96)}
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


def test_a_cosine_makes_the_direction_purer(small_net: FrozenModel, small_model: Any) -> None:
    import keras

    part = keras.Model(small_model.inputs, small_model.get_layer("third").output)

    def purity(cossim_pow: float) -> float:
        picture = render_directions(
            small_net, [("third", one_hot(24, 5))], size=64, steps=64, cossim_pow=cossim_pow
        )
        activations = np.asarray(part(picture.astype(np.float32) / 255)).reshape(-1, 24)
        mean = activations.mean(0)
        return float(mean[5] / np.linalg.norm(mean))

    assert purity(2.0) > purity(0.0)


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


def test_a_picture_that_gains_nothing_more_is_left_alone(
    freeze: Freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    import keras
    from keras import layers

    from tb_modelcompare.render.program import Program

    taken: list[int] = []
    step = Program.step
    monkeypatch.setattr(Program, "step", lambda self, m: taken.append(1) or step(self, m))
    keras.utils.set_random_seed(3)
    colour = layers.Conv2D(2, 1, activation="sigmoid", name="colour")
    model = keras.Sequential([keras.Input((None, None, 3)), layers.Rescaling(20.0), colour])
    steps: list[int] = []
    picture = render_directions(
        freeze(model),
        [("colour", one_hot(2, 0))],
        size=16,
        steps=600,
        on_step=lambda done, _: steps.append(done),
    )
    assert 128 <= len(taken) < 500
    assert steps[-1] == 600
    assert response(model, "colour", 0, picture) > 0.95

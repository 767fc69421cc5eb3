"""Analogies and caricatures over HTTP, rendered in a real worker process by a real network."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from serving import Server, activations, error_of, make_probe

from tb_modelcompare import SummaryWriter, analogy
from tb_modelcompare.executors import WorkerProcess
from tb_modelcompare.jobs import RENDERS
from tb_modelcompare.store import open_snapshot

A, B, PLAIN = "a/net@0", "b/net@0", "plain/net@0"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small convolutional networks with weights of their own, and one without its graph."""
    keras = pytest.importorskip("keras")
    root = tmp_path_factory.mktemp("models")
    probe = make_probe(count=20)
    for run, seed in (("a", 1), ("b", 2)):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((32, 32, 3))
        x = keras.layers.Conv2D(8, 5, activation="swish", name="conv1")(inputs)
        x = keras.layers.Conv2D(6, 3, strides=2, activation="swish", name="conv2")(x)
        dead = keras.layers.Conv2D(
            4, 1, activation="relu", name="dead", bias_initializer=keras.initializers.Constant(-99)
        )(x)
        x = keras.layers.Concatenate(name="join")([x, dead])
        model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D(name="pool")(x))
        with SummaryWriter(root / run, probe) as writer:
            writer.add_model("net", model, step=0, progress=False)
    with SummaryWriter(root / "plain", probe) as writer:
        writer.add_activations("net", activations(1), step=0)
    return root


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests, as its worker takes seconds to load TensorFlow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TB_MODELCOMPARE_CACHE", str(tmp_path_factory.mktemp("cache")))
        server = Server(models)
    yield server
    server.plugin.close()


def analogies(**changes: Any) -> dict[str, Any]:
    return {
        "kind": "analogies",
        "a": A,
        "layer": "conv2",
        "unit": 3,
        "targets": [{"snapshot": B, "layers": ["conv1", "conv2"]}],
        "size": 32,
        "steps": 20,
        **changes,
    }


def picture(server: Server, item: dict[str, Any]) -> np.ndarray:
    route, _, query = item["image"].partition("?")
    response = server.client.get(f"{server.prefix}/{route}?{query}")
    assert response.mimetype == "image/png"
    return np.asarray(Image.open(io.BytesIO(response.data)))


def test_analogies_come_with_numbers_first_then_pictures_that_sharpen(
    server: Server, models: Path
) -> None:
    asked = server.ask(analogies())
    assert [(i["role"], i["snapshot"], i["layer"]) for i in asked["items"]] == [
        ("source", A, "conv2"),
        ("analogy", B, "conv1"),
        ("analogy", B, "conv2"),
    ]
    numbers = server.wait(asked["id"], until=lambda s: s["items"][2]["r2"] is not None, seconds=120)
    assert numbers["items"][2]["image"] is None
    preview = server.wait(asked["id"], until=lambda s: s["items"][2]["image"], seconds=120)
    done = server.wait(asked["id"], seconds=120)
    assert (done["status"], done["error"]) == ("done", None)
    assert [item["step"] for item in done["items"]] == [20, 20, 20]

    pictures = [picture(server, item) for item in done["items"]]
    assert all(one.shape == (32, 32, 3) for one in pictures)
    assert all(one.std() > 5 for one in pictures)  # neither grey nor flat
    # The address of a preview, perhaps asked for a moment too late, gives the final picture.
    np.testing.assert_array_equal(picture(server, preview["items"][2]), pictures[2])

    a, b = open_snapshot(models, A), open_snapshot(models, B)
    unit = a.activations("conv2")[:, 3]
    images = np.arange(a.rows) // 3
    for item in done["items"][1:]:
        target = b.activations(item["layer"])
        expected = analogy.prediction_r2(target, unit, groups=images)[0]
        assert item["r2"] == pytest.approx(expected, abs=1e-6)
        best = np.nanargmax(
            [np.corrcoef(unit, column)[0, 1] if column.any() else -1 for column in target.T]
        )
        assert item["best_unit"]["unit"] == best

    again = server.ask(analogies())
    assert (again["status"], again["items"]) == ("done", done["items"])
    assert server.ask(analogies(seed=1))["id"] != done["id"]


def test_a_look_at_a_layer_starts_the_renderer_only_where_it_can_render(
    models: Path, serve: Callable[..., Server]
) -> None:
    server = serve(models)
    lane = server.plugin._jobs._lanes[RENDERS]
    server.json("layer", snapshot=PLAIN, layer="conv1")
    assert lane._executor is None
    server.json("layer", snapshot=A, layer="conv1")
    assert isinstance(lane._executor, WorkerProcess)


def test_layers_without_a_direction_say_so_and_the_others_are_drawn(server: Server) -> None:
    targets = [{"snapshot": B, "layers": None}]
    asked = server.ask(analogies(sign=-1, targets=targets, steps=4))
    done = server.wait(asked["id"], seconds=120)
    assert done["status"] == "done"
    by_layer = {item["layer"]: item for item in done["items"][1:]}
    assert {"conv1", "conv2", "dead", "join", "pool"} <= set(by_layer)
    assert "0 on the whole probe" in by_layer["dead"]["problem"]
    assert by_layer["dead"]["image"] is None
    drawn = [item for item in by_layer.values() if item["problem"] is None]
    assert len(drawn) >= 4
    assert all(item["image"] for item in drawn)


def test_a_render_is_cancelled_and_its_worker_stays_warm(server: Server) -> None:
    asked = server.ask(analogies(steps=4096))
    running = server.wait(asked["id"], until=lambda s: s["items"][0]["image"], seconds=120)
    assert 0 < running["fraction"] < 1
    server.post("cancel", {"id": asked["id"]})
    cancelled = server.wait(asked["id"], seconds=9)
    assert cancelled["status"] == "cancelled"
    assert all(item["image"] is None for item in cancelled["items"])


def test_caricatures_keep_the_photos_proportions(server: Server) -> None:
    request = {
        "kind": "caricatures",
        "snapshot": A,
        "image": 4,
        "layers": ["conv2", "conv1"],
        "size": 48,
        "steps": 6,
    }
    done = server.wait(server.ask(request)["id"], seconds=120)
    assert (done["status"], done["error"]) == ("done", None)
    assert [(i["role"], i["layer"]) for i in done["items"]] == [
        ("caricature", "conv1"),
        ("caricature", "conv2"),
    ]
    assert picture(server, done["items"][0]).shape == (32, 48, 3)  # of a photo 16 × 24


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"layer": "conv7"}, 404, "UnknownSnapshotError"),
        ({"unit": 6}, 400, "RequestError"),
        ({"unit": "3"}, 400, "RequestError"),
        ({"unit": True}, 400, "RequestError"),
        ({"sign": 0}, 400, "RequestError"),
        ({"size": 4096}, 400, "RequestError"),
        ({"steps": 0}, 400, "RequestError"),
        ({"seed": -1}, 400, "RequestError"),
        ({"targets": B}, 400, "RequestError"),
        ({"targets": [{"snapshot": B, "layers": "conv1"}]}, 400, "RequestError"),
        ({"targets": [{"snapshot": B, "layers": ["conv7"]}]}, 404, "UnknownSnapshotError"),
        ({"targets": [{"snapshot": PLAIN, "layers": ["conv1"]}]}, 422, "NotRenderableError"),
        ({"targets": [{"snapshot": PLAIN, "layers": None}]}, 422, "NotRenderableError"),
        ({"a": PLAIN}, 422, "NotRenderableError"),
        ({"targets": [{"snapshot": B, "layers": None}] * 60}, 429, "LimitError"),
    ],
)
def test_what_cannot_be_rendered_is_refused_before_anything_is_queued(
    server: Server, change: dict[str, Any], status: int, kind: str
) -> None:
    before = server.json("jobs")
    assert error_of(server.post("jobs", analogies(**change)))[:2] == (status, kind)
    assert server.json("jobs") == before


def test_a_graph_with_an_op_that_is_not_allowed_is_refused_by_name(
    models: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    from tb_modelcompare.render import frozen

    server = serve(models)
    monkeypatch.setattr(frozen, "ALLOWED_OPS", frozen.ALLOWED_OPS - {"Conv2D"})
    code, kind, message = error_of(server.post("jobs", analogies()))
    assert (code, kind) == (422, "NotRenderableError")
    assert "Conv2D" in message

"""Analogies and caricatures over HTTP, rendered in a real worker process by a real network."""

from __future__ import annotations

import functools
import io
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from patience import HANG
from PIL import Image
from rendered import PLAIN, A, B, analogies
from serving import Server, error_of

from tb_modelcompare import errors, jobs
from tb_modelcompare.analogy import (
    correlation,
    decoder_direction,
    direction_correlation,
    pattern_direction,
    predict_direction,
    prediction,
)
from tb_modelcompare.cache.results import ResultCache
from tb_modelcompare.compare.photos import keep_photo
from tb_modelcompare.errors import PhotoError, RequestError
from tb_modelcompare.jobs import pictures, warm_up
from tb_modelcompare.jobs.registry import task_from_request
from tb_modelcompare.jobs.runtime.work import attempt
from tb_modelcompare.log.reader import open_snapshot


@pytest.fixture(scope="module")
def server(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests, as its worker takes seconds to load TensorFlow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TB_MODELCOMPARE_CACHE", str(tmp_path_factory.mktemp("cache")))
        server = Server(models)
    yield server
    server.plugin.close()


def picture(server: Server, item: dict[str, Any]) -> np.ndarray:
    route, _, query = item["image"].partition("?")
    response = server.client.get(f"{server.prefix}/{route}?{query}")
    assert response.mimetype == "image/png"
    return np.asarray(Image.open(io.BytesIO(response.data)))


def test_analogies_come_with_numbers_and_pictures_that_sharpen(
    server: Server, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = server.ask(analogies())
    assert [(i["role"], i["snapshot"], i["layer"]) for i in asked["items"]] == [
        ("source", A, "conv2"),
        ("analogy", B, "conv1"),
        ("analogy", B, "conv2"),
    ]

    def drawn(status: dict[str, Any]) -> bool:
        """No picture stands without its number."""
        assert all(i["drawn"] is not None for i in status["items"][1:] if i["image"])
        return bool(status["items"][2]["image"])

    preview = server.wait(asked["id"], until=drawn)
    done = server.wait(asked["id"])
    assert (done["status"], done["error"]) == ("done", None)
    assert [item["step"] for item in done["items"]] == [20, 20, 20]

    pictures = [picture(server, item) for item in done["items"]]
    assert all(one.shape == (32, 32, 3) for one in pictures)
    assert all(one.std() > 5 for one in pictures)  # neither grey nor flat
    # A picture of the unit itself exceeds nearly all images.
    assert done["items"][0]["stronger_than"] > 0.9
    assert all(0 <= item["stronger_than"] <= 1 for item in done["items"])
    # The address of a preview, perhaps asked for a moment too late, gives the final picture.
    np.testing.assert_array_equal(picture(server, preview["items"][2]), pictures[2])

    a, b = open_snapshot(models, A), open_snapshot(models, B)
    unit = a.activations("conv2")[:, 3]
    images = np.arange(a.rows) // 3
    for item in done["items"][1:]:
        target = b.activations(item["layer"])
        expected = prediction.prediction_r2(target, unit, groups=images)[0]
        assert item["r2"] == pytest.approx(expected, abs=1e-6)
        along = direction_correlation(a.activations("conv2"), target, np.eye(6)[3], groups=images)
        assert item["drawn"] == {
            "direction": "regression",
            "correlation": pytest.approx(along.value, abs=1e-6),
            "low": pytest.approx(along.low, abs=1e-6),
            "high": pytest.approx(along.high, abs=1e-6),
            "null": pytest.approx(along.null, abs=1e-6),
        }
        best = np.nanargmax(
            [np.corrcoef(unit, column)[0, 1] if column.any() else -1 for column in target.T]
        )
        assert item["best_unit"]["unit"] == best

    again = server.ask(analogies())
    assert (again["status"], again["items"]) == ("done", done["items"])
    part = {"targets": [{"snapshot": B, "layers": ["conv2"]}]}
    (_, recalled) = server.wait(server.ask(analogies(**part))["id"])["items"]
    assert recalled["stronger_than"] == done["items"][2]["stronger_than"]
    assert server.ask(analogies(seed=1))["id"] != done["id"]

    # What was drawn is known without a job, also among layers that were not asked about together.
    before = len(server.json("jobs")["jobs"])
    targets = [{"snapshot": B, "layers": ["conv2", "join"]}]
    known = server.post("known", analogies(targets=targets)).get_json()["items"]
    assert [bool(item["image"]) for item in known] == [True, True, False]
    assert [item["drawn"] for item in known[1:]] == [done["items"][2]["drawn"], None]
    np.testing.assert_array_equal(picture(server, known[1]), picture(server, done["items"][2]))
    unseen = server.post("known", analogies(unit=2)).get_json()["items"]
    assert [item["image"] for item in unseen] == [None, None, None]
    assert len(server.json("jobs")["jobs"]) == before
    refused = error_of(server.post("known", {"kind": "similarity", "a": A, "b": B}))
    assert refused[:2] == (400, "RequestError")
    # Units are known as the tab draws them: in another size this one is not among them.
    renders = functools.partial(server.json, "unit_renders", snapshot=A, layer="conv2")
    assert renders() == {"units": [], "images": []}
    monkeypatch.setattr(jobs.analogies, "UNIT_SIZE", 32)
    monkeypatch.setattr(jobs.analogies, "TAB_STEPS", (40, 20))
    assert renders()["units"] == [3]
    own = {"image": renders()["images"][0]}
    np.testing.assert_array_equal(picture(server, own), picture(server, done["items"][0]))


def test_a_unit_names_what_it_sees_of_its_best_images(server: Server) -> None:
    (top, *_) = server.json("unit", snapshot=A, layer="conv1", unit=2)["top"]
    # A window of 5 × 5 of 32 × 32 pixels, around where the unit was read.
    height, width = (round(32 * share) for share in top["box"][2:])
    assert (height, width) == (5, 5)
    for share, start in zip((top["u"], top["v"]), top["box"], strict=False):
        assert start - 0.02 <= share <= start + 5 / 32 + 0.02
    assert server.json("unit", snapshot=A, layer="pool", unit=2)["top"][0]["box"] is None


def test_layers_without_a_direction_say_so_and_the_others_are_drawn(server: Server) -> None:
    targets = [{"snapshot": B, "layers": None}]
    asked = server.ask(analogies(sign=-1, targets=targets, steps=4))
    done = server.wait(asked["id"])
    assert done["status"] == "done"
    by_layer = {item["layer"]: item for item in done["items"][1:]}
    assert {"conv1", "conv2", "constant", "join", "pool"} <= set(by_layer)
    assert "0 on the whole probe" in by_layer["constant"]["problem"]
    assert by_layer["constant"]["image"] is None
    drawn = [item for item in by_layer.values() if item["problem"] is None]
    assert len(drawn) >= 4
    assert all(item["image"] for item in drawn)


def test_a_render_is_cancelled_and_its_worker_stays_warm(server: Server) -> None:
    asked = server.ask(analogies(steps=4096))
    running = server.wait(asked["id"], until=lambda s: s["items"][0]["image"])
    assert 0 < running["fraction"] < 1
    server.post("cancel", {"id": asked["id"]})
    cancelled = server.wait(asked["id"])
    assert cancelled["status"] == "cancelled"
    assert all(item["image"] is None for item in cancelled["items"])


def test_a_sharp_picture_makes_way_and_goes_on_from_the_size_that_it_had_reached(
    server: Server,
) -> None:
    def at(status: dict[str, Any]) -> tuple[int, int]:
        """The step that a job is at, and how many it takes."""
        found = re.fullmatch(r"step (\d+) of (\d+)", status["message"])
        return (int(found[1]), int(found[2])) if found else (0, 0)

    body = analogies(unit=4, targets=[], size=384, steps=80)  # 80 steps at 96 px, 30 at 192, 15
    answer = server.post("jobs?background=1", body)
    sharp = json.loads(answer.data)["id"]
    first = server.wait(sharp, until=lambda status: at(status)[0] > 82)
    assert at(first)[1] == 125
    small = server.ask(analogies(unit=5, targets=[], steps=2))["id"]
    assert server.wait(small)["status"] == "done"
    assert server.json("job", id=sharp)["status"] in ("queued", "running")  # not yet done
    again = server.wait(sharp, until=lambda status: at(status)[0] > 0)
    assert at(again)[1] == 45
    done = server.wait(sharp)
    assert (done["status"], done["items"][0]["step"]) == ("done", 80)
    assert picture(server, done["items"][0]).shape == (384, 384, 3)


def test_caricatures_keep_the_photos_proportions(server: Server) -> None:
    request = {
        "kind": "caricatures",
        "snapshot": A,
        "image": 4,
        "layers": ["conv2", "conv1"],
        "size": 48,
        "steps": 6,
    }
    plain = server.ask({**request, "cossim_pow": 0.0})["id"]
    assert plain != server.ask(request)["id"]
    assert server.wait(plain)["status"] == "done"
    done = server.wait(server.ask(request)["id"])
    assert (done["status"], done["error"]) == ("done", None)
    assert [(i["role"], i["layer"]) for i in done["items"]] == [
        ("caricature", "conv1"),
        ("caricature", "conv2"),
    ]
    assert picture(server, done["items"][0]).shape == (32, 48, 3)  # of a photo 16 × 24


def test_a_photo_of_ones_own_is_drawn_and_one_that_is_gone_named(
    models: Path, tmp_path: Path
) -> None:
    body = {"kind": "caricatures", "snapshot": A, "layers": ["conv1"], "size": 32, "steps": 3}
    photos = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), np.uint8)
    digests = [keep_photo(ResultCache(), photo) for photo in photos]
    first, second = (
        run_here(models, {**body, "photo": digest}, tmp_path / digest[:8]) for digest in digests
    )
    assert first[0]["image"] == "0.png"
    assert first[0]["picture"] != second[0]["picture"]
    with pytest.raises(PhotoError, match="give it again"):
        run_here(models, {**body, "photo": "0" * 64}, tmp_path / "gone")
    for wrong in ({"photo": "../../etc"}, {"photo": digests[0], "image": 1}, {}):
        with pytest.raises(RequestError, match="photo"):
            run_here(models, {**body, **wrong}, tmp_path / "wrong")


def test_a_caricature_is_drawn_once_for_all_sizes(
    models: Path, tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tb_modelcompare import render

    sizes: list[int] = []
    original = render.render_caricatures

    def counting(*arguments: Any, **options: Any) -> Any:
        sizes.append(options["size"])
        return original(*arguments, **options)

    monkeypatch.setattr(render, "render_caricatures", counting)
    body = {"kind": "caricatures", "snapshot": A, "image": 4, "layers": ["conv1"], "steps": 2}
    pictures = {}
    for size in (224, 48, 96, 112, 48):
        (item,) = run_here(models, {**body, "size": size}, tmp_path / f"{size}-{len(pictures)}")
        content = ResultCache().read(item["picture"], "picture.png")
        assert content is not None
        pictures[size] = np.asarray(Image.open(io.BytesIO(content)))
        assert max(pictures[size].shape) == size
    assert sizes == [224]
    reduced = np.asarray(Image.fromarray(pictures[224]).resize((96, 64)))
    np.testing.assert_array_equal(pictures[96], reduced)
    purer = {**body, "cossim_pow": 3.0}
    for size in (48, 112, 224, 225):  # a small one does not pay for a large one
        run_here(models, {**purer, "size": size}, tmp_path / f"{size}-purer")
    assert sizes == [224, 112, 224, 512]


@pytest.mark.parametrize(
    ("change", "status", "kind"),
    [
        ({"unit": None}, 400, "RequestError"),
        ({"direction": [1.0] * 6}, 400, "RequestError"),
        ({"unit": None, "direction": [1.0] * 5}, 400, "RequestError"),
        ({"unit": None, "direction": [True] * 6}, 400, "RequestError"),
        ({"unit": None, "direction": [10**400] * 6}, 400, "RequestError"),
        ({"unit": None, "direction": [0.0] * 6}, 422, "ActivationError"),
        ({"minus": "b"}, 400, "RequestError"),
        ({"minus": {"snapshot": B, "layer": "conv7"}}, 404, "UnknownSnapshotError"),
        ({"layer": "conv7"}, 404, "UnknownSnapshotError"),
        ({"unit": 6}, 400, "RequestError"),
        ({"unit": "3"}, 400, "RequestError"),
        ({"unit": True}, 400, "RequestError"),
        ({"sign": 0}, 400, "RequestError"),
        ({"answer": "weights"}, 400, "RequestError"),
        ({"size": 4096}, 400, "RequestError"),
        ({"size": "large"}, 400, "RequestError"),
        ({"cossim_pow": -1}, 400, "RequestError"),
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
    models: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tb_modelcompare.render import frozen

    # Logs that no other test has asked about: what was found renderable is remembered.
    server = serve(shutil.copytree(models, tmp_path / "models"))
    monkeypatch.setattr(frozen, "ALLOWED_OPS", frozen.ALLOWED_OPS - {"Conv2D"})
    code, kind, message = error_of(server.post("jobs", analogies()))
    assert (code, kind) == (422, "NotRenderableError")
    assert "Conv2D" in message


def counted_renders(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Which layers each call of the renderer was asked for, in this process."""
    from tb_modelcompare import render

    calls: list[list[str]] = []
    original = render.render_directions_at

    def counting(model: Any, directions: Any, sizes: Any, **options: Any) -> Any:
        calls.append([layer for layer, _ in directions])
        return original(model, directions, sizes, **options)

    monkeypatch.setattr(render, "render_directions_at", counting)
    return calls


def run_here(models: Path, body: dict[str, Any], work: Path) -> list[dict[str, Any]]:
    """The items of a job that is run in this process, as a worker would."""
    task = task_from_request(body, functools.partial(open_snapshot, models))
    work.mkdir()
    outcome = attempt(task.run, task.inputs, str(work), ResultCache(), "cpu")
    if outcome.error is not None:
        raise getattr(errors, outcome.error.type)(outcome.error.message)
    assert outcome.report is not None
    return outcome.report["items"]


def test_no_direction_is_rendered_twice_whatever_layers_it_is_asked_in(
    models: Path, tmp_path: Path, cache_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = counted_renders(monkeypatch)

    def targets(*layers: str) -> list[dict[str, Any]]:
        return [{"snapshot": B, "layers": list(layers)}]

    first = run_here(models, analogies(targets=targets("conv1"), steps=4), tmp_path / "1")
    assert calls == [["conv2"], ["conv1"]]
    calls.clear()
    wider = run_here(models, analogies(targets=targets("join", "conv1"), steps=4), tmp_path / "2")
    assert calls == [["join"]]
    keys = {item["layer"]: item["picture"] for item in first}
    assert [item["picture"] for item in wider[:2]] == [keys["conv2"], keys["conv1"]]
    assert [item["image"] for item in wider] == ["0.png", "1.png", "2.png"]
    assert wider[1]["r2"] == first[1]["r2"]
    # What is lost is made again, and only that.
    calls.clear()
    file = next(cache_directory.rglob(f"{keys['conv1']}/picture.png"))
    file.write_bytes(file.read_bytes()[:-9])
    again = run_here(models, analogies(targets=targets("conv1"), steps=4), tmp_path / "3")
    assert calls == [["conv1"]]
    assert again == first
    # Other steps are other pictures of the same directions.
    calls.clear()
    monkeypatch.setattr(prediction, "prediction_r2", None)  # not needed again
    run_here(models, analogies(targets=targets("conv1"), steps=5), tmp_path / "4")
    assert calls == [["conv2"], ["conv1"]]


def test_the_unit_waits_for_no_regression_and_no_picture_for_how_well_a_layer_predicts_it(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[list[str]] = counted_renders(monkeypatch)
    directions, rated = correlation.direction_correlations, prediction.prediction_r2

    def counting(*arguments: Any, **options: Any) -> Any:
        events.append(["direction"])
        return directions(*arguments, **options)

    def late(target: Any, *arguments: Any, **options: Any) -> Any:
        deadline = time.monotonic() + HANG
        while ["conv1"] not in events and time.monotonic() < deadline:
            time.sleep(0.01)
        events.append(["r2"])
        return rated(target, *arguments, **options)

    monkeypatch.setattr(correlation, "direction_correlations", counting)
    monkeypatch.setattr(prediction, "prediction_r2", late)
    monkeypatch.setattr(pictures, "FIRST_BATCH", 1)
    items = run_here(models, analogies(steps=12), tmp_path / "work")
    assert events[0] == ["conv2"]
    assert events.index(["direction"]) < events.index(["conv1"]) < events.index(["r2"])
    assert [item["r2"] is None for item in items] == [True, False, False]


def test_the_first_analogies_wait_for_a_sketch_of_the_unit_alone(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "FIRST_BATCH", 1)
    monkeypatch.setattr(jobs.analogies, "SKETCH_STEPS", 2)
    calls = counted_renders(monkeypatch)
    items = run_here(models, analogies(steps=6), tmp_path / "work")
    assert calls == [["conv2"], ["conv1"], ["conv2"], ["conv2"]]
    assert [item["step"] for item in items] == [6, 6, 6]


def test_a_warm_up_compiles_what_the_first_analogies_need(
    models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm_up, "FIRST_BATCH", 2)
    calls = counted_renders(monkeypatch)
    find = functools.partial(open_snapshot, models)
    targets = [{"snapshot": B, "layers": ["pool", "conv1", "conv2"]}]
    body = {"snapshot": A, "layer": "conv2", "targets": targets}
    warm_up.run(warm_up.prepare(msgspec.convert(body, warm_up.Request), find), "cpu")
    # As `analogies` draws them: together, in order of depth.
    assert calls == [["conv2"], ["conv1", "pool"]]


def test_the_layers_that_are_named_first_are_drawn_first(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "FIRST_BATCH", 1)
    calls = counted_renders(monkeypatch)
    targets = [
        {"snapshot": B, "layers": ["pool", "conv1", "conv2"]},
        {"snapshot": A, "layers": ["join"]},
    ]
    items = run_here(models, analogies(targets=targets, steps=2), tmp_path / "work")
    assert calls == [["conv2"], ["pool"], ["join"], ["conv1", "conv2"]]
    assert [item["layer"] for item in items] == ["conv2", "conv1", "conv2", "pool", "join"]


def test_a_direction_may_be_given_by_its_weights(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = [0.0, 0.0, 0.5, 0.0, -2.0, 0.0]
    body = analogies(direction=weights, targets=[{"snapshot": B, "layers": ["conv2"]}], steps=2)
    del body["unit"]
    items = run_here(models, body, tmp_path / "work")
    a, b = open_snapshot(models, A), open_snapshot(models, B)
    response = a.activations("conv2") @ np.array(weights)
    expected = prediction.prediction_r2(
        b.activations("conv2"), response, groups=np.arange(a.rows) // 3
    )
    assert items[1]["r2"] == pytest.approx(expected[0], abs=1e-6)
    unit = analogies(direction=[0.0, 0.0, 0.0, 1.0, 0.0, 0.0], targets=[], steps=2)
    del unit["unit"]
    (one,) = run_here(models, unit, tmp_path / "unit")
    (same,) = run_here(models, analogies(targets=[], steps=2), tmp_path / "same")
    assert one["picture"] == same["picture"]


def test_a_larger_picture_continues_from_one_that_is_known(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tb_modelcompare import render

    begun: list[list[int]] = []
    original = render.render_directions_at

    def noted(model: Any, directions: Any, sizes: Any, *, smaller: Any, **options: Any) -> Any:
        begun.append([len(picture) for picture in smaller.values()])
        return original(model, directions, sizes, smaller=smaller, **options)

    monkeypatch.setattr(render, "render_directions_at", noted)
    for size in (96, 192, 384):
        body = analogies(targets=[], steps=2, size=size)
        (item,) = run_here(models, body, tmp_path / str(size))
        assert item["step"] == 2
    assert begun == [[], [96], [192]]
    # "auto" stands for one of these sizes, so its picture is known.
    run_here(models, analogies(targets=[], steps=2, size="auto"), tmp_path / "auto")
    assert len(begun) == 3


@pytest.mark.parametrize("answer", ["regression", "pattern", "decoder"])
def test_the_number_beside_a_picture_is_that_of_the_direction_that_is_drawn(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    from tb_modelcompare import render

    drawn: dict[str, np.ndarray] = {}
    original = render.render_directions_at

    def noted(model: Any, directions: Any, sizes: Any, **options: Any) -> Any:
        drawn.update(directions)
        return original(model, directions, sizes, **options)

    monkeypatch.setattr(render, "render_directions_at", noted)
    targets = [{"snapshot": B, "layers": ["conv1", "constant"]}]
    body = analogies(targets=targets, steps=2, answer=answer)
    source, found, constant = run_here(models, body, tmp_path / "work")
    x = open_snapshot(models, A).activations("conv2")
    y = open_snapshot(models, B).activations("conv1")
    unit, images = np.eye(6)[3], np.arange(len(x)) // 3
    of_answer = {
        "regression": predict_direction,
        "pattern": pattern_direction,
        "decoder": decoder_direction,
    }[answer]
    np.testing.assert_allclose(drawn["conv1"], of_answer(x, y, unit), rtol=1e-9)
    along = direction_correlation(x, y, unit, direction=answer, groups=images)  # type: ignore[arg-type]
    assert found["drawn"]["direction"] == answer
    assert found["drawn"]["correlation"] == pytest.approx(along.value, abs=1e-9)
    assert source["drawn"] is None
    silent = "is 0" if answer == "regression" else "does not vary"
    assert silent in constant["problem"]
    assert constant["drawn"]["correlation"] == 0.0

    # Each direction has a picture of its own, and the unit itself one for all.
    task = task_from_request(body, functools.partial(open_snapshot, models))
    plain = {**body, "answer": "pattern" if answer == "regression" else "regression"}
    other = task_from_request(plain, functools.partial(open_snapshot, models))
    assert task.items[0].picture == other.items[0].picture
    assert task.items[1].picture != other.items[1].picture


def test_a_direction_less_what_another_model_has_of_it(models: Path, tmp_path: Path) -> None:
    minus = {"snapshot": B, "layer": "conv2"}
    (item,) = run_here(models, analogies(minus=minus, targets=[], steps=2), tmp_path / "1")
    (plain,) = run_here(models, analogies(targets=[], steps=2), tmp_path / "2")
    assert (item["role"], plain["role"]) == ("difference", "source")
    assert item["picture"] != plain["picture"]
    a, b = open_snapshot(models, A), open_snapshot(models, B)
    groups = np.arange(a.rows) // 3
    shared = prediction.prediction_r2(
        b.activations("conv2"), a.activations("conv2")[:, 3], groups=groups
    )
    assert item["r2"] == pytest.approx(shared[0], abs=1e-6)


def test_the_workers_obey_the_flag_for_the_device(
    models: Path, serve: Callable[..., Server]
) -> None:
    server = serve(models, modelcompare_device="gpu:999")
    target = {"snapshot": B, "layers": ["conv1"]}
    body = {"kind": "analogies", "a": A, "layer": "conv1", "unit": 0, "targets": [target]}
    status = server.wait(server.ask(body)["id"])
    assert (status["status"], status["error"]["type"]) == ("failed", "DeviceError")
    assert "gpu:999 was asked for" in status["error"]["message"]

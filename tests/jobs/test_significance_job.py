"""Jobs beside the matrix: a comparison's null and intervals, and which units are shared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.stats
from serving import Server, error_of, make_probe

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.analogy.prediction import prediction_r2
from tb_modelcompare.analogy.unit_pairs import best_unit_pairs
from tb_modelcompare.jobs.layer_pair import Inputs, pair_details
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.similarity import compare

A, B = "first/net@0", "second/net@0"
IMAGES = np.arange(60) // 3


def array(server: Server, job_id: str, name: str, columns: int) -> np.ndarray[Any, Any]:
    response = server.get("array", id=job_id, name=name)
    assert response.status_code == 200, response.get_data(as_text=True)
    return np.frombuffer(response.get_data(), "<f8").reshape(-1, columns)


def test_significance_is_that_of_the_library_with_images_as_wholes(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(session_logs)
    body = {"kind": "significance", "a": A, "b": B, "measure": "linear_cka"}
    chosen = {"layers_a": ["conv2"], "layers_b": ["conv1", "conv3"]}
    job = server.wait(server.ask({**body, **chosen, "permutations": 6, "resamples": 7})["id"])
    assert job["status"] == "done", job
    found = server.json("result", id=job["id"])
    assert found["rows"] == ["conv2"]
    assert found["columns"] == ["conv1", "conv3"]
    a, b = open_snapshot(session_logs, A), open_snapshot(session_logs, B)
    expected = compare(
        {"conv2": a.activations("conv2")},
        {name: b.activations(name) for name in ("conv1", "conv3")},
        groups=IMAGES,
        permutations=6,
        resamples=7,
    )
    for name in found["arrays"]:
        values = array(server, job["id"], name, 2)
        np.testing.assert_allclose(values, getattr(expected, name), rtol=1e-6)
    assert {"values", "null_mean", "p_value", "low", "high", "effective_rows"} <= set(
        found["arrays"]
    )
    low, high = (array(server, job["id"], name, 2) for name in ("low", "high"))
    assert (low < high).all()


def test_the_null_is_the_mean_over_permutations_of_the_images(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(session_logs)
    a, b = (open_snapshot(session_logs, name).all_activations() for name in (A, B))
    for measure, permutations in (("linear_cka", None), ("mean_cca", 5)):
        job = server.wait(server.ask({"kind": "chance", "a": A, "b": B, "measure": measure})["id"])
        assert job["status"] == "done", job
        found = server.json("result", id=job["id"])
        assert found["shuffles"] == permutations
        mean = array(server, job["id"], "null_mean", len(found["columns"]))
        many = compare(a, b, measure, groups=IMAGES, permutations=permutations or 300).null_mean
        np.testing.assert_allclose(mean, many, atol=1e-6 if permutations else 0.02)


def test_the_result_says_what_an_interval_is_for_and_has_family_wise_p_values(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(session_logs)
    body = {"kind": "significance", "a": A, "b": B, "layers_a": ["conv2"], "permutations": 199}
    for measure, label in (
        ("linear_cka", f"repeatability at {len(set(IMAGES))} images"),
        ("unbiased_linear_cka", "interval for the value over all images"),
    ):
        asked = server.ask({**body, "measure": measure, "resamples": 20})
        job = server.wait(asked["id"])
        assert job["status"] == "done", job
        found = server.json("result", id=job["id"])
        assert found["interval_label"] == label
        assert {"family_p_value", "calibrated"} <= set(found["arrays"])
        p, own = (
            array(server, job["id"], name, len(found["columns"]))
            for name in ("family_p_value", "p_value")
        )
        assert (p >= own - 1e-12).all()


def test_a_test_of_all_pairs_has_the_null_level_of_every_pair(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    """As the tab asks for it: no layers are named, and nothing is resampled."""
    server = serve(session_logs)
    body = {"kind": "significance", "a": A, "b": B, "measure": "linear_cka", "permutations": 199}
    job = server.wait(server.ask(body)["id"])
    assert job["status"] == "done", job
    found = server.json("result", id=job["id"])
    a, b = (open_snapshot(session_logs, name) for name in (A, B))
    assert (found["rows"], found["columns"]) == (list(a.layer_names), list(b.layer_names))
    columns = len(found["columns"])
    values, level, mean, calibrated = (
        array(server, job["id"], name, columns)
        for name in ("values", "null_high", "null_mean", "calibrated")
    )
    assert values.shape == level.shape == (len(found["rows"]), columns)
    assert (level > mean).all()
    np.testing.assert_allclose(calibrated, np.clip((values - level) / (1 - level), 0, None))


def test_what_has_no_interval_is_null_in_json(tmp_path: Path, serve: Callable[..., Server]) -> None:
    rng = np.random.default_rng(0)
    with SummaryWriter(tmp_path / "logs", make_probe(count=40)) as writer:
        writer.add_activations("one", {"wide": rng.standard_normal((120, 50))})
        writer.add_activations(
            "two", {"few": rng.standard_normal((120, 3)), "wide": rng.standard_normal((120, 50))}
        )
    server = serve(tmp_path / "logs")
    ids = {s["name"]: s["id"] for s in server.json("snapshots")["snapshots"]}
    body = {"kind": "significance", "a": ids["one"], "b": ids["two"], "measure": "mean_cca"}
    job = server.wait(server.ask({**body, "resamples": 20})["id"])
    assert job["status"] == "done", job
    found = server.json("result", id=job["id"])
    low = array(server, job["id"], "low", 2)
    assert np.isnan(low).all()  # 120 rows are fewer than 4 for each of 53 and of 100 units
    assert any("No interval of 2 of 2 pairs" in note for note in found["warnings"])
    assert any("unbiased_linear_cka" in note for note in found["warnings"])


def test_units_are_shared_as_far_as_another_layer_predicts_them(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    """A copied unit, one of its own, and a constant one."""
    rng = np.random.default_rng(0)
    other = rng.standard_normal((300, 5)).astype(np.float32)
    own = np.column_stack([other[:, 1], rng.standard_normal(300), np.zeros(300)])
    with SummaryWriter(tmp_path / "logs", make_probe(count=100)) as writer:
        writer.add_activations("one", {"layer": own.astype(np.float32)})
        noise = rng.standard_normal((300, 4)).astype(np.float32)
        writer.add_activations("two", {"noise": noise, "copy": other})
    server = serve(tmp_path / "logs")
    body = {"kind": "shared_units", "a": "logs/one@0", "layer": "layer", "b": "logs/two@0"}
    ids = {s["name"]: s["id"] for s in server.json("snapshots")["snapshots"]}
    body |= {"a": ids["one"], "b": ids["two"]}
    job = server.wait(server.ask(body)["id"])
    assert job["status"] == "done", job
    found = server.json("result", id=job["id"])
    assert found["layers"] == ["noise", "copy"]
    assert found["r2"][0] == pytest.approx(1, abs=1e-3)
    assert found["r2"][1] < 0.05
    assert found["r2"][2] is None
    assert found["best"][0] == 1
    asked_for = ["copy", "noise", "copy"]
    other_order = server.wait(server.ask({**body, "layers": asked_for})["id"])
    again = server.json("result", id=other_order["id"])
    assert again["layers"] == ["copy", "noise"]
    assert again["best"][0] == 0
    assert again["r2"] == found["r2"]
    images = np.arange(300) // 3
    expected = max(prediction_r2(x, own[:, 1], groups=images)[0] for x in (noise, other))
    assert found["r2"][1] == pytest.approx(expected)


def test_units_are_looked_at_by_many_layers_twice(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    """First quickly and by all, which is known early; at last as by few."""
    rng = np.random.default_rng(1)
    layers = {f"layer{i:02}": rng.standard_normal((1200, 60)).astype(np.float32) for i in range(40)}
    mixed = (layers["layer39"] @ rng.standard_normal((60, 8))).astype(np.float32)
    with SummaryWriter(tmp_path / "logs", make_probe(count=400)) as writer:
        writer.add_activations("one", {"layer": mixed})
        writer.add_activations("two", layers)
    server = serve(tmp_path / "logs")
    ids = {s["name"]: s["id"] for s in server.json("snapshots")["snapshots"]}
    body = {"kind": "shared_units", "a": ids["one"], "layer": "layer", "b": ids["two"]}
    job_id = server.ask(body)["id"]
    looked = server.wait(
        job_id, until=lambda job: len((job["known"] or {"layers": ()})["layers"]) == 40
    )
    assert looked["known"]["best"] == [39] * 8
    assert min(looked["known"]["r2"]) > 0.5
    done = server.wait(job_id)
    assert (done["status"], done["known"]) == ("done", None)
    exact = prediction_r2(layers["layer39"], mixed, groups=np.arange(1200) // 3)
    np.testing.assert_allclose(server.json("result", id=job_id)["r2"], exact)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"permutations": 0, "resamples": 0}, "permutations"),
        ({"resamples": 1}, "resamples"),
        ({"permutations": 100_000}, "permutations"),
        ({"layers_a": []}, "layers_a"),
        ({"layers_b": ["absent"]}, "absent"),
        ({"measure": "likeness"}, "likeness"),
    ],
)
def test_requests_that_cannot_be_answered_are_refused_in_words(
    change: dict[str, Any], word: str, session_logs: Path, serve: Callable[..., Server]
) -> None:
    body = {"kind": "significance", "a": A, "b": B, "measure": "linear_cka", "permutations": 3}
    status, _, message = error_of(serve(session_logs).post("jobs", {**body, **change}))
    assert 400 <= status < 500
    assert word in message


def test_there_is_no_result_of_a_job_that_is_not_done(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(session_logs)
    assert server.get("result", id="0" * 64).status_code == 404
    assert server.get("array", id="0" * 64, name="../matrix").status_code == 404


def test_a_pair_of_layers_has_its_best_units_and_the_images_on_which_it_agrees(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(session_logs)
    body = {"kind": "layer_pair", "a": A, "layer_a": "conv2", "b": B, "layer_b": "conv3"}
    job = server.wait(server.ask(body)["id"])
    assert job["status"] == "done", job
    found = server.json("result", id=job["id"])
    x, y = (
        open_snapshot(session_logs, name).activations(layer)
        for name, layer in ((A, "conv2"), (B, "conv3"))
    )
    for pair in found["unit_pairs"]:
        r = np.corrcoef(x[:, pair["a"]], y[:, pair["b"]])[0, 1]
        assert pair["correlation"] == pytest.approx(r, abs=1e-6)
    expected = best_unit_pairs(x, y, groups=IMAGES)
    assert [(pair["a"], pair["b"]) for pair in found["unit_pairs"]] == [
        (pair.a, pair.b) for pair in expected
    ]
    assert found["unit_pairs"][0]["trimmed"] == pytest.approx(expected[0].trimmed, abs=1e-6)
    means = [np.stack([one[image == IMAGES].mean(axis=0) for image in range(20)]) for one in (x, y)]
    agreement = [
        scipy.stats.spearmanr(
            *(np.delete(np.square(one - one[i]).sum(axis=1), i) for one in means)
        ).statistic
        for i in range(20)
    ]
    order = np.argsort(agreement)
    assert [one["image"] for one in found["differ"]] == order[:4].tolist()
    assert [one["image"] for one in found["agree"]] == order[::-1][:4].tolist()
    assert found["agree"][0]["agreement"] == pytest.approx(max(agreement), abs=1e-6)
    status, kind, message = error_of(server.post("jobs", {**body, "layer_b": "no"}))
    assert (status, kind) == (404, "UnknownSnapshotError"), message


def test_of_few_images_none_is_both_where_layers_agree_most_and_least(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    probe = Probe(rng.integers(0, 255, (7, 8, 8, 3), np.uint8), positions_per_image=4)
    with SummaryWriter(tmp_path, probe) as writer:
        writer.add_activations("net", {name: rng.standard_normal((28, 5)) for name in ("x", "y")})
    snapshot = open_snapshot(tmp_path, "./net@0")
    found = pair_details(Inputs(snapshot, "x", snapshot, "y"), lambda *_: None)
    images = [one.image for one in [*found.agree, *found.differ]]
    assert len(images) == len(set(images)) == 6
    assert found.agree[-1].agreement > found.differ[-1].agreement

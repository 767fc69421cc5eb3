"""Jobs over many snapshots: trends, maps of steps, maps of models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import Server, activations, error_of, make_probe

from tb_modelcompare import SummaryWriter, similarity
from tb_modelcompare.log import reader as store

RUN = [f"run/net@{step}" for step in range(6)]
TREND = {"kind": "trend", "snapshots": RUN, "reference": RUN[5], "measure": "linear_cka"}


def log_steps(root: Path, steps: range, run: str = "run") -> None:
    rng = np.random.default_rng(steps.start)
    with SummaryWriter(root / run, make_probe()) as writer:
        for step in steps:
            noise = {n: v + rng.standard_normal(v.shape) for n, v in activations(1).items()}
            writer.add_activations("net", noise, step=step)


@pytest.fixture
def server(tmp_path: Path, serve: Callable[..., Server]) -> Server:
    log_steps(tmp_path / "logs", range(6))
    log_steps(tmp_path / "logs", range(2), "other")
    return serve(tmp_path / "logs")


def cells(server: Server, body: dict[str, Any]) -> tuple[dict[str, Any], np.ndarray]:
    job = server.wait(server.ask(body)["id"])
    assert job["status"] == "done", job
    info = server.json("cells_info", id=job["id"])
    values = np.frombuffer(server.get("cells", id=job["id"]).data, "<f8")
    return info, values.reshape(len(info["rows"]), len(info["columns"]))


def test_a_trend_has_a_row_per_layer_and_a_column_per_step(server: Server, tmp_path: Path) -> None:
    shuffled = {**TREND, "snapshots": [RUN[3], *RUN[:3], *RUN[4:]]}
    info, values = cells(server, shuffled)
    assert info["rows"] == info["partners"] == ["conv1", "conv2", "conv3"]
    assert (info["columns"], info["matching"]) == (RUN, "names")
    assert (info["low"], info["high"], info["distance"]) == (0.0, 1.0, False)
    first, last = (store.open_snapshot(tmp_path / "logs", RUN[i]) for i in (0, 5))
    expected = similarity.linear_cka(first.activations("conv2"), last.activations("conv2"))
    assert values[1, 0] == pytest.approx(expected, abs=1e-6)


def test_a_deleted_step_is_left_out_until_it_is_back(server: Server, tmp_path: Path) -> None:
    snapshot = store.open_snapshot(tmp_path / "logs", RUN[2])
    files = Path(snapshot.run_dir, snapshot.graph_asset.path).parent
    files.rename(tmp_path / "elsewhere")
    info, values = cells(server, TREND)
    assert info["columns"] == [*RUN[:2], *RUN[3:]]
    assert values.shape == (3, 5)
    assert RUN[2] in " ".join(info["notes"])
    (tmp_path / "elsewhere").rename(files)
    info, _ = cells(server, TREND)
    assert (info["columns"], info["notes"]) == (RUN, [])


def test_only_new_steps_are_computed(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tb_modelcompare.server.catalog.FRESH_SECONDS", 0.0)
    pinned = {**TREND, "reference": RUN[0]}
    assert cells(server, pinned)[0]["computed"] == 18
    log_steps(tmp_path / "logs", range(6, 8))
    server.multiplexer.Reload()
    info, values = cells(server, {**pinned, "snapshots": [*RUN, "run/net@6", "run/net@7"]})
    assert (info["computed"], info["found"]) == (6, 18)
    assert np.isfinite(values).all()


def test_a_step_map_relates_two_runs(server: Server) -> None:
    body = {"kind": "steps", "a": RUN, "b": ["other/net@0", "other/net@1"], "measure": "linear_cka"}
    info, values = cells(server, {**body, "layer_a": "conv1", "layer_b": "conv3"})
    assert (info["rows"], info["columns"]) == (RUN, body["b"])
    assert values.shape == (6, 2)
    assert np.isfinite(values).all()


def test_a_map_of_models_has_distances_and_points(server: Server) -> None:
    models = [RUN[0], RUN[5], "other/net@1"]
    info, values = cells(server, {"kind": "models", "snapshots": models, "metric": "angular_cka"})
    np.testing.assert_array_equal(values, values.T)
    assert np.shape(info["points"]) == (3, 2)
    assert info["stress"] < 1e-6  # a triangle fits into a plane
    assert (info["rows"], info["matching"], info["distance"]) == (models, "names", True)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"snapshots": []}, "RequestError"),
        ({"snapshots": "run"}, "RequestError"),
        ({"snapshots": [RUN[0], RUN[0]]}, "RequestError"),
        ({"snapshots": ["run/net@99"]}, "UnknownSnapshotError"),
        ({"reference": "run/net@99"}, "UnknownSnapshotError"),
        ({"measure": "nearness"}, "ActivationError"),
        ({"snapshots": [f"run/net@{i}" for i in range(1001)]}, "LimitError"),
        ({"kind": "models", "snapshots": RUN, "metric": "linear_cka"}, "ActivationError"),
        ({"kind": "models", "snapshots": RUN[:1], "metric": "angular_cka"}, "RequestError"),
        ({"kind": "models", "snapshots": [*RUN], "metric": 3}, "RequestError"),
        ({"kind": "steps", "a": RUN, "b": RUN, "layer_a": "x", "layer_b": "conv1"},
         "UnknownSnapshotError"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_refused_at_once(
    server: Server, change: dict[str, Any], kind: str
) -> None:
    body = {**TREND, **change}
    if body["kind"] != "trend":
        del body["reference"]
        del body["snapshots" if body["kind"] == "steps" else "measure"]
    assert error_of(server.post("jobs", body))[1] == kind


def test_snapshots_of_two_probes_are_refused(tmp_path: Path, serve: Callable[..., Server]) -> None:
    log_steps(tmp_path / "logs", range(2))
    with SummaryWriter(tmp_path / "logs/elsewhere", make_probe(seed=9)) as writer:
        writer.add_activations("net", activations(3), step=0)
    server = serve(tmp_path / "logs")
    body = {**TREND, "snapshots": RUN[:2], "reference": "elsewhere/net@0"}
    assert error_of(server.post("jobs", body))[:2] == (409, "ProbeMismatchError")
    body = {"kind": "models", "snapshots": [RUN[0], "elsewhere/net@0"], "metric": "angular_cka"}
    assert error_of(server.post("jobs", body))[:2] == (409, "ProbeMismatchError")


def test_there_are_no_cells_of_a_similarity(server: Server) -> None:
    job = server.ask({"kind": "similarity", "a": RUN[0], "b": RUN[1], "measure": "linear_cka"})
    server.wait(job["id"])
    assert error_of(server.get("cells", id=job["id"]))[0] == 404
    assert error_of(server.get("cells_info", id=job["id"]))[0] == 404

"""What the tab reads: snapshots, graphs, layers, units, probe images."""

from __future__ import annotations

import io
import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from altered import layer_bytes, layer_file, write_layer
from PIL import Image
from serving import HOSTILE_LAYER, HOSTILE_RUN, Server, activations, error_of, make_probe
from tensorboard.plugins import base_plugin

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.log import reader as store
from tb_modelcompare.log.events import EventFile, index_event
from tb_modelcompare.server.catalog import Catalog
from tb_modelcompare.similarity import MEASURES

FIRST = "first/net@0"
HOSTILE = f'{HOSTILE_RUN}/"><script>@0'


@pytest.fixture
def server(session_logs: Path, serve: Callable[..., Server]) -> Server:
    return serve(session_logs)


def test_who_has_the_listing_is_not_sent_it_again(
    tmp_path: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tb_modelcompare.server.catalog.FRESH_SECONDS", 0.0)
    with SummaryWriter(tmp_path / "run", make_probe()) as writer:
        writer.add_activations("net", activations(1), step=0)
        server = serve(tmp_path)
        tag = server.get("snapshots").headers["ETag"]
        known = {"If-None-Match": tag}
        again = server.get("snapshots", headers=known)
        assert (again.status_code, again.get_data()) == (304, b"")
        writer.add_activations("net", activations(2), step=1)
    server.multiplexer.Reload()
    changed = server.get("snapshots", headers=known)
    assert [one["step"] for one in changed.get_json()["snapshots"]] == [0, 1]


def test_snapshots_that_were_deleted_are_named(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    with SummaryWriter(tmp_path / "run", make_probe()) as writer:
        for step in range(3):
            writer.add_activations("net", activations(step), step=step)
        writer.remove("net", 1)
    listing = serve(tmp_path).json("snapshots")
    assert [one["step"] for one in listing["snapshots"]] == [0, 2]
    assert listing["deleted"] == ["run/net@1"]


def test_snapshots_are_those_of_the_log_directory(server: Server, session_logs: Path) -> None:
    answer = server.json("snapshots")
    expected = store.list_snapshots(session_logs).snapshots
    assert [one["id"] for one in answer["snapshots"]] == [s.id for s in expected]
    assert answer["problems"] == []
    assert (answer["supported"], answer["message"]) == (True, None)
    first = answer["snapshots"][[s.id for s in expected].index(FIRST)]
    assert first == {
        "id": FIRST,
        "run": "first",
        "name": "net",
        "step": 0,
        "wall_time": first["wall_time"],
        "probe_id": make_probe().id,
        "layers": 3,
        "layers_digest": first["layers_digest"],
        "rows": 60,
        "images": 20,
        "digest": store.open_snapshot(session_logs, FIRST).digest,
        "of_images": True,
        "renderable": False,
        "unrenderable_because": "it was logged without one; use add_model(…, frozen=True)",
    }


def test_texts_stand_for_the_items_of_a_probe_without_images(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    probe = Probe.from_arrays(np.arange(12).reshape(4, 3), names=["one", "<b>two", "three", "four"])
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_activations("net", {"layer": np.eye(4)})
    server = serve(tmp_path)
    (listed,) = server.json("snapshots")["snapshots"]
    assert (listed["of_images"], listed["images"]) == (False, 4)
    unit = server.json("unit", snapshot=listed["id"], layer="layer", unit=1, limit=1)
    assert unit["top"][0]["name"] == "<b>two"
    refused = error_of(server.get("probe_image", snapshot=listed["id"], index=0))
    assert refused[:2] == (422, "PhotoError")


def test_every_step_of_a_run_is_a_snapshot(tmp_path: Path, serve: Callable[..., Server]) -> None:
    with SummaryWriter(tmp_path / "run", make_probe()) as writer:
        for step in range(30):  # TensorBoard samples ten of them unless told otherwise
            writer.add_activations("net", activations(step, widths=(4,)), step=step)
    steps = [one["step"] for one in serve(tmp_path).json("snapshots")["snapshots"]]
    assert steps == list(range(30))


def test_a_model_logged_again_replaces_the_former(
    logs: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tb_modelcompare.server.catalog.FRESH_SECONDS", 0.0)
    server = serve(logs)
    before = {one["id"]: one["digest"] for one in server.json("snapshots")["snapshots"]}
    with SummaryWriter(logs / "first", make_probe()) as writer:
        writer.add_activations("net", activations(77), step=0)
        writer.add_activations("late", activations(78), step=3)
    server.multiplexer.Reload()
    after = {one["id"]: one["digest"] for one in server.json("snapshots")["snapshots"]}
    assert set(after) - set(before) == {"first/late@3"}
    assert after[FIRST] != before[FIRST]
    mean = server.json("layer", snapshot=FIRST, layer="conv1")["stats"]["mean"]
    np.testing.assert_allclose(mean, activations(77)["conv1"].mean(axis=0), atol=1e-6)


def test_what_is_logged_last_counts_also_within_one_second(
    tmp_path: Path, serve: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    # TensorBoard reads a run's files in order of name, where 10 would come before 9.
    monkeypatch.setattr("tb_modelcompare.log.events.file_numbers", itertools.count(9))
    monkeypatch.setattr("tb_modelcompare.log.events.time", SimpleNamespace(time=lambda: 1.7e9))
    for seed in (1, 2):
        with SummaryWriter(tmp_path / "run", make_probe()) as writer:
            writer.add_activations("net", activations(seed), step=0)
    [listed] = serve(tmp_path).json("snapshots")["snapshots"]
    mean = serve(tmp_path).json("layer", snapshot=listed["id"], layer="conv1")["stats"]["mean"]
    np.testing.assert_allclose(mean, activations(2)["conv1"].mean(axis=0), atol=1e-6)


def test_a_snapshot_removed_on_purpose_is_neither_listed_nor_a_problem(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    with SummaryWriter(tmp_path / "run", make_probe()) as writer:
        for step in range(3):
            writer.add_activations("net", activations(step, widths=(4,)), step=step)
        writer.remove("net", 1)
    answer = serve(tmp_path).json("snapshots")
    assert [one["step"] for one in answer["snapshots"]] == [0, 2]
    assert answer["problems"] == []


def test_graph_lists_logged_layers_in_order(server: Server, session_logs: Path) -> None:
    graph = server.json("graph", snapshot=FIRST)
    snapshot = store.open_snapshot(session_logs, FIRST)
    assert graph == json.loads(json.dumps(snapshot.graph().to_json()))
    assert [n["name"] for n in graph["nodes"] if n["logged"]] == list(snapshot.layer_names)


def test_layer_statistics_are_those_of_its_activations(server: Server) -> None:
    values = activations(1)["conv2"].astype(np.float64)
    answer = server.json("layer", snapshot=FIRST, layer="conv2")
    assert (answer["name"], answer["units"], answer["rows"]) == ("conv2", 12, 60)
    np.testing.assert_allclose(answer["stats"]["mean"], values.mean(axis=0), rtol=1e-12)
    np.testing.assert_array_equal(answer["stats"]["max"], values.max(axis=0))
    np.testing.assert_allclose(answer["stats"]["active"], (values > 0).mean(axis=0), rtol=1e-12)


def test_unit_names_the_images_that_excite_it_most(server: Server) -> None:
    probe, column = make_probe(), activations(1)["conv1"][:, 5]
    answer = server.json("unit", snapshot=FIRST, layer="conv1", unit=5, limit=4)
    per_image = column.reshape(20, 3).max(axis=1)
    strongest = np.argsort(-per_image)[:4]
    assert [one["image"] for one in answer["top"]] == strongest.tolist()
    assert [one["value"] for one in answer["top"]] == per_image[strongest].tolist()
    assert answer["top"][0]["name"] == f"photo{strongest[0]}.jpg"
    row = int(column.argmax())
    assert (answer["top"][0]["u"], answer["top"][0]["v"]) == tuple(probe.positions[row])
    assert answer["top"][0]["box"] is None  # no graph says what the layer sees
    assert answer["max"] == column.max()


def test_probe_images_keep_their_proportions(server: Server) -> None:
    response = server.get("probe_image", snapshot=FIRST, index=7, size=24)
    assert response.mimetype == "image/png"
    shown = np.asarray(Image.open(io.BytesIO(response.data)))
    np.testing.assert_array_equal(shown, make_probe().images[7])  # 16 × 24 as it is


def test_a_part_of_a_probe_image_is_cut_out(server: Server) -> None:
    response = server.get("probe_image", snapshot=FIRST, index=7, size=16, box="0.5,0.25,0.5,0.5")
    shown = np.asarray(Image.open(io.BytesIO(response.data)))
    part = make_probe().images[7][8:, 6:18]  # of 16 × 24
    assert shown.shape == (11, 16, 3)
    expected = np.asarray(Image.fromarray(part).resize((16, 11)))
    np.testing.assert_array_equal(shown, expected)
    for box in ("", "0,0,1", "0,0,2,1", "-1,0,1,1", "nan,0,1,1", "0,0,1,1,0"):
        assert server.get("probe_image", snapshot=FIRST, index=7, box=box).status_code == 400


def test_grey_and_floating_point_probes_are_shown(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    from tb_modelcompare import Probe

    ramp = np.linspace(0, 1, 60).reshape(60, 1, 1, 1) * np.ones((1, 20, 20, 1))
    with SummaryWriter(tmp_path / "run", Probe(ramp)) as writer:
        writer.add_activations("net", activations(1), step=0)
    response = serve(tmp_path).get("probe_image", snapshot="run/net@0", index=59, size=20)
    shown = np.asarray(Image.open(io.BytesIO(response.data)))
    assert shown.shape == (20, 20)
    assert (shown == 255).all()


@pytest.mark.parametrize(
    ("route", "query"),
    [
        ("graph", {"snapshot": FIRST}),
        ("layer", {"snapshot": FIRST, "layer": "conv1"}),
        ("unit", {"snapshot": FIRST, "layer": "conv1", "unit": 1}),
        ("probe_image", {"snapshot": FIRST, "index": 3}),
    ],
)
def test_what_the_browser_has_is_not_sent_again(
    server: Server, route: str, query: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    tag = server.get(route, **query).headers["ETag"]
    again = server.get(route, headers={"If-None-Match": tag}, **query)
    assert (again.status_code, again.data) == (304, b"")
    assert caplog.records == []  # TensorBoard warns of answers without a content type
    other = server.get(
        route, headers={"If-None-Match": tag}, **{**query, "snapshot": "first/net@5"}
    )
    if route != "probe_image":  # the same probe
        assert other.status_code == 200


def test_measures_declare_what_the_tab_shows(server: Server) -> None:
    answer = server.json("measures")
    by_name = {one["name"]: one for one in answer["measures"]}
    assert answer["default"] in by_name
    assert {"linear_cka", "whitened_correlation"} <= set(by_name)
    # What the tab begins with makes unrelated layers look alike nowhere.
    assert MEASURES[answer["default"]].debiased
    assert set(by_name["linear_cka"]) == {
        "name", "title", "low", "high", "symmetric", "distance", "formula", "paper", "summary",
        "wants_rows_over_units",
        "rows_per_unit",
        "instead",
        "family",
        "advice",
        "bibtex",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("route", "query", "status"),
    [
        ("graph", {}, 400),
        ("graph", {"snapshot": "first/net@1"}, 404),
        ("graph", {"snapshot": "../first/net@0"}, 404),
        ("graph", {"snapshot": ""}, 404),
        ("layer", {"snapshot": FIRST}, 400),
        ("layer", {"snapshot": FIRST, "layer": "conv9"}, 404),
        ("layer", {"snapshot": FIRST, "layer": "../conv1"}, 404),
        ("unit", {"snapshot": FIRST, "layer": "conv1", "unit": 8}, 400),
        ("unit", {"snapshot": FIRST, "layer": "conv1", "unit": -1}, 400),
        ("unit", {"snapshot": FIRST, "layer": "conv1", "unit": "1e3"}, 400),
        ("unit", {"snapshot": FIRST, "layer": "conv1", "unit": 1, "limit": 10**9}, 400),
        ("unit", {"snapshot": FIRST, "layer": "conv1"}, 400),
        ("probe_image", {"snapshot": FIRST, "index": 20}, 400),
        ("probe_image", {"snapshot": FIRST, "index": 1, "size": 100_000}, 400),
        ("job", {"id": "0" * 64}, 404),
        ("job", {"id": "../../etc/passwd"}, 404),
        ("matrix", {"id": "0" * 64}, 404),
        ("matrix_info", {"id": "0" * 64}, 404),
        ("job_image", {"id": "0" * 64, "name": "0.png"}, 404),
        ("job_image", {"id": "0" * 64, "name": "../manifest.json"}, 404),
    ],
)
def test_what_is_not_there_is_refused_by_name(
    server: Server, route: str, query: dict[str, Any], status: int
) -> None:
    code, kind, message = error_of(server.get(route, **query))
    assert code == status
    assert kind.endswith("Error")
    assert kind != "InternalError"
    assert len(message) > 10


def test_an_unknown_snapshot_names_the_nearest(server: Server) -> None:
    assert FIRST in error_of(server.get("graph", snapshot="frist/net@0"))[2]


def test_hostile_names_go_through_as_data(server: Server) -> None:
    assert HOSTILE in {one["id"] for one in server.json("snapshots")["snapshots"]}
    response = server.get("layer", snapshot=HOSTILE, layer=HOSTILE_LAYER)
    assert response.mimetype == "application/json"  # with nosniff, so never taken for a page
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.get_json()["name"] == HOSTILE_LAYER
    assert server.json("layer", snapshot=HOSTILE, layer="sœur/été")["units"] == 12


def assets(logs: Path, snapshot_id: str) -> Path:
    snapshot = store.open_snapshot(logs, snapshot_id)
    return Path(snapshot.run_dir, snapshot.graph_asset.path).parent


def test_a_missing_file_is_gone_and_the_rest_is_served(
    logs: Path, serve: Callable[..., Server]
) -> None:
    file = layer_file(store.open_snapshot(logs, FIRST), "conv2")
    file.unlink()
    server = serve(logs)
    code, kind, message = error_of(server.get("layer", snapshot=FIRST, layer="conv2"))
    assert (code, kind) == (410, "MissingAssetError")
    assert file.name in message
    assert server.json("graph", snapshot=FIRST)["nodes"]


@pytest.mark.parametrize("damage", ["cut", "altered", "pickle"])
def test_a_damaged_file_is_refused(logs: Path, serve: Callable[..., Server], damage: str) -> None:
    snapshot = store.open_snapshot(logs, FIRST)
    file = layer_file(snapshot, "conv1")
    content = layer_bytes(snapshot, "conv1")
    if damage == "cut":
        file.write_bytes(content[:-5])
    elif damage == "altered":
        write_layer(snapshot, "conv1", content[:-1] + bytes([content[-1] ^ 1]))
    else:
        pickled = io.BytesIO()
        np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
        write_layer(snapshot, "conv1", pickled.getvalue())
    server = serve(logs)
    assert error_of(server.get("layer", snapshot=FIRST, layer="conv1"))[:2] == (
        422,
        "CorruptSnapshotError",
    )
    assert server.json("graph", snapshot=FIRST)["nodes"]


def test_a_link_out_of_the_run_is_refused(
    logs: Path, serve: Callable[..., Server], tmp_path: Path
) -> None:
    file = layer_file(store.open_snapshot(logs, FIRST), "conv1")
    outside = tmp_path / "outside.bin"
    file.rename(outside)
    file.symlink_to(outside)
    response = serve(logs).get("layer", snapshot=FIRST, layer="conv1")
    assert error_of(response)[0] == 422


def test_an_index_that_is_cut_off_is_a_problem_beside_the_rest(
    logs: Path, serve: Callable[..., Server]
) -> None:
    whole = json.dumps(store.open_snapshot(logs, FIRST).index)
    events = EventFile(logs / "second")
    events.write(index_event("cut", 1, time.time(), whole[: len(whole) // 2]))
    events.close()
    answer = serve(logs).json("snapshots")
    assert {FIRST, "second/net@0"} <= {one["id"] for one in answer["snapshots"]}
    assert [p["where"] for p in answer["problems"]] == ["second/cut@1"]
    assert "cut off" in answer["problems"][0]["message"]


def test_an_event_file_that_is_cut_off_keeps_what_came_before(
    logs: Path, serve: Callable[..., Server]
) -> None:
    (file,) = (logs / "first").glob("*tfevents*")
    file.write_bytes(file.read_bytes()[:-20])
    ids = {one["id"] for one in serve(logs).json("snapshots")["snapshots"]}
    assert FIRST in ids
    assert "second/net@5" in ids


def test_files_of_a_writer_that_was_killed_are_a_problem(
    logs: Path, serve: Callable[..., Server]
) -> None:
    orphan = assets(logs, FIRST).with_name("net-9-01234567")
    orphan.mkdir()
    long_ago = time.time() - 7200
    os.utime(orphan, (long_ago, long_ago))
    problems = serve(logs).json("snapshots")["problems"]
    assert [Path(p["where"]).name for p in problems] == ["net-9-01234567"]


def context(**fields: Any) -> base_plugin.TBContext:
    return base_plugin.TBContext(data_provider=object(), **fields)


@pytest.mark.parametrize("logdir", ["", None, "gs://bucket/logs", "s3://bucket"])
def test_where_the_log_directory_cannot_be_read_the_tab_says_so(logdir: str | None) -> None:
    contents = Catalog(context(logdir=logdir)).contents(None, "")
    assert contents.snapshots == {}
    assert contents.message
    assert "log directory" in contents.message


def test_runs_of_logdir_spec_are_found_through_the_multiplexer(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(session_logs)
    server.context.logdir = ""  # as TensorBoard has it under --logdir_spec
    assert server.json("layer", snapshot=FIRST, layer="conv1")["units"] == 8


def test_the_tab_works_under_a_path_prefix(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(session_logs, path_prefix="/tb/user")
    assert server.json("snapshots")["supported"]

"""A log directory that anyone may have written: TensorBoard stays up and the rest is served."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from serving import Server, activations, error_of, make_probe
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2

from tb_modelcompare import SummaryWriter
from tb_modelcompare.cli import main
from tb_modelcompare.log.assets import describe
from tb_modelcompare.log.events import EventFile, index_event
from tb_modelcompare.log.format import summary_metadata
from tb_modelcompare.log.index import content_digest
from tb_modelcompare.log.reader import list_snapshots, open_snapshot
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.server.catalog import Catalog

Serve = Callable[..., Server]
Index = dict[str, Any]
SNAPSHOTS = "plugins/modelcompare/snapshots"
HEALTHY = ["good/net@0", "good/net@5"]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A run `good` with two steps, which stays as it is, and a run `bad` to be damaged."""
    for run, seed in (("good", 1), ("bad", 2)):
        with SummaryWriter(tmp_path / "logs" / run, make_probe(count=4)) as writer:
            for step in (0, 5):
                layers = {n: v[:12] for n, v in activations(seed + step).items()}
                writer.add_activations("net", layers, step=step)
    return tmp_path / "logs"


@pytest.fixture(autouse=True)
def _always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request sees the log directory as it is then."""
    monkeypatch.setattr("tb_modelcompare.server.catalog.FRESH_SECONDS", 0.0)


def served(server: Server) -> tuple[list[str], list[str]]:
    """Ids of snapshots and where problems are, as `/snapshots` answers now."""
    answer = server.json("snapshots")
    return [one["id"] for one in answer["snapshots"]], [one["where"] for one in answer["problems"]]


def aged(path: Path) -> None:
    os.utime(path, (0, 0), follow_symlinks=False)


def record(run: Path, index: Index | str, tag: str = "altered") -> None:
    if isinstance(index, dict):
        index["digest"] = content_digest(index)
        index = json.dumps(index)
    events = EventFile(run)
    events.write(index_event(tag, 0, time.time(), index))
    events.close()


def altered(logs: Path) -> Index:
    index: Index = json.loads(json.dumps(open_snapshot(logs, "bad@0").index))
    index["name"] = "altered"
    return index


def test_a_dangling_link_beside_snapshots_is_a_problem(logs: Path, serve: Serve) -> None:
    link = logs / "bad" / SNAPSHOTS / "x"
    link.symlink_to("/nonexistent")
    aged(link)
    ids, problems = served(serve(logs))
    assert len(ids) == 4
    assert problems == [str(link)]


def test_a_name_that_vanishes_between_two_listings_is_none(
    logs: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = logs / "bad" / SNAPSHOTS / ".partial-1-x"
    partial.mkdir()
    for name in ("stat", "lstat"):
        real = getattr(os, name)

        def vanish(path: Any, *args: Any, real: Any = real, **more: Any) -> os.stat_result:
            if path == partial or path == str(partial):
                raise FileNotFoundError(2, "No such file or directory", path)
            status: os.stat_result = real(path, *args, **more)
            return status

        monkeypatch.setattr(os, name, vanish)
    ids, problems = served(serve(logs))
    assert (len(ids), problems) == (4, [])


@pytest.mark.parametrize(
    "change",
    [
        lambda i: i["graph"].update(path=f"{SNAPSHOTS}/\ud800/graph.json"),
        lambda i: i["graph"].update(path=f"{SNAPSHOTS}/{'x' * 3000}/graph.json"),
        lambda i: i.update(name="\ud800"),
        lambda i: i.update(wall_time=1e308),
    ],
)
def test_an_index_that_cannot_be_shown_is_a_problem(
    logs: Path, serve: Serve, change: Callable[[Index], object]
) -> None:
    index = altered(logs)
    change(index)
    record(logs / "bad", index)
    ids, problems = served(serve(logs))
    assert (len(ids), problems) == (4, ["bad/altered@0"])


def test_a_tensor_that_tensorboard_cannot_read_is_a_problem(logs: Path, serve: Serve) -> None:
    shape = tensor_shape_pb2.TensorShapeProto(
        dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=2**40)]
    )
    value = summary_pb2.Summary.Value(
        tag="odd",
        tensor=tensor_pb2.TensorProto(dtype=99, tensor_shape=shape, float_val=[1.0]),
        metadata=summary_metadata(),
    )
    events = EventFile(logs / "bad")
    events.write(event_pb2.Event(wall_time=1.0, summary=summary_pb2.Summary(value=[value])))
    events.close()
    ids, problems = served(serve(logs))
    assert (len(ids), problems) == (4, ["bad/odd"])


def test_a_damaged_event_file_is_reported_as_by_the_command_line(
    logs: Path, serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    event_file = next((logs / "bad").glob("*tfevents*"))
    content = event_file.read_bytes()
    for damaged in (content[:-700], content.replace(b'"step":5', b'"step":6')):
        event_file.write_bytes(damaged)
        ids, problems = served(serve(logs))
        assert ids[-2:] == HEALTHY
        assert problems == [str(event_file)]
        assert main(["list", str(logs)]) == 2
        assert str(event_file) in capsys.readouterr().err


def test_nothing_is_said_of_files_while_tensorboard_or_we_have_not_read_all(
    logs: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with --load_fast=false on a large event file: records of ours come late."""
    for folder in (logs / "bad" / SNAPSHOTS).iterdir():
        aged(folder)
    lost = logs / "bad" / SNAPSHOTS / "net-9-01234567"
    lost.mkdir()
    aged(lost)
    server = serve(logs)
    provider = server.context.data_provider
    with monkeypatch.context() as patched:
        patched.setattr("tb_modelcompare.server.catalog.SCAN_SECONDS", 0.0)
        patched.setattr(provider, "list_tensors", lambda *_, **__: {})
        assert served(server) == ([], [])  # one record of each file is read
    with monkeypatch.context() as patched:
        patched.setattr(provider, "list_tensors", lambda *_, **__: {})
        assert served(server) == ([], [str(lost)])
    ids, problems = served(server)
    assert (len(ids), problems) == (4, [str(lost)])


def test_snapshots_that_tensorboard_samples_away_are_no_problem(
    tmp_path: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with --samples_per_plugin modelcompare=5."""
    with SummaryWriter(tmp_path / "run", make_probe(count=4)) as writer:
        for step in range(9):
            writer.add_activations("net", {"a": np.full((12, 2), step)}, step=step)
    for folder in (tmp_path / "run" / SNAPSHOTS).iterdir():
        aged(folder)
    server = serve(tmp_path)
    provider = server.context.data_provider
    real = provider.read_tensors
    monkeypatch.setattr(
        provider, "read_tensors", lambda *args, **more: real(*args, **{**more, "downsample": 3})
    )
    ids, problems = served(server)
    assert (len(ids), problems) == (3, [])


def test_a_deleted_snapshot_is_a_problem_and_its_files_are_gone(logs: Path, serve: Serve) -> None:
    snapshot = open_snapshot(logs, "bad@0")
    shutil.rmtree(Path(snapshot.run_dir, snapshot.graph_asset.path).parent)
    server = serve(logs)
    ids, problems = served(server)
    assert (len(ids), problems) == (4, ["bad/net"])
    for route in ("graph", "layer"):
        code, kind, _ = error_of(server.get(route, snapshot="bad/net@0", layer="conv1"))
        assert (code, kind) == (410, "MissingAssetError")
    assert server.json("layer", snapshot="bad/net@5", layer="conv1")["units"] == 8


def test_a_missing_graph_is_gone_rather_than_no_json(logs: Path, serve: Serve) -> None:
    snapshot = open_snapshot(logs, "bad@0")
    file = Path(snapshot.run_dir, snapshot.graph_asset.path)
    file.rename(file.with_name("other.json"))  # an empty directory would be one that was deleted
    server = serve(logs)
    for route in ("graph", "layer"):
        code, kind, message = error_of(server.get(route, snapshot="bad/net@0", layer="conv1"))
        assert (code, kind) == (410, "MissingAssetError")
        assert "graph.json is missing" in message


def test_a_sparse_layer_is_refused_or_its_check_ends_with_the_request(
    logs: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = altered(logs)
    layer = index["layers"][-1]  # the last one in its file
    file = logs / "bad" / layer["asset"]["path"]
    header = layer["asset"]["bytes"] - 12 * layer["units"] * 4
    for name, units in (("large", 10**9), ("beyond", 6 * 10**9)):  # 48 GB, 288 GB
        size = header + 12 * units * 4
        os.truncate(file, layer["asset"]["offset"] + size)
        layer["units"], layer["asset"]["bytes"], index["name"] = units, size, name
        record(logs / "bad", index, name)
        if name == "large":
            server = serve(logs)
            monkeypatch.setattr("tb_modelcompare.server.guards.CHECK_SECONDS", 0.3)
            answer = server.get("layer", snapshot="bad/large@0", layer=layer["name"])
            code, kind, message = error_of(answer)
            assert (code, kind) == (429, "LimitError")
            assert "ask again" in message
            before = time.process_time()
            time.sleep(0.3)
            assert time.process_time() - before < 0.2  # nobody goes on
    ids, problems = served(serve(logs))
    assert "bad/beyond@0" not in ids
    assert "bad/beyond@0" in problems


@pytest.mark.parametrize("logdir", ["s3://bucket/logs", "gs://bucket", "/local"])
def test_remote_runs_are_refused_under_a_multiplexer_as_well(logdir: str) -> None:
    """TensorBoard's Python reader opens some remote directories, and ours none."""
    paths = {"run": "s3://bucket/logs/run", "here": "/nonexistent/here"}
    multiplexer = SimpleNamespace(RunPaths=lambda: paths)
    series = SimpleNamespace(max_step=0, max_wall_time=0.0)
    data = SimpleNamespace(
        list_runs=lambda *_, **__: [SimpleNamespace(run_name=name) for name in paths],
        list_tensors=lambda *_, **__: {"run": {"net": series}},
        read_tensors=lambda *_, **__: {"run": {"net": []}},
    )
    context = SimpleNamespace(data_provider=data, multiplexer=multiplexer, logdir=logdir)
    contents = Catalog(context).contents(None, "")
    assert contents.snapshots == {}
    if logdir == "/local":  # as with --logdir_spec here:/…,run:s3://…
        assert contents.message is None
        [problem] = contents.problems
        assert (problem.where, "is remote" in problem.message) == ("run", True)
    else:
        assert contents.message is not None
        assert "is remote" in contents.message


def test_a_run_that_tensorboard_forgot_meanwhile_is_left_out(logs: Path, serve: Serve) -> None:
    server = serve(logs)
    paths = server.multiplexer.RunPaths()
    del paths["bad"]
    server.multiplexer.RunPaths = lambda: paths
    assert served(server) == (HEALTHY, [])


def _damage_bytes(rng: random.Random, content: bytes) -> bytes:
    data = bytearray(content)
    for _ in range(rng.choice((1, 1, 3, 20))):
        at = rng.randrange(len(data) or 1)
        kind = rng.randrange(4)
        if kind == 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            del data[at : at + rng.choice((1, 7, 400))]
        elif kind == 2:
            data[at:at] = rng.choice((b"\0", b"[" * 900, b"\xed\xa0\x80", b"\\ud800", b"9" * 400))
        else:
            data[at:] = data[at:] if rng.random() < 0.9 else b""
    return bytes(data)


_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 10**30, 1e308, "", "\ud800", "x" * 3000, "../x", [], {}, [[]],
    "plugins/modelcompare/x", "plugins/modelcompare/" + "y" * 3000, float("nan"), "0" * 64, 2**40,
)  # fmt: skip


def _damage_index(rng: random.Random, index: Index) -> None:
    """Another value, or none, somewhere in it."""
    place: Any = index
    while True:
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.8:
            place = place[key]
            continue
        if rng.random() < 0.1:
            del place[key]
        else:
            place[key] = rng.choice(_VALUES)
        return


def _damage_asset(rng: random.Random, logs: Path, index: Index) -> None:
    """A file with other contents, to which the index is made to fit."""
    asset = rng.choice([index["graph"], index["probe"]["meta"], index["layers"][0]["asset"]])
    file = logs / "bad" / asset["path"]
    content = _damage_bytes(rng, file.read_bytes())
    if asset is index["layers"][0]["asset"]:
        header = bytearray(content[:128])
        text = rng.choice((b"(", b"True, ", b"-12, ", b"9" * 30, b"'", b"{", b"\\", b"None"))
        header[(at := rng.randrange(10, 100)) : at + len(text)] = text
        content = bytes(header) + content[128:]
        content = content[: asset["bytes"]].ljust(asset["bytes"], b"\0")
    file.write_bytes(content)
    asset.update(describe(file, asset["path"]).to_json())


def _case(rng: random.Random, logs: Path, snapshot: Snapshot) -> None:
    index: Index = json.loads(json.dumps(snapshot.index))
    index["name"] = "altered"
    kind = rng.randrange(4)
    if kind == 0:
        _damage_index(rng, index)
        with contextlib.suppress(LookupError, TypeError, ValueError):  # none can be made of it
            index["digest"] = content_digest(index)
        record(logs / "bad", json.dumps(index))
    elif kind == 1:
        text = _damage_bytes(rng, json.dumps(index).encode()).decode("latin-1")
        record(logs / "bad", text)
    elif kind == 2:
        _damage_asset(rng, logs, index)
        record(logs / "bad", index)
    else:
        event_file = next((logs / "bad").glob("*tfevents*"))
        event_file.write_bytes(_damage_bytes(rng, event_file.read_bytes()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_no_damage_to_one_run_hides_another_or_is_a_defect(
    logs: Path, serve: Serve, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    shutil.copytree(logs / "bad", tmp_path / "bad")
    snapshot = open_snapshot(logs, "bad@0")
    for _ in range(25):
        _case(rng, logs, snapshot)
        listing = list_snapshots(logs)
        assert [s.id for s in listing.snapshots if s.run == "good"] == HEALTHY
        assert main(["list", str(logs)]) in (0, 2)
        server = serve(logs)
        ids, _ = served(server)
        assert [one for one in ids if one.startswith("good/")] == HEALTHY
        for one in ids:
            for route in ("graph", "layer"):
                answer = server.get(route, snapshot=one, layer="conv1")
                assert answer.status_code in (200, 404, 410, 422), answer.get_data(as_text=True)
                assert answer.status_code == 200 or one.startswith("bad/")
        shutil.rmtree(logs / "bad")
        shutil.copytree(tmp_path / "bad", logs / "bad")

"""Files that change under a running server: an answer in words, and a server that goes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from patience import HANG
from serving import Server, error_of, make_probe

from tb_modelcompare import SummaryWriter
from tb_modelcompare.errors import CorruptSnapshotError
from tb_modelcompare.log.arrays import open_array

HERE = Path(__file__).parent

# Wide layers and images of a page and more each: a map of them would not have been read whole.
SERVE = """
import bare_tensorboard, json, os, sys
from pathlib import Path
from serving import Server

server = Server(sys.argv[1])
assets = Path(sys.argv[1], "run", "plugins", "modelcompare")
answers = []

def cut_off(pattern):
    (file,) = assets.glob(pattern)
    os.truncate(file, 200)

def ask(route, **query):
    answer = server.get(route, snapshot="run/net@0", **query)
    answers.append([answer.status_code, answer.get_json()])

assert server.get("unit", snapshot="run/net@0", layer="wide", unit=0).status_code == 200
cut_off("arrays/*.bin")
ask("unit", layer="wide", unit=1)
ask("layer", layer="other")
assert server.get("probe_image", snapshot="run/net@0", index=0).status_code == 200
cut_off("probes/*/images.npy")
ask("probe_image", index=39)
assert server.get("snapshots").status_code == 200
print(json.dumps(answers))
"""


def test_files_that_are_cut_off_end_no_server(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    with SummaryWriter(tmp_path / "run", make_probe(count=40)) as writer:
        layers = {name: rng.random((120, 4096), np.float32) for name in ("wide", "other")}
        writer.add_activations("net", layers, step=0)
    path = [str(HERE.parent / "support"), str(HERE.parents[1])]
    done = subprocess.run(
        [sys.executable, "-c", SERVE, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        capture_output=True,
        text=True,
        timeout=HANG,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stderr)  # a SIGBUS would be -7
    for status, body in json.loads(done.stdout):
        assert status in (410, 422)
        assert "200 bytes" in body["error"]["message"]


@pytest.mark.parametrize("change", ["cut off", "replaced", "removed"])
def test_a_file_that_changes_between_two_reads_is_named(tmp_path: Path, change: str) -> None:
    file = tmp_path / "array.npy"
    values = np.arange(6000, dtype="<f4").reshape(60, 100)
    np.save(file, values)
    array = open_array(file, np.dtype("<f4"), (60, 100))
    np.testing.assert_array_equal(array[7], values[7])
    np.testing.assert_array_equal(array[10:90], values[10:])
    np.testing.assert_array_equal(array[:], values)
    np.testing.assert_array_equal(array.column(3), values[:, 3])
    np.testing.assert_array_equal(np.stack(list(array)), values)
    np.testing.assert_array_equal(array.mapped(), values)
    assert array.is_unchanged()
    if change == "cut off":
        os.truncate(file, 300)
    else:
        file.unlink()
        if change == "replaced":
            np.save(file, values)
    assert not array.is_unchanged()
    for read in (lambda: array[59], lambda: array.column(1), array.mapped):
        with pytest.raises(ValueError, match=r"changed while|cannot be read"):
            read()


def test_a_read_that_ends_early_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What shrinks between the look at it and the read of it."""
    file = tmp_path / "array.npy"
    np.save(file, np.zeros((60, 100), "<f4"))
    array = open_array(file, np.dtype("<f4"), (60, 100))
    os.truncate(file, 5000)
    monkeypatch.setattr("tb_modelcompare.log.arrays.identity_of", lambda *_: array.identity)
    assert (array[2] == 0).all()
    with pytest.raises(CorruptSnapshotError, match="cut off while"):
        array[50]


@pytest.mark.parametrize(
    "header",
    [
        "(",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 5)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-12, 5)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (12, 5)}",
        "{'descr': '|O', 'fortran_order': False, 'shape': (12, 5)}",
        "{'descr': 'no type', 'fortran_order': False, 'shape': (12, 5)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 12}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (12, 10**400)}",
        "['shape']",
        "(" * 9000,
        "{'descr': '<f4', 'fortran_order': False, 'shape': (120, 5)}",
        "__import__('os').abort()",
    ],
)
def test_a_hostile_header_is_named(tmp_path: Path, header: str) -> None:
    file = tmp_path / "array.npy"
    text = header.encode()
    file.write_bytes(b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(240))
    with pytest.raises(CorruptSnapshotError, match=r"array\.npy"):
        open_array(file, np.dtype("<f4"), (12, 5))


def test_a_probe_that_one_run_lost_is_shown_from_another(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    probe = make_probe(count=4)
    for run in ("first", "second"):
        with SummaryWriter(tmp_path / run, probe) as writer:
            writer.add_activations("net", {"a": np.ones((12, 2), np.float32)}, step=0)
    server = serve(tmp_path)
    ask = {"index": 1, "size": 24}
    before = server.get("probe_image", snapshot="first/net@0", **ask)
    assert before.status_code == 200
    shutil.rmtree(tmp_path / "first" / "plugins" / "modelcompare" / "probes")
    after = server.get("probe_image", snapshot="second/net@0", **ask)
    assert (after.status_code, after.data) == (200, before.data)


def test_a_graph_that_is_gone_is_missing_and_not_malformed(
    logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(logs)
    for file in (logs / "first").rglob("graph.json"):
        file.rename(file.with_name("other.json"))
    answer = server.get("graph", snapshot="first/net@0")
    assert error_of(answer)[:2] == (410, "MissingAssetError")

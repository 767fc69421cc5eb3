"""The demo: honest data, logs that can be compared, a TensorBoard that ends with it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from command_line import COMMAND, DEMO_STEPS, Run
from patience import HANG
from PIL import Image

from tb_modelcompare.demo.photographs import CLASSES, Windows, cut_windows, load_photographs
from tb_modelcompare.demo.training import accuracy, train
from tb_modelcompare.log.reader import list_snapshots
from tb_modelcompare.log.same_probe import require_same_probe

SNAPSHOTS = ["mobile/mobile@1", "seed0/seed0@0", "seed0/seed0@1", "seed1/seed1@1"]


def test_no_pixel_is_in_training_and_test() -> None:
    # A pixel tells its own place: red its column, green its row.
    rows, columns = np.mgrid[:250, :256].astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, rows.shape, dtype=np.uint8)
    photograph = Image.fromarray(np.stack([columns, rows, noise], axis=2))
    seen = []
    for test in (False, True):
        covered = np.zeros(rows.shape, bool)
        for window in cut_windows([photograph], 150, test=test).images:
            left, top = window[..., :2].min(axis=(0, 1)).tolist()
            right, bottom = window[..., :2].max(axis=(0, 1)).tolist()
            covered[top : bottom + 1, left : right + 1] = True
        seen.append(covered)
    training, held_out = seen
    assert not (training & held_out).any()
    assert training.mean() > 0.5
    assert held_out.mean() > 0.1


def test_photographs_come_without_network(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def refuse(*_: object) -> None:
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    photographs = load_photographs()
    assert len(photographs) == len(CLASSES) == 15
    assert min(min(photograph.size) for photograph in photographs) > 128


def test_training_learns_which_photograph_it_is() -> None:
    """In the compiled step, on two photographs that differ in how fine their pattern is."""
    import keras

    keras.utils.set_random_seed(0)
    rows = np.arange(32)
    fine, coarse = ((rows // width % 2 * 255).astype(np.uint8) for width in (1, 8))
    images = np.stack([np.broadcast_to(one[:, None, None], (32, 32, 3)) for one in (fine, coarse)])
    labels = np.arange(40) % 2
    windows = Windows(images[labels], labels, tuple(map(str, range(40))))
    model = keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, strides=2, activation="relu"),
         keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(2)]
    )  # fmt: skip
    losses: list[float] = []
    snapshots: list[int] = []
    train(
        model, windows, steps=60, seed=0, snapshot_steps={0, 60}, on_snapshot=snapshots.append,
        on_step=lambda step, loss: losses.append(loss),
    )  # fmt: skip
    assert snapshots == [0, 60]
    assert len(losses) == 60
    assert accuracy(model, windows) == 1.0
    assert losses[-1] < losses[0] / 2


def test_logs_can_be_compared(demo: Path) -> None:
    listing = list_snapshots(demo)
    assert [snapshot.id for snapshot in listing.snapshots] == SNAPSHOTS
    assert listing.problems == ()
    for snapshot in listing.snapshots:
        require_same_probe(snapshot, listing.snapshots[0])
        assert snapshot.frozen is not None
    mobile, untrained, *_ = listing.snapshots
    assert {"conv1", "block2", "block5", "logits"} <= set(mobile.layer_names)
    assert {"conv1", "mixed3a", "mixed4b", "logits"} <= set(untrained.layer_names)
    assert untrained.rows > 10 * max(layer.units for layer in untrained.layers)


def test_training_changes_the_network(demo: Path) -> None:
    first, last = (s for s in list_snapshots(demo).snapshots if s.id in SNAPSHOTS[1:3])
    assert not np.allclose(first.activations("conv1"), last.activations("conv1"), atol=1e-3)


def test_a_second_run_shows_what_is_there(inside: Run, demo: Path) -> None:
    files = {file: file.stat().st_mtime_ns for file in demo.rglob("*") if file.is_file()}
    done = inside("demo", "--logdir", demo, "--no-serve", "--steps", DEMO_STEPS)
    assert done.returncode == 0
    assert "holds this demo already" in done.stderr
    accuracy = dict(line.split() for line in done.stdout.splitlines() if "@" in line)
    assert set(accuracy) == {"seed0@0", "seed0@1", "seed1@1", "mobile@1"}
    assert all(0 <= float(share.rstrip("%")) <= 100 for share in accuracy.values())
    assert {file: file.stat().st_mtime_ns for file in demo.rglob("*") if file.is_file()} == files


def test_a_directory_of_others_is_left_alone(inside: Run, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    for force in ((), ("--force",)):
        done = inside("demo", "--logdir", tmp_path, "--no-serve", *force)
        assert done.returncode == 2
        assert "not made by the demo" in done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.skipif(sys.platform != "linux", reason="of displays as on Linux")
def test_serves_until_ctrl_c(demo: Path, environ: dict[str, str], tmp_path: Path) -> None:
    """And a browser shows the first pair."""
    seen, browser = tmp_path / "seen", tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {seen}\n')
    browser.chmod(0o755)
    process = subprocess.Popen(
        [
            *(*COMMAND, "demo", "--logdir", str(demo), "--steps", str(DEMO_STEPS)),
            *("--port", "0"),
        ],
        env={**environ, "DISPLAY": ":0", "BROWSER": f"{browser} %s"},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_listen_to_ctrl_c,
    )
    try:
        assert process.stdout is not None
        addresses = []
        for line in process.stdout:
            if "http" in line:
                addresses.append(line.split()[-1])
            elif not line.strip():
                break
        assert len(addresses) == 3
        for address in addresses:
            base, _, fragment = address.partition("#")
            with urllib.request.urlopen(f"{base}data/plugin/modelcompare/snapshots") as answer:
                there = {snapshot["id"] for snapshot in json.load(answer)["snapshots"]}
            assert there == set(SNAPSHOTS)
            tab, _, query = fragment.partition("&")
            assert tab == "modelcompare"
            state = urllib.parse.parse_qs(query)
            assert state["measure"] == ["unbiased_linear_cka"]
            assert {state["a"][0], state["b"][0]} <= there

        deadline = time.monotonic() + HANG
        while not (seen.exists() and seen.read_text()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert seen.read_text() == addresses[0]

        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=HANG) == 130
        boards = (line for line in _command_lines() if "tensorboard" in line)
        assert not any(str(demo) in line for line in boards)
        with pytest.raises(OSError, match="refused"):
            urllib.request.urlopen(base)
    finally:
        process.kill()
        process.wait()


def _listen_to_ctrl_c() -> None:
    """A shell makes what it starts in the background deaf to Ctrl-C, and it is inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _command_lines() -> list[str]:
    """Of all processes of the machine."""
    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:  # it has ended
            continue
    return lines


def test_a_port_that_is_taken(inside: Run, demo: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = inside("demo", "--logdir", demo, "--steps", DEMO_STEPS, "--port", port)
    assert done.returncode == 2
    assert f"port {port} is taken" in done.stderr


@pytest.mark.parametrize(
    "line", ["training and", pytest.param("step 50 of", marks=pytest.mark.slow)]
)
def test_ctrl_c_during_training_is_no_traceback(
    line: str, tmp_path: Path, environ: dict[str, str]
) -> None:
    process = subprocess.Popen(
        [*COMMAND, "demo", "--logdir", str(tmp_path / "logs"), "--no-serve"],
        env=environ,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=_listen_to_ctrl_c,
    )
    try:
        assert process.stderr is not None
        assert any(line in printed for printed in process.stderr)
        os.kill(process.pid, signal.SIGINT)
        _, rest = process.communicate(timeout=HANG)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "Traceback" not in rest
    assert rest.splitlines()[-1] == "tb-modelcompare: stopped"

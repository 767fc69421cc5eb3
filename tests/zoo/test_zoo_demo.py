"""`demo --zoo`: the seed's three networks, from a server in this process to similarities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from file_server import FileServer

from tb_modelcompare import list_snapshots
from tb_modelcompare.cli import main
from tb_modelcompare.demo import zoo as zoo_demo
from tb_modelcompare.similarity import compare

lucid_graphs = pytest.importorskip("lucid_graphs")


def test_a_directory_of_others_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    assert main(["demo", "--zoo", "--no-serve", "--logdir", str(tmp_path)]) == 2
    assert "not made by the demo" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


def test_nothing_is_trained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--zoo", "--steps", "3", "--logdir", str(tmp_path / "logs")]) == 2
    assert "leave out --steps" in capsys.readouterr().err
    assert not (tmp_path / "logs").exists()


def test_offline_it_says_so_and_leaves_nothing(
    tmp_path: Path, server: FileServer, cache: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(zoo_demo, "WINDOWS", 1)
    assert main(["demo", "--zoo", "--no-serve", "--logdir", str(tmp_path / "logs")]) == 2
    assert "InceptionV1.pb answers 404" in capsys.readouterr().err
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(
    ("small", "windows"),
    [(True, 1), (False, zoo_demo.WINDOWS)],
)
@pytest.mark.slow
def test_three_networks_are_logged_and_compared(
    tmp_path: Path, server: FileServer, cache: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch, small: bool, windows: int,
) -> None:  # fmt: skip
    monkeypatch.setattr(zoo_demo, "WINDOWS", windows)
    lucid_graphs.write_zoo(server.directory, small)
    command = ["demo", "--zoo", "--no-serve", "--logdir", str(tmp_path / "logs")]
    assert main(command) == 0
    assert f"tensorboard --logdir {tmp_path / 'logs'}" in capsys.readouterr().out
    listing = list_snapshots(tmp_path / "logs")
    assert listing.problems == ()
    found = {snapshot.name: snapshot for snapshot in listing.snapshots}
    assert set(found) == set(zoo_demo.MODELS)
    assert len({snapshot.probe_id for snapshot in found.values()}) == 1
    assert [len(found[name].layers) for name in zoo_demo.MODELS] == [19, 14, 11]
    assert all(snapshot.frozen is not None for snapshot in found.values())
    first, second = (
        {layer: found[name].activations(layer) for layer in layers}
        for name, layers in (("InceptionV1", ("conv2d2", "mixed4a")), ("AlexNet", ("Conv2D_3",)))
    )
    assert np.isfinite(compare(first, second, "linear_cka").values).all()
    if not small:
        drawn = [
            "analogies", str(tmp_path / "logs"), "InceptionV1", "mixed4a:17", "InceptionV2_slim",
            "--layers", "Mixed_4b/concat", "--steps", "4", "--size", "64",
        ]  # fmt: skip
        assert main([*drawn, "--out", str(tmp_path / "drawn")]) == 0
        assert list((tmp_path / "drawn").glob("*.png"))
    asked = len(server.asked)
    assert main(command) == 0
    assert capsys.readouterr().err.count("is there already") == 3
    assert len(server.asked) == asked

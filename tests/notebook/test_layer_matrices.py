"""Covariance and whitening of layers, directions, and which layers a filter means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, Snapshot, SummaryWriter, open_snapshot
from tb_modelcompare.compare.layers import chosen_layers, one_for_each
from tb_modelcompare.errors import (
    ActivationError,
    LayerSelectionError,
    OptionError,
    ProbeMismatchError,
    UnknownSnapshotError,
)
from tb_modelcompare.log import layer as layer_module
from tb_modelcompare.log.direction import parsed_direction
from tb_modelcompare.similarity import whitened_correlation

NAMES = ("conv1", "a:b", "a")


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("layers")
    images = np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), np.uint8)
    for run, seed in (("one", 1), ("two", 2), ("other probe", 3)):
        random = np.random.default_rng(seed)
        layers = {name: random.standard_normal((100, 6)) + 1.0 for name in NAMES}
        layers["silent"] = layers["a"] * [0, 1, 1, 1, 1, 1]
        layers["zero"] = np.zeros((100, 2))
        probe = Probe(images if seed < 3 else 255 - images, positions_per_image=2)
        with SummaryWriter(root / run, probe) as writer:
            writer.add_activations("net", layers)
    return root


@pytest.fixture
def one(logs: Path) -> Snapshot:
    return open_snapshot(logs, "one")


@pytest.fixture
def two(logs: Path) -> Snapshot:
    return open_snapshot(logs, "two")


def test_covariance_is_the_notebooks_and_is_kept(one: Snapshot, two: Snapshot) -> None:
    x, y = one.layer("conv1"), two.layer("a")
    X, Y = (layer.activations().astype(np.float64) for layer in (x, y))
    np.testing.assert_allclose(x.covariance(), X.T @ X / 100, rtol=1e-12)
    np.testing.assert_allclose(x.covariance(y), X.T @ Y / 100, rtol=1e-12)
    assert one.layer("conv1").covariance(two.layer("a")) is x.covariance(y)
    assert x.covariance(one.layer("a")) is not x.covariance(y)
    assert not x.covariance().flags.writeable


def test_whitening_is_the_inverse_cholesky_factor(one: Snapshot, two: Snapshot) -> None:
    x, y = one.layer("conv1"), two.layer("a")
    L = x.whitening()
    np.testing.assert_allclose(L, np.linalg.cholesky(np.linalg.inv(x.covariance())), rtol=1e-9)
    assert x.whitening() is L
    white = L.T @ x.covariance(y) @ y.whitening()
    nuclear = np.linalg.svd(white, compute_uv=False).sum() / 6
    assert nuclear == pytest.approx(whitened_correlation(x.activations(), y.activations()))


def test_a_layer_with_constant_units_is_whitened_with_a_ridge(one: Snapshot) -> None:
    silent = one.layer("silent")
    C, L = silent.covariance(), silent.whitening()
    ridge = 1e-6 * np.trace(C) / 6 * np.eye(6)
    np.testing.assert_allclose(L.T @ (C + ridge) @ L, np.eye(6), atol=1e-8)
    with pytest.raises(ActivationError, match="give a larger one"):
        silent.whitening(ridge=0.0)
    with pytest.raises(ActivationError, match="0 on the whole probe"):
        one.layer("zero").whitening()
    for bad in (-1, np.nan, "much"):
        with pytest.raises(OptionError, match="ridge"):
            silent.whitening(ridge=bad)


def test_an_array_in_place_of_a_layer_is_refused(one: Snapshot) -> None:
    layer = one.layer(one.layer_names[0])
    with pytest.raises(ActivationError, match=r"give snapshot\.layer\(name\)"):
        layer.covariance(layer.activations())  # type: ignore[arg-type]


def test_layers_of_two_probes_have_no_covariance(one: Snapshot, logs: Path) -> None:
    with pytest.raises(ProbeMismatchError, match="different probes"):
        one.layer("a").covariance(open_snapshot(logs, "other probe").layer("a"))


def test_what_is_kept_is_bounded(one: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layer_module, "MAX_KEPT_BYTES", 2 * 6 * 6 * 8)
    first, second, third = (one.layer(name) for name in NAMES)
    kept = first.covariance()
    second.covariance()
    assert first.covariance() is kept  # so that the second is now the one to go
    third.covariance()
    assert first.covariance() is kept


def test_units_are_added_and_subtracted(one: Snapshot) -> None:
    X = one.activations("a").astype(np.float64)
    unit = one.unit("a", 2)
    assert (unit.name, unit.unit) == ("a:2", 2)
    np.testing.assert_allclose(unit.activity(), X[:, 2])
    both = 2 * unit - one.unit("a", 0) + one.direction("a", np.ones(6), "all")
    np.testing.assert_allclose(both.activity(), 2 * X[:, 2] - X[:, 0] + X.sum(axis=1))
    assert both.name == "2 (a:2) - a:0 + all"
    assert both.unit is None
    assert (-unit).weights[2] == -1
    assert not both.weights.flags.writeable


def test_what_is_no_direction_is_refused(one: Snapshot, two: Snapshot) -> None:
    unit = one.unit("a", 2)
    for bad in (6, -1, 1.0, True, "1"):
        with pytest.raises(UnknownSnapshotError, match="it has 0 to 5"):
            one.unit("a", bad)  # type: ignore[arg-type]
    with pytest.raises(UnknownSnapshotError, match="no layer 'con1'; nearest: conv1"):
        one.unit("con1", 0)
    for weights in (np.ones(5), np.zeros(6), [np.nan] * 6, ["x"] * 6, np.ones((6, 1))):
        with pytest.raises(ActivationError, match="direction"):
            one.direction("a", weights)
    for other in (one.unit("a:b", 2), two.unit("a", 2)):
        with pytest.raises(ActivationError, match="of one layer"):
            unit + other
    with pytest.raises(ActivationError, match="is no direction"):
        unit - unit
    with pytest.raises(TypeError):
        unit + 1


def test_directions_in_words(one: Snapshot, tmp_path: Path) -> None:
    np.save(tmp_path / "w:1.npy", np.arange(6))
    for text, layer, weights in (
        ("a:2", "a", [0, 0, 1, 0, 0, 0]),
        ("a:b:2", "a:b", [0, 0, 1, 0, 0, 0]),
        ("a:2+5-3", "a", [0, 0, 1, -1, 0, 1]),
        ("a:-3", "a", [0, 0, 0, -1, 0, 0]),
        ("a:2+2", "a", [0, 0, 2, 0, 0, 0]),
        (f"a:b:{tmp_path}/w:1.npy", "a:b", range(6)),
    ):
        found = parsed_direction(text, one)
        assert (found.layer, list(found.weights)) == (layer, list(weights))
    (tmp_path / "bad.npy").write_bytes(b"no array")
    np.save(tmp_path / "pickled.npy", np.array([{}] * 6))
    for text in ("a", "a:", ":2", "a:x", "a:2+", "a:+", "2", ""):
        with pytest.raises(UnknownSnapshotError, match="LAYER:UNIT"):
            parsed_direction(text, one)
    for text in ("a:9", "a:1+9"):
        with pytest.raises(UnknownSnapshotError, match="no unit 9"):
            parsed_direction(text, one)
    for file in ("bad.npy", "pickled.npy", "absent.npy"):
        with pytest.raises(ActivationError, match=r"numpy\.save"):
            parsed_direction(f"a:{tmp_path / file}", one)


def test_layers_by_expression_names_and_kind(models: Path) -> None:
    snapshot = open_snapshot(models, "a")
    convolutions = ("conv1", "conv2", "constant")
    assert chosen_layers(snapshot, None) == snapshot.layer_names
    assert chosen_layers(snapshot, "^conv") == ("conv1", "conv2")
    assert chosen_layers(snapshot, ["conv2", "conv1"]) == ("conv1", "conv2")
    assert chosen_layers(snapshot, lambda node: node.kind == "conv") == convolutions
    wrong: list[tuple[Any, str]] = [
        ("^conf", "matches no layer of a/net@0; nearest: conv"),
        (["conv3"], "has no layer 'conv3'; nearest: conv"),
        ([], "no layer is named"),
        (lambda node: False, "chooses no layer"),
        ("(", "malformed"),
        (3, "regular expression"),
    ]
    for layers, says in wrong:
        with pytest.raises(LayerSelectionError, match=says):
            chosen_layers(snapshot, layers)
    assert one_for_each("x", [snapshot] * 2) == ["x", "x"]
    assert one_for_each(["x", "y"], [snapshot] * 2) == ["x", "y"]
    assert one_for_each(None, [snapshot]) == [None]

"""The images that excite a unit most: in the right order also where a cap makes them equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Preprocessing, Probe, SummaryWriter
from tb_modelcompare.compare.comparison import compare_snapshots
from tb_modelcompare.compare.units import TopPositions, top_positions, top_rows
from tb_modelcompare.log.reader import Snapshot, open_snapshot
from tb_modelcompare.similarity import MEASURES

IMAGES, POSITIONS = 40, 3


def snapshot_of(
    tmp_path: Path, layers: dict[str, np.ndarray], graph: list[dict[str, Any]] | None
) -> Snapshot:
    """A snapshot of layers (rows, units), with a graph of these nodes."""
    from tb_modelcompare.graph import LayerGraph, Node

    pixels = np.zeros((IMAGES, 4, 4, 3), np.uint8)
    pixels[:, 0, 0, 0] = np.arange(IMAGES)
    probe = Probe(pixels, positions_per_image=POSITIONS)
    with SummaryWriter(tmp_path / "run", probe) as writer:
        made = None if graph is None else LayerGraph(tuple(Node(**node) for node in graph))
        writer.add_activations("net", layers, step=0, graph=made)
    return open_snapshot(tmp_path, "run")


def chain(*nodes: tuple[str, str, str]) -> list[dict[str, Any]]:
    """Nodes (name, op, kind) that read each other in turn."""
    before: tuple[str, ...] = ()
    found = []
    for name, op, kind in nodes:
        found.append({"name": name, "op": op, "kind": kind, "inputs": before, "units": 2})
        before = (name,)
    return found


def ask(snapshot: Snapshot, layer: str, limit: int = 9, **options: Any) -> TopPositions:
    return top_positions(snapshot, snapshot.stored_probe(), layer, 1, limit, **options)


def images(top: TopPositions) -> list[int]:
    return [position["image"] for position in top.positions]


def raw(seed: int = 0, spread: float = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (spread * rng.standard_normal((IMAGES * POSITIONS, 2)) + 4).astype(np.float32)


def best_of(values: np.ndarray) -> list[int]:
    return list(np.argsort(-values[:, 1].reshape(IMAGES, POSITIONS).max(1), kind="stable"))


CAPS = {
    "relu6": lambda x: np.clip(x, 0, 6),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "sigmoid that saturates": lambda x: 0.5 + 0.5 * np.tanh(5 * x),
    "norm, then relu6": lambda x: np.clip(0.5 * x + 2, 0, 6),
    "relu": lambda x: np.maximum(x - 14, 0),
}


@pytest.mark.parametrize("cap", CAPS)
def test_what_a_cap_makes_equal_is_in_the_order_of_before(tmp_path: Path, cap: str) -> None:
    before = raw()
    after = CAPS[cap](before).astype(np.float32)
    nodes = chain(("pre", "Conv2D", "conv"), ("norm", "X", "norm"), ("act", "Y", "activation"))
    snapshot = snapshot_of(tmp_path, {"pre": before, "act": after}, nodes)
    top = ask(snapshot, "act")
    assert images(top) == best_of(before)[:9]
    assert (top.ranked_by, top.tied) == ("pre", 0)
    for position in top.positions:
        rows = slice(position["image"] * POSITIONS, (position["image"] + 1) * POSITIONS)
        assert position["before"] == before[rows, 1].max()
        assert position["value"] == after[rows, 1].max()


def test_a_factor_below_zero_turns_the_order_around(tmp_path: Path) -> None:
    before = raw()
    after = np.clip(-2 * before, 0, 6)
    nodes = chain(("pre", "Conv2D", "conv"), ("norm", "X", "norm"), ("act", "Y", "activation"))
    snapshot = snapshot_of(tmp_path, {"pre": before, "act": after}, nodes)
    top = ask(snapshot, "act")
    assert images(top) == best_of(-before)[:9]
    assert top.positions[0]["before"] == before[:, 1].min()


def test_the_least_is_ranked_as_well(tmp_path: Path) -> None:
    before = raw()
    nodes = chain(("pre", "Conv2D", "conv"), ("act", "Y", "activation"))
    snapshot = snapshot_of(tmp_path, {"pre": before, "act": np.clip(before, 0, 6)}, nodes)
    top = ask(snapshot, "act", negative=True)
    assert images(top) == best_of(-before)[:9]
    assert str(top.positions[0]["value"]) == "0.0"


@pytest.mark.parametrize(
    ("case", "nodes"),
    [
        ("no graph", None),
        ("weights between", chain(("pre", "X", "norm"), ("act", "Conv2D", "conv"))),
        ("other values", chain(("other", "X", "norm"), ("act", "Y", "activation"))),
    ],
)
def test_without_what_was_before_ties_are_counted_and_spread(
    tmp_path: Path, case: str, nodes: Any
) -> None:
    before = raw()
    layers = {"pre": before, "other": raw(1), "act": np.clip(before, 0, 6)}
    if nodes is None:  # the graph is then the chain of the layers
        del layers["pre"]
    else:
        there = {node["name"] for node in nodes}
        nodes += chain(*((name, "Conv2D", "conv") for name in layers if name not in there))
    snapshot = snapshot_of(tmp_path, layers, nodes)
    top = ask(snapshot, "act")
    at_cap = np.flatnonzero(layers["act"][:, 1].reshape(IMAGES, POSITIONS).max(1) == 6)
    assert len(at_cap) > 15
    assert (top.ranked_by, top.tied) == (None, len(at_cap) - 9)
    assert set(images(top)) <= set(at_cap)
    assert images(top) != list(at_cap[:9])  # the first by name
    assert np.diff(np.searchsorted(at_cap, images(top))).max() <= -(-len(at_cap) // 9)
    assert images(ask(snapshot, "act")) == images(top)


def test_a_few_values_are_no_evidence_of_a_cap(tmp_path: Path) -> None:
    """All rows but one at 6: any layer that is least in that row would seem to be capped."""
    before = raw()
    after = np.full_like(before, 6)
    after[before[:, 1].argmin()] = 0
    nodes = chain(("pre", "Conv2D", "conv"), ("act", "Y", "activation"))
    top = ask(snapshot_of(tmp_path, {"pre": before, "act": after}, nodes), "act")
    assert (top.ranked_by, top.tied) == (None, IMAGES - 9)


def test_a_unit_that_never_changes_ties_everywhere(tmp_path: Path) -> None:
    layers = {"pre": raw(), "act": np.zeros((IMAGES * POSITIONS, 2), np.float32)}
    nodes = chain(("pre", "Conv2D", "conv"), ("act", "Y", "activation"))
    top = ask(snapshot_of(tmp_path, layers, nodes), "act")
    assert (top.ranked_by, top.tied) == (None, IMAGES - 9)
    assert images(top) == [0, 4, 8, 13, 17, 22, 26, 31, 35]


def test_images_with_different_numbers_of_rows(tmp_path: Path) -> None:
    """Texts of different lengths: each is there once, by its strongest row."""
    counts = 1 + np.arange(IMAGES) % 4
    of_row = np.repeat(np.arange(IMAGES), counts)
    real = np.arange(4) < counts[:, None]
    probe = Probe.from_arrays(np.where(real, 1, 0), "all", pad_id=0)
    values = np.random.default_rng(3).standard_normal((probe.rows, 2)).astype(np.float32)
    for run in "ab":
        with SummaryWriter(tmp_path / run, probe) as writer:
            writer.add_activations("net", {"layer": values})
    snapshot = open_snapshot(tmp_path, "a")
    best = [values[of_row == image, 1].max() for image in range(IMAGES)]
    order = np.argsort(-np.array(best))[:9]
    for of in (snapshot.probe(), snapshot.stored_probe()):
        top = top_positions(snapshot, of, "layer", 1, 9)
        assert images(top) == list(order)
        assert [one["value"] for one in top.positions] == [float(best[i]) for i in order]
    measure = MEASURES["unbiased_linear_cka"]
    other = open_snapshot(tmp_path, "b")
    found = compare_snapshots(snapshot, other, measure)
    assert found.values[0, 0] == pytest.approx(1.0)
    found = compare_snapshots(snapshot, other, measure, permutations=19)
    assert found.p_value is not None
    assert found.p_value[0, 0] == pytest.approx(1 / 20)


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_top_rows_by_definition(limit: int) -> None:
    """Against all images sorted one by one."""
    rng = np.random.default_rng(limit)
    response = rng.integers(0, 6, 60).astype(np.float32)
    best = response.reshape(20, 3).max(1)
    top = top_rows(response, np.repeat(np.arange(len(response) // 3), 3), limit)
    shown = response[top.rows]
    assert list(shown) == sorted(best, reverse=True)[:limit]
    assert len(set(top.rows // 3)) == len(shown) == min(limit, 20)
    assert top.tied == np.count_nonzero(best == shown[-1]) - np.count_nonzero(shown == shown[-1])


@pytest.mark.slow
def test_photos_of_mobilenets_capped_units_are_not_the_first_by_name(
    tmp_path: Path, shared_dir: Path
) -> None:
    """Of this network, at least nine images tie at 6 in every unit before the mean."""
    import keras

    model = keras.models.load_model(shared_dir / "models" / "mobilenet_v2_imagenet_slim.keras")
    layers = [model.get_layer(name).output for name in ("Conv_1_conv", "Conv_1")]
    part = keras.Model(model.inputs, layers)
    probe = Probe.from_directory(
        shared_dir / "images" / "imagenet1000", limit=60, positions_per_image=8
    )
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_model(
            "net",
            part,
            0,
            preprocessing=Preprocessing.tf(),
            layers="all",
            frozen=False,
            progress=False,
        )
    snapshot = open_snapshot(tmp_path, "run")
    stored = snapshot.stored_probe()
    before, after = snapshot.activations("Conv_1_conv"), snapshot.activations("Conv_1")
    capped = np.flatnonzero((after.reshape(60, 8, -1).max(1) >= 6).sum(0) >= 9)
    assert len(capped) > 20
    for unit in capped[:20]:
        top = top_positions(snapshot, stored, "Conv_1", int(unit), 4)
        expected = np.argsort(-before[:, unit].reshape(60, 8).max(1), kind="stable")[:4]
        assert images(top) == list(expected)
        assert (top.ranked_by, top.tied) == ("Conv_1_conv", 0)

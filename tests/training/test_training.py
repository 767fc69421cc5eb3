"""Training over steps, and distances between models, on logs of the real writer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import freezing
import numpy as np
import pytest
from altered import layer_file
from hypothesis import given, settings
from hypothesis import strategies as st

from tb_modelcompare import Probe, SummaryWriter, similarity
from tb_modelcompare.cache.pair_values import PairValues
from tb_modelcompare.errors import (
    ActivationError,
    CacheDirectoryError,
    MissingAssetError,
    ProbeMismatchError,
    UnknownSnapshotError,
)
from tb_modelcompare.log.reader import list_snapshots
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.training import (
    Work,
    freezing_steps,
    freezing_threshold,
    model_distances,
    step_map,
    trend,
)

ROWS, STEPS, LAYERS = 60, 18, 4
Log = Callable[..., list[Snapshot]]


def make_probe(seed: int = 0) -> Probe:
    pixels = np.random.default_rng(seed).integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    return Probe(pixels, positions_per_image=2, seed=seed)


def converging(seed: int, names: str = "layer") -> dict[int, dict[str, np.ndarray]]:
    """Layers that go from one state to another, layer l at step 4·(l + 1)."""
    rng = np.random.default_rng(seed)
    ends = [[rng.standard_normal((ROWS, 7)) for _ in range(2)] for _ in range(LAYERS)]
    return {
        step: {
            f"{names}{i}": (start if step < 4 * (i + 1) else end).astype(np.float32)
            for i, (start, end) in enumerate(ends)
        }
        for step in range(STEPS)
    }


@pytest.fixture
def log(tmp_path: Path) -> Log:
    def write(
        run: str, steps: dict[int, dict[str, np.ndarray]], probe: Probe | None = None
    ) -> list[Snapshot]:
        with SummaryWriter(tmp_path / "logs" / run, probe or make_probe()) as writer:
            for step, layers in steps.items():
                writer.add_activations("net", layers, step=step)
        return [s for s in list_snapshots(tmp_path / "logs").snapshots if s.run == run]

    return write


def test_each_value_is_that_of_the_measure_on_the_arrays(log: Log) -> None:
    steps = converging(0)
    run = log("run", steps)
    found = trend(run)
    for row, name in enumerate(found.layers):
        for column, step in enumerate(found.steps):
            expected = similarity.linear_cka(steps[step][name], steps[STEPS - 1][name])
            assert found.values[row, column] == pytest.approx(expected, abs=1e-6)


def test_positions_of_one_image_do_not_meet_in_a_debiased_measure(log: Log) -> None:
    steps = converging(0)
    found = trend(log("run", steps), measure="unbiased_linear_cka")
    images = np.repeat(np.arange(30), 2)
    expected = similarity.unbiased_linear_cka(
        steps[0]["layer0"], steps[STEPS - 1]["layer0"], groups=images
    )
    assert found.values[0, 0] == pytest.approx(expected, abs=1e-6)


def delete_files(snapshot: Snapshot) -> None:
    shutil.rmtree(Path(snapshot.run_dir, snapshot.graph_asset.path).parent)


def test_snapshots_whose_files_are_gone_are_left_out_with_a_note(log: Log) -> None:
    steps = converging(0)
    run = log("run", steps)
    last = trend(run[:-1])
    for snapshot in (run[3], run[-1]):
        delete_files(snapshot)
    found = trend(run)
    assert found.steps == (0, 1, 2, *range(4, STEPS - 1))
    assert found.reference == run[-2].id
    np.testing.assert_allclose(found.values, np.delete(last.values, 3, axis=1), atol=1e-6)
    [note] = [note for note in found.notes if "gone" in note]
    assert run[3].id in note
    assert run[-1].id in note
    assert step_map(run, "layer0", run[:5], "layer0").values.shape == (STEPS - 2, 4)
    assert model_distances(run[1:5]).snapshots == tuple(run[i].id for i in (1, 2, 4))
    with pytest.raises(MissingAssetError, match="are gone"):
        trend([run[3], run[-1]])
    layer_file(run[0], "layer0").unlink()
    with pytest.raises(MissingAssetError, match="missing"):
        trend(run, reference=run[0])


def test_a_snapshot_that_lacks_one_layer_is_left_out(log: Log) -> None:
    moving = {
        step: {name: values + np.float32(0.01 * step) for name, values in layers.items()}
        for step, layers in converging(0).items()
    }
    run = log("run", moving)
    layer_file(run[2], "layer1").unlink()
    assert trend(run).steps == (0, 1, *range(3, STEPS))


def test_layers_freeze_when_they_stop_changing(log: Log) -> None:
    found = trend(log("run", converging(0)))
    assert freezing_steps(found.values, found.steps, 0.99) == (4, 8, 12, 16)


@pytest.mark.parametrize("case", json.loads(freezing.FILE.read_text()), ids=lambda c: c["name"])
def test_library_and_tab_agree_on_when_layers_froze(case: dict[str, Any]) -> None:
    """The tab is held to the same file by frontend/src/align/steps.test.ts."""
    values = freezing.read(case["values"])
    found = freezing.expected(case["distance"], tuple(case["range"]), values)
    assert found == (case["threshold"], case["frozen"])


def test_a_measure_without_bounds_has_no_usual_threshold() -> None:
    with pytest.raises(ActivationError, match="without bounds"):
        freezing_threshold(0.0, np.inf, distance=True)


def test_freezing_is_for_good_and_a_missing_value_is_not_frozen() -> None:
    values = [[0.95, 0.5, 0.95, 0.97], [0.95, np.nan, 0.95, 1.0], [1, 1, 1, 1], [1, 1, 1, 0.1]]
    assert freezing_steps(values, (0, 10, 20, 30), 0.9) == (20, 20, 0, None)
    assert freezing_steps([[1.0, 0.2, 0.1]], (0, 1, 2), 0.3, distance=True) == (1,)


def test_a_reference_with_other_names_is_met_by_the_best_match(log: Log) -> None:
    steps = converging(0)
    run = log("run", steps)
    last = steps[STEPS - 1]
    (other,) = log("other", {7: {f"block{i}": last[f"layer{i}"] for i in (3, 1, 0, 2)}})
    found = trend(run, other)
    assert found.matching == "best"
    assert found.partners == ("block0", "block1", "block2", "block3")
    np.testing.assert_allclose(found.values[:, -1], 1.0, atol=1e-6)
    assert trend(run, run[0]).matching == "names"


def test_a_step_map_relates_every_step_to_every_other(log: Log) -> None:
    a, b = log("a", converging(0)), log("b", converging(1))
    found = step_map(a, "layer1", b, "layer3")
    expected = similarity.linear_cka(a[3].activations("layer1"), b[17].activations("layer3"))
    assert found.values[3, 17] == pytest.approx(expected, abs=1e-6)
    own = step_map(a, "layer1", a, "layer1").values
    np.testing.assert_allclose(own[:8, :8], 1.0, atol=1e-6)
    np.testing.assert_allclose(own, own.T, rtol=1e-5)
    assert own[:8, 8:].max() < 0.5


def test_what_is_known_is_not_computed_again(log: Log, tmp_path: Path) -> None:
    steps = converging(0)
    file = tmp_path / "pairs.sqlite"
    half = log("run", {step: steps[step] for step in range(10)})
    reference = half[0]
    first = trend(half, reference, work=Work(PairValues(file)))
    assert (first.computed, first.found) == (40, 0)
    # As another process, later: layers that are bit for bit as before are known as well.
    grown = log("run", {10: {name: values + 1e-3 for name, values in steps[10].items()}})
    second = trend(grown, reference, work=Work(PairValues(file)))
    assert (second.computed, second.found) == (4, 40)
    # Equal steps share one value, and each is rounded as its place in a product has it.
    np.testing.assert_allclose(second.values[:, :10], first.values, rtol=1e-5)
    other = trend(grown, reference, "mean_cca", work=Work(PairValues(file)))
    assert other.found == 0


def test_silent_and_absent_layers_have_no_value_and_are_remembered(
    log: Log, tmp_path: Path
) -> None:
    steps = {step: dict(layers) for step, layers in list(converging(0).items())[:6]}
    steps[2]["layer1"] = np.zeros((ROWS, 7), np.float32)
    del steps[3]["layer2"]
    run = log("run", steps)
    file = tmp_path / "pairs.sqlite"
    for _ in range(2):
        found = trend(run, work=Work(PairValues(file)))
        assert np.argwhere(np.isnan(found.values)).tolist() == [[1, 2], [2, 3]]
    assert found.computed == 0


def test_a_cancelled_trend_keeps_what_it_computed(log: Log, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).standard_normal((8, LAYERS, ROWS, 7)).astype(np.float32)
    run = log(
        "run", {i: {f"l{j}": layer for j, layer in enumerate(n)} for i, n in enumerate(noise)}
    )
    file = tmp_path / "pairs.sqlite"
    work = Work(PairValues(file))
    work.cancelled = lambda: work.computed > 10
    with pytest.raises(similarity.ComparisonCancelled):
        trend(run, work=work)
    assert work.computed < 32
    assert trend(run, work=Work(PairValues(file))).found == work.computed


def test_a_damaged_file_of_values_is_named(log: Log, tmp_path: Path) -> None:
    file = tmp_path / "pairs.sqlite"
    file.write_text("no database " * 100)
    with pytest.raises(CacheDirectoryError, match=r"pairs\.sqlite"):
        trend(log("run", converging(0)), work=Work(PairValues(file)))


def test_old_values_make_room(tmp_path: Path) -> None:
    file = tmp_path / "pairs.sqlite"
    PairValues(file, limit=100).add({bytes([i]) * 32: float(i) for i in range(101)})
    assert len(PairValues(file).find([bytes([i]) * 32 for i in range(101)])) == 80


def test_other_probes_and_no_snapshots_are_refused(log: Log) -> None:
    run = log("run", converging(0))
    elsewhere = log("elsewhere", converging(0), make_probe(5))
    with pytest.raises(ProbeMismatchError):
        trend([*run, *elsewhere])
    with pytest.raises(ProbeMismatchError):
        model_distances([run[0], elsewhere[0]])
    with pytest.raises(UnknownSnapshotError):
        trend([])
    with pytest.raises(UnknownSnapshotError, match="layer1"):
        step_map(run, "layr1", run, "layer1")


def test_a_model_distance_is_the_mean_square_of_its_layers_angles(log: Log) -> None:
    steps = converging(0)
    first, last = log("run", {0: steps[0], 17: steps[17]})
    angles = [np.arccos(similarity.linear_cka(steps[0][n], steps[17][n])) for n in steps[0]]
    found = model_distances([first, last])
    assert found.matching == "names"
    assert found.distances[0, 1] == pytest.approx(np.sqrt(np.mean(np.square(angles))), abs=1e-7)


def test_models_of_other_architectures_are_compared_by_depth(log: Log) -> None:
    steps = converging(0)
    (four,) = log("four", {0: steps[0]})
    layers = list(steps[0].values())
    (eight,) = log("eight", {0: {f"x{i}": layers[i // 2] for i in range(8)}})
    found = model_distances([four, eight])
    assert found.matching == "depth"
    assert found.distances[0, 1] == pytest.approx(0.0, abs=1e-6)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10_000), metric=st.sampled_from(["angular_cka", "procrustes_angle"]))
def test_no_detour_is_shorter(seed: int, metric: str, tmp_path_factory) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    base = [rng.standard_normal((ROWS, 5)) for _ in range(2)]
    run = tmp_path_factory.mktemp("metric") / "run"
    with SummaryWriter(run, make_probe()) as writer:
        for step in range(5):  # from near copies to strangers, of unequal width
            spread = rng.choice([0.01, 0.3, 3.0])
            layers = {
                f"l{i}": (
                    (x + spread * rng.standard_normal(x.shape)) @ rng.standard_normal((5, 3 + step))
                ).astype(np.float32)
                for i, x in enumerate(base)
            }
            writer.add_activations("net", layers, step=step)
    d = model_distances(list_snapshots(run).snapshots, metric).distances
    assert (d <= (d[:, :, None] + d[None]).min(axis=1) + 1e-9).all()
    np.testing.assert_array_equal(d, d.T)
    assert not d.diagonal().any()
    assert (d[np.triu_indices(5, 1)] > 0).all()

"""The strongest images of each unit over all positions, against full maps and plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from altered import Index, relog, write_layer

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import CorruptSnapshotError
from tb_modelcompare.log.reader import Snapshot, list_snapshots, open_snapshot
from tb_modelcompare.log.strongest import PER_UNIT, nothing_yet, spread, with_images
from tb_modelcompare.probe.sampling import Peaks

COUNT, SIZE = 21, 12


def coarse_probe() -> Probe:
    """Three grey values, so that many positions and images are equal, and sums are exact."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 3, (COUNT, SIZE // 3, SIZE // 3, 3)) / np.float32(2)
    pixels = coarse.repeat(3, axis=1).repeat(3, axis=2).astype(np.float32)
    return Probe(pixels, positions_per_image=2)


def weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Whole numbers, so that sums are exact; the first unit is constant."""
    kernel = rng.integers(-1, 2, shape).astype(np.float32)
    kernel[..., 0] = 0
    return kernel


def brute_force(maps: np.ndarray, unit: int) -> list[tuple[float, int, int]]:
    """(value, image, cell) of all images, strongest first."""
    order = spread(len(maps))
    best = []
    for image, full in enumerate(maps[..., unit].reshape(len(maps), -1)):
        cell = max(range(len(full)), key=lambda i: (full[i], -i))
        best.append((float(full[cell]), image, cell))
    return sorted(best, key=lambda one: (-one[0], order[one[1]]))


def require_as_brute_force(snapshot: Snapshot, maps: dict[str, np.ndarray]) -> None:
    for layer, full in maps.items():
        found = snapshot.strongest(layer)
        assert found is not None
        assert found.values.shape == (full.shape[-1], PER_UNIT)
        for unit in range(full.shape[-1]):
            expected = brute_force(full, unit)
            shown = list(
                zip(found.values[unit], found.images[unit], found.cells[unit], strict=True)
            )
            assert shown == expected[:PER_UNIT]
            last = expected[PER_UNIT - 1][0]
            assert found.tied[unit] == sum(value == last for value, *_ in expected[PER_UNIT:])


def torch_net() -> Any:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 3, padding=1), torch.nn.ReLU6(), torch.nn.Conv2d(5, 7, 3, stride=2),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(7, 3),
    )  # fmt: skip
    with torch.no_grad():
        for conv in (net[0], net[2]):
            shape = conv.weight.shape
            kernel = weights(rng, *shape[2:], shape[1], shape[0])
            conv.weight.copy_(torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy()))
            conv.bias.zero_()
    return net.eval()


def torch_maps(net: Any, probe: Probe) -> dict[str, np.ndarray]:
    import torch

    with torch.no_grad():
        first = net[1](net[0](torch.from_numpy(np.array(probe.images)).movedim(-1, 1)))
        second = net[2](first)
    return {"1": first.movedim(1, -1).numpy(), "2": second.movedim(1, -1).numpy()}


@pytest.mark.parametrize("batch_size", [1, 4, 50])
def test_torch(tmp_path: Path, batch_size: int) -> None:
    net, probe = torch_net(), coarse_probe()
    with SummaryWriter(tmp_path, probe) as writer:
        writer.add_model(
            "net", net, layers=["1", "2", "3", "5"], batch_size=batch_size, frozen=False,
            progress=False,
        )  # fmt: skip
    snapshot = open_snapshot(tmp_path, ".")
    require_as_brute_force(snapshot, torch_maps(net, probe))
    assert snapshot.strongest("5") is None  # it has no map


def test_keras(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    rng = np.random.default_rng(1)
    image = keras.Input((SIZE, SIZE, 3))
    first = keras.layers.Conv2D(5, 3, padding="same", name="first")(image)
    capped = keras.layers.ReLU(6.0, name="capped")(first)
    second = keras.layers.Conv2D(7, 3, strides=2, name="second")(capped)
    model = keras.Model(image, keras.layers.Flatten(name="flat")(second))
    for name in ("first", "second"):
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([weights(rng, *kernel.shape), 0 * bias])
    probe = coarse_probe()
    with SummaryWriter(tmp_path, probe) as writer:
        writer.add_model(
            "net", model, layers=["first", "capped", "second", "flat"], batch_size=4, progress=False
        )
    full = keras.Model(image, [capped, second])
    maps = (np.asarray(one) for one in full(probe.images))
    require_as_brute_force(
        open_snapshot(tmp_path, "."), dict(zip(("capped", "second"), maps, strict=True))
    )
    assert open_snapshot(tmp_path, ".").strongest("flat") is None


def test_onnx(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    net, probe = torch_net(), coarse_probe()
    helper, maker = onnx.helper, onnx.numpy_helper.from_array
    kernels = [net[i].weight.detach().numpy() for i in (0, 2)]
    nodes = [
        helper.make_node("Conv", ["x", "w0"], ["c0"], "c0", kernel_shape=[3, 3], pads=[1] * 4),
        helper.make_node("Clip", ["c0", "low", "high"], ["r0"], "r0"),
        helper.make_node("Conv", ["r0", "w1"], ["c1"], "c1", kernel_shape=[3, 3], strides=[2, 2]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "net", [value("x", 1, ["n", 3, SIZE, SIZE])], [value("c1", 1, ["n", 7, 5, 5])],
        [maker(k, f"w{i}") for i, k in enumerate(kernels)]
        + [maker(np.float32(0), "low"), maker(np.float32(6), "high")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "net.onnx")
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_model("net", tmp_path / "net.onnx", layers="all", batch_size=4, progress=False)
    maps = torch_maps(net, probe)
    assert torch is not None
    require_as_brute_force(open_snapshot(tmp_path, "run"), {"r0": maps["1"], "c1": maps["2"]})


def test_the_order_of_batches_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(0, 3, (100, 6)).astype(np.float32)
    cells = rng.integers(0, 50, (100, 6)).astype(np.int32)
    order = spread(100)
    found = []
    for size in (1, 7, 100):
        kept = nothing_yet(6, 100)
        for start in range(0, 100, size):
            batch = slice(start, start + size)
            kept = with_images(kept, Peaks(values[batch], cells[batch]), start, order)
        found.append(kept)
    for other in found[1:]:
        for name in ("values", "images", "cells", "tied"):
            np.testing.assert_array_equal(getattr(other, name), getattr(found[0], name))
    constant = with_images(
        nothing_yet(1, 64), Peaks(np.zeros((64, 1), np.float32), np.zeros((64, 1), np.int32)), 0,
        spread(64),
    )  # fmt: skip
    assert sorted(constant.images[0]) == sorted([*range(0, 64, 8), 4])  # evenly over the probe
    assert constant.tied.tolist() == [55]


def test_fewer_images_than_are_kept(tmp_path: Path) -> None:
    net, few = torch_net(), Probe(coarse_probe().images[:3])
    with SummaryWriter(tmp_path, few) as writer:
        writer.add_model("net", net, layers=["2"], frozen=False, progress=False)
    found = open_snapshot(tmp_path, ".").strongest("2")
    assert found is not None
    assert found.images.shape == (7, 3)
    assert {tuple(sorted(row)) for row in found.images.tolist()} == {(0, 1, 2)}


def test_a_map_that_is_not_finite_somewhere_has_none(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")

    class Overflows(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 2, 1)
            self.beyond = torch.nn.Identity()
            self.last = torch.nn.Conv2d(2, 2, 1)

        def forward(self, x: Any) -> Any:
            y = self.conv(x)
            rows = torch.arange(y.shape[2]).reshape(-1, 1) == y.shape[2] - 1
            return self.last(y), torch.nn.functional.relu(y + torch.where(rows, torch.inf, 0.0))

    probe = Probe(coarse_probe().images, np.full((COUNT, 2), 0.2))
    with SummaryWriter(tmp_path, probe) as writer:
        writer.add_model(
            "net", Overflows().eval(), layers="relu|last", frozen=False, progress=False
        )
    snapshot = open_snapshot(tmp_path, ".")
    (relu,) = (name for name in snapshot.layer_names if "relu" in name)
    assert snapshot.strongest(relu) is None
    assert snapshot.strongest("last") is not None


def test_what_is_no_number_of_an_image_is_refused(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path / "run", coarse_probe()) as writer:
        writer.add_model("net", torch_net(), layers=["1", "2"], frozen=False, progress=False)
    snapshot = open_snapshot(tmp_path, "run")
    for change in (
        lambda i: i["strongest"].update(units=10**9),
        lambda i: i["strongest"].update(per_unit=0),
        lambda i: i["strongest"]["tied"].update(bytes=7),
        lambda i: i["strongest"]["images"].update(offset=i["strongest"]["values"]["offset"]),
        lambda i: i["layers"][0].update(strongest=8),
        lambda i: i["layers"][0].update(strongest=-1),
        lambda i: i["layers"][0].update(spatial=None),
        lambda i: i.update(strongest=None),
    ):
        relog(tmp_path / "run", change, snapshot)
        listing = list_snapshots(tmp_path)
        assert [one.name for one in listing.snapshots] == ["net"]
        assert len(listing.problems) == 1
        max((tmp_path / "run").glob("*tfevents*")).unlink()


def test_numbers_beyond_the_probe_are_refused(tmp_path: Path) -> None:
    from dataclasses import replace

    with SummaryWriter(tmp_path / "run", coarse_probe()) as writer:
        writer.add_model("net", torch_net(), layers=["1"], frozen=False, progress=False)
    snapshot = open_snapshot(tmp_path, "run")
    record = snapshot.strongest_record
    assert record is not None
    for name in ("images", "cells", "tied"):
        part = getattr(record, name)
        file = Path(snapshot.run_dir) / part.path
        whole = file.read_bytes()
        content = whole[part.offset : part.offset + part.bytes][:-4] + b"\xff\xff\xff\x7f"
        layer = replace(snapshot.layers[0], asset=part)
        asset = write_layer(replace(snapshot, layers=(layer,)), "1", content)

        def use(index: Index, asset: Any = asset, name: str = name) -> None:
            index["strongest"][name] = asset.to_json()

        relog(tmp_path / "run", use, snapshot)
        with pytest.raises(CorruptSnapshotError, match="that there are not"):
            open_snapshot(tmp_path, "run/altered").strongest("1")
        file.write_bytes(whole)

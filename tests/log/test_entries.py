"""What a writer and a probe take: every option is checked at the door."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from altered import layer_file

from tb_modelcompare import Preprocessing, Probe, SummaryWriter
from tb_modelcompare.errors import (
    ActivationError,
    LayerSelectionError,
    LogDirectoryError,
    ModelCompareError,
    OptionError,
    ProbeError,
)
from tb_modelcompare.graph import LayerGraph, Node
from tb_modelcompare.log.reader import list_snapshots, open_snapshot

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
NAN, INF = float("nan"), float("inf")


@pytest.fixture
def small() -> Probe:
    return Probe(IMAGES, positions_per_image=2)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for i in range(3):
        Image.fromarray(IMAGES[i]).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"positions_per_image": n}, "positions_per_image is") for n in (0, -1, 1.0, True, "2")),
        ({"positions_per_image": 10**12}, "at most 65536"),
        *(({"seed": seed}, "seed is") for seed in (-1, 0.5, None, True, "7", NAN)),
        ({"names": "four"}, "names is 'four'; give a sequence"),
        ({"names": 4}, "names is 4"),
        ({"names": [1, 2, 3, 4]}, "names holds 1; give strings"),
        ({"names": ["a"]}, "1 names for 4 items"),
        ({"positions": np.full((4, 2), NAN)}, "positions must lie in [0, 1)"),
        ({"positions": [["0.5", "0.5"]] * 4}, "give numbers in [0, 1)"),
        ({"positions": np.zeros((4, 2), bool)}, "positions are bool"),
        ({"positions": [[0.5], [0.5, 0.5]]}, "positions are no array"),
        ({"positions": np.zeros((4, 2)), "seed": 3}, "positions are given; leave them out"),
        ({"positions": np.zeros((4, 2)), "positions_per_image": 2}, "positions are given"),
    ],
)
def test_options_of_a_probe(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ProbeError, match=re.escape(message)):
        Probe(IMAGES, **options)


@pytest.mark.parametrize("option", [{"positions_per_item": 0}, {"seed": -1}, {"names": "ab"}])
def test_options_of_a_probe_of_arrays(option: dict[str, Any]) -> None:
    with pytest.raises(ProbeError, match=next(iter(option))):
        Probe.from_arrays(np.zeros((2, 3)), **option)


@pytest.mark.parametrize(
    "images", [[[1], [1, 2]], np.ma.masked_equal(IMAGES, 0), None, "photo.png", object()]
)
def test_what_is_no_array_of_images(images: Any) -> None:
    with pytest.raises(ProbeError):
        Probe(images)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        *(({"size": n}, "size is") for n in (0, -5, 8.0, True, "8", 4097, None, (8, 0), (8, 8.5))),
        ({"size": (8, 8, 8)}, "give one number, or (height, width)"),
        *(({"limit": n}, "limit is") for n in (0, -1, 2.5, True, "3")),
        *(({"positions_per_image": n}, "positions_per_image is") for n in (0, 1.5, 10**9)),
        *(({"seed": seed}, "seed is") for seed in (-1, None, 0.5)),
    ],
)
def test_options_of_a_probe_from_a_directory(
    photos: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProbeError, match=re.escape(message)):
        Probe.from_directory(photos, **options)


@pytest.mark.parametrize("path", ["", None, 3, b"", []])
def test_what_is_no_directory_of_photos(path: Any) -> None:
    with pytest.raises(ProbeError, match="path is"):
        Probe.from_directory(path)


def test_sizes_and_limits_that_are_taken(photos: Path) -> None:
    probe = Probe.from_directory(photos, size=(np.int64(5), 7), limit=None)
    assert probe.images.shape == (3, 5, 7, 3)


@pytest.mark.parametrize(
    "make",
    [
        *(lambda v=v: Preprocessing.range(*v) for v in [(NAN, 1), (0, INF), (1, 0), (1, 1)]),
        *(lambda v=v: Preprocessing.range(*v) for v in [("0", 1), (0, None), (0, True), (0, 1e39)]),
        lambda: Preprocessing.range(-3e38, 3e38),
        *(lambda v=v: Preprocessing.caffe(v) for v in [(1.0,), (1, 2, NAN), 5, "123", [1] * 4]),
        *(lambda v=v: Preprocessing(scale=v) for v in ["255", 255.0, (), (1, 2), (0.0,), (1e-60,)]),
        *(lambda v=v: Preprocessing(offset=v) for v in ["0", (True,), (NAN,), [[0.0]]]),
        *(lambda v=v: Preprocessing(bgr=v) for v in [1, "no", None]),
    ],
)
def test_preprocessing_that_is_none(make: Callable[[], Preprocessing]) -> None:
    with pytest.raises(ProbeError):
        make()


@pytest.mark.parametrize("reduction", ["median", "Mean", None, 1])
def test_reductions_that_do_not_exist(small: Probe, reduction: Any) -> None:
    with pytest.raises(OptionError, match="'sample', 'mean', 'first', 'last' or 'flatten'"):
        small.sample(np.zeros((4, 3)), reduction)


def layers(probe: Probe, **more: Any) -> dict[str, Any]:
    return {"a": np.ones((probe.rows, 2), np.float32), **more}


@pytest.mark.parametrize("step", [-1, 1.0, 0.5, True, "1", None, NAN, 2**53, 10**400])
def test_steps_that_are_none(tmp_path: Path, small: Probe, step: Any) -> None:
    with SummaryWriter(tmp_path, small) as writer:
        with pytest.raises(OptionError, match="step is"):
            writer.add_activations("net", layers(small), step)
        with pytest.raises(OptionError, match="step is"):
            writer.add_model("net", "model.keras", step)
        with pytest.raises(OptionError, match="step is"):
            writer.remove("net", step)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\nb", "\x1b[2J", "\ud800", None, 3, b"n"])
def test_names_that_are_none(tmp_path: Path, small: Probe, name: Any) -> None:
    with SummaryWriter(tmp_path, small) as writer:
        with pytest.raises(OptionError, match="1 to 200 printable characters"):
            writer.add_activations(name, layers(small))
        with pytest.raises(OptionError, match="1 to 200 printable characters"):
            writer.add_model(name, "model.keras")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"layers": "("}, LayerSelectionError, "malformed"),
        ({"layers": "a{99999999999}"}, LayerSelectionError, "malformed"),
        ({"layers": 3}, LayerSelectionError, "layers is 3; give a list of names"),
        ({"layers": [1]}, LayerSelectionError, "give a list of names"),
        ({"layers": b"conv"}, LayerSelectionError, "give a list of names"),
        ({"reduction": "max"}, OptionError, "'sample', 'mean', 'first', 'last' or 'flatten'"),
        *(({"batch_size": n}, OptionError, "batch_size is") for n in (0, -1, 2.0, True, "8")),
        *(({"frozen": f}, OptionError, "frozen is") for f in ("none", 1, None)),
        *(({"progress": p}, OptionError, "progress is") for p in ("no", 0, None)),
        *(({"preprocessing": p}, ProbeError, "give a Preprocessing") for p in ("tf", 1, (0, 255))),
    ],
)
def test_options_of_add_model_are_refused_before_the_model_is_opened(
    tmp_path: Path, small: Probe, options: dict[str, Any], error: type, message: str
) -> None:
    with (
        SummaryWriter(tmp_path, small) as writer,
        pytest.raises(error, match=re.escape(message)),
    ):
        writer.add_model("net", "no such file.keras", **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("activations", [None, {}, [], np.zeros((8, 2)), "layer", 5])
def test_activations_that_are_no_mapping(tmp_path: Path, small: Probe, activations: Any) -> None:
    with SummaryWriter(tmp_path, small) as writer, pytest.raises(ActivationError, match="mapping"):
        writer.add_activations("net", activations)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((8, 2), complex), np.full((8, 2), "1"), np.zeros((8, 2), object), np.zeros(8),
        np.zeros((7, 2)), np.zeros((8, 0)), np.zeros((2, 2, 2)), [[1.0], [1.0, 2.0]], None,
        np.ma.masked_equal(np.eye(8), 0), np.zeros((8, 2), "M8[s]"), np.zeros((8, 2), "V4"),
    ],
)  # fmt: skip
def test_arrays_that_are_no_activations(tmp_path: Path, small: Probe, array: Any) -> None:
    with SummaryWriter(tmp_path, small) as writer, pytest.raises(ActivationError):
        writer.add_activations("net", {"a": array})
    assert not list(tmp_path.glob("*tfevents*"))


@pytest.mark.parametrize("layer", ["", "x" * 1025, "a\x1bb", "\udc80", 3, None])
def test_names_of_layers_that_are_none(tmp_path: Path, small: Probe, layer: Any) -> None:
    with SummaryWriter(tmp_path, small) as writer, pytest.raises(ActivationError, match="layer"):
        writer.add_activations("net", {layer: np.zeros((8, 2))})


def test_a_graph_that_is_none(tmp_path: Path, small: Probe) -> None:
    with SummaryWriter(tmp_path, small) as writer, pytest.raises(ActivationError, match="graph"):
        writer.add_activations("net", layers(small), graph={"nodes": []})  # type: ignore[arg-type]


def test_bfloat16_is_real(tmp_path: Path, small: Probe) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.linspace(-2, 2, 16).reshape(8, 2).astype(ml_dtypes.bfloat16)
    with SummaryWriter(tmp_path, small) as writer:
        writer.add_activations("net", {"a": values})
    logged = open_snapshot(tmp_path, "./net").activations("a")
    np.testing.assert_array_equal(logged, values.astype(np.float32))
    sampled = small.sample(values[::2])
    np.testing.assert_array_equal(sampled[::2], values[::2].astype(np.float32))


@pytest.mark.parametrize("logdir", ["", None, 3, b"run", "a\0b", "s3://bucket/run"])
def test_directories_that_are_none(small: Probe, logdir: Any) -> None:
    with pytest.raises(LogDirectoryError):
        SummaryWriter(logdir, small)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_directory_that_cannot_be_written(tmp_path: Path, small: Probe) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(LogDirectoryError, match=r"cannot write to.*Permission denied"):
        SummaryWriter(tmp_path / "run", small).add_activations("net", layers(small))


def test_a_file_system_that_cannot_be_written(small: Probe) -> None:
    with pytest.raises(LogDirectoryError, match="cannot write to"):
        SummaryWriter("/proc/modelcompare/run", small).add_activations("net", layers(small))


def test_an_error_of_the_model_is_none_of_the_directory(tmp_path: Path, small: Probe) -> None:
    from tb_modelcompare.capture import contract as capture

    graph = LayerGraph((Node("a", "Dense", (), (2,), 2, True, "a"),))

    def sampler(*_: Any) -> Any:
        raise FileNotFoundError(2, "No such file or directory", "/weights/of/the/model")

    model = capture.Model(
        graph, ("a",), frozenset(), (8, 8, 3), lambda *_: sampler, lambda *_: {}, lambda *_: None
    )
    recording = capture.prepare(model, small, None, None)
    with SummaryWriter(tmp_path, small) as writer, pytest.raises(FileNotFoundError):
        writer.add_recording("net", recording, frozen=False, progress=False)


def test_one_layer_that_is_not_finite_is_left_out(tmp_path: Path, small: Probe) -> None:
    rows = small.rows
    nan, infinite = np.ones((rows, 3)), np.ones((rows, 4), np.float16)
    nan[5, 2] = nan[6, 1] = NAN
    infinite[0, 3] = INF  # what float16 makes of 7e4
    given = layers(small, nan=nan, infinite=infinite, beyond=np.full((rows, 2), 1e39), b=nan[:, :1])
    with SummaryWriter(tmp_path, small) as writer:
        with pytest.warns(UserWarning, match="'net' is logged without 3 of its layers") as caught:
            writer.add_activations("net", given)
        assert caught[0].filename == __file__
    message = str(caught[0].message)
    for part in (
        "layer 'nan' (unit 1 in row 6)", "layer 'infinite' (unit 3 in row 0)",
        "layer 'beyond' (unit 0 in row 0)", "float16 ends at 65504",
    ):  # fmt: skip
        assert part in message
    listing = list_snapshots(tmp_path)
    (snapshot,) = listing.snapshots
    assert listing.problems == ()
    assert snapshot.layer_names == ("a", "b")
    np.testing.assert_array_equal(snapshot.activations("b"), 1)
    nodes = {node.name: node.logged for node in snapshot.graph().nodes}
    assert nodes == {"a": True, "nan": False, "infinite": False, "beyond": False, "b": True}
    end = max(layer.asset.offset + layer.asset.bytes for layer in snapshot.layers)
    assert layer_file(snapshot, "a").stat().st_size == end  # there is nothing of the others


def test_many_layers_that_are_not_finite_do_not_flood_the_message(
    tmp_path: Path, small: Probe
) -> None:
    given = {f"layer{i}": np.full((small.rows, 1), INF) for i in range(500)}
    with (
        SummaryWriter(tmp_path, small) as writer,
        pytest.warns(UserWarning, match="and 490 more") as caught,
    ):
        writer.add_activations("net", layers(small, **given))
    assert len(str(caught[0].message)) < 1000


def test_a_snapshot_in_which_nothing_is_finite(tmp_path: Path, small: Probe) -> None:
    given = {"a": np.full((small.rows, 2), NAN), "b": np.full((small.rows, 1), -INF)}
    with (
        SummaryWriter(tmp_path, small) as writer,
        pytest.raises(ActivationError, match=r"no layer is finite: layer 'a' \(unit 0 in row 0\)"),
    ):
        writer.add_activations("net", given)
    assert list_snapshots(tmp_path).snapshots == ()
    assert not list(tmp_path.glob("plugins/modelcompare/snapshots/*"))


def test_a_layer_of_a_model_that_overflows_late(tmp_path: Path, small: Probe) -> None:
    """Its first batches are finite: what was written of it goes again."""
    torch = pytest.importorskip("torch")

    class Overflow(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.last = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv2d(4, 2, 1)
            self.seen = 0

        def forward(self, x: Any) -> Any:
            return self.last(torch.exp(1e3 * x.mean((1, 2, 3), keepdim=True)) * self.conv(x))

    images = np.zeros((6, 8, 8, 3), np.float32)
    images[4] = 1
    probe = Probe(images)
    with (
        SummaryWriter(tmp_path, probe) as writer,
        pytest.warns(UserWarning, match=r"layer 'last' \(unit \d in row 4\)"),
    ):
        writer.add_model("net", Overflow(), frozen=False, batch_size=2, progress=False)
    snapshot = open_snapshot(tmp_path, "./net")
    assert "conv" in snapshot.layer_names
    assert "last" not in snapshot.layer_names
    assert np.isfinite(snapshot.activations("conv")).all()
    assert "last" in {node.name for node in snapshot.graph().nodes}


def test_in_other_processes_than_the_chief_nothing_is_written(
    tmp_path: Path, small: Probe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is computed all the same: the chief may need this process's share."""
    torch = pytest.importorskip("torch")
    shown: list[int] = []

    class Counts(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3)

        def forward(self, x: Any) -> Any:
            if not torch.fx._symbolic_trace.is_fx_tracing():
                shown.append(len(x))
            return self.conv(x)

    with SummaryWriter(tmp_path / "run", small) as writer:
        writer.add_activations("net", layers(small), 3)
    before = sorted((tmp_path / "run").rglob("*"))
    for module in ("log.writer", "log.keras_callback"):
        monkeypatch.setattr(f"tb_modelcompare.{module}.is_chief", lambda *_: False, raising=False)
    with SummaryWriter(tmp_path / "run", small) as writer, warnings.catch_warnings():
        warnings.simplefilter("error")
        writer.add_model("net", Counts(), progress=False, batch_size=2)
        writer.add_activations("net", layers(small), 4)
        writer.remove("net", 3)
    assert sorted((tmp_path / "run").rglob("*")) == before


def test_what_another_writer_logged_can_be_removed(tmp_path: Path, small: Probe) -> None:
    for step in (0, 5, 2):
        with SummaryWriter(tmp_path, small) as writer:
            writer.add_activations("net", layers(small), step)
    with SummaryWriter(tmp_path, small) as writer:
        assert writer.logged_steps("net") == [0, 5, 2]
        assert writer.logged_steps("other") == []
        writer.remove("net", 5)
        writer.remove("net", 7)
        assert writer.logged_steps("net") == [0, 2]
    assert [s.step for s in list_snapshots(tmp_path).snapshots] == [0, 2]


def test_a_closed_writer_says_so(tmp_path: Path, small: Probe) -> None:
    writer = SummaryWriter(tmp_path, small)
    writer.close()
    with pytest.raises(ModelCompareError, match="closed"):
        writer.add_activations("net", layers(small))

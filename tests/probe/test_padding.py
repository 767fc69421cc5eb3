"""Texts of different lengths: padding has no rows, and counts in no statistic."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from altered import relog

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import (
    ActivationError,
    CorruptSnapshotError,
    ModelFileError,
    OptionError,
    ProbeError,
    ProbeMismatchError,
)
from tb_modelcompare.log.reader import list_snapshots, open_snapshot
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.similarity import linear_cka

PAD, LENGTH = 9, 12
LENGTHS = np.array([12, 3, 1, 7, 5])
REAL = np.arange(LENGTH) < LENGTHS[:, None]


def texts(seed: int = 0) -> np.ndarray:
    tokens = np.random.default_rng(seed).integers(0, PAD, REAL.shape)
    return np.where(REAL, tokens, PAD)


def tokens_of(probe: Probe) -> np.ndarray:
    """The token that each row is of, (item, token)."""
    return np.stack([probe.image_of_row, (probe.positions[:, 0] * LENGTH).astype(int)], axis=1)


def test_every_real_token_is_a_row_and_no_padding() -> None:
    probe = Probe.from_arrays(texts(), "all", pad_id=PAD)
    assert (tokens_of(probe) == np.argwhere(REAL)).all()
    assert probe.positions_per_image is None
    by_mask = Probe.from_arrays(texts(), "all", mask=REAL)
    assert by_mask.id == probe.id
    assert Probe.from_arrays(texts(), "all").rows == REAL.size


def test_drawn_positions_are_different_real_tokens() -> None:
    probe = Probe.from_arrays(texts(), pad_id=PAD, positions_per_item=4)
    found = tokens_of(probe)
    assert REAL[tuple(found.T)].all()
    assert len(np.unique(found, axis=0)) == len(found)
    assert (np.bincount(probe.image_of_row) == np.minimum(LENGTHS, 4)).all()
    one = Probe.from_arrays(texts(), pad_id=PAD)  # as without padding, one row for each
    assert one.positions_per_image == 1


def test_given_positions_at_padding_are_left_out() -> None:
    uv = np.tile([[0.01, 0.5], [0.3, 0.5]], (5, 1))  # tokens 0 and 3
    probe = Probe.from_arrays(texts(), uv, pad_id=PAD)
    kept = REAL[:, [0, 3]].ravel()
    assert (probe.positions == uv[kept]).all()
    assert (probe.image_of_row == np.repeat(np.arange(5), 2)[kept]).all()


def test_probes_that_differ_in_padding_alone_are_two() -> None:
    uv = np.full((5, 2), 0.01)
    of_all, of_real = Probe.from_arrays(texts(), uv), Probe.from_arrays(texts(), uv, pad_id=PAD)
    assert of_all.rows == of_real.rows
    assert of_all.id != of_real.id


def test_images_with_different_numbers_of_positions() -> None:
    images = np.zeros((3, 4, 4, 3), np.uint8)
    uv = np.random.default_rng(0).random((6, 2))
    probe = Probe(images, uv, image_of_row=[0, 1, 1, 1, 2, 2])
    maps = np.random.default_rng(1).random((3, 5, 5, 2))
    expected = [
        maps[image, int(u * 5), int(v * 5)]
        for image, (u, v) in zip([0, 1, 1, 1, 2, 2], uv, strict=True)
    ]
    np.testing.assert_array_equal(probe.sample(maps), np.array(expected, np.float32))
    even = Probe(images, uv, image_of_row=[0, 0, 1, 1, 2, 2])
    assert even.id == Probe(images, uv).id


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"image_of_row": [0, 1, 2, 3]}, "for each of 6"),
        ({"image_of_row": [0, 0, 0, 1, 1, 1]}, "0 to 2"),
        ({"image_of_row": [0, 1, 0, 1, 2, 2]}, "in order"),
        ({"image_of_row": [0.0, 0, 1, 1, 2, 2]}, "type float64"),
        ({"positions": "all"}, "positions_per_image"),
        ({"positions": None, "image_of_row": [0, 1, 2]}, "none are"),
    ],
)
def test_rows_that_belong_to_no_image_are_refused(options: dict[str, Any], complaint: str) -> None:
    given = {"positions": np.zeros((6, 2)), **options}
    with pytest.raises(ProbeError, match=complaint):
        Probe(np.zeros((3, 4, 4, 3), np.uint8), **given)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"mask": REAL, "pad_id": PAD}, "either"),
        ({"mask": REAL[:, :5]}, r"\(5, 12\)"),
        ({"mask": 2 * REAL}, "True or 1"),
        ({"mask": REAL & (LENGTHS != 7)[:, None]}, "array 3 is padding alone"),
        ({"pad_id": "[PAD]"}, "whole number"),
        ({"pad_id": True}, "whole number"),
        ({"positions": "every"}, "'all'"),
        ({"positions": np.full((5, 2), 0.99), "pad_id": PAD}, "array 1 are at padding"),
        ({"positions": "all", "image_of_row": [0]}, "leave image_of_row out"),
    ],
)
def test_masks_that_do_not_fit_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ProbeError, match=complaint):
        Probe.from_arrays(texts(), **options)


def by_definition(output: np.ndarray, probe: Probe, reduction: str) -> np.ndarray:
    """Rows of an output (n, length, units) or of one that is a part of its length."""
    length = output.shape[1]
    lines = [
        [t for t in range(length) if real[t * LENGTH // length :][: LENGTH // length].any()]
        for real in REAL
    ]
    at = {"first": 0, "last": -1}
    rows = []
    for item, (u, _) in zip(probe.image_of_row, probe.positions, strict=True):
        if reduction == "mean":
            rows.append(output[item, lines[item]].mean(axis=0))
        elif reduction in at:
            rows.append(output[item, lines[item][at[reduction]]])
        else:
            rows.append(output[item, int(u * length)])
    return np.array(rows, np.float32)


@pytest.mark.parametrize("length", [12, 6, 4])
@pytest.mark.parametrize("reduction", ["sample", "mean", "first", "last"])
def test_padding_counts_in_no_reduction(reduction: Any, length: int) -> None:
    probe = Probe.from_arrays(texts(), "all", pad_id=PAD)
    output = np.random.default_rng(2).standard_normal((5, length, 3))
    expected = by_definition(output, probe, reduction)
    np.testing.assert_allclose(probe.sample(output, reduction), expected, rtol=1e-6)


def test_what_padding_holds_changes_nothing() -> None:
    """Of two random models that agree on tokens alone, all rows would say that they differ."""
    rng = np.random.default_rng(3)
    probe = Probe.from_arrays(texts(), "all", pad_id=PAD)
    a = rng.standard_normal((5, LENGTH, 6))
    b = np.where(REAL[..., None], a, 30 * rng.standard_normal(a.shape))
    assert linear_cka(probe.sample(a), probe.sample(b)) == pytest.approx(1.0)
    everything = Probe.from_arrays(texts(), "all")
    assert linear_cka(everything.sample(a), everything.sample(b)) < 0.5


def test_another_tokenizer_has_a_mask_of_its_own() -> None:
    probe = Probe.from_arrays(texts(), pad_id=PAD)
    others = np.random.default_rng(4).standard_normal((5, 20, 3))
    real = np.arange(20) < np.array([20, 5, 2, 11, 8])[:, None]
    means = np.stack([one[of].mean(axis=0) for one, of in zip(others, real, strict=True)])
    np.testing.assert_allclose(probe.sample(others, "mean", mask=real), means, rtol=1e-5)
    with pytest.raises(ActivationError, match=r"\(5, 20\)"):
        probe.sample(others, "mean", mask=REAL)


def test_flattening_cannot_leave_padding_out() -> None:
    probe = Probe.from_arrays(texts(), pad_id=PAD)
    with pytest.raises(OptionError, match="padding"):
        probe.sample(np.zeros((5, LENGTH, 2)), "flatten")


def keras_model() -> Any:
    import keras

    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.layers.Input((LENGTH,), dtype="int64"),
            keras.layers.Embedding(PAD + 1, 4, name="embedding"),
            keras.layers.Conv1D(5, 2, strides=2, name="conv"),
            keras.layers.GlobalAveragePooling1D(name="pooled"),
        ]
    )


def torch_model() -> Any:
    import torch

    class Turned(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.transpose(1, 2)

    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Embedding(PAD + 1, 4), Turned(), torch.nn.Conv1d(4, 5, 2, stride=2)
    )


def onnx_file(directory: Path, length: int | str = LENGTH, **more: Any) -> tuple[Path, Any]:
    """A table, a product, and a convolution over tokens; and what they give."""
    onnx = pytest.importorskip("onnx", reason=".onnx files need onnx and onnxruntime")
    pytest.importorskip("onnxruntime", reason=".onnx files need onnx and onnxruntime")
    random, make = np.random.default_rng(0), onnx.helper
    shapes = {"table": (PAD + 1, 4), "w": (4, 6), "k": (5, 6, 2)}
    weights = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    nodes = [
        make.make_node("Gather", ["ids", "table"][::-1], ["e"], "embedding"),
        make.make_node("MatMul", ["e", "w"], ["p"], "product"),
        make.make_node("Transpose", ["p"], ["t"], "turned", perm=[0, 2, 1]),
        make.make_node("Conv", ["t", "k"], ["c"], "conv", strides=[2]),
        make.make_node("Relu", ["c"], ["r"], "relu"),
    ]
    kind = more.get("kind", onnx.TensorProto.INT64)
    inputs = [make.make_tensor_value_info("ids", kind, ["n", length])]
    if "second" in more:
        inputs.append(make.make_tensor_value_info(more["second"], kind, ["n", length]))
    graph = make.make_graph(
        nodes,
        "net",
        inputs,
        [make.make_tensor_value_info("r", onnx.TensorProto.FLOAT, ["n", 5, None])],
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    opset = [make.make_opsetid("", 17)]
    file = directory / "net.onnx"
    onnx.save(make.make_model(graph, opset_imports=opset, ir_version=8), file)

    def values(ids: np.ndarray) -> dict[str, np.ndarray]:
        embedded = weights["table"][ids]
        product = embedded @ weights["w"]
        pairs = product.reshape(len(ids), -1, 2, 6)
        conv = np.einsum("ntkc,ock->nto", pairs, weights["k"])
        made = {"embedding": embedded, "product": product, "conv": conv}
        return {**made, "relu": np.maximum(conv, 0)}

    return file, values


@pytest.mark.parametrize("reduction", ["sample", "mean", "last"])
@pytest.mark.parametrize("framework", ["keras", "torch", "onnx"])
def test_models_are_logged_without_padding(tmp_path: Path, framework: str, reduction: Any) -> None:
    probe = Probe.from_arrays(texts(), "all", pad_id=PAD)
    if framework == "keras":
        import keras

        model, layers = keras_model(), ["embedding", "conv"]
        inside = keras.Model(model.inputs, [model.get_layer(one).output for one in layers])
        outputs = inside([texts()])
        values = [np.asarray(one) for one in outputs]
    elif framework == "onnx":
        (tmp_path / "model").mkdir()
        model, outputs_of = onnx_file(tmp_path / "model")
        layers = ["embedding", "product", "conv", "relu"]
        values = list(outputs_of(texts()).values())
    else:
        import torch

        model, layers = torch_model(), ["0", "2"]
        embedded = model[0](torch.tensor(texts()))
        outputs = embedded, model[2](model[1](embedded)).transpose(1, 2)
        values = [one.detach().numpy() for one in outputs]
    with SummaryWriter(tmp_path, probe) as writer:
        writer.add_model(
            "net", model, layers=layers, reduction=reduction, batch_size=2, progress=False
        )
    snapshot = open_snapshot(tmp_path, ".")
    for layer, output in zip(layers, values, strict=True):
        expected = by_definition(output, probe, reduction)
        np.testing.assert_allclose(snapshot.activations(layer), expected, rtol=1e-5, atol=1e-6)
        strongest = snapshot.strongest(layer)
        if reduction != "sample":
            assert strongest is None
            continue
        assert strongest is not None
        step = LENGTH // output.shape[1]
        real = REAL[:, ::step]
        masked = np.where(real[..., None], output, -np.inf)
        np.testing.assert_allclose(
            strongest.values, -np.sort(-masked.max(axis=1), axis=0)[: len(texts())].T, rtol=1e-5
        )
        assert real[strongest.images, strongest.cells].all()


def test_an_onnx_file_of_any_length_takes_short_token_ids(tmp_path: Path) -> None:
    ids = texts().astype(np.int32)[:, :6]
    file, outputs_of = onnx_file(tmp_path, "length")
    with SummaryWriter(tmp_path / "run", Probe.from_arrays(ids, "all")) as writer:
        writer.add_model("net", file, layers="all", progress=False)
    snapshot = open_snapshot(tmp_path / "run", ".")
    assert snapshot.layer_names == ("embedding", "product", "conv", "relu")
    assert [layer.units for layer in snapshot.layers] == [4, 6, 5, 5]
    for name, values in outputs_of(ids).items():
        rows = np.repeat(values, 6 // values.shape[1], axis=1).reshape(30, -1)
        np.testing.assert_allclose(snapshot.activations(name), rows, rtol=1e-5, atol=1e-5)


def test_an_onnx_file_says_what_it_takes(tmp_path: Path) -> None:
    ids = texts()
    images = np.zeros((2, 8, 8, 3), np.uint8)
    refused: tuple[tuple[Probe, dict[str, Any], str], ...] = (
        (
            Probe.from_arrays(ids[:, :7]),
            {},
            r"takes \(None, 12\) and the probe's .* \(n, 7\)",
        ),
        (Probe.from_arrays(ids.astype(np.float32)), {}, "takes int64 and the probe's arrays are f"),
        (Probe.from_arrays(ids), {"second": "mask"}, r"one array; it takes ids .*, mask \["),
        (Probe(images), {}, "one image"),
    )
    for probe, more, says in refused:
        file, _ = onnx_file(tmp_path, **more)
        with (
            SummaryWriter(tmp_path / "run", probe) as writer,
            pytest.raises(ModelFileError, match=says),
        ):
            writer.add_model("net", file, progress=False)


def test_a_log_keeps_the_rows_of_each_text(tmp_path: Path) -> None:
    probe = Probe.from_arrays(texts(), "all", pad_id=PAD, names=list("abcde"))
    rows = np.random.default_rng(0).random((probe.rows, 3))
    with SummaryWriter(tmp_path, probe) as writer:
        writer.add_activations("net", {"a": rows})
        with pytest.raises(ActivationError, match=f"the probe has {probe.rows}"):
            writer.add_activations("other", {"a": np.ones((5, 3))})
    snapshot = open_snapshot(tmp_path, ".")
    assert (snapshot.image_of_row() == probe.image_of_row).all()
    for again in (Probe.from_run(tmp_path), snapshot.probe()):
        assert again.id == probe.id
        assert again.mask is not None
        assert (again.mask == REAL).all()
        assert (again.image_of_row == probe.image_of_row).all()
    stored = snapshot.stored_probe()
    assert (stored.image_of_row == probe.image_of_row).all()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        ("none said", "which image each row is of"),
        ("uniform", "not count × positions_per_image"),
        ("short", "do not hold its image_of_row"),
        ("version 2", "different numbers of rows"),
        ("of no image", "rows of no image"),
    ],
)
def test_a_log_that_lies_about_rows_is_refused(tmp_path: Path, damage: str, complaint: str) -> None:
    probe = Probe.from_arrays(texts(), "all", pad_id=PAD)
    with SummaryWriter(tmp_path, probe) as writer:
        writer.add_activations("net", {"a": np.ones((probe.rows, 3))})
    snapshot = open_snapshot(tmp_path, ".")

    def change(index: dict[str, Any]) -> None:
        raw = index["probe"]
        if damage == "none said":
            del raw["image_of_row"]
        elif damage == "uniform":
            raw["positions_per_image"] = 3
        elif damage == "short":
            raw["image_of_row"]["bytes"] = 100
        elif damage == "version 2":
            index["version"] = 2

    if damage == "of no image":
        asset = snapshot.probe_record.image_of_row
        assert asset is not None
        file = tmp_path / asset.path
        content = file.read_bytes()[:-4] + (7).to_bytes(4, "little")
        file.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        relog(
            tmp_path,
            lambda index: index["probe"]["image_of_row"].update(sha256=digest),
            snapshot,
        )
        with pytest.raises(CorruptSnapshotError, match=complaint):
            open_snapshot(tmp_path, "./altered@0").image_of_row()
        return
    relog(tmp_path, change, snapshot)
    listing = list_snapshots(tmp_path)
    assert [one.name for one in listing.snapshots] == ["net"]
    assert complaint in listing.problems[0].message


def test_two_tokenizers_are_told_what_to_compare(tmp_path: Path) -> None:
    sentences = [f"sentence {i}" for i in range(5)]
    for name, seed in (("a", 0), ("b", 1)):
        probe = Probe.from_arrays(texts(seed), "all", pad_id=PAD, names=sentences)
        with SummaryWriter(tmp_path / name, probe) as writer:
            writer.add_activations("net", {"a": np.ones((probe.rows, 3))})
    a, b = open_snapshot(tmp_path, "a"), open_snapshot(tmp_path, "b")
    with pytest.raises(ProbeMismatchError, match=r"tokenizers.*one row for each.*mean.*mask="):
        require_same_probe(a, b)


def test_the_same_images_by_other_names_leave_former_logs_whole(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 3), dtype=np.uint8)
    for step, names in enumerate((["a", "b", "c"], ["x", "y", "z"])):
        with SummaryWriter(tmp_path, Probe(images, names=names)) as writer:
            writer.add_activations("net", {"a": np.eye(3)}, step=step)
    for step, names in enumerate((("a", "b", "c"), ("x", "y", "z"))):
        assert open_snapshot(tmp_path, f".@{step}").probe_names() == names


@pytest.mark.parametrize("kind", ["embedding", "masking"])
def test_a_model_s_own_mask_is_held_against_the_probe(tmp_path: Path, kind: str) -> None:
    import keras

    tokens = np.where(REAL, texts() + 1, 0)
    if kind == "embedding":
        items, options = tokens, {"pad_id": 0}
        embedding = keras.layers.Embedding(11, 3, mask_zero=True)
        layers = [keras.Input((LENGTH,), dtype="int64"), embedding]
    else:
        items, options = np.stack([tokens, tokens], axis=-1).astype(np.float32), {"mask": REAL}
        layers = [keras.Input((LENGTH, 2)), keras.layers.Masking()]
    model = keras.Sequential([*layers, keras.layers.LSTM(4, return_sequences=True)])
    with SummaryWriter(tmp_path, Probe.from_arrays(items, "all")) as writer:
        expected = f"{(~REAL).sum()} of {REAL.size} rows .* padding.*pad_id="
        with pytest.warns(UserWarning, match=expected):
            writer.add_model("net", model, progress=False)
    with (
        warnings.catch_warnings(),
        SummaryWriter(tmp_path, Probe.from_arrays(items, "all", **options)) as writer,
    ):
        warnings.simplefilter("error", UserWarning)
        writer.add_model("net", model, progress=False)

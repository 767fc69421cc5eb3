"""Probes of arrays: texts, series, tables. Everything but renders."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Preprocessing, Probe, SummaryWriter
from tb_modelcompare.errors import ActivationError, CorruptSnapshotError, ModelFileError, ProbeError
from tb_modelcompare.log.parsing import snapshot_from_index
from tb_modelcompare.log.reader import open_snapshot

TEXTS = ["the cat sat", "a dog ran off", "rain fell", "it <b>shone</b>", "x", "last one"]
LENGTH = 16
TOKENS = np.zeros((len(TEXTS), LENGTH), np.int32)
for row, text in zip(TOKENS, TEXTS, strict=True):
    row[: len(text)] = [ord(letter) for letter in text[:LENGTH]]


@pytest.fixture
def texts() -> Probe:
    return Probe.from_arrays(TOKENS, positions_per_item=3, names=TEXTS)


def keras_encoder() -> Any:
    keras = pytest.importorskip("keras")
    tokens = keras.Input((LENGTH,), dtype="int32")
    x = keras.layers.Embedding(128, 8, name="embedding")(tokens)
    attended = keras.layers.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = keras.layers.LayerNormalization(name="norm")(keras.layers.Add(name="sum")([x, attended]))
    x = keras.layers.LSTM(5, return_sequences=True, name="lstm")(x)
    x = keras.layers.GlobalAveragePooling1D(name="average")(x)
    return keras.Model(tokens, keras.layers.Dense(2, name="classes")(x), name="encoder")


def torch_encoder() -> Any:
    torch = pytest.importorskip("torch")

    class Encoder(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(128, 8)
            self.blocks = torch.nn.ModuleList(
                torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(2)
            )

        def forward(self, tokens: Any) -> Any:
            x = self.embedding(tokens)
            for block in self.blocks:
                x = block(x)
            return {"tokens": x, "pooled": (x.mean(1), x[:, 0])}

    return Encoder().eval()


def log(tmp_path: Path, probe: Probe, model: Any, **options: Any) -> Any:
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_model("net", model, progress=False, frozen=False, **options)
    return open_snapshot(tmp_path, "run")


def elsewhere(tmp_path: Path, probe: Probe) -> Any:
    with SummaryWriter(tmp_path / "run", probe) as writer:
        writer.add_activations("net", {"layer": np.ones((probe.rows, 2))})
    return open_snapshot(tmp_path, "run")


def at_tokens(output: np.ndarray, probe: Probe) -> np.ndarray:
    tokens = (probe.positions[:, 0] * output.shape[1]).astype(int)
    return output[np.arange(probe.rows) // probe.positions_per_image, tokens]


def test_keras_sequence_model(tmp_path: Path, texts: Probe) -> None:
    model = keras_encoder()
    import keras

    snapshot = log(tmp_path, texts, model)
    names = ("embedding", "attention", "sum", "norm", "lstm", "average", "classes")
    assert snapshot.layer_names == names
    for name in ("embedding", "norm", "lstm"):
        # 16 tokens are no map of 4 × 4 here.
        assert snapshot.layer(name).spatial == (LENGTH, 1)
        output = keras.Model(model.input, model.get_layer(name).output).predict(TOKENS, verbose=0)
        np.testing.assert_allclose(
            snapshot.activations(name), at_tokens(output, texts), atol=1e-5, err_msg=name
        )
    logits = model.predict(TOKENS, verbose=0)
    np.testing.assert_allclose(snapshot.activations("classes")[::3], logits, atol=1e-5)


def test_torch_sequence_model_and_its_outputs(tmp_path: Path, texts: Probe) -> None:
    torch = pytest.importorskip("torch")
    model = torch_encoder()
    snapshot = log(tmp_path, texts, model)
    assert {"embedding", "blocks.0", "blocks.1", "mean"} <= set(snapshot.layer_names)
    with torch.no_grad():
        outputs = model(torch.from_numpy(TOKENS))
    tokens = at_tokens(outputs["tokens"].numpy(), texts)
    np.testing.assert_allclose(snapshot.activations("blocks.1"), tokens, atol=1e-5)
    mean = outputs["pooled"][0].numpy()
    np.testing.assert_allclose(snapshot.activations("mean")[::3], mean, atol=1e-5)


@pytest.mark.parametrize("make", [keras_encoder, torch_encoder])
def test_reductions(tmp_path: Path, texts: Probe, make: Any) -> None:
    model = make()
    sampled = log(tmp_path, Probe.from_arrays(TOKENS, _every_token()), model)
    whole = sampled.activations("embedding").reshape(len(TEXTS), LENGTH, 8)
    expected = {
        "mean": whole.mean(1),
        "first": whole[:, 0],
        "flatten": whole.reshape(len(TEXTS), -1),
    }
    for reduction, rows in expected.items():
        snapshot = log(tmp_path / reduction, texts, model, reduction=reduction)
        found = snapshot.activations("embedding")
        np.testing.assert_allclose(found, np.repeat(rows, 3, axis=0), atol=1e-6)
        assert snapshot.layer("embedding").spatial is None
        ours = texts.sample(whole, reduction)  # type: ignore[arg-type]
        np.testing.assert_allclose(ours, found, atol=1e-6)


def _every_token() -> np.ndarray:
    along = np.tile((np.arange(LENGTH) + 0.5) / LENGTH, len(TEXTS))
    return np.stack([along, np.zeros_like(along)], 1)


def test_a_probe_comes_back_as_it_was(tmp_path: Path, texts: Probe) -> None:
    snapshot = elsewhere(tmp_path, texts)
    probe = snapshot.probe()
    assert not probe.is_of_images
    assert probe.id == texts.id
    assert probe.names == tuple(TEXTS)
    np.testing.assert_array_equal(probe.images, TOKENS)
    assert snapshot.index["version"] == 3
    assert snapshot.preprocessing is None
    # The same bytes as images would be another probe.
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    positions = np.zeros((2, 2))
    assert Probe(pixels, positions).id != Probe.from_arrays(pixels, positions).id


@pytest.mark.parametrize(
    "change",
    [
        {"array_shape": []},
        {"array_shape": [1, 2, 3, 4]},
        {"array_shape": [-1]},
        {"array_shape": "16"},
        {"array_shape": None, "image_shape": [4, 4, 3]},
    ],
)
def test_hostile_indexes_are_refused(tmp_path: Path, texts: Probe, change: Any) -> None:
    snapshot = elsewhere(tmp_path, texts)
    index = json.loads(json.dumps(snapshot.index))
    index["probe"].update(change)
    if change["array_shape"] is None:
        del index["probe"]["array_shape"]
    with pytest.raises(CorruptSnapshotError):
        snapshot_from_index(snapshot.run_dir, "run", json.dumps(index)).probe()
    shape = dict(snapshot.index["probe"], array_shape=[LENGTH * 2])
    enlarged = dict(snapshot.index, probe=shape)
    with pytest.raises(CorruptSnapshotError):
        snapshot_from_index(snapshot.run_dir, "run", json.dumps(enlarged)).probe()


def test_what_does_not_fit_is_refused(tmp_path: Path, texts: Probe) -> None:
    model = keras_encoder()
    with pytest.raises(ProbeError, match="preprocessing is for images"):
        log(tmp_path, texts, model, preprocessing=Preprocessing.tf())
    with pytest.raises(ModelFileError, match=r"takes .* and the probe's arrays are"):
        log(tmp_path, Probe.from_arrays(TOKENS[:, :5]), model)
    with pytest.raises(ModelFileError, match="from_arrays"):
        log(tmp_path, Probe(np.zeros((2, 8, 8, 3), np.uint8)), model)
    for arrays in (np.zeros(3), np.full((2, 2), np.nan), np.array([["a"]]), np.zeros((2, 0))):
        with pytest.raises(ProbeError):
            Probe.from_arrays(arrays)


def test_nothing_can_be_rendered_and_the_snapshot_says_why(tmp_path: Path, texts: Probe) -> None:
    with SummaryWriter(tmp_path, texts) as writer, warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        writer.add_model("net", keras_encoder(), progress=False)
    assert "images" in open_snapshot(tmp_path, "./net").why_no_frozen_graph


def test_tables_and_series(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    table = Probe.from_arrays(np.random.default_rng(0).normal(size=(7, 5)))
    mlp = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3, name="hidden")])
    hidden = log(tmp_path / "table", table, mlp).activations("hidden")
    np.testing.assert_allclose(hidden, mlp.predict(table.images, verbose=0), atol=1e-5)
    series = Probe.from_arrays(np.random.default_rng(1).normal(size=(4, 20, 2)))
    net = keras.Sequential([keras.Input((None, 2)), keras.layers.Conv1D(3, 5, name="conv")])
    rows = log(tmp_path / "series", series, net).activations("conv")
    expected = at_tokens(net.predict(series.images, verbose=0), series)
    np.testing.assert_allclose(rows, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["bfloat16", "float8_e4m3fn", "float16"])
def test_types_that_numpy_does_not_know_are_read_as_float32(
    tmp_path: Path, texts: Probe, kind: str
) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = np.dtype(getattr(ml_dtypes, kind, kind))
    output = np.random.default_rng(0).normal(size=(len(texts), LENGTH, 5)).astype(dtype)
    sampled = texts.sample(output)
    assert sampled.dtype == np.float32
    np.testing.assert_array_equal(sampled, texts.sample(output.astype(np.float32)))
    assert texts.sample(output, "mean").dtype == np.float32
    with SummaryWriter(tmp_path / "run", texts) as writer:
        writer.add_activations("net", {"layer": sampled.astype(dtype)})
    found = open_snapshot(tmp_path, "run").activations("layer")
    np.testing.assert_array_equal(found, sampled)


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((6, 2), np.complex64), np.zeros((6, 2), "V2"), np.zeros((6, 2), "M8[s]"),
        [[1.0], [1.0, 2.0]], np.array([["x"]] * 6), np.zeros((6, 2), [("a", "f4")]),
    ],
)  # fmt: skip
def test_what_is_no_real_number_is_refused(texts: Probe, values: Any) -> None:
    with pytest.raises(ActivationError, match=r"give real numbers|no array of numbers"):
        texts.sample(values)

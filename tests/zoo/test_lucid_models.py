"""lucid's models by name, on graphs as its files hold them, from a server in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from file_server import FileServer, plain

from tb_modelcompare import Preprocessing, Probe, SummaryWriter, open_snapshot, zoo
from tb_modelcompare.analogy import predict_direction
from tb_modelcompare.capture.contract import select_layers
from tb_modelcompare.capture.open import open_model
from tb_modelcompare.cli import main
from tb_modelcompare.errors import FetchError, ModelFileError
from tb_modelcompare.similarity import compare
from tb_modelcompare.zoo.lucid import lucid_models

lucid_graphs = pytest.importorskip("lucid_graphs")

SEED = [
    "conv2d0", "conv2d1", "conv2d2", "mixed3a", "mixed3b", "mixed4a", "mixed4b", "mixed4c",
    "mixed4d", "mixed4e", "mixed5a", "mixed5b",
]  # fmt: skip


@pytest.fixture(scope="module")
def small_files() -> dict[str, bytes]:
    """The files of the models at a small size, by their path on the server."""
    return {
        f"/{path}": build(small).SerializeToString()
        for path, build, _, small in lucid_graphs.FILES.values()
    }


@pytest.fixture
def zoo_server(server: FileServer, cache: Path, small_files: dict[str, bytes]) -> FileServer:
    server.answers |= {path: plain(body) for path, body in small_files.items()}
    return server


@pytest.fixture(scope="module")
def pictures() -> Probe:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 64, 64, 3), dtype=np.uint8)
    return Probe(pixels, positions_per_image=4)


def test_lucid_s_lists_are_complete() -> None:
    models = lucid_models()
    assert len(models) == 31
    assert {"InceptionV1", "InceptionV2_slim", "AlexNet", "ResnetV2_152_slim"} <= set(models)
    for name, model in models.items():
        assert model["path"].endswith(".pb"), name
        assert all(units > 0 and tags for _, units, tags in model["layers"]), name
    assert [name for name, model in models.items() if not model["layers"]] == ["Clip_ResNet50_4x"]


@pytest.mark.parametrize("name", lucid_graphs.FILES)
def test_lucid_s_own_list_is_logged(zoo_server: FileServer, pictures: Probe, name: str) -> None:
    found = zoo.load(f"zoo:{name}")
    model = open_model(found.model, pictures)
    nodes = {node.name: node for node in model.graph.nodes}
    listed = lucid_models()[name]["layers"]
    assert set(select_layers(model, found.layers)) == {layer for layer, _, _ in listed}
    for layer, units, tags in listed:
        assert nodes[layer].units == units
        assert nodes[layer].tags == tuple(tags)
    assert sum(bool(node.tags) for node in nodes.values()) == len(listed)
    assert len(nodes) > 2 * len(listed) - 10


def test_the_seed_s_filter_gives_the_seed_s_list(
    zoo_server: FileServer, pictures: Probe, tmp_path: Path
) -> None:
    found = zoo.load("zoo:InceptionV1")
    assert found.preprocessing == Preprocessing.range(-117, 138)
    with SummaryWriter(tmp_path / "logs" / "run", pictures) as writer:
        writer.add_model(
            found.name, found.model, preprocessing=found.preprocessing, progress=False,
            layers=lambda node: "conv" in node.tags and "head" not in node.name,
        )  # fmt: skip
    snapshot = open_snapshot(tmp_path / "logs", "run")
    assert list(snapshot.layer_names) == SEED
    assert [layer.units for layer in snapshot.layers] == [
        64, 64, 192, 256, 480, 508, 512, 512, 528, 832, 832, 1024,
    ]  # fmt: skip
    assert snapshot.frozen is not None
    graph = snapshot.graph()
    # The tags are on the disk, and where the list has none there are none.
    assert graph.node("mixed4a").tags == ("conv",)
    assert graph.node("softmax2").tags == ("dense",)
    assert graph.node("mixed4a_3x3").tags == ()
    blocks = {block.name for block in graph.blocks if block.kind == "inception"}
    assert {"mixed3a", "mixed5b"} <= blocks


def test_two_networks_are_compared(zoo_server: FileServer, pictures: Probe, tmp_path: Path) -> None:
    for name in ("InceptionV1", "InceptionV2_slim"):
        found = zoo.load(f"zoo:{name}")
        with SummaryWriter(tmp_path / "logs" / name, pictures) as writer:
            writer.add_model(
                name, found.model, preprocessing=found.preprocessing, progress=False,
                layers="(mixed3[ab]|conv2d2|Mixed_3[bc]/concat)$", frozen=False,
            )  # fmt: skip
    a, b = (open_snapshot(tmp_path / "logs", name) for name in ("InceptionV1", "InceptionV2_slim"))
    alike = compare(a.all_activations(), b.all_activations(), "linear_cka")
    assert alike.values.shape == (3, 2)
    assert np.isfinite(alike.values).all()
    source, target = (
        a.activations("mixed3a"),
        b.activations("InceptionV2/InceptionV2/Mixed_3c/concat"),
    )
    direction = predict_direction(source, target, np.eye(source.shape[1])[17])
    assert direction.shape == (target.shape[1],)
    assert np.isfinite(direction).all()


def test_value_ranges_are_lucid_s(zoo_server: FileServer) -> None:
    assert zoo.load("zoo:InceptionV2_slim").preprocessing == Preprocessing.tf()
    alexnet = zoo.load("zoo:AlexNet").preprocessing
    red = np.array([[[1.0, 0.0, 0.0]]])
    np.testing.assert_allclose(
        alexnet.apply(red)[0, 0], [-103.939, -116.779, 255 - 123.68], rtol=1e-5
    )
    np.testing.assert_allclose(alexnet.apply(red), Preprocessing.caffe().apply(red), rtol=1e-5)


def test_a_file_without_a_size_is_shown_lucid_s(
    server: FileServer, cache: Path, pictures: Probe
) -> None:
    """The true InceptionV1's placeholder takes any size, and its classifiers take one."""
    server.answers["/other_models/InceptionV1.pb"] = plain(
        lucid_graphs.inception_v1().SerializeToString()
    )
    model = open_model(zoo.load("zoo:InceptionV1").model, pictures)
    assert model.input_shape == (224, 224, 3)
    assert model.graph.node("mixed4a").shape == (14, 14, 508)


@pytest.mark.parametrize(
    "name",
    [
        "zoo:InceptionV",
        "zoo:../../etc/passwd",
        "zoo:",
        "zoo:inceptionv1",
        "zoo:\x00",
        "keras:Resnet50",
    ],
)
def test_an_unknown_name(server: FileServer, cache: Path, name: str) -> None:
    with pytest.raises(ModelFileError, match=r"has no model .*; (nearest|there are): "):
        zoo.load(name)
    assert server.asked == []
    assert not cache.exists()


@pytest.mark.parametrize("name", ["InceptionV1", "onnx:x", "", ":"])
def test_no_name_at_all(name: str) -> None:
    with pytest.raises(ModelFileError, match=r"give zoo:NAME, keras:NAME"):
        zoo.load(name)


def test_the_nearest_names_are_told() -> None:
    with pytest.raises(ModelFileError, match="nearest: InceptionV2_slim"):
        zoo.load("zoo:InceptionV2slim")


def test_a_zoo_model_has_no_initial_weights(cache: Path) -> None:
    with pytest.raises(ModelFileError, match="no initial ones"):
        zoo.load("zoo:InceptionV1", trained=False)


@pytest.mark.parametrize("body", [b"", b"<html>no model</html>", b"\x0a\x05short", b"\xff" * 100])
def test_what_is_no_graph_is_not_kept(server: FileServer, cache: Path, body: bytes) -> None:
    server.answers["/other_models/InceptionV1.pb"] = plain(body)
    with pytest.raises(FetchError, match="no frozen graph"):
        zoo.load("zoo:InceptionV1")
    assert list(cache.iterdir()) == []


def test_another_network_under_the_name_is_told(
    server: FileServer, cache: Path, pictures: Probe, small_files: dict[str, bytes]
) -> None:
    graph_def = lucid_graphs.tf.compat.v1.GraphDef.FromString(
        small_files["/other_models/InceptionV1.pb"]
    )
    for node in graph_def.node:
        node.name = node.name.replace("mixed5b", "other5b")
        for i, source in enumerate(node.input):
            node.input[i] = source.replace("mixed5b", "other5b")
    server.answers["/other_models/InceptionV1.pb"] = plain(graph_def.SerializeToString())
    with pytest.warns(UserWarning, match=r"not quite .*mixed5b is not there \(1 of 19 layers\)"):
        open_model(zoo.load("zoo:InceptionV1").model, pictures)


def saved(**metadata: Any) -> bytes:
    graph = lucid_graphs.Graph()
    x = graph.image("photo", 32, fixed=False)
    graph.node("labels", "Placeholder", dtype=lucid_graphs.FLOAT)
    for name in ("one", "two"):
        weights = graph.weights(f"{name}/w", 3, 3, graph.maps[x][0], 4)
        x = graph.convolution(name, x, weights, 4, 3, 1, "SAME")
    written = lucid_graphs.with_metadata(graph.proto, **metadata)
    return bytes(written.SerializeToString())


METADATA: dict[str, Any] = {
    "input_name": "photo", "image_shape": [32, 32, 3], "image_value_range": [-1, 1],
}  # fmt: skip


@pytest.fixture
def over_https(monkeypatch: pytest.MonkeyPatch, server: FileServer, cache: Path) -> str:
    """A stand-in for https, which a server in a test has no certificate for."""
    from tb_modelcompare.zoo import lucid

    fetch = lucid.fetch
    monkeypatch.setattr(lucid, "fetch", lambda a, **more: fetch(a, plain_http=True, **more))
    return server.address


def test_a_file_that_lucid_saved(
    over_https: str, server: FileServer, pictures: Probe, tmp_path: Path
) -> None:
    server.answers["/my/net.pb"] = plain(saved(**METADATA))
    found = zoo.load(f"zoo:{over_https}/my/net.pb")
    assert found.name == "net"
    assert found.preprocessing == Preprocessing.tf()
    assert found.layers is None
    with SummaryWriter(tmp_path / "logs" / "run", pictures) as writer:
        writer.add_model(found.name, found.model, preprocessing=found.preprocessing, progress=False)
    assert open_snapshot(tmp_path / "logs", "run").layer_names == ("one", "two")
    with pytest.raises(FetchError, match="is stated"):
        zoo.load(f"zoo:{over_https}/my/net.pb#sha256={'0' * 64}")
    with pytest.raises(FetchError, match="#sha256="):
        zoo.load(f"zoo:{over_https}/my/net.pb#md5=1")


@pytest.mark.parametrize(
    "changed",
    [
        {"image_shape": None}, {"image_shape": [32]}, {"image_value_range": 1},
        {"image_value_range": ["a", "b"]}, {"image_value_range": [1, 1]},
        {"image_value_range": [[0, 0], [1, 1]]}, {"image_value_range": None},
    ],
)  # fmt: skip
def test_metadata_that_cannot_be_used(
    over_https: str, server: FileServer, changed: dict[str, Any]
) -> None:
    server.answers["/net.pb"] = plain(saved(**{**METADATA, **changed}))
    with pytest.raises(ModelFileError, match="metadata"):
        zoo.load(f"zoo:{over_https}/net.pb")


def test_a_file_that_says_nothing_of_itself(over_https: str, server: FileServer) -> None:
    graph = lucid_graphs.Graph()
    graph.image("input", 32, fixed=True)
    server.answers["/net.pb"] = plain(graph.proto.SerializeToString())
    with pytest.raises(ModelFileError, match=r"not written by lucid's Model.save.*--preprocessing"):
        zoo.load(f"zoo:{over_https}/net.pb")


def test_an_address_has_to_be_https(server: FileServer, cache: Path) -> None:
    with pytest.raises(FetchError, match="https://"):
        zoo.load(f"zoo:{server.address}/net.pb")
    assert server.asked == []


def test_from_the_command_line(
    zoo_server: FileServer,
    tmp_path: Path,
    photo_directory: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    common = ("--probe", str(photo_directory), "--size", "32", "--positions", "2")
    run = tmp_path / "logs" / "run"
    status = main(
        ["log", "zoo:InceptionV1", *common, "--logdir", str(run), "--layers", "^conv2d.$"]
    )
    shown = capsys.readouterr()
    assert status == 0, shown.err
    assert "0 becomes -117 and 255 becomes 138" in shown.err
    assert shown.out.startswith("InceptionV1@0 in ")
    snapshot = open_snapshot(tmp_path / "logs", "run")
    assert snapshot.layer_names == ("conv2d0", "conv2d1", "conv2d2")
    bad = [("zoo:InceptionV9", "nearest"), ("timmy:x", "does not exist")]
    for name, said in bad:
        assert main(["log", name, *common, "--logdir", str(tmp_path / "none")]) == 2
        assert said in capsys.readouterr().err
    assert not (tmp_path / "none").exists()

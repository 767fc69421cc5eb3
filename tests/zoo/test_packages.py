"""Models of other packages: their own configuration becomes preprocessing, with nothing fetched."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Preprocessing, Probe, SummaryWriter, open_snapshot, zoo
from tb_modelcompare.capture.contract import SizedModel
from tb_modelcompare.capture.open import open_model
from tb_modelcompare.errors import FetchError, ModelFileError
from tb_modelcompare.zoo.keras_applications import preprocessing_of
from tb_modelcompare.zoo.torch_packages import hf_preprocessing, torchvision_preprocessing

GREY = np.full((1, 1, 3), 0.5)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("there is no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def pictures() -> Probe:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), dtype=np.uint8)
    return Probe(pixels, positions_per_image=2)


def logged(found: zoo.ZooModel, probe: Probe, tmp_path: Path, layers: str) -> Any:
    with SummaryWriter(tmp_path / "logs" / "run", probe) as writer:
        writer.add_model(
            found.name, found.model, preprocessing=found.preprocessing, layers=layers,
            progress=False, frozen=False,
        )  # fmt: skip
    return open_snapshot(tmp_path / "logs", "run")


# keras


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("mobilenet_v2", Preprocessing.tf()), ("nasnet", Preprocessing.tf()),
        ("densenet", Preprocessing.torch()),
        ("resnet", Preprocessing.caffe()), ("vgg19", Preprocessing.caffe()),
        ("efficientnet", Preprocessing.range(0, 255)), ("convnext", Preprocessing.range(0, 255)),
    ],
)  # fmt: skip
def test_every_mode_of_keras(module: str, expected: Preprocessing) -> None:
    applications = pytest.importorskip("keras").applications
    found = preprocessing_of(getattr(applications, module).preprocess_input)
    assert found.bgr == expected.bgr
    colours = np.random.default_rng(0).random((20, 3))
    np.testing.assert_allclose(found.apply(colours), expected.apply(colours), atol=1e-3)


@pytest.mark.parametrize(
    "function",
    [np.square, lambda x: x[..., [1, 0, 2]], lambda x: x - x.mean(), lambda x: np.minimum(x, 200)],
)
def test_a_function_that_is_no_preprocessing(function: Callable[[Any], Any]) -> None:
    with pytest.raises(ModelFileError, match="no affine map"):
        preprocessing_of(function)


def test_a_keras_model(pictures: Probe, tmp_path: Path) -> None:
    pytest.importorskip("keras")
    found = zoo.load("keras:MobileNetV2", trained=False)
    assert found.name == "MobileNetV2"
    np.testing.assert_allclose(found.preprocessing.apply(GREY), 0, atol=1e-6)
    snapshot = logged(found, pictures, tmp_path, "^(Conv1|block_1_expand)$")
    assert snapshot.layer_names == ("Conv1", "block_1_expand")


def test_an_unknown_keras_model() -> None:
    pytest.importorskip("keras")
    with pytest.raises(ModelFileError, match="nearest: ResNet50"):
        zoo.load("keras:ResNet5")
    with pytest.raises(ModelFileError, match="has no model 'resnet'"):
        zoo.load("keras:resnet")  # a module


def test_keras_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keras = pytest.importorskip("keras")

    def build(weights: str | None) -> None:
        raise Exception(f"URL fetch failure on {weights}: None -- no network.")  # as keras does

    monkeypatch.setattr(keras.applications, "ResNet50", build)
    with pytest.raises(
        FetchError, match=r"keras cannot load ResNet50 \(Exception: URL .*network\); is there a"
    ):
        zoo.load("keras:ResNet50")


# A module of torch has no size of its own.


def test_a_torch_module_is_shown_its_own_size(pictures: Probe) -> None:
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4 * 30 * 30, 5)
    )
    model = open_model(SizedModel(network, (32, 32)), pictures)
    assert model.input_shape == (32, 32, 3)
    assert open_model(SizedModel(network[:1], None), pictures).input_shape == (40, 40, 3)


# torchvision


def transforms(kind: str = "ImageClassification", **attributes: Any) -> Any:
    """What a weights' `transforms()` gives: an object of a class in torchvision's presets."""
    return type(kind, (), attributes)()


def test_transforms_of_torchvision() -> None:
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    found, size = torchvision_preprocessing(
        "net", transforms(crop_size=[299], resize_size=[342], mean=mean, std=std)
    )
    assert found == Preprocessing.torch()
    assert size == (299, 299)
    _, size = torchvision_preprocessing(
        "net", transforms("SemanticSegmentation", resize_size=[520], mean=mean, std=std)
    )
    assert size is None
    for refused in (
        transforms("ObjectDetection"),
        transforms("VideoClassification", crop_size=[112, 112], mean=mean, std=std),
        transforms("OpticalFlow"),
    ):
        with pytest.raises(ModelFileError, match="no single image"):
            torchvision_preprocessing("net", refused)


@pytest.mark.parametrize(
    ("collection", "module"),
    [("torchvision", "torchvision"), ("timm", "timm"), ("hf", "transformers")],
)
def test_a_package_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, collection: str, module: str
) -> None:
    for name in (module, f"{module}.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModelFileError, match=rf"pip install 'tb-modelcompare\[{collection}\]'"):
        zoo.load(f"{collection}:anything")


def test_a_torchvision_model(pictures: Probe, tmp_path: Path) -> None:
    usable("torchvision.models")
    found = zoo.load("torchvision:resnet18", trained=False)
    assert found.preprocessing == Preprocessing.torch()
    assert found.model.size == (224, 224)
    assert logged(found, pictures, tmp_path, "^(conv1|fc)$").layer_names == ("conv1", "fc")
    with pytest.raises(ModelFileError, match="nearest: resnet18"):
        zoo.load("torchvision:resnet_18")
    with pytest.raises(FetchError, match="torchvision cannot load"):
        zoo.load("torchvision:squeezenet1_1")


# timm


def fake_timm(monkeypatch: pytest.MonkeyPatch, **config: Any) -> None:
    torch = pytest.importorskip("torch")
    names = {False: ["tiny", "vit_tiny"], True: ["tiny.in1k", "vit_tiny.in1k"]}
    timm = SimpleNamespace(
        list_models=lambda pretrained=False: names[pretrained],
        create_model=lambda name, pretrained: torch.nn.Conv2d(3, 4, 3),
        data=SimpleNamespace(resolve_data_config=lambda arguments, model: config),
    )
    monkeypatch.setitem(sys.modules, "timm", timm)


def test_the_configuration_of_timm(
    monkeypatch: pytest.MonkeyPatch, pictures: Probe, tmp_path: Path
) -> None:
    half = (0.5, 0.5, 0.5)
    fake_timm(monkeypatch, input_size=(3, 24, 32), mean=half, std=half, crop_pct=0.9)
    found = zoo.load("timm:tiny.in1k")
    assert found.name == "tiny.in1k"
    assert found.preprocessing == Preprocessing((2.0,) * 3, (-1.0,) * 3)
    assert found.model.size == (24, 32)
    with pytest.raises(ModelFileError, match=r"nearest: vit_tiny"):
        zoo.load("timm:vit_tiny.in21k")
    assert zoo.load("timm:hf-hub:someone/model").name == "model"


def test_a_timm_model(pictures: Probe, tmp_path: Path) -> None:
    usable("timm")
    found = zoo.load("timm:resnet18.a1_in1k", trained=False)
    assert found.model.size == (224, 224)
    assert found.preprocessing == Preprocessing.torch()


# Hugging Face


@pytest.mark.parametrize(
    ("changed", "grey", "size"),
    [
        ({}, [0, 0, 0], (224, 224)),
        ({"image_mean": [0.5, 0.25, 0.0]}, [0, 0.5, 1], (224, 224)),
        ({"do_normalize": False}, [0.5, 0.5, 0.5], (224, 224)),
        ({"do_normalize": False, "do_rescale": False}, [127.5] * 3, (224, 224)),
        ({"rescale_factor": 1 / 127.5, "do_normalize": False}, [1, 1, 1], (224, 224)),
        ({"do_rescale": False, "image_mean": [127.5] * 3, "image_std": [1] * 3}, [0] * 3,
         (224, 224)),
        ({"size": {"shortest_edge": 256}}, [0, 0, 0], (256, 256)),
        ({"size": {"shortest_edge": 256}, "do_center_crop": True, "crop_size": 192}, [0, 0, 0],
         (192, 192)),
        ({"do_center_crop": True, "crop_size": {"height": 96, "width": 64}}, [0, 0, 0], (96, 64)),
        ({"size": 128}, [0, 0, 0], (128, 128)),
        ({"size": {"longest_edge": 800}}, [0, 0, 0], None),
        ({"size": None}, [0, 0, 0], None),
    ],
)  # fmt: skip
def test_image_processors(
    changed: dict[str, Any], grey: list[float], size: tuple[int, int] | None
) -> None:
    processor = {
        "do_normalize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_resize": True,
        "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "size": {"height": 224, "width": 224},
    }  # fmt: skip
    found, shown = hf_preprocessing("net", {**processor, **changed})
    np.testing.assert_allclose(found.apply(GREY)[0, 0], grey, atol=1e-4)
    assert shown == size


def test_an_image_processor_that_says_nothing() -> None:
    with pytest.raises(ModelFileError, match="no mean"):
        hf_preprocessing("net", {})


def test_a_hugging_face_model(pictures: Probe, tmp_path: Path) -> None:
    transformers = usable("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.ViTConfig(
        **sizes, intermediate_size=32, image_size=32, patch_size=8, num_labels=5
    )
    directory = tmp_path / "tiny-vit"
    transformers.ViTForImageClassification(config).save_pretrained(directory)
    (directory / "preprocessor_config.json").write_text(
        json.dumps({
            "image_processor_type": "ViTImageProcessor", "image_mean": [0.5] * 3,
            "image_std": [0.5] * 3, "size": {"height": 32, "width": 32},
        })
    )  # fmt: skip
    found = zoo.load(f"hf:{directory}")
    assert found.name == "tiny-vit"
    assert found.model.size == (32, 32)
    assert logged(found, pictures, tmp_path, "classifier").layer_names == ("classifier",)
    with pytest.raises(FetchError, match="transformers cannot load"):
        zoo.load(f"hf:{tmp_path}/nothing")


def usable(module: str) -> Any:
    """A module of an optional package that works beside the others; skipped where it does not."""
    try:
        return __import__(module)
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{module} cannot be imported: {error}")

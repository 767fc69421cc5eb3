"""Models of torchvision, timm and Hugging Face's hub, with their own preprocessing."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from tb_modelcompare.capture.contract import SizedModel
from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.zoo.model import ZooModel, known, short_name
from tb_modelcompare.zoo.packages import fetched_by, package


def load_torchvision(name: str, trained: bool) -> ZooModel:
    """A model of torchvision with its newest weights, whose transforms say what it wants.

    Raises
    ------
    ModelFileError
        If there is none of that name, it takes no single image, or torchvision is not there.
    FetchError
        If torchvision cannot fetch its weights.
    """
    models = package("torchvision.models", "torchvision")
    known(name, dict.fromkeys(models.list_models()), "torchvision")
    weights = models.get_model_weights(name).DEFAULT
    preprocessing, size = torchvision_preprocessing(name, weights.transforms())
    options: dict[str, Any] = {"weights": weights}
    if not trained:
        # A segmenter's trunk has weights of its own, which come with all of them otherwise.
        parameters = inspect.signature(models.get_model_builder(name)).parameters
        options = dict.fromkeys(parameters.keys() & {"weights", "weights_backbone"})
    with fetched_by("torchvision", name):
        model = models.get_model(name, **options)
    return ZooModel(name, SizedModel(model, size), preprocessing)


def torchvision_preprocessing(
    name: str, transforms: Any
) -> tuple[Preprocessing, tuple[int, int] | None]:
    """What weights' own transforms do to values, and the size that they crop to.

    Raises
    ------
    ModelFileError
        If they normalise no image, as those of detectors, videos and flows.
    """
    mean, std = getattr(transforms, "mean", None), getattr(transforms, "std", None)
    crop = getattr(transforms, "crop_size", None)
    is_video = "Video" in type(transforms).__name__ or "Flow" in type(transforms).__name__
    if mean is None or std is None or is_video:
        raise ModelFileError(
            f"torchvision's {name} is shown no single image of known normalisation; classifiers "
            f"and segmenters can be loaded by name"
        )
    return _normalised(mean, std), None if crop is None else _size(crop)


def load_timm(name: str, trained: bool) -> ZooModel:
    """A model of timm, whose pretrained_cfg says what it wants.

    Raises
    ------
    ModelFileError
        If there is none of that name, or timm is not there.
    FetchError
        If timm cannot fetch its weights.
    """
    timm = package("timm", "timm")
    if ":" not in name:  # timm takes hf-hub:… and local-dir:… as well
        names = [*timm.list_models(), *timm.list_models(pretrained=True)]
        known(name, dict.fromkeys(names), "timm")
    with fetched_by("timm", name):
        model = timm.create_model(name, pretrained=trained)
    config = timm.data.resolve_data_config({}, model=model)
    size = _size(config["input_size"][1:])
    preprocessing = _normalised(config["mean"], config["std"])
    return ZooModel(short_name(name), SizedModel(model, size), preprocessing)


def load_hf(name: str, trained: bool) -> ZooModel:
    """A model of images from Hugging Face's hub, whose image processor says what it wants.

    A classifier is loaded as one; of any other model the trunk. Code of the hub is never run.

    Raises
    ------
    ModelFileError
        If it has no image processor, or transformers is not there.
    FetchError
        If transformers cannot fetch it.
    """
    transformers = package("transformers", "hf")
    with fetched_by("transformers", name):
        config = transformers.AutoConfig.from_pretrained(name)
        is_classifier = any("ImageClassification" in a for a in config.architectures or ())
        family = (
            transformers.AutoModelForImageClassification
            if is_classifier
            else transformers.AutoModel
        )
        # Attention as plain products, which can be translated to a graph that is rendered.
        how = {"attn_implementation": "eager"}
        model = (
            family.from_pretrained(name, **how) if trained else family.from_config(config, **how)
        )
        processor, _ = transformers.ImageProcessingMixin.get_image_processor_dict(name)
    preprocessing, size = hf_preprocessing(name, processor)
    return ZooModel(short_name(name), SizedModel(model, size), preprocessing)


def hf_preprocessing(
    name: str, processor: dict[str, Any]
) -> tuple[Preprocessing, tuple[int, int] | None]:
    """What the configuration of an image processor does to values, and the size that it gives.

    Raises
    ------
    ModelFileError
        If it does not say how it normalises.
    """
    factor = processor.get("rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1
    mean, std = processor.get("image_mean"), processor.get("image_std")
    if not processor.get("do_normalize", True):
        mean, std = [0.0], [1.0]
    elif mean is None or std is None:
        raise ModelFileError(f"the image processor of {name:.100} states no mean and deviation")
    crop = processor.get("crop_size") if processor.get("do_center_crop") else processor.get("size")
    # Pixels go from 0 to 255 before the factor, and from 0 to 1 in a probe.
    return _normalised(mean, std, 255.0 * factor), _hf_size(crop)


def _hf_size(size: Any) -> tuple[int, int] | None:
    if isinstance(size, int):
        return size, size
    if not isinstance(size, dict):
        return None
    if "height" in size and "width" in size:
        return int(size["height"]), int(size["width"])
    edge = size.get("shortest_edge")
    return None if edge is None else (int(edge), int(edge))


def _normalised(mean: Sequence[float], std: Sequence[float], largest: float = 1.0) -> Preprocessing:
    """(pixel · largest − mean) / std, where pixels go from 0 to 1."""
    return Preprocessing(
        scale=tuple(largest / s for s in std),
        offset=tuple(-m / s for m, s in zip(mean, std, strict=True)),
    )


def _size(numbers: Sequence[int]) -> tuple[int, int]:
    return int(numbers[0]), int(numbers[-1])

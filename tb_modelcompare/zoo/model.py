"""What a name stands for: a model, and what has to be known to show it pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tb_modelcompare.capture.contract import LayerFilter
from tb_modelcompare.errors import ModelFileError, nearest
from tb_modelcompare.probe.preprocessing import Preprocessing


@dataclass(frozen=True)
class ZooModel:
    """A model that was loaded by its name, ready for `SummaryWriter.add_model`.

    Attributes
    ----------
    name : str
        Without the collection that it is from: "InceptionV1".
    model : object
        What `SummaryWriter.add_model` takes as its model.
    preprocessing : Preprocessing
        From the model's own configuration.
    layers : predicate of a Node, or None
        What its collection lists as its layers; None where it lists none.
    """

    name: str
    model: Any
    preprocessing: Preprocessing
    layers: LayerFilter | None = None


def short_name(name: str) -> str:
    """What a model is called in a log: the last part of an address, a path or OWNER/NAME.

    Parameters
    ----------
    name : str
        As `load` takes it, or without its collection.

    Returns
    -------
    str

    Examples
    --------
    >>> short_name("keras:ResNet50")
    'ResNet50'
    """
    last = name.partition("#")[0].rstrip("/").replace(":", "/").rpartition("/")[2]
    return last.removesuffix(".pb") or "model"


def known(name: str, models: Mapping[str, Any], collection: str) -> Any:
    """What a collection holds under a name.

    Raises
    ------
    ModelFileError
        If it holds nothing of that name; the message names the nearest ones.
    """
    if name not in models:
        raise ModelFileError(
            f"{collection} has no model {name!r:.100}; {nearest(name[:100], tuple(models))}"
        )
    return models[name]

"""lucid's modelzoo, and files that lucid's `Model.save` wrote: frozen graphs with what they want.

`lucid_models.json` holds what lucid 0.3.10 declares of each model, as `build_support/lucid_zoo.py`
reads it from lucid's own wheel.
"""

from __future__ import annotations

import functools
import json
import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from tb_modelcompare.capture.tensorflow import GraphFile, ListedLayer, read_graph_def
from tb_modelcompare.errors import FetchError, ModelFileError, ProbeError
from tb_modelcompare.graph import Node
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.zoo.fetching import fetch
from tb_modelcompare.zoo.model import ZooModel, known, short_name

BASE = "https://storage.googleapis.com/modelzoo/vision/"
VARIABLE = "TB_MODELCOMPARE_ZOO"
_METADATA = "lucid_metadata_json"


@functools.cache
def lucid_models() -> dict[str, dict[str, Any]]:
    """What lucid declares of each of its models, by name."""
    text = resources.files(__package__).joinpath("lucid_models.json").read_text("utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found


def load_lucid(name: str, base: str | None = None) -> ZooModel:
    """A model of lucid's modelzoo, or a file that lucid's `Model.save` wrote, at its address.

    Parameters
    ----------
    name : str
        Such as "InceptionV1", or "https://…/graph.pb", with "#sha256=…" if that is known.
    base : str, optional
        Where lucid's modelzoo is; `$TB_MODELCOMPARE_ZOO` if left out, else Google's storage. A
        mirror may be at an http:// address.

    Raises
    ------
    ModelFileError
        If lucid has no such model, or the file does not say what it wants.
    FetchError
        If the file cannot be fetched.
    """
    if "://" in name:
        return _saved(name)
    declared = known(name, lucid_models(), "lucid's modelzoo")
    base = base or os.environ.get(VARIABLE) or BASE
    address = f"{base.rstrip('/')}/{declared['path']}"
    file = fetch(address, plain_http=not base.startswith("https:"), check=_check)
    height, width, _ = declared["shape"]
    layers = {n: ListedLayer(units, tuple(tags)) for n, units, tags in declared["layers"]}
    return ZooModel(
        name,
        GraphFile(file, declared["input"], (height, width), layers),
        _preprocessing(declared["range"], declared["bgr"]),
        is_listed if layers else None,
    )


def is_listed(node: Node) -> bool:
    """Whether lucid lists a node as one of its model's layers."""
    return bool(node.tags)


def _saved(address: str) -> ZooModel:
    address, _, fragment = address.partition("#")
    stated = fragment.removeprefix("sha256=")
    if fragment and stated == fragment:
        raise FetchError(f"{fragment!r:.100} is no checksum; end the address with #sha256=…")
    file = fetch(address, sha256=stated or None, check=_check)
    metadata = _metadata(file)
    try:
        height, width, _ = metadata["image_shape"]
        size = (height, width) if height and width else None
        graph = GraphFile(file, str(metadata["input_name"]), size)
        preprocessing = _preprocessing(metadata["image_value_range"], bgr=False)
    except (KeyError, TypeError, ValueError, ProbeError) as error:
        raise ModelFileError(
            f"{address} holds metadata of lucid's Model.save that cannot be used ({error!r:.200}); "
            f"log the file {file} with --preprocessing"
        ) from error
    return ZooModel(short_name(address), graph, preprocessing)


def _preprocessing(bounds: Any, bgr: bool) -> Preprocessing:
    """What 0 and 1 become, for all channels or one by one, in the model's order of channels."""
    lows, highs = (np.atleast_1d(np.asarray(bound, np.float64)) for bound in bounds)
    return Preprocessing(tuple((highs - lows).tolist()), tuple(lows.tolist()), bgr)


def _check(file: Path) -> None:
    """Refuse what is no frozen graph, before it is kept."""
    try:
        read_graph_def(file)
    except ModelFileError as error:
        raise FetchError(f"what came is no frozen graph; nothing is kept: {error}") from error


def _metadata(file: Path) -> dict[str, Any]:
    nodes = [node for node in read_graph_def(file).node if node.name == _METADATA]
    if len(nodes) == 1 and (texts := nodes[0].attr["value"].tensor.string_val):
        try:
            found = json.loads(texts[0])
            if isinstance(found, dict):
                return found
        except (ValueError, RecursionError) as error:
            raise ModelFileError(f"the metadata in {file} is no JSON: {error}") from error
    raise ModelFileError(
        f"{file} was not written by lucid's Model.save: it does not say what values it takes. Log "
        f"that file with --preprocessing"
    )

"""From a name such as "zoo:InceptionV1" to a model that can be logged."""

from __future__ import annotations

from collections.abc import Callable

from tb_modelcompare.errors import ModelFileError
from tb_modelcompare.errors.checks import true_or_false
from tb_modelcompare.zoo.keras_applications import load_keras
from tb_modelcompare.zoo.lucid import load_lucid
from tb_modelcompare.zoo.model import ZooModel
from tb_modelcompare.zoo.torch_packages import load_hf, load_timm, load_torchvision

_PACKAGES: dict[str, Callable[[str, bool], ZooModel]] = {
    "keras": load_keras,
    "torchvision": load_torchvision,
    "timm": load_timm,
    "hf": load_hf,
}
COLLECTIONS = ("zoo", *_PACKAGES)


def is_name(model: str) -> bool:
    """Whether a text is the name of a model in a collection, and no path.

    Parameters
    ----------
    model : str

    Returns
    -------
    bool

    Examples
    --------
    >>> is_name("keras:ResNet50"), is_name("models/net.keras")
    (True, False)
    """
    return model.partition(":")[0] in COLLECTIONS and ":" in model


def load(name: str, *, trained: bool = True, base: str | None = None) -> ZooModel:
    """A model by its name, with the preprocessing that its own configuration states.

    Nothing is fetched but the model that is named, and that only once: `zoo:` keeps files in the
    user's cache directory (`$TB_MODELCOMPARE_CACHE`), and other packages keep them where they
    always do.

    Parameters
    ----------
    name : str
        A collection, a colon, and a name in it:

        - ``zoo:InceptionV1``, or another model of lucid's modelzoo; or the https:// address of a
          frozen graph that lucid's ``Model.save`` wrote, with ``#sha256=…`` if that is known;
        - ``keras:ResNet50``, of keras.applications;
        - ``torchvision:resnet50``, with the package's newest weights;
        - ``timm:resnet50.a1_in1k``;
        - ``hf:google/vit-base-patch16-224``, or a directory of such a model.
    trained : bool
        False is for the initial weights, which are random. Models of ``zoo:`` have none.
    base : str, optional
        The address of a mirror of lucid's modelzoo; ``$TB_MODELCOMPARE_ZOO`` if left out.

    Returns
    -------
    ZooModel
        Its `model`, `preprocessing` and `layers` are for `SummaryWriter.add_model`.

    Raises
    ------
    ModelFileError
        If there is no such model, or its package is not installed.
    FetchError
        If it cannot be fetched, or is another file than the first time.
    CacheDirectoryError
        If the cache directory cannot be written.
    """
    true_or_false("trained", trained)
    collection, colon, rest = name.partition(":")
    if not colon or collection not in COLLECTIONS:
        raise ModelFileError(
            f"{name!r:.100} names no model; give {', '.join(f'{c}:NAME' for c in COLLECTIONS)}"
        )
    if collection != "zoo":
        return _PACKAGES[collection](rest, trained)
    if not trained:
        raise ModelFileError(f"{name:.100} is a file of trained weights; it has no initial ones")
    return load_lucid(rest, base)

"""Packages that bring models of their own, and what to do where one is missing or fails."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from tb_modelcompare.errors import FetchError, ModelCompareError, ModelFileError


def package(module: str, extra: str) -> Any:
    """A module of a package that is optional.

    Raises
    ------
    ModelFileError
        If it is not installed, or does not work; the message says which extra brings it.
    """
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError) as error:  # torchvision beside another torch: the latter
        raise ModelFileError(
            f"{extra}: models need the package {module.partition('.')[0]}, which cannot be "
            f"imported ({error}); pip install 'tb-modelcompare[{extra}]'"
        ) from error


@contextlib.contextmanager
def fetched_by(package: str, name: str) -> Iterator[None]:
    """Whatever a package raises while it fetches or builds a model, as one clear error.

    The packages fetch through several others, which raise what they like, keras a plain Exception.
    """
    try:
        yield
    except ModelCompareError:
        raise
    except Exception as error:
        why = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".")
        raise FetchError(
            f"{package} cannot load {name:.100} ({why:.500}); is there a connection? A model that "
            f"was fetched before is taken from the cache of {package}"
        ) from error

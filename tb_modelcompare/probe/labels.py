"""The classes that the images of a probe are of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ProbeError

MAX_CLASSES = 2**20


@dataclass(frozen=True, eq=False)
class Labels:
    """The class of each image.

    Attributes
    ----------
    classes : array (images,)
        The number of each image's class; read-only.
    names : tuple of str or None
        What the classes are called, in order of their numbers.
    """

    classes: npt.NDArray[np.intp]
    names: tuple[str, ...] | None

    def number_of(self, class_: Any) -> int:
        """The number of a class that is given by its name or number, and that an image is of.

        Raises
        ------
        ProbeError
            If there is no such class, or no image of it.
        """
        if isinstance(class_, str):
            if self.names is None or class_ not in self.names:
                raise ProbeError(f"no class is called {class_!r:.100}; {self._there_are()}")
            number = self.names.index(class_)
        elif isinstance(class_, int | np.integer) and not isinstance(class_, bool):
            number = int(class_)
        else:
            raise ProbeError(f"class_ is {class_!r:.100}; give a class's name or number")
        if not (self.classes == number).any():
            raise ProbeError(f"no image is of class {class_!r}; {self._there_are()}")
        return number

    def _there_are(self) -> str:
        there = [self.called(int(number)) for number in np.unique(self.classes)]
        return f"there are {', '.join(there[:10])}{', …' if len(there) > 10 else ''}"

    def called(self, number: int) -> str:
        """The name of a class, or its number where classes have no names."""
        return str(number) if self.names is None else self.names[number]


def checked_labels(labels: Any, class_names: Any, count: int) -> Labels | None:
    """The class of each of `count` images, by numbers or by names of classes.

    Raises
    ------
    ProbeError
        If they are neither, or not as many.
    """
    names = None if class_names is None else _checked_class_names(class_names)
    if labels is None:
        if names is not None:
            raise ProbeError("class_names are given without labels; give the class of each image")
        return None
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise ProbeError(f"labels is {labels!r:.100}; give the class of each image, in order")
    given = list(labels)
    if len(given) != count:
        raise ProbeError(f"{len(given)} labels for {count} images; give one for each")
    if all(isinstance(one, str) for one in given):
        if names is None:
            names = tuple(sorted(set(given)))
        number_of = {name: number for number, name in enumerate(names)}
        unknown = [one for one in given if one not in number_of]
        if unknown:
            raise ProbeError(f"label {unknown[0]!r:.100} is not among class_names; add it")
        given = [number_of[one] for one in given]
    array = np.asarray(given)
    if array.dtype.kind not in "iu" or array.ndim != 1:
        raise ProbeError("labels are to be whole numbers of classes, or their names")
    most = MAX_CLASSES if names is None else len(names)
    if array.min() < 0 or array.max() >= most:
        raise ProbeError(
            f"labels lie from {array.min()} to {array.max()}; classes are numbered from 0 to "
            f"{most - 1}"
        )
    classes = array.astype(np.intp)
    classes.flags.writeable = False
    return Labels(classes, names)


def _checked_class_names(class_names: Any) -> tuple[str, ...]:
    if isinstance(class_names, str) or not isinstance(class_names, Iterable):
        raise ProbeError(f"class_names is {class_names!r:.100}; give a sequence of strings")
    names = tuple(class_names)
    if not all(isinstance(name, str) for name in names) or not 0 < len(names) <= MAX_CLASSES:
        raise ProbeError(f"class_names holds other than strings, or more than {MAX_CLASSES}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ProbeError(f"class_names holds {twice!r:.100} twice; names of classes are distinct")
    return names

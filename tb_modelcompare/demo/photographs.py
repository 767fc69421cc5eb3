"""The demo's data: square windows cut from the photographs in scikit-image's wheel.

Each photograph is a class. It is divided into cells of about 96 pixels, of
which a quarter is held out: a test window lies inside one held-out cell and a
training window touches none, so that no pixel is in both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

SIZE = 64
"""Height and width of a window, in pixels, after scaling."""

_NAMES = {
    "astronaut": "astronaut",
    "brick": "brick",
    "camera": "cameraman",
    "chelsea": "cat",
    "coffee": "coffee",
    "coins": "coins",
    "grass": "grass",
    "gravel": "gravel",
    "hubble_deep_field": "galaxies",
    "immunohistochemistry": "tissue",
    "moon": "moon",
    "page": "print",
    "retina": "retina",
    "rocket": "rocket",
    "stereo_motorcycle": "motorcycle",
}
CLASSES = tuple(_NAMES.values())

_LONGEST_SIDE = 640
_CELL = 96
_WINDOW = (40, 96)  # native pixels, so that one thing is seen at several scales
_FLAT = 0.03  # windows with less contrast (standard deviation of grey) hold nothing to learn


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows and their classes.

    Attributes
    ----------
    images : uint8 array, shape (n, SIZE, SIZE, 3)
    labels : int64 array, shape (n,)
        Index into `CLASSES`.
    names : tuple of str
        `<class>-<number within the class>`.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    names: tuple[str, ...]


def load_photographs() -> list[Image.Image]:
    """The photographs in the order of `CLASSES`, in RGB, at most 640 pixels wide and high."""
    from skimage import data

    photographs = []
    for function in _NAMES:
        loaded = getattr(data, function)()
        pixels = loaded[0] if isinstance(loaded, tuple) else loaded  # a stereo pair: the left one
        photograph = Image.fromarray(pixels).convert("RGB")
        photograph.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE), Image.Resampling.LANCZOS)
        photographs.append(photograph)
    return photographs


def cut_windows(
    photographs: list[Image.Image], per_class: int, *, test: bool, seed: int = 0
) -> Windows:
    """Cut `per_class` windows from the training or the held-out part of every photograph."""
    images, labels, names = [], [], []
    for label, photograph in enumerate(photographs):
        rng = np.random.default_rng((seed, label, test))
        held_out = _held_out_cells(photograph.size)
        grey = np.asarray(photograph.convert("L"), np.float32) / 255
        made = 0
        while made < per_class:
            box = _window(rng, photograph.size, held_out, test=test)
            left, top, right, bottom = box
            if grey[top:bottom, left:right].std() < _FLAT:
                continue
            window = photograph.resize((SIZE, SIZE), Image.Resampling.BILINEAR, box=box)
            images.append(np.asarray(window))
            labels.append(label)
            names.append(f"{CLASSES[label]}-{made}")
            made += 1
    return Windows(np.stack(images), np.asarray(labels, np.int64), tuple(names))


_Box = tuple[int, int, int, int]  # left, top, right, bottom


def _held_out_cells(size: tuple[int, int]) -> list[_Box]:
    """Every fourth cell of a row, two further on in the next row: spread over the photograph."""
    width, height = size
    columns, rows = round(width / _CELL), round(height / _CELL)
    return [
        (
            column * width // columns,
            row * height // rows,
            (column + 1) * width // columns,
            (row + 1) * height // rows,
        )
        for row in range(rows)
        for column in range(columns)
        if (column + 2 * row) % 4 == 1
    ]


def _window(
    rng: np.random.Generator, size: tuple[int, int], held_out: list[_Box], *, test: bool
) -> _Box:
    """Draw until a window lies inside one held-out cell (test) or outside of all (training)."""
    while True:
        left, top, right, bottom = held_out[rng.integers(len(held_out))] if test else (0, 0, *size)
        side = int(rng.integers(_WINDOW[0], min(_WINDOW[1], right - left, bottom - top) + 1))
        x = int(rng.integers(left, right - side + 1))
        y = int(rng.integers(top, bottom - side + 1))
        box = (x, y, x + side, y + side)
        if test or not any(_overlap(box, cell) for cell in held_out):
            return box


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

"""What the units of a layer are most active on, many in one picture."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.compare.photos import cropped
from tb_modelcompare.compare.units import top_positions
from tb_modelcompare.log.arrays import ArrayFile
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.log.stored_probe import StoredProbe
from tb_modelcompare.probe.probe import Probe

# Of one picture; a screenful of a gallery takes two or three.
MAX_CROPS = 256
MAX_PIXELS = MAX_CROPS * 128**2
_COLUMNS = 8

_BLOCK_VALUES = 2**22
_QUALITY = 88


def strongest_crops(
    snapshot: Snapshot, probe: Probe | StoredProbe, layer: str, units: Sequence[int]
) -> Iterator[npt.NDArray[Any]]:
    """The part that the layer sees of each unit's strongest image; the activations are read once.

    Parameters
    ----------
    snapshot : Snapshot
    probe : Probe or StoredProbe
        The snapshot's own; of images.
    layer : str
    units : sequence of int

    Yields
    ------
    array (height, width, channels)
        One for each unit, of any size, pixels as the probe has them.

    Raises
    ------
    UnknownSnapshotError, MissingAssetError, CorruptSnapshotError
        As `top_positions`.
    """
    values = _columns(snapshot.stored_activations(layer), units)
    for at, unit in enumerate(units):
        top = top_positions(snapshot, probe, layer, unit, 1, values=values[:, at]).positions[0]
        image = probe.images[top["image"]]
        yield image if top["box"] is None else cropped(image, top["box"])


def crops_jpeg(crops: Iterator[npt.NDArray[Any]], size: int) -> bytes:
    """Pictures as squares of `size`, up to 8 in a row, in one JPEG file."""
    from PIL import Image, ImageOps

    squares = []
    for pixels in crops:
        whole = pixels if pixels.dtype == np.uint8 else np.round(pixels * 255).astype(np.uint8)
        photo = Image.fromarray(whole[..., 0] if whole.shape[2] == 1 else np.asarray(whole))
        squares.append(ImageOps.fit(photo.convert("RGB"), (size, size)))
    columns = min(_COLUMNS, len(squares))
    sheet = Image.new("RGB", (columns * size, -(-len(squares) // columns) * size), "white")
    for at, square in enumerate(squares):
        sheet.paste(square, (at % columns * size, at // columns * size))
    stream = io.BytesIO()
    sheet.save(stream, format="JPEG", quality=_QUALITY, subsampling=0)
    return stream.getvalue()


def _columns(activations: ArrayFile, units: Sequence[int]) -> npt.NDArray[np.float32]:
    """Columns of (rows, units), a block of rows at a time."""
    rows, width = activations.shape
    step = max(1, _BLOCK_VALUES // width)
    blocks = [activations[start : start + step][:, units] for start in range(0, rows, step)]
    return np.concatenate(blocks)

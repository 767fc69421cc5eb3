"""The arrays of a snapshot in one file: `.npy` arrays behind each other, each found by its offset.

One file instead of one for each layer: a training of 500 snapshots would leave 15,000 files.
`numpy.load` reads an array from the file that was opened and moved to its offset.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.log.assets import PART_ALIGNMENT, Asset, writing_to
from tb_modelcompare.log.format import Dtype
from tb_modelcompare.log.strongest import Strongest, nothing_yet, spread, with_images
from tb_modelcompare.probe.sampling import Floats, Sampled, Spatial

# Rows that wait until a snapshot is complete stay in memory up to so many bytes, else on the disk.
IN_MEMORY = 2**26
BLOCK_VALUES = 2**22
_LARGEST_HALF = float(np.finfo(np.float16).max)


@dataclass(eq=False)
class Gathered:
    """Rows of all layers, as float32, in the order in which batches brought them.

    Attributes
    ----------
    rows : int
        Of every layer.
    shapes : list of (int, Spatial)
        Units and map of each layer.
    largest : list of float
        The largest absolute value of each layer.
    left_out : dict of str to str
        Layers that are not finite, and where.
    strongest : dict of int to Strongest
        Of layers with a map that is finite everywhere.
    """

    stream: IO[bytes]
    rows: int
    shapes: list[tuple[int, Spatial]] = field(default_factory=list)
    largest: list[float] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    strongest: dict[int, Strongest] = field(default_factory=dict)

    def put(self, layer: int, row: int, values: Floats) -> None:
        """Keep consecutive rows of a layer, from `row` on."""
        self.stream.seek(self._start(layer, row))
        self.stream.write(np.ascontiguousarray(values, "<f4").data)
        peak = max(float(values.max(initial=0.0)), -float(values.min(initial=0.0)))
        self.largest[layer] = max(self.largest[layer], peak)

    def blocks(self, layer: int) -> Iterator[Floats]:
        """The rows of a layer, some at a time."""
        units = self.shapes[layer][0]
        step = max(1, BLOCK_VALUES // units)
        self.stream.seek(self._start(layer, 0))
        for row in range(0, self.rows, step):
            count = min(step, self.rows - row) * units
            yield np.frombuffer(self.stream.read(count * 4), "<f4").reshape(-1, units)

    def _start(self, layer: int, row: int) -> int:
        before = sum(units for units, _ in self.shapes[:layer]) * self.rows
        return 4 * (before + row * self.shapes[layer][0])


@contextmanager
def gathered(
    directory: Path,
    layers: Sequence[str],
    rows: int,
    images: int,
    batches: Iterable[Sequence[Sampled]],
) -> Iterator[Gathered]:
    """All batches, each of one `Sampled` per layer, until they are complete.

    Raises
    ------
    ActivationError
        If rows are missing or too many.
    LogDirectoryError
        If there is no room for them in `directory`.
    """
    with tempfile.SpooledTemporaryFile(IN_MEMORY, dir=str(directory)) as stream:
        found = Gathered(stream, rows)
        order = spread(images)
        start = shown = 0
        for batch in batches:
            if not found.shapes:
                found.shapes = [(one.values.shape[1], one.spatial) for one in batch]
                found.largest = [0.0] * len(batch)
            end = start + len(batch[0].values)
            for i, (layer, sampled) in enumerate(zip(layers, batch, strict=True)):
                if end > rows or len(sampled.values) != end - start:
                    raise ActivationError(
                        f"layer {layer!r} has {start + len(sampled.values)} rows and the probe "
                        f"{rows}; give one row per position of the probe"
                    )
                if layer in found.left_out:
                    continue
                finite = np.isfinite(sampled.values)
                if not finite.all():
                    unit = int(np.argmin(finite.all(axis=0)))
                    row = start + int(np.argmin(finite[:, unit]))
                    found.left_out[layer] = f"unit {unit} in row {row}"
                    continue
                with writing_to(directory):
                    found.put(i, start, sampled.values)
                if sampled.peaks is not None:
                    if shown == 0:
                        found.strongest[i] = nothing_yet(sampled.values.shape[1], images)
                    if i in found.strongest and np.isfinite(sampled.peaks.values).all():
                        kept = found.strongest[i]
                        found.strongest[i] = with_images(kept, sampled.peaks, shown, order)
                    else:
                        found.strongest.pop(i, None)
            start = end
            shown += max((len(one.peaks.values) for one in batch if one.peaks), default=0)
        if start != rows:
            raise ActivationError(f"{start} rows of activations and the probe has {rows}")
        yield found


def kept_as(layer: int, rows: Gathered, dtype: Dtype) -> Dtype:
    """How a layer is stored: as float32 if it holds values that float16 cannot."""
    return dtype if rows.largest[layer] <= _LARGEST_HALF else "float32"


def append_array(
    stream: IO[bytes],
    dtype: str,
    shape: tuple[int, ...],
    blocks: Iterable[npt.NDArray[Any]],
    *,
    path: str,
    run_dir: Path,
    known: Mapping[str, Asset],
) -> Asset:
    """Append an array to a container, unless the run holds an equal one already.

    Parameters
    ----------
    stream : file
        At its end, open for writing.
    dtype : str
        As numpy writes it in a header, such as "<f4".
    shape : tuple of int
    blocks : iterable of arrays
        The values, in order along the first axis.
    path : str
        That it will have, relative to the run.
    run_dir : Path
    known : mapping of str to Asset
        Arrays that were written before, by digest.

    Returns
    -------
    Asset
        The part of this file, or of a former one.
    """
    stream.write(bytes(-stream.tell() % PART_ALIGNMENT))
    start = stream.tell()
    digest = hashlib.sha256()
    contents = (np.ascontiguousarray(block, dtype).view(np.uint8) for block in blocks)
    for content in chain([np.frombuffer(_header(dtype, shape), np.uint8)], contents):
        stream.write(content.data)
        digest.update(content.data)
    length = stream.tell() - start
    former = known.get(digest.hexdigest())
    if former is not None and former.bytes == length and former.is_intact(str(run_dir)):
        stream.seek(start)
        stream.truncate()
        return former
    return Asset(path, length, digest.hexdigest(), start)


def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    header = io.BytesIO()
    described = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    return header.getvalue()

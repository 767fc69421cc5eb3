"""Probes: the images, or other arrays, and the positions that every model is shown."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, ProbeError
from tb_modelcompare.errors.checks import one_of, whole
from tb_modelcompare.probe.identity import probe_id
from tb_modelcompare.probe.inputs import (
    MAX_POSITIONS,
    checked_arrays,
    checked_images,
    checked_names,
    checked_positions,
)
from tb_modelcompare.probe.photos import checked_size, fitted_photo, photo_files
from tb_modelcompare.probe.sampling import REDUCTIONS, Reading, Reduction, real_array, sample
from tb_modelcompare.probe.stored import read_probe


@dataclass(frozen=True, eq=False, init=False)
class Probe:
    """A fixed, ordered set of images and, for every row, a relative position in its image.

    Parameters
    ----------
    images : array (n, h, w, c) or (n, h, w)
        uint8, or floating point in [0, 1] (kept as float32); c is 1 or 3 (RGB).
    positions : array (n * k, 2), optional
        (u, v) in [0, 1): u over the height, v over the width. Rows r with the same
        r // k belong to one image. Drawn uniformly from `seed` if left out.
    positions_per_image : int
        k, when positions are drawn.
    seed : int
        Of the drawn positions.
    names : sequence of str, optional
        One per image; "0", "1", … if left out. Not part of the id.

    Attributes
    ----------
    id : str
        SHA-256 over pixels, positions and their order. Rows of two snapshots are
        comparable only when their probe ids are equal.

    Raises
    ------
    ProbeError
        For anything else, saying what to change.

    Notes
    -----
    A probe of other arrays than images, such as texts, is made by `from_arrays`; `images` then
    holds these arrays.

    Examples
    --------
    >>> import numpy as np
    >>> probe = Probe(np.zeros((10, 8, 8, 3), np.uint8), positions_per_image=4)
    >>> probe.rows
    40
    """

    images: npt.NDArray[Any]
    positions: npt.NDArray[np.float64]
    positions_per_image: int
    names: tuple[str, ...]
    id: str
    is_of_images: bool

    def __init__(
        self,
        images: npt.ArrayLike,
        positions: npt.ArrayLike | None = None,
        *,
        positions_per_image: int = 1,
        seed: int = 0,
        names: Sequence[str] | None = None,
    ) -> None:
        self._fill(checked_images(images), True, positions, positions_per_image, seed, names)

    def _fill(
        self,
        items: npt.NDArray[Any],
        is_of_images: bool,
        positions: npt.ArrayLike | None,
        positions_per_image: int,
        seed: int,
        names: Sequence[str] | None,
    ) -> None:
        count = len(items)
        per_item = "positions_per_image" if is_of_images else "positions_per_item"
        k = whole(per_item, positions_per_image, least=1, most=MAX_POSITIONS, error=ProbeError)
        seed = whole("seed", seed, least=0, error=ProbeError)
        if positions is None:
            uv = np.random.default_rng(seed).random((count * k, 2))
        else:
            uv = checked_positions(positions, count)
            if seed != 0 or k not in (1, len(uv) // count):
                raise ProbeError(
                    f"{per_item} and seed are for positions that are drawn, and positions are "
                    f"given; leave them out"
                )
        texts = checked_names(names, count)
        if items.flags.writeable:  # the caller could change them under our id
            items = items.copy()
            items.flags.writeable = False
        uv.flags.writeable = False
        object.__setattr__(self, "images", items)
        object.__setattr__(self, "positions", uv)
        object.__setattr__(self, "positions_per_image", len(uv) // count)
        object.__setattr__(self, "names", texts)
        object.__setattr__(self, "is_of_images", is_of_images)
        object.__setattr__(self, "id", probe_id(items, uv, is_of_images))

    @classmethod
    def from_arrays(
        cls,
        arrays: npt.ArrayLike,
        positions: npt.ArrayLike | None = None,
        *,
        positions_per_item: int = 1,
        seed: int = 0,
        names: Sequence[str] | None = None,
    ) -> Probe:
        """A probe of arrays that are no images: token ids of texts, series, rows of a table.

        Models are shown them as they are. Of an output (tokens, units) the row at (u, v) is the
        token `floor(u·tokens)`: u runs along the text, v counts for maps (h, w, units) alone.

        Parameters
        ----------
        arrays : array (n, length), (n, length, features), (n, features) or (n, h, w, c)
            int32, int64, uint8 or floating point (finite, kept as float32). Texts of different
            lengths are padded as the model wants them.
        positions : array (n * k, 2), optional
            As for images.
        positions_per_item : int
            Positions of each item, where `positions` is left out.
        seed : int
            As for images.
        names : sequence of str, optional
            One per item, such as the text itself: what the tab shows in place of an image.

        Returns
        -------
        Probe

        Raises
        ------
        ProbeError
            For anything else, saying what to change.
        """
        probe = cls.__new__(cls)
        probe._fill(checked_arrays(arrays), False, positions, positions_per_item, seed, names)
        return probe

    @classmethod
    def from_run(cls, run: str | Path) -> Probe:
        """The probe that models were logged on before, to log others that are comparable.

        Parameters
        ----------
        run : path
            The directory of a run, or of runs that share one probe.

        Returns
        -------
        Probe
            Its images are memory-mapped.

        Raises
        ------
        ProbeError
            If there is none, more than one, or it is damaged.
        """
        return read_probe(run, cls)

    def reading(self, reduction: Reduction = "sample") -> Reading:
        """How outputs on this probe become rows: of images, tokens can be a map of g × g.

        Parameters
        ----------
        reduction : {"sample", "mean", "first", "flatten"}

        Returns
        -------
        Reading

        Raises
        ------
        OptionError
            If there is no such reduction.
        """
        one_of("reduction", reduction, REDUCTIONS)
        return Reading(not self.is_of_images and self.images.ndim <= 3, reduction)

    @property
    def rows(self) -> int:
        """Number of rows of every activation matrix; row r is of image r // positions_per_image."""
        return len(self.positions)

    def sample(
        self, output: npt.ArrayLike, reduction: Reduction = "sample"
    ) -> npt.NDArray[np.float32]:
        """The rows of a layer's output on this probe, for `add_activations`.

        Parameters
        ----------
        output : array (images, h, w, units), (images, tokens, units) or (images, units)
            One entry per image of the probe, channels last. Of a map, the value at
            (floor(u·h), floor(v·w)); of tokens, as of a map of g × g where there are g² of
            them, or g² + 1 with the first passed over, and by u alone otherwise; of a vector,
            the same at every position.
        reduction : "sample", "mean", "first" or "flatten"
            Instead of the value at the position: the mean over all positions, the first token, or
            all values as so many units; the same at every position.

        Returns
        -------
        array (rows, units), float32

        Raises
        ------
        ActivationError
            If `output` has another shape or is not of real numbers.
        OptionError
            If there is no such reduction.

        Examples
        --------
        A map of two units and a vector of two units, each as rows of the same probe:

        >>> import numpy as np
        >>> probe = Probe(np.zeros((10, 8, 8, 3), np.uint8), positions_per_image=4)
        >>> probe.sample(np.zeros((10, 5, 5, 2))).shape, probe.sample(np.zeros((10, 2))).shape
        ((40, 2), (40, 2))
        """
        array = real_array("output", output)
        if array.ndim == 0 or len(array) != len(self):
            raise ActivationError(
                f"output has shape {array.shape}; give one entry for each of {len(self)} images"
            )
        positions = self.positions.reshape(len(self), self.positions_per_image, 2)
        return sample(array, positions, "output", self.reading(reduction)).values

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        items = "images" if self.is_of_images else "arrays"
        return f"<Probe {self.id[:16]}: {len(self)} {items}, {self.rows} rows>"

    @classmethod
    def from_directory(
        cls,
        path: str | Path,
        size: int | tuple[int, int] = 224,
        limit: int | None = 1000,
        positions_per_image: int = 4,
        seed: int = 0,
    ) -> Probe:
        """Photos of a directory and its subdirectories, in order of their names.

        Each photo is turned upright (EXIF), converted to RGB, scaled and cropped about its
        centre to `size` (one number, or height and width). Where there are more than `limit`,
        they are taken evenly over the sorted list, so that every subdirectory has its share.

        Parameters
        ----------
        path : path
            The directory.
        size : int or (int, int)
            In pixels, from 1 to 4096.
        limit : int or None
            Photos at most; all if None.
        positions_per_image : int
            Positions in each photo.
        seed : int
            Of the positions, from 0.

        Returns
        -------
        Probe

        Raises
        ------
        ProbeError
            If there is no such directory, no image in it, a file that cannot be decoded, or an
            option is none of these.
        """
        if not isinstance(path, (str, os.PathLike)) or not os.fspath(path):
            raise ProbeError(f"path is {path!r:.100}; give a directory that holds images")
        height, width = checked_size(size)
        if limit is not None:
            whole("limit, where it is not None,", limit, least=1, error=ProbeError)
        # Before thousands of photos are read.
        whole(
            "positions_per_image",
            positions_per_image,
            least=1,
            most=MAX_POSITIONS,
            error=ProbeError,
        )
        whole("seed", seed, least=0, error=ProbeError)
        root = Path(path)
        files = photo_files(root, limit)
        images = np.empty((len(files), height, width, 3), dtype=np.uint8)
        for i, file in enumerate(files):
            images[i] = fitted_photo(file, height, width)
        names = [file.relative_to(root).as_posix() for file in files]
        return cls(images, positions_per_image=positions_per_image, seed=seed, names=names)

"""Probes: the images, or other arrays, and the positions that every model is shown."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, OptionError, ProbeError
from tb_modelcompare.errors.checks import one_of, whole
from tb_modelcompare.probe.identity import probe_id
from tb_modelcompare.probe.inputs import (
    MAX_POSITIONS,
    checked_arrays,
    checked_images,
    checked_names,
)
from tb_modelcompare.probe.labels import Labels, checked_labels
from tb_modelcompare.probe.photos import photos
from tb_modelcompare.probe.rows import (
    Drawn,
    checked_mask,
    chosen_rows,
    filled_up,
    mask_of_output,
    rows_per_image,
)
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
    image_of_row : array (rows,), optional
        The number of the image of each position, where images have different numbers of
        positions, which are then (rows, 2). They follow each other in order of the images.
    labels : sequence of int or str, optional
        The class of each image, by its number or its name. Not part of the id.
    class_names : sequence of str, optional
        What the classes are called, in order of their numbers; if left out, the different labels
        in alphabetical order where labels are names.

    Attributes
    ----------
    id : str
        SHA-256 over pixels, positions and their order. Rows of two snapshots are
        comparable only when their probe ids are equal.
    image_of_row : array (rows,)
        The number of the image of each row.
    positions_per_image : int or None
        None where images have different numbers of positions.
    mask : array (n, length) or None
        Of a probe of arrays which tokens are real; None where none is padding.
    labels : Labels or None
        The class of each image, and what the classes are called.

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
    image_of_row: npt.NDArray[np.intp]
    positions_per_image: int | None
    mask: npt.NDArray[np.bool_] | None
    names: tuple[str, ...]
    labels: Labels | None
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
        image_of_row: npt.ArrayLike | None = None,
        labels: Sequence[int] | Sequence[str] | npt.NDArray[Any] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        items = checked_images(images)
        if isinstance(positions, str):
            raise ProbeError(
                f"positions is {positions!r:.100}; maps of layers differ in size, so give (u, v) "
                f"of each, or positions_per_image"
            )
        drawn = Drawn("positions_per_image", positions_per_image, seed)
        uv, rows = chosen_rows(positions, image_of_row, drawn, items, None)
        self._fill(items, True, uv, rows, None, (names, labels, class_names))

    def _fill(
        self,
        items: npt.NDArray[Any],
        is_of_images: bool,
        uv: npt.NDArray[np.float64],
        images: npt.NDArray[np.intp],
        mask: npt.NDArray[np.bool_] | None,
        described: tuple[Any, Any, Any],
    ) -> None:
        count = len(items)
        names, labels, class_names = described
        texts = checked_names(names, count)
        if items.flags.writeable:  # the caller could change them under our id
            items = items.copy()
        for array in (items, uv, images, mask):
            if array is not None:
                array.flags.writeable = False
        each = rows_per_image(images)
        object.__setattr__(self, "images", items)
        object.__setattr__(self, "positions", uv)
        object.__setattr__(self, "image_of_row", images)
        object.__setattr__(self, "positions_per_image", each)
        object.__setattr__(self, "mask", mask)
        object.__setattr__(self, "names", texts)
        object.__setattr__(self, "labels", checked_labels(labels, class_names, count))
        object.__setattr__(self, "is_of_images", is_of_images)
        ragged = images if each is None else None
        object.__setattr__(self, "id", probe_id(items, uv, is_of_images, ragged, mask))

    @classmethod
    def from_arrays(
        cls,
        arrays: npt.ArrayLike,
        positions: npt.ArrayLike | Literal["all"] | None = None,
        *,
        positions_per_item: int = 1,
        seed: int = 0,
        names: Sequence[str] | None = None,
        mask: npt.ArrayLike | None = None,
        pad_id: int | None = None,
        image_of_row: npt.ArrayLike | None = None,
        labels: Sequence[int] | Sequence[str] | npt.NDArray[Any] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> Probe:
        """A probe of arrays that are no images: token ids of texts, series, rows of a table.

        Models are shown them as they are. Of an output (tokens, units) the row at (u, v) is the
        token `floor(u·tokens)`: u runs along the text, v counts for maps (h, w, units) alone.

        Parameters
        ----------
        arrays : array (n, length), (n, length, features), (n, features) or (n, h, w, c)
            int32, int64, uint8 or floating point (finite, kept as float32). Texts of different
            lengths are padded as the model wants them; `mask` or `pad_id` say where.
        positions : array (n * k, 2) or "all", optional
            As for images. "all" are all tokens of each sequence but padding.
        positions_per_item : int
            Positions of each item, where `positions` is left out. Of a sequence with padding they
            are different real tokens, and as many as there are where it has fewer.
        seed : int
            As for images.
        names : sequence of str, optional
            One per item, such as the text itself: what the tab shows in place of an image.
        mask : array (n, length), optional
            True for each real token of the sequences. Padding has no rows, and counts neither in
            means over tokens nor among the strongest positions of a unit.
        pad_id : int, optional
            The token id that is padding, in place of `mask`.
        image_of_row : array (rows,), optional
            The number of the item of each position, as for images.
        labels, class_names : sequence, optional
            As for images.

        Returns
        -------
        Probe

        Raises
        ------
        ProbeError
            For anything else, saying what to change.

        Examples
        --------
        >>> import numpy as np
        >>> probe = Probe.from_arrays(np.array([[5, 2, 0], [7, 0, 0]]), positions="all", pad_id=0)
        >>> probe.rows, probe.image_of_row.tolist()
        (3, [0, 0, 1])
        """
        probe = cls.__new__(cls)
        items = checked_arrays(arrays)
        real = checked_mask(mask, pad_id, items)
        drawn = Drawn("positions_per_item", positions_per_item, seed)
        uv, rows = chosen_rows(positions, image_of_row, drawn, items, real)
        probe._fill(items, False, uv, rows, real, (names, labels, class_names))
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

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> from tb_modelcompare import SummaryWriter
        >>> run, probe = tempfile.mkdtemp(), Probe(np.zeros((3, 8, 8, 3), np.uint8))
        >>> with SummaryWriter(run, probe) as writer:
        ...     _ = writer.add_activations("net", {"conv": np.eye(3)})
        >>> Probe.from_run(run).id == probe.id
        True
        """
        return read_probe(run, cls)

    def with_labels(
        self,
        labels: Sequence[int] | Sequence[str] | npt.NDArray[Any],
        class_names: Sequence[str] | None = None,
    ) -> Probe:
        """The same probe, of the same id, with the classes of its images.

        Parameters
        ----------
        labels, class_names : sequence
            As of `Probe`.

        Returns
        -------
        Probe

        Raises
        ------
        ProbeError
            If they are not one for each image.

        Examples
        --------
        >>> import numpy as np
        >>> probe = Probe(np.zeros((3, 8, 8, 3), np.uint8))
        >>> probe.with_labels([0, 1, 1], ["cat", "dog"]).id == probe.id
        True
        """
        probe = copy.copy(self)
        object.__setattr__(probe, "labels", checked_labels(labels, class_names, len(self)))
        return probe

    def reading(self, reduction: Reduction = "sample") -> Reading:
        """How outputs on this probe become rows: of images, tokens can be a map of g × g.

        Parameters
        ----------
        reduction : {"sample", "mean", "first", "last", "flatten"}

        Returns
        -------
        Reading

        Raises
        ------
        OptionError
            If there is no such reduction, or it cannot leave out padding.
        """
        one_of("reduction", reduction, REDUCTIONS)
        if reduction == "flatten" and self.mask is not None:
            raise OptionError(
                "reduction is 'flatten', which makes units of padding as well; give 'mean', "
                "'first', 'last' or 'sample'"
            )
        return Reading(not self.is_of_images and self.images.ndim <= 3, reduction)

    @property
    def rows(self) -> int:
        """Number of rows of every activation matrix; row r is of image `image_of_row[r]`."""
        return len(self.positions)

    def sample(
        self,
        output: npt.ArrayLike,
        reduction: Reduction = "sample",
        mask: npt.ArrayLike | None = None,
    ) -> npt.NDArray[np.float32]:
        """The rows of a layer's output on this probe, for `add_activations`.

        Parameters
        ----------
        output : array (images, h, w, units), (images, tokens, units) or (images, units)
            One entry per image of the probe, channels last. Of a map, the value at
            (floor(u·h), floor(v·w)); of tokens, as of a map of g × g where there are g² of
            them, or g² + 1 with the first passed over, and by u alone otherwise; of a vector,
            the same at every position.
        reduction : "sample", "mean", "first", "last" or "flatten"
            Instead of the value at the position: the mean over all positions, the first or last
            token, or all values as so many units; the same at every position.
        mask : array (images, tokens), optional
            Which tokens of the output are real, where that is not the probe's own mask, as of a
            model with another tokenizer. Padding is not in the mean, nor first or last.

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
        real = self.mask if mask is None else mask_of_output(array, mask)
        positions, asked = filled_up(self.positions, self.image_of_row)
        found = sample(array, positions, "output", self.reading(reduction), real).values
        return found if asked is None else found[asked.ravel()]

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

        Examples
        --------
        >>> import tempfile
        >>> from PIL import Image
        >>> photos = tempfile.mkdtemp()
        >>> for name in ("cat", "dog"):
        ...     Image.new("RGB", (80, 60)).save(f"{photos}/{name}.png")
        >>> probe = Probe.from_directory(photos, size=64, positions_per_image=4)
        >>> probe.images.shape, probe.rows, probe.names
        ((2, 64, 64, 3), 8, ('cat.png', 'dog.png'))
        """
        # Before thousands of photos are read.
        whole(
            "positions_per_image",
            positions_per_image,
            least=1,
            most=MAX_POSITIONS,
            error=ProbeError,
        )
        whole("seed", seed, least=0, error=ProbeError)
        images, names = photos(path, size, limit)
        return cls(images, positions_per_image=positions_per_image, seed=seed, names=names)

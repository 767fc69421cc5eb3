"""A direction of a layer: a unit, or weights over all of its units."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, LimitError, UnknownSnapshotError
from tb_modelcompare.errors.checks import whole
from tb_modelcompare.log.facets import facet_weights

if TYPE_CHECKING:
    from tb_modelcompare.log.snapshot import Snapshot

# Sine of an angle between directions that tells them apart from one, or from opposite ones.
_FLAT = 1e-6

Matrix = npt.NDArray[np.float64]

# Units that are added and subtracted: 17, 17+5-3, -17.
_UNITS = re.compile(r"[+-]?[0-9]{1,9}([+-][0-9]{1,9})*")


@dataclass(frozen=True, eq=False)
class Direction:
    """A direction of a layer. Directions of one layer are added, subtracted and multiplied.

    Attributes
    ----------
    snapshot : Snapshot
    layer : str
        Name of the layer.
    weights : array (units,), float64
        One for each unit of the layer; read-only.
    name : str
        What it is called in captions, such as "mixed4a:17".
    """

    snapshot: Snapshot = field(repr=False)
    layer: str
    weights: Matrix = field(repr=False)
    name: str

    @property
    def unit(self) -> int | None:
        """The number of the unit that this is; None where it is a sum or a multiple."""
        (found,) = np.nonzero(self.weights)
        return int(found[0]) if len(found) == 1 and self.weights[found[0]] == 1.0 else None

    @property
    def itself(self) -> str:
        """What a caption calls it beside what answers to it."""
        return "the direction itself" if self.unit is None else "the unit itself"

    def activity(self) -> Matrix:
        """The activity along the direction: `X w`, with X the layer's activations.

        Returns
        -------
        array (rows,), float64
        """
        (units,) = np.nonzero(self.weights)
        activations = self.snapshot.activations(self.layer)[:, units].astype(np.float64)
        return np.asarray(activations @ self.weights[units])

    def __add__(self, other: Direction) -> Direction:
        return self._joined(other, 1.0, "+")

    def __sub__(self, other: Direction) -> Direction:
        return self._joined(other, -1.0, "-")

    def __neg__(self) -> Direction:
        return _direction(self.snapshot, self.layer, -self.weights, f"-({self.name})")

    def __mul__(self, factor: float) -> Direction:
        name = f"{factor:g} ({self.name})"
        return _direction(self.snapshot, self.layer, factor * self.weights, name)

    __rmul__ = __mul__

    def interpolate(self, other: Direction, count: int) -> list[Direction]:
        """Directions from this one to another of its layer, at equal angles.

        Parameters
        ----------
        other : Direction
        count : int
            How many, from 2; the first is this direction and the last the other.

        Returns
        -------
        list of Direction
            Of length 1, but for the first and the last, which stay as they are.

        Raises
        ------
        ActivationError
            If they are of two layers, or one is the other or its opposite.
        LimitError
            If `count` is below 2.
        """
        count = whole("count", count, least=2, error=LimitError)
        self._require_same_layer(other)
        start, end = (one.weights / np.linalg.norm(one.weights) for one in (self, other))
        angle = 2 * np.arctan2(np.linalg.norm(start - end), np.linalg.norm(start + end))
        if np.sin(angle) < _FLAT:
            raise ActivationError(
                f"there is no way from {self.name} to {other.name}: they are one direction, or "
                "opposite ones"
            )
        shares = np.arange(1, count - 1) / (count - 1)
        between = [
            _direction(
                self.snapshot,
                self.layer,
                (np.sin((1 - share) * angle) * start + np.sin(share * angle) * end) / np.sin(angle),
                f"{self.name} to {other.name}, {share:.0%}",
            )
            for share in shares
        ]
        return [self, *between, other]

    def facets(self, count: int) -> list[Direction]:
        """The direction, each time together with what else a group of its strongest images has.

        A unit that answers to several things has several kinds of strongest images. The 40 images
        that excite the direction most are put into groups by the activities of the other units of
        the layer. Each facet is the direction, plus half its length towards the mean of a group.

        Parameters
        ----------
        count : int
            How many groups, from 2 to 8. There are always as many: see from the pictures whether
            they differ.

        Returns
        -------
        list of Direction
            That of the largest group first.

        Raises
        ------
        ActivationError
            If fewer images than that excite the direction, or do so in fewer ways.
        LimitError
            If `count` is not from 2 to 8.
        """
        count = whole("count", count, least=2, most=8, error=LimitError)
        rows = self.snapshot.activations(self.layer)
        try:
            found = facet_weights(rows, self.snapshot.image_of_row(), self.weights, count)
        except ActivationError as error:
            raise ActivationError(f"{self.name} of {self.snapshot.id}: {error}") from error
        return [
            _direction(self.snapshot, self.layer, weights, f"{self.name}, facet {number}")
            for number, weights in enumerate(found, 1)
        ]

    def _joined(self, other: Direction, sign: float, word: str) -> Direction:
        if not isinstance(other, Direction):
            return NotImplemented
        self._require_same_layer(other)
        weights = self.weights + sign * other.weights
        return _direction(self.snapshot, self.layer, weights, f"{self.name} {word} {other.name}")

    def _require_same_layer(self, other: Direction) -> None:
        if (other.snapshot.digest, other.layer) != (self.snapshot.digest, self.layer):
            raise ActivationError(
                f"{self.name} of {self.snapshot.id} and {other.name} of {other.snapshot.id} are "
                "directions of two layers; only those of one layer go together"
            )


def unit_direction(snapshot: Snapshot, layer: str, unit: int) -> Direction:
    """The direction of one unit; `Snapshot.unit`."""
    units = snapshot.layer(layer).units
    if isinstance(unit, bool) or not isinstance(unit, int | np.integer) or not 0 <= unit < units:
        raise UnknownSnapshotError(
            f"{snapshot.id} layer {layer!r} has no unit {unit!r:.50}; it has 0 to {units - 1}"
        )
    weights = np.zeros(units)
    weights[unit] = 1.0
    return _direction(snapshot, layer, weights, f"{layer}:{unit}")


def weighted_direction(
    snapshot: Snapshot, layer: str, weights: npt.ArrayLike, name: str | None = None
) -> Direction:
    """The direction of these weights; `Snapshot.direction`."""
    units = snapshot.layer(layer).units
    try:
        array = np.asarray(weights, np.float64)
    except (TypeError, ValueError) as error:
        raise ActivationError(f"a direction is of numbers, one for each unit ({error})") from error
    if array.shape != (units,):
        raise ActivationError(
            f"the direction has shape {array.shape}; {snapshot.id} layer {layer!r} has {units} "
            f"units, so it must be ({units},)"
        )
    return _direction(snapshot, layer, array, f"{layer}:direction" if name is None else name)


def parsed_direction(text: str, snapshot: Snapshot) -> Direction:
    """A direction in the words of the command line.

    LAYER:17 is a unit, LAYER:17+5-3 a sum of units, LAYER:class=cat the direction of a class,
    LAYER:whitened-class=cat the same whitened, and LAYER:FILE.npy an array of weights. The names of
    layers and files may hold colons.

    Raises
    ------
    UnknownSnapshotError
        If there is no such layer or unit, or if the text is none of these.
    ActivationError
        If the file holds no direction of the layer.
    ProbeError
        If there is no such class.
    """
    layer, _, what = text.rpartition(":")  # for a message, where there is no such layer
    known = [name for name in snapshot.layer_names if text.startswith(f"{name}:")]
    if known:
        layer = max(known, key=len)
        what = text[len(layer) + 1 :]
    if layer and _UNITS.fullmatch(what):
        units = [int(one) for one in re.findall(r"[0-9]+", what)]
        signs = [-1.0 if sign == "-" else 1.0 for sign in re.findall(r"(?:^|[+-])(?=[0-9])", what)]
        total = sum(
            sign * unit_direction(snapshot, layer, unit).weights
            for sign, unit in zip(signs, units, strict=True)
        )
        return _direction(snapshot, layer, np.asarray(total), f"{layer}:{what}")
    for words, whitened in (("class=", False), ("whitened-class=", True)):
        if known and what.startswith(words):
            return snapshot.layer(layer).direction(_class(what[len(words) :], snapshot), whitened)
    if layer and what.endswith(".npy"):
        return weighted_direction(snapshot, layer, _weights_of(what), f"{layer}:{Path(what).stem}")
    raise UnknownSnapshotError(
        f"{text!r} is no unit; give LAYER:UNIT, such as conv1:7, a sum such as conv1:7+3-2, "
        "LAYER:class=NAME, or LAYER:FILE.npy with a weight for each unit"
    )


def _class(text: str, snapshot: Snapshot) -> str | int:
    """A class by its name, or by its number where classes have no names."""
    labels = snapshot.labels()
    named = labels is not None and labels.names is not None
    return int(text) if not named and text.isascii() and text.isdigit() else text


def _weights_of(file: str) -> npt.NDArray[Any]:
    try:
        with Path(file).open("rb") as stream:
            found: npt.NDArray[Any] = np.load(stream, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ActivationError(
            f"{file} cannot be read as an array ({error!s:.200}); write it with numpy.save"
        ) from error
    return found


def _direction(snapshot: Snapshot, layer: str, weights: Matrix, name: str) -> Direction:
    """The direction, if it is one.

    Raises
    ------
    ActivationError
        If a weight is NaN or infinite, or if all are 0.
    """
    if not np.isfinite(weights).all() or not weights.any():
        raise ActivationError(
            f"{name} is no direction: its weights are all 0, or some are NaN or infinite"
        )
    weights = weights.copy()
    weights.setflags(write=False)
    return Direction(snapshot, layer, weights, name)

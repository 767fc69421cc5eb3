"""One layer of a snapshot: its activations, their covariance and their whitening."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tb_modelcompare.errors import ActivationError, ProbeMismatchError
from tb_modelcompare.errors.checks import number
from tb_modelcompare.log.class_direction import class_weights
from tb_modelcompare.log.direction import Direction
from tb_modelcompare.log.index import LayerRecord

if TYPE_CHECKING:
    from tb_modelcompare.log.snapshot import Snapshot

Matrix = npt.NDArray[np.float64]

_ROWS_AT_ONCE = 4096
_RIDGE = 1e-6
_LEAST_CONDITION = 1e-12

# What was computed of layers, by their contents; the one that was used last comes last.
_kept: dict[tuple[Any, ...], Matrix] = {}
MAX_KEPT_BYTES = 2**30


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Layer(LayerRecord):
    """A logged layer, with the snapshot that it is of.

    Attributes
    ----------
    snapshot : Snapshot
    """

    snapshot: Snapshot = dataclasses.field(kw_only=True)

    def __repr__(self) -> str:
        return f"<Layer {self.name} of {self.snapshot.id}: {self.rows} rows × {self.units} units>"

    @classmethod
    def of(cls, record: LayerRecord, snapshot: Snapshot) -> Layer:
        """The layer of a snapshot that a record of its index describes."""
        values = {one.name: getattr(record, one.name) for one in dataclasses.fields(record)}
        return cls(**values, snapshot=snapshot)

    def activations(self) -> npt.NDArray[np.float32]:
        """What the layer computes on the probe.

        Returns
        -------
        array (rows, units), float32
            Memory-mapped, read-only.

        Raises
        ------
        MissingAssetError, CorruptSnapshotError
            If the file is not there, or not what was logged.
        """
        return self.snapshot.activations(self.name)

    def direction(self, class_: str | int, whitened: bool = False) -> Direction:
        """The direction of a class: from the mean of other images to the mean of its own.

        Parameters
        ----------
        class_ : str or int
            The name or number of a class, by the labels of the probe.
        whitened : bool
            By default, how the class differs from the others, `m_class - m_others`. Whitened, the
            direction along which activity tells the class best from the others,
            `(Σ + 10⁻³ tr(Σ) / d · I)⁻¹ (m_class - m_others)` with the covariance Σ of the images'
            means over d units (Fisher 1936): what many units share counts less in it.

        Returns
        -------
        Direction
            Each image counts once, by the mean of its rows.

        Raises
        ------
        ProbeError
            If the probe was logged without labels, or has no image of the class, or of another.
        ActivationError
            If the class does not differ from the others.
        """
        weights, name = class_weights(self, class_, whitened)
        words = "whitened-class" if whitened else "class"
        return self.snapshot.direction(self.name, weights, f"{self.name}:{words}={name}")

    def covariance(self, other: Layer | None = None) -> Matrix:
        """The second moment of this layer with another: `X' Y / rows`, not centred.

        It is computed once and kept, as long as those that were used after it fit into 1 GiB.

        Parameters
        ----------
        other : Layer, optional
            Of any snapshot of the same probe. By default this layer itself.

        Returns
        -------
        array (units of this layer, units of the other), float64
            Read-only.

        Raises
        ------
        ActivationError
            If the other is no layer of a snapshot.
        ProbeMismatchError
            If the other layer is of another probe.
        """
        other = self if other is None else other
        if not isinstance(other, Layer):
            raise ActivationError(f"{other!r:.100} is no layer; give snapshot.layer(name)")
        if other.snapshot.probe_id != self.snapshot.probe_id:
            raise ProbeMismatchError(
                f"{self.snapshot.id} and {other.snapshot.id} were logged on different probes, so "
                "their rows do not belong together; log both with one probe"
            )

        def moment() -> Matrix:
            x, y = self.activations(), other.activations()
            found = np.zeros((self.units, other.units))
            for start in range(0, self.rows, _ROWS_AT_ONCE):
                rows = slice(start, start + _ROWS_AT_ONCE)
                found += x[rows].T.astype(np.float64) @ y[rows].astype(np.float64)
            return found / self.rows

        return self._once(("covariance", other.snapshot.digest, other.name), moment)

    def whitening(self, ridge: float | None = None) -> Matrix:
        """The inverse Cholesky factor of this layer: L with `L L' = C⁻¹`, C its covariance.

        The rows of `X L` have the identity as their second moment. It is kept as a covariance is.

        Parameters
        ----------
        ridge : float, optional
            What is added to the diagonal of C, as a share of its mean. By default nothing where C
            can be inverted, and 1e-6 where units are constant or depend on each other.

        Returns
        -------
        array (units, units), float64
            Lower triangular, read-only.

        Raises
        ------
        ActivationError
            If all activations are 0, or if the ridge that is given is too small.
        OptionError
            If the ridge is no number of at least 0.
        """
        if ridge is not None:
            ridge = number("ridge", ridge, least=0.0)
        return self._once(("whitening", ridge), lambda: _whitening(self.covariance(), self, ridge))

    def _once(self, what: tuple[Any, ...], compute: Callable[[], Matrix]) -> Matrix:
        key = (self.snapshot.digest, self.name, *what)
        found = _kept.pop(key, None)
        if found is None:
            found = compute()
            found.setflags(write=False)  # as whoever asks next gets the same array
        _kept[key] = found
        while len(_kept) > 1 and sum(one.nbytes for one in _kept.values()) > MAX_KEPT_BYTES:
            del _kept[next(iter(_kept))]
        return found


def _whitening(covariance: Matrix, layer: Layer, ridge: float | None) -> Matrix:
    import scipy.linalg  # takes a while to import

    level = float(np.trace(covariance)) / len(covariance)
    if level == 0.0:
        raise ActivationError(
            f"layer {layer.name!r} of {layer.snapshot.id} is 0 on the whole probe, so it cannot "
            "be whitened; leave it out"
        )
    # A lower triangular L needs the factor of C with its units in reverse order.
    reverse = covariance[::-1, ::-1]
    for share in (0.0, _RIDGE) if ridge is None else (ridge,):
        moment = reverse + np.eye(len(reverse)) * (share * level)
        factor, info = scipy.linalg.lapack.dpotrf(moment, lower=True)
        if info == 0:
            norm = float(np.abs(moment).sum(axis=0).max())
            condition, _ = scipy.linalg.lapack.dpocon(factor, norm, uplo="L")
            if condition > _LEAST_CONDITION:
                inverse, _ = scipy.linalg.lapack.dtrtri(factor, lower=True)
                return np.ascontiguousarray(np.tril(inverse).T[::-1, ::-1])
    raise ActivationError(
        f"layer {layer.name!r} of {layer.snapshot.id} cannot be whitened with ridge {ridge}: units "
        f"are constant or depend on each other; give a larger one, such as {_RIDGE:g}"
    )

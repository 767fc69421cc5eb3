"""How alike two classifiers of the same classes behave: functions of their outputs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy  # scipy.special is not needed by most

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.similarity.activations import Array, Matrix, open_layer

_SUM_OFF = 1e-2
"""By how much probabilities in float16 may miss a sum of 1."""


def disagreement(P: npt.ArrayLike, Q: npt.ArrayLike) -> float:
    """Share of the rows on which two classifiers name different classes.

    Parameters
    ----------
    P, Q : array (rows, classes)
        Logits or probabilities; row r of both is the same image. Of equal outputs the first
        class is named. Instead of either, an array (rows,) of the numbers of classes.

    Returns
    -------
    float
        In [0, 1]: `mean_r [argmax P_r ≠ argmax Q_r]`.

    Raises
    ------
    ActivationError
        If a side is neither of these, or if rows or classes differ in number.

    References
    ----------
    Skalak 1996, The sources of increased accuracy for two proposed boosting algorithms; Madani
    et al. 2004, Co-validation.

    Examples
    --------
    >>> disagreement([[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.7, 0.3]])
    0.5
    >>> disagreement([0, 1, 2], [0, 1, 1]) == 1 / 3
    True
    """
    first, second = _decisions(P, "P"), _decisions(Q, "Q")
    _require_as_many(first, second)
    if np.ndim(P) == np.ndim(Q) == 2:
        _require_same_classes(np.shape(P), np.shape(Q))
    return float((first != second).mean())


def jensen_shannon_divergence(P: npt.ArrayLike, Q: npt.ArrayLike) -> float:
    """Mean over rows of how far two classifiers' probabilities are from each other, in bits.

    Parameters
    ----------
    P, Q : array (rows, classes)
        Probabilities; row r of both is the same image.

    Returns
    -------
    float
        In [0, 1]: 0 where all probabilities are equal, 1 where no class that one side holds
        possible is possible for the other.

    Raises
    ------
    ActivationError
        If a side holds no probabilities (logits need a softmax), or if rows or classes differ in
        number.

    Notes
    -----
    `½ KL(P_r, M_r) + ½ KL(Q_r, M_r)` with `M_r = (P_r + Q_r) / 2` and logarithms to the base 2.

    References
    ----------
    Lin 1991, Divergence measures based on the Shannon entropy.

    Examples
    --------
    >>> jensen_shannon_divergence([[1.0, 0.0], [0.5, 0.5]], [[0.0, 1.0], [0.5, 0.5]])
    0.5
    """
    first, second = _probabilities(P, "P"), _probabilities(Q, "Q")
    _require_as_many(first, second)
    _require_same_classes(first.shape, second.shape)
    middle = (first + second) / 2.0
    divergence = scipy.special.rel_entr(first, middle) + scipy.special.rel_entr(second, middle)
    per_row = divergence.sum(axis=1) / (2.0 * np.log(2.0))
    return float(np.clip(per_row, 0.0, 1.0).mean())  # rounding alone leads beyond


def error_consistency(P: npt.ArrayLike, Q: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Whether two classifiers are right and wrong on the same images, beyond their accuracies.

    Parameters
    ----------
    P, Q : array (rows, classes)
        As for `disagreement`, or arrays (rows,) of the numbers of classes.
    labels : array (rows,)
        The number of the true class of each row.

    Returns
    -------
    float
        Cohen's κ, in [-1, 1]: 1 where both are right on the same rows, 0 where this happens as
        often as accuracies alone explain, below 0 where it is rarer.

    Raises
    ------
    ActivationError
        If a side is neither outputs nor numbers of classes, if rows differ in number, or if both
        sides are right on all rows, or wrong on all, where κ is not defined.

    Notes
    -----
    `κ = (c_obs - c_exp) / (1 - c_exp)`, where c_obs is the share of rows on which both are right
    or both are wrong, and `c_exp = p_1 p_2 + (1 - p_1) (1 - p_2)` of the accuracies p.

    References
    ----------
    Geirhos et al. 2020, Beyond accuracy: quantifying trial-by-trial behaviour of CNNs and humans
    by measuring error consistency.

    Examples
    --------
    >>> error_consistency([0, 1, 0, 1], [0, 1, 0, 0], labels=[0, 1, 1, 0])
    0.5
    """
    first, second = _decisions(P, "P"), _decisions(Q, "Q")
    truth = _labels(labels)
    _require_as_many(first, second)
    for name, side in (("P", P), ("Q", Q)):
        if np.ndim(side) == 2:
            _require_classes_of(truth, np.shape(side)[1], name)
    _require_as_many(first, truth)
    right_first, right_second = first == truth, second == truth
    p, q = right_first.mean(), right_second.mean()
    expected = p * q + (1.0 - p) * (1.0 - q)
    if expected == 1.0:
        said = "right" if p == 1.0 else "wrong"
        raise ActivationError(
            f"Both sides are {said} on all {len(truth)} rows, so there is nothing that could be "
            "consistent beyond their accuracies. Use images that are harder, or easier."
        )
    return float(((right_first == right_second).mean() - expected) / (1.0 - expected))


def _decisions(outputs: npt.ArrayLike, name: str) -> Array:
    """The class that each row names, (rows,)."""
    if np.ndim(outputs) != 1:
        return np.asarray(open_layer(outputs, name).values.argmax(axis=1))
    array = np.asarray(outputs)
    if array.dtype.kind not in "iu":
        raise ActivationError(
            f"{name} has shape {array.shape} and type {array.dtype}; give outputs (rows, classes), "
            "or whole numbers of classes (rows,)."
        )
    return array


def _labels(labels: npt.ArrayLike) -> Array:
    """The true class of each row."""
    array = np.asarray(labels)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ActivationError(
            f"labels has shape {array.shape} and type {array.dtype}; give the number of each "
            "row's class, (rows,), as whole numbers."
        )
    return array


def _require_classes_of(truth: Array, classes: int, name: str) -> None:
    beyond = truth[(truth < 0) | (truth >= classes)]
    if len(beyond):
        raise ActivationError(
            f"labels name class {beyond[0]}, and {name} has the classes 0 to {classes - 1}. Give "
            "labels in the order of its outputs, such as + 1 where class 0 is the background, and "
            "leave out rows whose class it does not have."
        )


def _probabilities(outputs: npt.ArrayLike, name: str) -> Matrix:
    values = open_layer(outputs, name).values.astype(np.float64)
    sums = values.sum(axis=1, keepdims=True)
    if (values < 0.0).any() or (np.abs(sums - 1.0) > _SUM_OFF).any():
        raise ActivationError(
            f"{name} holds no probabilities: a value is below 0, or a row does not sum to 1. Of "
            "logits, pass scipy.special.softmax(logits, axis=1)."
        )
    return np.asarray(values / sums)


def _require_as_many(first: Array, second: Array) -> None:
    if len(first) != len(second):
        raise ActivationError(
            f"There are {len(first)} and {len(second)} rows; row r of both must be one image."
        )


def _require_same_classes(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    if first[1] != second[1]:
        raise ActivationError(
            f"One side has {first[1]} classes and the other {second[1]}; leave out what only one "
            "has, such as a class for the background, and bring them into one order."
        )

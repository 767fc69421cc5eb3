"""How alike two logged classifiers answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tb_modelcompare.errors import ActivationError
from tb_modelcompare.log.class_outputs import Probabilities, as_probabilities, output_node, top_1
from tb_modelcompare.log.opening import Named, opened
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.similarity import (
    disagreement,
    error_consistency,
    jensen_shannon_divergence,
)


@dataclass(frozen=True)
class Behaviour:
    """How alike two classifiers of the same classes answer on the images of a probe.

    Attributes
    ----------
    images, classes : int
    disagreement : float
        The share of images on which they name different classes.
    jensen_shannon_divergence : float
        How far their probabilities are from each other, in bits, the mean over images.
    top_1 : (float, float) or None
        The share of images that each names rightly; None without labels.
    error_consistency : float or None
        Whether they are right and wrong on the same images, beyond their accuracies (Cohen's κ);
        None without labels, or where both are right, or wrong, on all images.
    """

    images: int
    classes: int
    disagreement: float
    jensen_shannon_divergence: float
    top_1: tuple[float, float] | None = None
    error_consistency: float | None = None

    def __str__(self) -> str:
        said = [
            f"answers on {self.images:,} images of {self.classes:,} classes: disagreement "
            f"{self.disagreement:.1%}",
            f"Jensen-Shannon divergence {self.jensen_shannon_divergence:.3f} bits",
        ]
        if self.top_1 is not None:
            said.append(f"top-1 {self.top_1[0]:.1%} and {self.top_1[1]:.1%}")
        if self.error_consistency is not None:
            said.append(f"error consistency {self.error_consistency:.2f}")
        return ", ".join(said)


def class_outputs(snapshot: Snapshot) -> Probabilities | None:
    """The probabilities of classes that a snapshot's last layer gives for each image.

    Parameters
    ----------
    snapshot : Snapshot

    Returns
    -------
    array (images, classes), float64, or None
        None where the last layer was not logged, differs between positions of an image, or gives
        no answers of classes: neither probabilities nor what a linear layer computes.

    Raises
    ------
    MissingAssetError, CorruptSnapshotError
        If a file of it is not there, or not what was logged.
    """
    node = output_node(
        snapshot.graph(), {layer.name for layer in snapshot.layers if layer.spatial is None}
    )
    if node is None:
        return None
    rows, images = snapshot.stored_activations(node.name)[:], snapshot.image_of_row()
    of_each = rows[np.flatnonzero(np.diff(images, prepend=-1))]
    if not np.array_equal(of_each[images], rows):
        return None
    return as_probabilities(of_each, node)


def behaviour(a: Named, b: Named) -> Behaviour:
    """How alike two classifiers of the same classes answer on their probe.

    Parameters
    ----------
    a, b : Snapshot or str
        Snapshots, or their names, "LOGDIR:RUN@STEP".

    Returns
    -------
    Behaviour

    Raises
    ------
    UnknownSnapshotError
        If there is none of that name.
    ProbeMismatchError
        If they were logged on different probes.
    ActivationError
        If one has no class outputs, or they have different numbers of classes.
    MissingAssetError, CorruptSnapshotError
        If a file is not there, or not what was logged.
    """
    a, b = opened(a), opened(b)
    require_same_probe(a, b)
    outputs = [_outputs(one) for one in (a, b)]
    p, q = outputs
    if p.shape != q.shape:
        raise ActivationError(
            f"{a.id} has {p.shape[1]} classes and {b.id} has {q.shape[1]}; models of the same "
            f"classes, in the same order, can be compared by their answers"
        )
    apart = disagreement(p, q), jensen_shannon_divergence(p, q)
    labels = a.labels() or b.labels()
    known = [] if labels is None else [top_1(one, labels.classes) for one in outputs]
    shares = [share for share in known if share is not None]
    if labels is None or len(shares) < 2:
        return Behaviour(len(p), p.shape[1], *apart)
    together = None
    if not (shares[0] == shares[1] and shares[0] in (0.0, 1.0)):
        together = error_consistency(p, q, labels.classes)
    return Behaviour(len(p), p.shape[1], *apart, (shares[0], shares[1]), together)


def behaviour_if_known(a: Snapshot, b: Snapshot) -> Behaviour | None:
    """`behaviour` where both are classifiers of equally many classes, else None."""
    shapes = [None if one is None else one.shape for one in map(class_outputs, (a, b))]
    return None if None in shapes or shapes[0] != shapes[1] else behaviour(a, b)


def _outputs(snapshot: Snapshot) -> Probabilities:
    found = class_outputs(snapshot)
    if found is None:
        raise ActivationError(
            f"{snapshot.id} has no class outputs; log the layer that gives probabilities or logits"
        )
    return found

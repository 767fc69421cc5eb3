"""Classes of the probe's images: by number or name, kept beside the probe and not part of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import ProbeError
from tb_modelcompare.log.reader import open_snapshot

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 4, 4, 3), dtype=np.uint8)


def test_labels_are_numbers_or_names_of_classes() -> None:
    by_name = Probe(IMAGES, labels=["dog", "cat", "dog", "eel"])
    assert by_name.labels is not None
    assert by_name.labels.names == ("cat", "dog", "eel")
    assert by_name.labels.classes.tolist() == [1, 0, 1, 2]
    ordered = Probe(IMAGES, labels=["dog", "cat", "dog", "dog"], class_names=["eel", "dog", "cat"])
    assert ordered.labels is not None
    assert ordered.labels.classes.tolist() == [1, 2, 1, 1]
    by_number = Probe(IMAGES, labels=np.array([0, 3, 3, 999]))
    assert by_number.labels is not None
    assert by_number.labels.names is None
    assert by_name.id == by_number.id == Probe(IMAGES).id


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"labels": [0, 1]}, "2 labels for 4"),
        ({"labels": "cats"}, "in order"),
        ({"labels": [0, 1, -1, 0]}, "-1 to 1"),
        ({"labels": [0.5, 1, 1, 0]}, "whole numbers"),
        ({"labels": [0, 1, 2, 3], "class_names": ["a", "b"]}, "0 to 1"),
        ({"labels": ["a", "b", "c", "a"], "class_names": ["a", "b"]}, "'c' is not among"),
        ({"labels": ["a", "b", 1, "a"]}, "whole numbers"),
        ({"labels": [0, 0, 0, 0], "class_names": ["a", "a"]}, "twice"),
        ({"class_names": ["a", "b"]}, "without labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ProbeError, match=complaint):
        Probe(IMAGES, **options)


def test_labels_are_logged_and_other_ones_leave_former_logs_whole(tmp_path: Path) -> None:
    wanted = (["a", "b", "a", "c"], None, [2, 2, 0, 1])
    for step, labels in enumerate(wanted):
        with SummaryWriter(tmp_path, Probe(IMAGES, labels=labels)) as writer:
            writer.add_activations("net", {"a": np.eye(4)}, step=step)
    first, none, last = (open_snapshot(tmp_path, f".@{step}") for step in range(3))
    found = first.labels()
    assert found is not None
    assert (found.classes.tolist(), found.names) == ([0, 1, 0, 2], ("a", "b", "c"))
    assert none.labels() is None
    assert none.probe().labels is None
    again = last.probe().labels
    assert again is not None
    assert again.classes.tolist() == [2, 2, 0, 1]
    taken = Probe.from_run(tmp_path).labels  # those that were logged last
    assert taken is not None
    assert taken.classes.tolist() == [2, 2, 0, 1]

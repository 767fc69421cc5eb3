"""Snapshots of two probes: the error says what differs, and what helps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import ProbeMismatchError
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.log.same_probe import require_same_probe

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 8, 9, 3), dtype=np.uint8)
NAMES = [f"{i}.png" for i in range(6)]
ORDER = [1, 0, 2, 3, 4, 5]
FIRST = Probe(PIXELS, positions_per_image=2, names=NAMES)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (Probe(PIXELS[:5], positions_per_image=2), r"6 and 5 images \(--limit\)"),
        (Probe(PIXELS, positions_per_image=3), r"2 and 3 positions .* \(--positions\)"),
        (Probe(PIXELS, positions_per_image=2, seed=1), r"positions are others \(--seed\)"),
        (Probe(PIXELS[:, :7], positions_per_image=2), r"8 × 9 × 3 and 7 × 9 × 3 \(--size\)"),
        (
            Probe(PIXELS[ORDER], positions_per_image=2, names=[NAMES[i] for i in ORDER]),
            "another order",
        ),
        (Probe(255 - PIXELS, positions_per_image=2, names=NAMES), "same names and other contents"),
        (
            Probe(255 - PIXELS, positions_per_image=2, names=[*NAMES[:2], *"abcd"]),
            "2 of their 6 images have the same names",
        ),
        (
            Probe(255 - PIXELS, positions_per_image=1, names=NAMES),
            r"other contents, and 2 and 1 positions",
        ),
        (Probe.from_arrays(PIXELS, positions_per_item=2), "one is of images and the other"),
    ],
)
def test_what_differs_is_named(tmp_path: Path, other: Probe, said: str) -> None:
    for run, probe in (("a", FIRST), ("b", other)):
        with SummaryWriter(tmp_path / run, probe) as writer:
            writer.add_activations("net", {"x": np.ones((probe.rows, 2))})
    a, b = (open_snapshot(tmp_path, run) for run in "ab")
    with pytest.raises(ProbeMismatchError, match=said) as caught:
        require_same_probe(a, b)
    assert f"tb-modelcompare log MODEL --probe {tmp_path / 'a'}" in str(caught.value)

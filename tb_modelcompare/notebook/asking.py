"""What functions that draw pictures share: snapshots by their ids, and who hears of progress."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tb_modelcompare.errors import OptionError
from tb_modelcompare.log.direction import Direction
from tb_modelcompare.log.snapshot import Snapshot

Follow = Callable[[float, str], None]


def finder(snapshots: Sequence[Snapshot]) -> Callable[[str], Snapshot]:
    """Snapshots by their ids.

    Raises
    ------
    OptionError
        If two of different contents have one id, as in two log directories.
    """
    found: dict[str, Snapshot] = {}
    for snapshot in snapshots:
        if found.setdefault(snapshot.id, snapshot).digest != snapshot.digest:
            raise OptionError(
                f"two snapshots are called {snapshot.id}; open both from one log directory above "
                "them, where their names differ"
            )
    return lambda name: found[name]


def asked(direction: Direction) -> dict[str, Any]:
    """A direction, as requests for pictures have it."""
    unit = direction.unit
    return {
        "kind": "analogies",
        "a": direction.snapshot.id,
        "layer": direction.layer,
        **({"direction": direction.weights.tolist()} if unit is None else {"unit": unit}),
    }


@contextmanager
def following(progress: bool | Follow, what: str) -> Iterator[Follow]:
    """Who hears how far the pictures are: a bar, a function, or nobody."""
    if callable(progress):
        yield progress
        return
    from tqdm import tqdm

    with tqdm(total=1000, desc=what, disable=None if progress else True, leave=False) as bar:
        yield lambda share, message: bar.update(int(1000 * share) - bar.n)

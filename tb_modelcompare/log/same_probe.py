"""Whether two snapshots were made on one probe, and if not, what is different and what helps."""

from __future__ import annotations

from tb_modelcompare.errors import CorruptSnapshotError, MissingAssetError, ProbeMismatchError
from tb_modelcompare.log.assets import Asset
from tb_modelcompare.log.snapshot import Snapshot


def require_same_probe(a: Snapshot, b: Snapshot) -> None:
    """Refuse to relate rows that are not of the same images and positions.

    Raises
    ------
    ProbeMismatchError
        Naming both snapshots, what differs between their probes, and the command that helps.
    """
    if a.probe_id == b.probe_id:
        return
    what = (
        "tb-modelcompare log MODEL --probe" if a.probe_record.is_of_images else "Probe.from_run of"
    )
    helps = f"Log one of them again on the other's probe: {what} {a.run_dir}"
    if _are_other_tokens(a, b):
        helps = (
            f"Two tokenizers cut the same texts into different tokens, so compare one row for "
            f"each text: take the texts of {a.id} with one position each, log its model with "
            f"reduction='mean' (or 'last'), and the other model with writer.add_activations of "
            f"probe.sample(output, 'mean', mask=its real tokens)"
        )
    raise ProbeMismatchError(
        f"{a.id} was logged on probe {a.probe_id[:16]} ({a.rows} rows) and {b.id} on "
        f"{b.probe_id[:16]} ({b.rows} rows): {_difference(a, b)}. {helps}"
    )


def _are_other_tokens(a: Snapshot, b: Snapshot) -> bool:
    """Whether both were shown sequences that have the same names, and not the same contents."""
    if any(one.probe_record.is_of_images or len(one.probe_record.item_shape) > 2 for one in (a, b)):
        return False
    if a.probe_record.images.sha256 == b.probe_record.images.sha256:
        return False
    try:
        names = a.probe_names()
        return names == b.probe_names() and names[:1] != ("0",)  # 0, 1, … are no texts
    except (MissingAssetError, CorruptSnapshotError):
        return False


def _difference(a: Snapshot, b: Snapshot) -> str:
    """The first thing that differs, of what both probes are made of."""
    one, other = a.probe_record, b.probe_record
    if one.is_of_images != other.is_of_images:
        return "one is of images and the other of arrays that are none"
    items = "images" if one.is_of_images else "arrays"
    if one.item_shape != other.item_shape:
        sizes = (" × ".join(map(str, record.item_shape)) for record in (one, other))
        return f"their {items} have another size, {' and '.join(sizes)} (--size)"
    said = []
    if one.count != other.count:
        said.append(f"they have {one.count} and {other.count} {items} (--limit)")
    elif one.images.sha256 != other.images.sha256:
        said.append(_other_images(a, b, items))
    if one.positions_per_image != other.positions_per_image:
        each = (record.positions_per_image or "different numbers of" for record in (one, other))
        said.append(
            f"{' and '.join(map(str, each))} positions in each of the {items} (--positions)"
        )
    elif one.count == other.count and one.positions.sha256 != other.positions.sha256:
        said.append("their positions are others (--seed)")
    elif _digest(one.image_of_row) != _digest(other.image_of_row):
        said.append(f"their {items} have different numbers of positions")
    if not said:
        said.append("other tokens are padding (mask=, pad_id=)")
    return ", and ".join(said)


def _digest(asset: Asset | None) -> str | None:
    return None if asset is None else asset.sha256


def _other_images(a: Snapshot, b: Snapshot, items: str) -> str:
    """Of as many items of one size: whether they are in another order, or others."""
    try:
        names = a.probe_names(), b.probe_names()
    except (MissingAssetError, CorruptSnapshotError):
        return f"their {items} are others"
    common = len(set(names[0]) & set(names[1]))
    if names[0] == names[1]:
        return f"their {items} have the same names and other contents"
    if sorted(names[0]) == sorted(names[1]):
        return f"their {items} are in another order"
    return f"{common} of their {len(names[0])} {items} have the same names, the others differ"

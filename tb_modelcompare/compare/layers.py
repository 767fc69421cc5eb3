"""Which layers of a snapshot are meant: by a regular expression, by names, or by what they are."""

from __future__ import annotations

from collections.abc import Sequence

from tb_modelcompare.capture.contract import LayerFilter, checked_filter, compiled_pattern
from tb_modelcompare.errors import LayerSelectionError, OptionError, nearest
from tb_modelcompare.log.snapshot import Snapshot


def chosen_layers(snapshot: Snapshot, layers: LayerFilter | None) -> tuple[str, ...]:
    """Logged layers that a filter means, in topological order; all where there is none.

    Parameters
    ----------
    snapshot : Snapshot
    layers : regular expression, list of names or predicate of a `Node`, optional
        A regular expression is searched for in the names. A predicate is asked about the node of
        each logged layer, whose `kind` is "conv" or "concat", say.

    Raises
    ------
    LayerSelectionError
        If a name is not that of a logged layer, or if nothing is chosen.
    """
    names, layers = snapshot.layer_names, checked_filter(layers)
    if layers is None:
        return names
    if isinstance(layers, str):
        expression = compiled_pattern(layers)
        found = tuple(name for name in names if expression.search(name))
        if not found:
            raise LayerSelectionError(
                f"regular expression {layers!r} matches no layer of {snapshot.id}; "
                f"{nearest(layers, names)}"
            )
        return found
    if callable(layers):
        nodes = {node.name: node for node in snapshot.graph().nodes}
        found = tuple(name for name in names if layers(nodes[name]))
        if not found:
            raise LayerSelectionError(f"the predicate chooses no layer of {snapshot.id}")
        return found
    wanted = set(layers)
    for name in layers:
        if name not in names:
            raise LayerSelectionError(
                f"{snapshot.id} has no layer {name!r}; {nearest(name, names)}"
            )
    if not wanted:
        raise LayerSelectionError("no layer is named; name one at least, or leave layers out")
    return tuple(name for name in names if name in wanted)


def one_for_each(
    patterns: Sequence[str] | str | None, models: Sequence[Snapshot]
) -> list[str | None]:
    """A regular expression for each model: one that is given counts for all.

    Raises
    ------
    OptionError
        If there are several, and not as many as models.
    """
    given = [patterns] if isinstance(patterns, str) else list(patterns or [])
    if len(given) in (0, 1):
        return [given[0] if given else None] * len(models)
    if len(given) != len(models):
        raise OptionError(
            f"there are {len(given)} regular expressions of layers for {len(models)} models; give "
            "one for all, or one for each in their order"
        )
    return [*given]

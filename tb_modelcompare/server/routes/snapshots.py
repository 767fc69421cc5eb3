"""Routes about what was logged: snapshots, graphs, layers, units, images, measures."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
from werkzeug.wrappers import Request, Response

from tb_modelcompare.compare.crops import MAX_CROPS, MAX_PIXELS, crops_jpeg, strongest_crops
from tb_modelcompare.compare.described import (
    LayerInfo,
    UnitInfo,
    layer_graph,
    layer_info,
    unit_info,
)
from tb_modelcompare.compare.photos import cropped, shown_png
from tb_modelcompare.compare.wire import (
    Listing,
    MatrixValues,
    Measures,
    Problem,
    alignment_info,
    measure_info,
    own_matrix,
    snapshot_info,
    with_values,
)
from tb_modelcompare.errors import PhotoError, RequestError, UnknownSnapshotError
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.server import query
from tb_modelcompare.server.catalog import Contents
from tb_modelcompare.server.guards import NotModified, respond, respond_json
from tb_modelcompare.server.route import Route, Server


def snapshots(server: Server, request: Request) -> Response:
    """The snapshots that are logged, and what could not be read."""
    listing = msgspec.to_builtins(_listing(server.contents(request)))
    # Open tabs ask again and again, and mostly have it already.
    tag = hashlib.sha256(json.dumps(listing).encode()).hexdigest()
    return _tagged(request, tag, lambda: listing)


def graph(server: Server, request: Request) -> Response:
    """The layer graph of a snapshot."""
    snapshot = server.snapshot(request)
    return _tagged(request, snapshot.digest, lambda: layer_graph(snapshot).to_json())


def layer(server: Server, request: Request) -> Response:
    """A layer, and statistics of its units."""
    snapshot = server.snapshot(request)
    logged = snapshot.layer(query.text(request, "layer"))

    return _tagged(
        request,
        f"{snapshot.digest}-{logged.asset.path}",
        lambda: layer_info(snapshot, logged.name),
    )


def unit(server: Server, request: Request) -> Response:
    """The images that excite a unit most."""
    snapshot = server.snapshot(request)
    logged = snapshot.layer(query.text(request, "layer"))
    number = query.integer(request, "unit", 0, logged.units - 1)
    limit = query.integer(request, "limit", 1, 100, 9)

    tag = f"{snapshot.digest}-{logged.asset.path}-{number}-{limit}"
    return _tagged(
        request,
        tag,
        lambda: unit_info(snapshot, server.catalog.probe(snapshot), logged.name, number, limit),
    )


def probe_image(server: Server, request: Request) -> Response:
    """An image of the probe, or a part of it."""
    snapshot = server.snapshot(request)
    number = query.integer(request, "index", 0, snapshot.probe_record.count - 1)
    _require_images(snapshot)
    size = query.integer(request, "size", 16, 1024, 96)
    box = query.box(request)
    return _tagged(
        request,
        f"{snapshot.probe_id}-{number}-{size}-{box}",
        lambda: shown_png(cropped(server.catalog.probe(snapshot).images[number], box), size),
        "image/png",
    )


def unit_crops(server: Server, request: Request) -> Response:
    """What each of some units is most active on, in one picture."""
    snapshot = server.snapshot(request)
    logged = snapshot.layer(query.text(request, "layer"))
    units = query.integers(request, "units", 0, logged.units - 1, MAX_CROPS)
    _require_images(snapshot)
    size = query.integer(request, "size", 16, 512, 48)
    if len(units) * size**2 > MAX_PIXELS:
        raise RequestError(f"{len(units)} units of {size} pixels are too much; ask for fewer")
    return _tagged(
        request,
        f"{snapshot.digest}-{logged.asset.path}-{size}-{'.'.join(map(str, units))}",
        lambda: crops_jpeg(
            strongest_crops(snapshot, server.catalog.probe(snapshot), logged.name, units), size
        ),
        "image/jpeg",
    )


def measures(server: Server, request: Request) -> Response:
    """What the measures declare about themselves."""
    from tb_modelcompare.similarity import MEASURES

    listed = list(map(measure_info, MEASURES.values()))
    return respond_json(request, Measures(listed, default="unbiased_linear_cka"))


def alignment(server: Server, request: Request) -> Response:
    """A user's own alignment of two snapshots, in either order."""
    a, b, name = (query.text(request, field) for field in ("a", "b", "name"))
    there = {
        (one.a.id, one.b.id): one for one in server.contents(request).alignments if one.name == name
    }
    found = there.get((a, b)) or there.get((b, a))
    if found is None:
        raise UnknownSnapshotError(
            f"no alignment {name!r:.250} of {a!r:.300} and {b!r:.300}; choose another measure"
        )
    values = found.values()
    values = values if (found.a.id, found.b.id) == (a, b) else values.T
    first, second = (server.finder(request)(one) for one in (a, b))
    measure = alignment_info(found).measure
    info = own_matrix(first, second, measure, first.layer_names, second.layer_names)
    return respond_json(request, with_values(info, values))


_LAYER = ("snapshot", "layer")

ROUTES = (
    Route("snapshots", snapshots, answers=Listing),
    Route("measures", measures, answers=Measures),
    Route("alignment", alignment, needs=("a", "b", "name"), answers=MatrixValues),
    Route("graph", graph, needs=("snapshot",)),
    Route("layer", layer, needs=_LAYER, answers=LayerInfo),
    Route("unit", unit, needs=(*_LAYER, "unit"), takes=("limit",), answers=UnitInfo),
    Route(
        "probe_image",
        probe_image,
        needs=("snapshot", "index"),
        takes=("size", "box"),
        answers="image/png",
    ),
    Route(
        "unit_crops", unit_crops, needs=(*_LAYER, "units"), takes=("size",), answers="image/jpeg"
    ),
)


def _listing(contents: Contents) -> Listing:
    listed = sorted(
        map(snapshot_info, contents.snapshots.values()),
        key=lambda one: (one.run, one.name, one.step),
    )
    problems = [Problem(one.where, one.message) for one in contents.problems]
    alignments = list(map(alignment_info, contents.alignments))
    deleted = sorted(contents.deleted)
    supported = contents.message is None
    return Listing(listed, problems, supported, contents.message, alignments, deleted)


def _require_images(snapshot: Snapshot) -> None:
    if not snapshot.probe_record.is_of_images:
        raise PhotoError(f"the probe of {snapshot.id} holds arrays and no images")


def _tagged(
    request: Request, tag: str, make: Callable[[], Any], content_type: str = "application/json"
) -> Response:
    """What `make` returns, unless the browser has it already: `tag` names the contents.

    Answers are not to be used without asking, as an id may come to name other contents when
    a model is logged again.
    """
    name = re.sub(r"[^A-Za-z0-9/._-]", "_", tag)
    if request.if_none_match.contains_weak(name):
        return NotModified(content_type, f'"{name}"')
    return respond(request, make(), content_type, headers=[("ETag", f'"{name}"')])

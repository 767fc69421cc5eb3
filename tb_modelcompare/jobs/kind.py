"""What a kind of job is made of, and the checks that several kinds share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from tb_modelcompare.cache.results import ResultCache, code_version
from tb_modelcompare.errors import ActivationError, LimitError, RequestError
from tb_modelcompare.jobs.runtime.records import MATHEMATICS, JobItem, Task
from tb_modelcompare.jobs.runtime.work import Workplace
from tb_modelcompare.log.same_probe import require_same_probe
from tb_modelcompare.log.snapshot import Snapshot

FindSnapshot = Callable[[str], Snapshot]

MAX_SNAPSHOTS = 1000  # of a run over training

SnapshotId = Annotated[str, msgspec.Meta(description="id of a snapshot")]
LayerName = Annotated[str, msgspec.Meta(description="name of a layer")]
MeasureName = Annotated[str, msgspec.Meta(description="name of a measure")]
LayerNames = Annotated[
    list[str] | None,
    msgspec.Meta(
        description="names of layers; null for all",
        extra={"wrong": "is neither null nor a list of names"},
    ),
]
SnapshotIds = Annotated[
    list[str],
    msgspec.Meta(
        min_length=1,
        description="ids of snapshots",
        extra={"wrong": "is not a list of ids of snapshots"},
    ),
]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """The body of a request for a job; `kind` says which."""


def _no_items(inputs: Any) -> list[JobItem]:
    return []


@dataclass(frozen=True)
class Kind:
    """A kind of job: from the request to the result.

    Attributes
    ----------
    request : class
        What a client sends. Its tag is the name of the kind.
    prepare : function (request, find) -> inputs
        Checks the request against the snapshots before anything is queued. The inputs can be
        pickled.
    content : function (inputs) -> dict
        All that the result depends on, as JSON values. Its digest is the key of the result.
    run : function (inputs, workplace) -> result
        What a worker process does.
    result : class
        What `run` returns.
    known : class, optional
        What is known of the result while `run` goes on, where that is another record.
    lane : str
        The worker that it needs.
    items : function (inputs) -> list of JobItem
        The pictures to expect.
    recall : function (inputs, cache), optional
        Tells the items what the cache has of them.
    """

    request: type[Request]
    prepare: Callable[[Any, FindSnapshot], Any]
    content: Callable[[Any], dict[str, Any]]
    run: Callable[[Any, Workplace], Any]
    result: type[msgspec.Struct]
    known: type[msgspec.Struct] | None = None
    lane: str = MATHEMATICS
    items: Callable[[Any], list[JobItem]] = field(default=_no_items)
    recall: Callable[[Any, ResultCache], None] | None = None

    @property
    def name(self) -> str:
        """The name of the kind in requests and in the status of jobs."""
        return str(self.request.__struct_config__.tag)

    def task(self, request: Request, find: FindSnapshot) -> Task:
        """The task that a request asks for.

        Raises
        ------
        ModelCompareError
            If the snapshots cannot give what is asked.
        """
        inputs = self.prepare(request, find)
        key = result_key(self.name, self.content(inputs))
        return Task(self.name, self.lane, key, self.run, inputs, self.items(inputs))


def result_key(kind: str, content: dict[str, Any]) -> str:
    """Digest of all that a result depends on, our own code included."""
    whole = {"kind": kind, "content": content, "version": code_version()}
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def identity(snapshot: Snapshot) -> list[str]:
    """The contents, and the id, which appears in what is reported."""
    return [snapshot.id, snapshot.digest]


def find_pair(a: str, b: str, find: FindSnapshot) -> tuple[Snapshot, Snapshot]:
    """Two snapshots of one probe."""
    first, second = find(a), find(b)
    require_same_probe(first, second)
    return first, second


def find_many(
    name: str, ids: Sequence[str], find: FindSnapshot, most: int = MAX_SNAPSHOTS
) -> list[Snapshot]:
    """Different snapshots of one probe.

    Raises
    ------
    LimitError, RequestError, UnknownSnapshotError, ProbeMismatchError
    """
    if len(ids) > most:
        raise LimitError(f"{name} has {len(ids)} snapshots; give at most {most}")
    if len(set(ids)) < len(ids):
        raise RequestError(f"{name} names a snapshot twice")
    snapshots = [find(one) for one in ids]
    for snapshot in snapshots[1:]:
        require_same_probe(snapshots[0], snapshot)
    return snapshots


def without_files(snapshots: Sequence[Snapshot]) -> list[str]:
    """Digests of snapshots whose files are gone: a result without them is not one with them."""
    return sorted({one.digest for one in snapshots if not one.has_activations()})


def known_measure(name: str) -> str:
    """The name, if there is such a measure.

    Raises
    ------
    ActivationError
    """
    from tb_modelcompare.similarity import MEASURES

    if name not in MEASURES:
        raise ActivationError(f"no measure {name!r:.100}; there are {', '.join(MEASURES)}")
    return name


def not_empty(name: str, layers: list[str] | None) -> list[str] | None:
    """The layers, if at least one is named or all are meant.

    Raises
    ------
    RequestError
    """
    if layers == []:
        raise RequestError(f"{name} is empty; name one at least, or null for all")
    return layers

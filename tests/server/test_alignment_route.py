"""A user's own alignments over HTTP: listed with the snapshots, read in either order."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import numpy as np
from serving import Server, error_of, make_probe

from tb_modelcompare import SummaryWriter

A, B = "first/net@0", "second/net@5"


def test_an_alignment_is_listed_and_read_in_either_order(
    logs: Path, serve: Callable[..., Server]
) -> None:
    given = np.arange(9.0).reshape(3, 3)
    given[0, 1] = np.nan
    with SummaryWriter(logs / "mine", make_probe()) as writer:
        writer.add_alignment("By <b>hand</b>", f"{logs}:{A}", f"{logs}:{B}", given)
    server = serve(logs)
    (listed,) = server.json("snapshots")["alignments"]
    assert (listed["a"], listed["b"]) == (A, B)
    assert listed["measure"]["name"] == "own:By <b>hand</b>"
    assert (listed["measure"]["low"], listed["measure"]["high"]) == (0.0, 8.0)
    for a, b, expected in ((A, B, given), (B, A, given.T)):
        found = server.json("alignment", a=a, b=b, name="By <b>hand</b>")
        values = np.frombuffer(base64.b64decode(found["values"]), "<f8").reshape(3, 3)
        np.testing.assert_array_equal(values, expected)
        assert (found["a"], found["b"], found["look"]) == (a, b, "exact")
        assert found["rows"] == ["conv1", "conv2", "conv3"]
    for asked in ({"a": A, "b": A, "name": "By <b>hand</b>"}, {"a": A, "b": B, "name": "Another"}):
        status, error, message = error_of(server.get("alignment", **asked))
        assert (status, error) == (404, "UnknownSnapshotError")
        assert "choose another measure" in message

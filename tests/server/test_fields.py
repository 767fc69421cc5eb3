"""Every field of a request is checked before anything is computed: 400, and what is allowed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from serving import POST_HEADERS, PREFIX, Server, error_of

A, B = "first/net@0", "second/net@0"
PAIR = {"a": A, "b": B, "measure": "linear_cka"}
DIRECTION = {"kind": "analogies", "a": A, "layer": "conv3", "targets": []}  # of 6 units
UNIT = {**DIRECTION, "unit": 0}
HUGE = int("9" * 400)


@pytest.fixture
def server(session_logs: Path, serve: Callable[..., Server]) -> Server:
    return serve(session_logs)


@pytest.mark.parametrize(
    ("route", "field", "value"),
    [
        *(
            ("unit", "unit", value)
            for value in ("\u0661", "\uff11", "-1", "8", "1.0", "1e0", "", " 1", "1\n", "0x1")
        ),
        *(("unit", "limit", value) for value in ("0", "101", "\u0669", "nan", "true")),
        *(("probe_image", "index", value) for value in ("\u0661", "20", "-1", "0.0")),
        *(("probe_image", "size", value) for value in ("15", "1025", "\u0663\u0662", "inf")),
        *(
            ("probe_image", "box", value)
            for value in (
                "1.99999,0,1,1", "0,0,1,1.0001", "0,0,1", "0,0,1,1,1", "0,0,1,", "-0.5,0,1,1",
                "0,0,1,\u0661", "nan,0,1,1", "1e0,0,1,1", "0,0,1,1\n", "", " 0,0,1,1",
            )
        ),
        *(("job", "watcher", value) for value in ("a b", "\u0661", "x" * 65, "../..")),
    ],
)  # fmt: skip
def test_parameters_of_an_address(server: Server, route: str, field: str, value: str) -> None:
    query = {"snapshot": A, "layer": "conv1", "unit": "0", "index": "0", "id": "x", field: value}
    status, kind, message = error_of(server.get(route, **query))
    assert (status, kind) == (400, "RequestError")
    assert field in message


@pytest.mark.parametrize("box", ["0,0,1,1", "1,1,1,1", "0.25,0.5,1.0,0.125", "0,0,0,0"])
def test_boxes_that_are_taken(server: Server, box: str) -> None:
    assert server.get("probe_image", snapshot=A, index=0, box=box).status_code == 200


@pytest.mark.parametrize(
    ("body", "named"),
    [
        # What nothing would read.
        ({"kind": "similarity", **PAIR, "measures": 1}, "measures"),
        ({"kind": "similarity", **PAIR, "A": A}, "'A'"),
        ({"kind": "chance", **PAIR, "permutations": 9}, "permutations"),
        ({**UNIT, "colour": "red"}, "colour"),
        ({**UNIT, "targets": [{"snapshot": B, "layer": ["conv1"]}]}, "unknown field 'layer'"),
        ({**UNIT, "minus": {"snapshot": B, "layer": "conv1", "sign": 1}}, "unknown field 'sign'"),
        # Of another kind than was asked for.
        ({"kind": 3}, "kind is 3"),
        ({"kind": "Similarity", **PAIR}, "kind is 'Similarity'"),
        ({"kind": "similarity", **PAIR, "a": None}, "a is None; give a string"),
        ({"kind": "similarity", **PAIR, "a": [A]}, "give a string"),
        ({"kind": "similarity", **PAIR, "measure": True}, "measure is True"),
        *(
            ({"kind": "significance", **PAIR, "permutations": n}, "permutations is")
            for n in (True, 1.0, "9", -1, 1001, HUGE, 1e3)
        ),
        ({"kind": "significance", **PAIR, "resamples": 1}, "resamples of at least 5"),
        ({"kind": "significance", **PAIR, "permutations": 9, "layers_a": []}, "layers_a is empty"),
        ({"kind": "significance", **PAIR, "permutations": 9, "layers_a": "conv1"}, "layers_a"),
        ({"kind": "trend", "snapshots": A, "reference": A, "measure": "linear_cka"}, "snapshots"),
        ({"kind": "trend", "snapshots": [A, A], "reference": A, "measure": "linear_cka"}, "twice"),
        ({"kind": "models", "snapshots": [A], "metric": "angular_cka"}, "two snapshots"),
        *(({**UNIT, "unit": n}, "unit is") for n in (True, 1.0, "1", -1, 6, HUGE)),
        *(({**UNIT, "sign": n}, "sign is") for n in (0, 2, True, 1.0, "-1", HUGE)),
        *(({**UNIT, "targets": t}, "targets is not") for t in (None, {}, [B], "all")),
        *(({**UNIT, "minus": m}, "minus is") for m in ([], "conv1", 3, True)),
        ({**UNIT, "minus": {"snapshot": B}}, "layer is None"),
        ({**UNIT, "targets": [{"snapshot": B, "layers": "conv1"}]}, "layers is neither"),
        ({**UNIT, "targets": [{"layers": None}]}, "snapshot is None"),
        ({**UNIT, "direction": [1.0] * 6}, "either unit, or direction"),
        (DIRECTION, "either unit, or direction"),
        *(
            ({**DIRECTION, "direction": d}, "direction")
            for d in (
                [HUGE] * 6, [1.0] * 5 + [HUGE], [1e39] * 6, [True] * 6, ["1"] * 6, [None] * 6,
                [1.0] * 5, [[1.0]] * 6, "111111", {}, 3, [],
            )
        ),
        *(
            ({"kind": "caricatures", "snapshot": A, "image": n}, "image is")
            for n in (True, 1.0, "1", -1, 20, HUGE)
        ),
        ({"kind": "caricatures", "snapshot": A}, "either image"),
        ({"kind": "caricatures", "snapshot": A, "image": 0, "photo": "f" * 64}, "either image"),
        *(
            ({"kind": "caricatures", "snapshot": A, "photo": p}, "photo is")
            for p in ("f" * 63, "F" * 64, "\u0661" * 64, "f" * 64 + "\n", 3, True)
        ),
        ({"kind": "caricatures", "snapshot": A, "image": 0, "layers": []}, "layers is empty"),
    ],
)  # fmt: skip
def test_fields_of_a_job(server: Server, body: Any, named: str) -> None:
    status, kind, message = error_of(server.post("jobs", body))
    assert (status, kind) == (400, "RequestError"), message
    assert named in message
    assert len(message) < 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("size", n) for n in (31, 513, True, 64.0, "64")),
        *(("steps", n) for n in (0, 4097, True, 1.5, None)),
        *(("seed", n) for n in (-1, 2**31, True, 0.5)),
    ],
)
def test_how_pictures_are_drawn(server: Server, field: str, value: Any) -> None:
    """A request is checked before it is asked whether there can be pictures at all."""
    status, _, message = error_of(server.post("jobs", {**UNIT, field: value}))
    assert status == 400
    assert f"{field} is" in message


@pytest.mark.parametrize(
    ("route", "body", "named"),
    [
        ("warm_up", {"snapshot": A, "layer": "conv1", "unit": 3}, "unknown field 'unit'"),
        ("warm_up", {"snapshot": A}, "layer is None"),
        ("cancel", {"id": "x", "all": True}, "unknown field 'all'"),
        ("cancel", {"id": 3}, "id is 3; give a string"),
        ("cancel", {}, "id is None"),
    ],
)
def test_fields_of_other_requests(server: Server, route: str, body: Any, named: str) -> None:
    status, kind, message = error_of(server.post(route, body))
    assert (status, kind) == (400, "RequestError")
    assert named in message


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "similarity", "kind": "chance"}',
        '{"kind": "analogies", "targets": [{"snapshot": "x", "snapshot": "y"}]}',
        '{"kind": NaN}', '{"unit": Infinity}', "[]", "3", '"jobs"', "{", "[" * 100_000,
        '{"unit": ' + "9" * 5000 + "}", "\ufeff{}",
    ],
)  # fmt: skip
def test_bodies_that_are_no_object(server: Server, text: str) -> None:
    response = server.client.post(
        f"{PREFIX}/jobs", data=text.encode(), content_type="application/json", headers=POST_HEADERS
    )
    status, kind, _ = error_of(response)
    assert (status, kind) == (400, "RequestError")


@pytest.mark.parametrize("origin", ["http://[", "http://[::1", "https://]", "http://[x]:1", "\\"])
def test_a_malformed_origin_is_refused(server: Server, origin: str) -> None:
    response = server.client.post(
        f"{PREFIX}/jobs",
        data=json.dumps({"kind": "similarity", **PAIR}),
        content_type="application/json",
        headers={**POST_HEADERS, "Origin": origin},
    )
    assert error_of(response)[0] == 403

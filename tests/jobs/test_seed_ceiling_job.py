"""The ceiling of other trainings, asked for as the tab does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from serving import Server, error_of, make_probe

from tb_modelcompare import SummaryWriter
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.similarity import seed_ceiling

MODEL, SEEDS = "first/net@0", ["second/net@0", "first/net@5"]


def test_the_ceiling_is_that_of_the_library(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    server = serve(session_logs)
    body = {"kind": "seed_ceiling", "model": MODEL, "seeds": SEEDS, "measure": "linear_cka"}
    job = server.wait(server.ask({**body, "layers": ["conv3", "conv2"]})["id"])
    assert job["status"] == "done", job
    found = server.json("result", id=job["id"])
    model, *seeds = (open_snapshot(session_logs, one) for one in (MODEL, *SEEDS))
    expected = seed_ceiling(
        model.all_activations(),
        [seed.all_activations() for seed in seeds],
        groups=model.image_of_row(),
    )
    assert found["layers"] == ["conv3", "conv2"]
    assert found["values"] == pytest.approx([expected["conv3"], expected["conv2"]], abs=1e-6)
    assert found["same_in"] == [0, 0]


def test_a_frozen_layer_alone_has_a_ceiling_and_a_copy_of_the_model_is_refused(
    tmp_path: Path, serve: Callable[..., Server]
) -> None:
    random = np.random.default_rng(0)
    first, second, other = (random.standard_normal((450, 6)) for _ in range(3))
    with SummaryWriter(tmp_path / "run", make_probe(count=150)) as writer:
        for step, layer in enumerate((second, other, second)):
            writer.add_activations("net", {"frozen": first, "trained": layer}, step=step)
    server = serve(tmp_path)
    body = {"kind": "seed_ceiling", "model": "run/net@0", "measure": "linear_cka"}
    asked = {**body, "seeds": ["run/net@1"], "layers": ["frozen"]}
    job = server.wait(server.ask(asked)["id"])
    assert job["status"] == "done", job
    found = server.json("result", id=job["id"])
    assert found["values"] == pytest.approx([1.0])
    assert found["same_in"] == [1]
    answer = server.post("jobs", {**body, "seeds": ["run/net@2"], "layers": ["frozen"]})
    status, kind, message = error_of(answer)
    assert (status, kind) == (422, "ActivationError")
    assert "run/net@2 has the very activations" in message


@pytest.mark.parametrize(
    ("change", "answer", "said"),
    [
        ({"seeds": []}, (400, "RequestError"), "seeds"),
        ({"seeds": [MODEL]}, (400, "RequestError"), "twice"),
        ({"seeds": ["elsewhere/net@0"]}, (409, "ProbeMismatchError"), "probe"),
        ({"layers": ["no"]}, (404, "UnknownSnapshotError"), "no"),
        ({"measure": "no"}, (422, "ActivationError"), "measure"),
        ({"seeds": [f"first/net@{step}" for step in range(21)]}, (429, "LimitError"), "20"),
    ],
)
def test_a_request_that_cannot_be_answered_is_refused_before_it_is_queued(
    session_logs: Path,
    serve: Callable[..., Server],
    change: dict[str, object],
    answer: tuple[int, str],
    said: str,
) -> None:
    body = {"kind": "seed_ceiling", "model": MODEL, "seeds": SEEDS, "measure": "linear_cka"}
    status, kind, message = error_of(serve(session_logs).post("jobs", {**body, **change}))
    assert (status, kind) == answer
    assert said in message


def test_a_flag_of_the_address_is_checked(session_logs: Path, serve: Callable[..., Server]) -> None:
    body = {"kind": "seed_ceiling", "model": MODEL, "seeds": SEEDS, "measure": "linear_cka"}
    for value in ("2", "true", ""):
        answer = serve(session_logs).post(f"jobs?background={value}", body)
        assert error_of(answer)[:2] == (400, "RequestError")


def test_snapshots_of_one_model_have_the_same_digest_of_their_layers(
    session_logs: Path, serve: Callable[..., Server]
) -> None:
    listed = serve(session_logs).json("snapshots")["snapshots"]
    digests = {one["id"]: one["layers_digest"] for one in listed}
    assert digests[MODEL] == digests[SEEDS[0]] == digests[SEEDS[1]]
    other = next(id_ for id_ in digests if id_.startswith("<"))
    assert digests[other] != digests[MODEL]

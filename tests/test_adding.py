"""A new measure, framework, route or job is one file: a template, dropped into a copy of the tree.

The copy runs in processes of its own: from the command line, and as TensorBoard's application. A
panel in the browser is in e2e/test_new_panel.py.
"""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from copies import PACKAGE, ROOT, copy_tree, drop, run, run_node
from PIL import Image
from skipping import missing

from tb_modelcompare import open_snapshot

LOGS = ROOT / "tests" / "fixtures" / "logs" / "0.1.0"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return copy_tree(tmp_path / "tree")


def test_a_measure_is_one_file(copy: Path) -> None:
    name, out = "row_length_correlation", copy / "values.csv"
    command = ["-m", PACKAGE, "similarity", LOGS, "first@0", "second/nested", "--measure", name]
    before = run(copy, *command)
    assert before.returncode == 2
    assert name in before.stderr
    drop("measure.py", copy, f"{PACKAGE}/similarity/measures/new.py")
    after = run(copy, *command, "--csv", out)
    assert after.returncode == 0, after.stderr
    rows = list(csv.reader(out.open(encoding="utf-8")))
    x, y = (open_snapshot(LOGS, one).activations("stem") for one in ("first@0", "second/nested"))
    lengths = [np.linalg.norm(one - one.mean(axis=0), axis=1) for one in (x, y)]
    assert rows[0][:2] == [name, "stem"]
    assert float(rows[1][1]) == pytest.approx(np.corrcoef(*lengths)[0, 1], abs=1e-4)
    told = "from build_support.docs_pages import measures; print(measures())"
    listed = [one[4:] for one in run(copy, "-c", told).stdout.splitlines() if one[:4] == "### "]
    assert (listed[0], listed[-1]) == ("linear_cka", name)  # the default is still the first


def test_a_framework_is_one_file(copy: Path) -> None:
    (copy / "photos").mkdir()
    for i in range(6):
        pixels = np.random.default_rng(i).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(copy / "photos" / f"{i}.png")
    weights = np.random.default_rng(9).standard_normal((3, 5))
    model = copy / "model.linear"
    model.write_text(json.dumps({"mix": weights.tolist()}), encoding="utf-8")
    command = ["-m", PACKAGE, "log", model, "--probe", "photos", "--logdir", "logs/run"]
    command += ["--size", "16", "--positions", "2"]
    drop("framework.py", copy, f"{PACKAGE}/capture/linear.py")
    after = run(copy, *command)
    assert after.returncode == 0, after.stderr
    snapshot = open_snapshot(copy / "logs", "run")
    probe = snapshot.probe()
    expected = probe.sample((probe.images / 255).astype(np.float32) @ weights)
    np.testing.assert_allclose(snapshot.activations("mix"), expected, atol=1e-5)
    unknown = run(copy, *command[:3], ROOT / "README.md", *command[4:])
    assert unknown.returncode == 2
    assert "no model file that we know" in unknown.stderr
    assert "a .linear file" in unknown.stderr  # the message says what there is


ASK_ROUTE = """
import bare_tensorboard, json, sys
from serving import PREFIX, POST_HEADERS, Server
server = Server(sys.argv[1])
asked = {"snapshot": sys.argv[2], "layer": "stem"}
def status(method="GET", **options):
    address = f"{PREFIX}/largest_units"
    return server.client.open(address, method=method, query_string=asked, **options).status_code
print(json.dumps({
    "answer": server.json("largest_units", most=2, **asked),
    "wrong": server.get("largest_units", snapshot="no", layer="no").get_json()["error"]["type"],
    "post": status("POST", json={}, headers=POST_HEADERS),
    "host": status(headers={"Host": "evil.example"}),
    "site": status(headers={"Sec-Fetch-Site": "cross-site"}),
}))
server.plugin.close()
"""


def test_a_route_is_one_file_and_its_call_another(copy: Path) -> None:
    drop("route.py", copy, f"{PACKAGE}/server/routes/largest.py")
    snapshot = open_snapshot(LOGS, "first@0")
    found = output(copy, "-c", ASK_ROUTE, LOGS, snapshot.id)
    means = snapshot.activations("stem").mean(axis=0)
    assert found["answer"] == {"layer": "stem", "units": np.argsort(-means)[:2].tolist()}
    assert found["wrong"] == "UnknownSnapshotError"
    assert (found["post"], found["host"], found["site"]) == (405, 403, 403)
    docs, openapi, types = generated(copy)
    assert "`GET largest_units?snapshot&layer&[most]`" in docs
    parameters = openapi["paths"]["/largest_units"]["get"]["parameters"]
    assert [(one["name"], one["required"]) for one in parameters] == [
        ("snapshot", True),
        ("layer", True),
        ("most", False),
    ]
    # What a panel needs to call it: `session.source.read('largest_units', …)` is typed.
    assert "export interface LargestUnits {" in types
    assert "  largest_units: {" in types.partition("export interface Answers {")[2]


ASK_JOB = """
import bare_tensorboard, json, sys
from serving import Server
if __name__ == "__main__":
    server = Server(sys.argv[1])
    job = server.ask({"kind": "row_lengths", "snapshot": sys.argv[2]})
    status = server.wait(job["id"])
    wrong = server.post("jobs", {"kind": "row_lengths"})
    print(json.dumps({
        "kind": status["kind"],
        "status": status["status"],
        "result": server.json("result", id=job["id"]),
        "wrong": wrong.get_json()["error"]["message"],
    }))
    server.plugin.close()
"""


def test_a_job_is_one_file(copy: Path, tmp_path: Path) -> None:
    drop("job.py", copy, f"{PACKAGE}/jobs/row_lengths.py")
    snapshot = open_snapshot(LOGS, "first@0")
    (copy / "ask.py").write_text(ASK_JOB, encoding="utf-8")
    found = output(copy, "ask.py", LOGS, snapshot.id)
    assert (found["kind"], found["status"]) == ("row_lengths", "done")
    assert found["result"]["layers"] == list(snapshot.layer_names)
    expected = [
        np.sqrt((snapshot.activations(name).astype(np.float64) ** 2).sum(axis=1).mean())
        for name in snapshot.layer_names
    ]
    np.testing.assert_allclose(found["result"]["lengths"], expected)
    assert "snapshot is None; give" in found["wrong"]
    docs, openapi, types = generated(copy)
    assert "`row_lengths`: The root mean square length" in docs
    asked = openapi["paths"]["/jobs"]["post"]["requestBody"]["content"]["application/json"]
    assert {"$ref": "#/components/schemas/RowLengthsRequest"} in asked["schema"]["oneOf"]
    assert "export interface RowLengthsResult {" in types
    assert "RowLengthsRequest" in types.partition("export type JobRequest =")[2]


@pytest.mark.slow
def test_a_job_and_its_panel_pass_the_checks_of_types(copy: Path) -> None:
    if not (ROOT / "frontend" / "node_modules").is_dir() or shutil.which("node") is None:
        missing("needs the front end's packages: run `npm ci` in frontend/")
    drop("job.py", copy, f"{PACKAGE}/jobs/row_lengths.py")
    drop("Panel.svelte", copy, "frontend/src/panels/lengths/Lengths.svelte")
    generated(copy)
    checked = run_node(copy, "svelte-check", "--tsconfig", "./tsconfig.json", "--fail-on-warnings")
    assert checked.returncode == 0, checked.stdout


def output(tree: Path, *arguments: str | Path) -> Any:
    """What a program prints as JSON."""
    done = run(tree, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def generated(tree: Path) -> tuple[str, dict[str, Any], str]:
    """The HTTP docs, the OpenAPI document and the tab's types, written as `./run generate` does."""
    done = run(tree, "-m", "build_support.generate")
    assert done.returncode == 0, done.stderr
    docs, openapi = (tree / "docs" / name for name in ("http_api.md", "openapi.json"))
    types = tree / "frontend" / "src" / "api" / "generated.ts"
    return docs.read_text(), json.loads(openapi.read_text()), types.read_text()

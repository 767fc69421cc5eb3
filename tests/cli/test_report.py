"""`report`: one file, complete, harmless."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import Run, make_layers
from figure_page import page_data
from patience import LATE

import tb_modelcompare
from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.similarity import compare

HOSTILE = "</script><script>document.title='broken'</script>"

needs_bundle = pytest.mark.skipif(
    not (Path(tb_modelcompare.__file__).parent / "static" / "report" / "report.js").is_file(),
    reason="the tab's bundle is not built: pip install -e . builds it",
)


@pytest.fixture(scope="module")
def hostile_logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs, in one of which a layer's name tries to be markup."""
    root = tmp_path_factory.mktemp("hostile")
    probe = Probe(np.zeros((120, 8, 8, 3), np.uint8))
    with SummaryWriter(root / "one", probe) as writer:
        writer.add_activations("net", make_layers(1))
    with SummaryWriter(root / "two", probe) as writer:
        writer.add_activations("net", {**make_layers(3), HOSTILE: make_layers(5)["middle"]})
    return root


@needs_bundle
def test_holds_the_graphs_and_the_matrix(inside: Run, hostile_logdir: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    arguments = ("one", "two", "--measure", "mean_cca", "--out", file)
    done = inside("report", hostile_logdir, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(file)
    page = file.read_text()
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    data = page_data(page)
    layers = {**make_layers(3), HOSTILE: make_layers(5)["middle"]}
    expected = compare(make_layers(1), layers, "mean_cca")
    values = np.frombuffer(base64.b64decode(data["matrix"]["values"]), "<f8")
    np.testing.assert_allclose(values.reshape(3, 4), expected.values, rtol=1e-12)
    assert data["matrix"]["columns"] == list(layers)
    assert set(data["graphs"]) == {"one/net@0", "two/net@0"}

    assert data["matrix"]["p_values"] is None
    permuted = inside("report", hostile_logdir, *arguments, "--permutations", 19)
    assert permuted.returncode == 0, permuted.stderr
    matrix = page_data(file.read_text())["matrix"]
    p_values = np.frombuffer(base64.b64decode(matrix["p_values"]), "<f8")
    images = np.arange(120)
    tested = compare(make_layers(1), layers, "mean_cca", groups=images, permutations=19)
    np.testing.assert_allclose(p_values.reshape(3, 4), tested.p_value)

    chosen = inside("report", hostile_logdir, *arguments, "--layers", "^(stem|top)$")
    assert chosen.returncode == 0, chosen.stderr
    matrix = page_data(file.read_text())["matrix"]
    assert (matrix["rows"], matrix["columns"]) == (["stem", "top"], ["stem", "top"])


@needs_bundle
def test_opens_in_a_browser(
    inside: Run, browser: Any, hostile_logdir: Path, tmp_path: Path
) -> None:
    file = tmp_path / "report.html"
    done = inside("report", hostile_logdir, "one", "two", "--out", file)
    assert done.returncode == 0, done.stderr
    page = browser.new_page()
    page.set_default_timeout(LATE)
    complaints: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.locator("svg text").filter(has_text="middle").first.wait_for()
    page.get_by_text("Kornblith").first.wait_for()  # the paper, beside the figure
    assert page.title() == "one/net@0 and two/net@0: Linear CKA"
    page.close()
    assert complaints == []
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [file.as_uri()]


def test_snapshots_of_two_probes(inside: Run, logdir: Path, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    done = inside("report", logdir, "one@0", "other", "--out", file)
    assert done.returncode == 2
    assert "one/net@0" in done.stderr
    assert not file.exists()

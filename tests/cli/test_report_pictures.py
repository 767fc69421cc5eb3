"""`report --pictures`: crops, caricatures and renders in the one file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from command_line import Run
from figure_page import page_data
from patience import LATE
from test_report import needs_bundle

from tb_modelcompare.analogy.unit_pairs import best_unit_pairs
from tb_modelcompare.jobs.runtime.records import Limits
from tb_modelcompare.log.reader import open_snapshot

pytestmark = needs_bundle


ASKED = ("--pictures", 3, "--photo", "photo2.jpg", "--layers", "^conv2$")
COUNTED = re.compile(
    r"(\d+) units of (\d+) layers, and (\d+) caricatures and renders, (\d+) of which are still to "
    r"be drawn; about ([\d.]+) MB"
)


@pytest.fixture
def report(
    models: Path, inside: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, str]:
    """A report with pictures of three units of a layer, and what the command said."""
    # A user may wait longer than a server's job may take, and hears how far it is without a bar.
    queued, _, *others = Limits.__init__.__defaults__  # type: ignore[misc]
    monkeypatch.setattr(Limits.__init__, "__defaults__", (queued, 0.0, *others))
    monkeypatch.setattr("tb_modelcompare.cli.files._LINE_SECONDS", 0)
    file = tmp_path / "report.html"
    done = inside("report", models, "a", "b", *ASKED, "--out", file)
    assert done.returncode == 0, done.stderr
    return file, done.stderr


def test_holds_what_it_says_beforehand(
    models: Path, report: tuple[Path, str], inside: Run, tmp_path: Path
) -> None:
    file, said = report
    data = page_data(file.read_text())
    pictures = data["pictures"]
    counted = COUNTED.search(said)
    assert counted is not None, said
    drawn = [item for one in pictures["analogies"] for item in one["items"]]
    assert (int(counted[1]), int(counted[2])) == (6, 2)
    assert len(drawn) + 2 == int(counted[3]) == 10  # two unit pairs both ways, two caricatures
    assert "Ctrl-C keeps" in said
    assert re.search(r"pictures: \d+%, units of conv2", said)
    assert re.search(r"pictures: \d+%, \d of 10 pictures, about \d+ s left", said)
    assert data["matrix"]["rows"] == data["matrix"]["columns"] == ["conv2"]
    assert set(data["caricatures"]) == {"a/net@0", "b/net@0"}

    a, b = open_snapshot(models, "a"), open_snapshot(models, "b")
    conv2 = (one.activations("conv2") for one in (a, b))
    pairs = best_unit_pairs(*conv2, 3, groups=a.image_of_row())
    own = pictures["units"]["a/net@0"]["conv2"]
    assert own["units"] == [pair.a for pair in pairs]
    assert own["crops"].startswith("data:image/jpeg;base64,")
    for unit, top in zip(own["units"], own["top"], strict=True):
        assert top["max"] == pytest.approx(a.activations("conv2")[:, unit].max(), rel=1e-4)
        assert all(str(one["image"]) in pictures["photos"] for one in top["top"])
    assert all(item["image"].startswith("data:image/jpeg;base64,") for item in drawn)
    assert any("photo2.jpg" in note for note in pictures["notes"])

    again = inside("report", models, "a", "b", *ASKED, "--out", tmp_path / "again.html")
    counted = COUNTED.search(again.stderr)
    assert counted is not None
    assert int(counted[4]) == 0
    assert (tmp_path / "again.html").read_bytes() == file.read_bytes()


def test_shows_them_without_a_server(browser: Any, report: tuple[Path, str]) -> None:
    file, _ = report
    asked = next(one["asked"] for one in page_data(file.read_text())["pictures"]["analogies"])
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    context.set_default_timeout(LATE)
    page = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(file.as_uri())
    side = "a" if asked["a"].startswith("a/") else "b"
    box = page.locator(f".model.{side} [data-layer='{asked['layer']}']").first
    page.get_by_test_id("held").get_by_text("photo2.jpg").wait_for()

    box.hover()  # its caricature is in the tooltip
    tip = page.get_by_role("tooltip").locator("img[src^='data:image']")
    tip.first.wait_for()
    assert tip.first.evaluate("image => image.naturalWidth") > 30

    box.click()
    gallery = page.get_by_role("group", name=f"Units of {asked['layer']}")
    tiles = gallery.locator(".tile")
    tiles.first.wait_for()
    assert tiles.count() == 3
    crop = gallery.locator(".crop").first
    address = crop.evaluate("crop => getComputedStyle(crop).backgroundImage.slice(5, -2)")
    size = page.evaluate(
        "address => new Promise((done) => { const image = new Image();"
        "image.onload = () => done(image.naturalWidth); image.onerror = () => done(0);"
        "image.src = address })",
        address,
    )
    assert size > 100

    tiles.get_by_text(str(asked["unit"]), exact=True).locator("..").click()
    unit = page.get_by_test_id("unit")
    photo = unit.locator("img").first
    photo.wait_for()
    assert photo.evaluate("image => image.decode().then(() => image.naturalWidth)") == 128
    render = page.get_by_test_id("picture").locator("img")
    render.first.wait_for()
    assert render.count() == 2
    assert render.first.evaluate("image => image.decode().then(() => image.naturalWidth)") == 96

    page.evaluate("location.hash += '&pair=conv2'")
    card = page.get_by_test_id("pair").locator(".units img")
    card.first.wait_for()
    assert card.count() > 3
    page.get_by_test_id("pair").get_by_role("button", name="agreement").first.click()
    page.get_by_role("dialog").get_by_text("agreement").wait_for()
    page.keyboard.press("Escape")

    page.evaluate("location.hash = location.hash.replace(/unit=\\d+/, 'unit=99')")
    unit.get_by_text("does not hold unit 99").wait_for()
    assert unit.get_by_test_id("over-rows").count() == 0  # no numbers that nobody measured
    assert page.get_by_role("alert").count() == 0
    context.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith("data:")] == [file.as_uri()]


def test_without_pictures_it_says_so_in_a_sentence(
    browser: Any,
    models: Path,
    inside: Run,
    tmp_path: Path,
) -> None:
    file = tmp_path / "plain.html"
    assert inside("report", models, "a", "b", "--out", file).returncode == 0
    page = browser.new_page()
    page.set_default_timeout(LATE)
    page.goto(file.as_uri())
    page.locator(".model.a [data-layer='conv1']").first.click()
    page.get_by_test_id("not-held").get_by_text("without pictures").first.wait_for()
    assert page.get_by_role("alert").count() == 0
    # On paper it is light and whole, whatever the screen: nothing there can be scrolled.
    page.emulate_media(media="print", color_scheme="dark")
    page.locator("html[data-theme=light]").wait_for()
    assert page.get_by_role("toolbar").count() == 0
    cut = "all => all.filter(one => one.scrollHeight > one.clientHeight + 1).length"
    assert page.locator("main, main > div, aside > div").evaluate_all(cut) == 0
    page.close()


def test_a_model_without_its_graph_has_crops_and_a_sentence(
    inside: Run,
    models: Path,
    tmp_path: Path,
) -> None:
    file = tmp_path / "plain.html"
    done = inside("report", models, "plain", "plain", "--pictures", "--out", file)
    assert done.returncode == 0, done.stderr
    pictures = page_data(file.read_text())["pictures"]
    assert pictures["analogies"] == []
    assert all(layer["crops"] for layer in pictures["units"]["plain/net@0"].values())
    assert any("no renders and caricatures of plain/net@0" in note for note in pictures["notes"])


def test_options_that_would_do_nothing_are_refused(
    inside: Run,
    models: Path,
    tmp_path: Path,
) -> None:
    arguments = ("report", models, "a", "b", "--out", tmp_path / "x.html")
    done = inside(*arguments, "--photo", "photo1.jpg")
    assert done.returncode == 2
    assert "--pictures" in done.stderr
    done = inside(*arguments, "--pictures", "--photo", "photo99.jpg")
    assert done.returncode == 2
    assert "photo99.jpg" in done.stderr

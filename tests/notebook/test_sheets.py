"""Analogies and caricatures from Python: sheets that name what they show."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tb_modelcompare as tbm
from tb_modelcompare import open_snapshot
from tb_modelcompare.errors import ModelCompareError, NotRenderableError, OptionError, ProbeError
from tb_modelcompare.render.sheet import Cell, Row, Sheet, short_names

QUICK: dict[str, Any] = {"size": 32, "steps": 8, "progress": False}


class Page(HTMLParser):
    """Captions and pictures of a sheet."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.pictures, self.words, self.tags = 0, [], set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.pictures += tag == "img"

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path_factory.getbasetemp() / "pictures-cache"
    monkeypatch.setenv("TB_MODELCOMPARE_CACHE", str(base))


@pytest.mark.usefixtures("drawn_here")
def test_a_sheet_has_a_row_for_each_model_its_own_first(models: Path, tmp_path: Path) -> None:
    a, b = open_snapshot(models, "a"), open_snapshot(models, "b")
    found = tbm.analogies(a.unit("conv2", 3), [b, a], layers=["conv", "^conv1$"], **QUICK)
    rows = {row.label: row.cells for row in found.sheet().rows}
    assert list(rows) == ["images for conv2:3", "a", "b"]
    assert [cell.lines[:2] for cell in rows["a"]] == [("a", "conv2:3"), ("a", "conv1")]
    assert [cell.about for cell in rows["b"]] == ["b/net@0 conv1", "b/net@0 conv2"]
    correlations = [one.item.drawn.correlation for one in found.drawn[2:] if one.item.drawn]
    assert [cell.lines[2] for cell in rows["b"]] == [f"r {r:.2f}" for r in correlations]
    for cell in (*rows["a"], *rows["b"]):
        assert cell.picture is not None
        assert cell.picture.std() > 5  # of 255: not flat

    page = Page(found._repr_html_())
    assert page.pictures == 4 + 4
    assert "conv2:3 of a/net@0 in a/net@0, b/net@0" in page.words
    file = found.sheet().save(tmp_path / "sheet.png")
    assert Image.open(file).width > 4 * 32
    again = tbm.analogies(a.unit("conv2", 3), [b, a], layers=["conv", "^conv1$"], **QUICK)
    for before, after in zip(found.drawn, again.drawn, strict=True):
        assert np.array_equal(before.picture, after.picture)  # type: ignore[arg-type]


@pytest.mark.usefixtures("drawn_here")
def test_directions_stand_beside_their_own_images(models: Path, tmp_path: Path) -> None:
    a, b = open_snapshot(models, "a"), open_snapshot(models, "b")
    way = a.unit("conv2", 3).interpolate(a.unit("conv2", 1), 3)
    found = tbm.draw([*way, b.unit("conv1", 0)], **QUICK)
    rows = found.sheet().rows
    assert [row.label for row in rows] == [
        "conv2:3",
        "conv2:3 to conv2:1, 50%",
        "conv2:1",
        "conv1:0",
    ]
    pictures = [row.cells[0].picture for row in rows]
    assert len({one.tobytes() for one in pictures if one is not None}) == 4
    for row, one in zip(rows, found.drawn, strict=True):
        assert len(row.cells) == 1 + 4
        assert row.cells[0].lines == (row.label, f"stronger than {one.item.stronger_than:.0%}")
    activity = way[1].activity().reshape(20, -1).max(axis=1)
    strongest = [float(cell.lines[1]) for cell in rows[1].cells[1:]]
    np.testing.assert_allclose(strongest, np.sort(activity)[::-1][:4], rtol=1e-2)

    (without,) = found.sheet(images=False).rows
    assert len(without.cells) == 4
    assert Page(found.save(tmp_path / "x.html").read_text()).pictures == 4 * 5
    alone = tbm.draw(way[0], **QUICK).drawn[0].picture
    analogy = tbm.analogies(way[0], [b], layers="conv1", **QUICK).drawn[0].picture
    for again in (alone, analogy):  # one picture, however it is asked for
        assert np.array_equal(again, pictures[0])  # type: ignore[arg-type]


def test_any_direction_is_drawn(models: Path) -> None:
    """In a worker process, as for users."""
    a = open_snapshot(models, "a")
    difference = a.unit("conv2", 3) - a.unit("conv2", 1)
    heard: list[float] = []
    options: dict[str, Any] = {**QUICK, "progress": lambda share, message: heard.append(share)}
    found = tbm.analogies(
        difference, [f"{models}:b"], layers="conv2", residual_of=a.layer("conv1"), **options
    )
    assert [one.item.role for one in found.drawn] == ["difference", "analogy"]
    lines = found.sheet().rows[1].cells[0].lines
    assert lines[1] == "conv2:3 - conv2:1"
    assert "taken away" in lines[2]
    activity = difference.activity().reshape(20, -1).max(axis=1)
    captions = [float(text.split("\n")[1]) for text, _ in found.images]
    np.testing.assert_allclose(captions, np.sort(activity)[::-1][:4], rtol=1e-2)
    assert heard


@pytest.mark.usefixtures("drawn_here")
def test_what_is_no_single_unit_is_not_called_one(models: Path) -> None:
    a = open_snapshot(models, "a")
    for asked, itself in ((a.unit("conv2", 3), "unit"), (-a.unit("conv2", 3), "direction")):
        found = tbm.analogies(asked, [a], layers="conv1", **QUICK)
        assert found.sheet().rows[1].cells[0].lines[2] == f"the {itself} itself"


@pytest.mark.usefixtures("drawn_here")
def test_a_layer_without_a_picture_says_why(models: Path) -> None:
    a = open_snapshot(models, "a")
    cells = tbm.analogies(a.unit("conv2", 3), [a], layers="constant", **QUICK).sheet().rows[1].cells
    assert cells[1].picture is None
    assert cells[1].lines == ("a", "constant", "no picture")
    assert "0 on the whole probe" in cells[1].about


@pytest.mark.usefixtures("drawn_here")
def test_caricatures_of_an_image_a_file_and_pixels(models: Path, tmp_path: Path) -> None:
    a = open_snapshot(models, "a")
    probe = a.probe()
    convolutions = lambda node: node.name in ("conv1", "conv2")  # noqa: E731
    by_name = tbm.caricatures(a, probe.names[3], layers=convolutions, **QUICK)
    by_number = tbm.caricatures(f"{models}:a", 3, layers="conv", **QUICK)
    Image.fromarray(probe.images[3]).save(tmp_path / "photo.png")
    by_file = tbm.caricatures(a, tmp_path / "photo.png", layers=["conv2", "conv1"], **QUICK)
    by_pixels = tbm.caricatures(a, probe.images[3], layers="conv", **QUICK)
    assert Image.open(by_name.save(tmp_path / "all.png")).width > 2 * 32
    assert Page(by_name.save(tmp_path / "all.html").read_text()).pictures == 3
    for found in (by_name, by_number, by_file, by_pixels):
        rows = found.sheet().rows
        assert [row.label for row in rows] == ["the photo", "a/net@0"]
        assert [cell.lines for cell in rows[1].cells] == [("conv1",), ("conv2",)]
        for one, other in zip(found.drawn, by_name.drawn, strict=True):
            assert one.picture is not None
            assert one.picture.std() > 5
            assert np.array_equal(one.picture, other.picture)  # type: ignore[arg-type]
    assert Page(by_name._repr_html_()).pictures == 3


def test_what_cannot_be_drawn_is_told(models: Path, tmp_path: Path) -> None:
    a, plain = open_snapshot(models, "a"), open_snapshot(models, "plain")
    unit = a.unit("conv2", 3)
    calls: list[tuple[type[ModelCompareError], str, Any]] = [
        (
            NotRenderableError,
            "plain/net@0 has no frozen graph",
            lambda: tbm.analogies(unit, [plain]),
        ),
        (OptionError, "at least one snapshot", lambda: tbm.analogies(unit, [])),
        (OptionError, "at least one snapshot", lambda: tbm.analogies(unit, a)),
        (OptionError, "direction is", lambda: tbm.analogies(unit, [a], direction="best")),
        (ModelCompareError, "size", lambda: tbm.analogies(unit, [a], size=5)),
        (ModelCompareError, "snapshot.unit", lambda: tbm.analogies("conv2:3", [a])),
        (ModelCompareError, "snapshot.unit", lambda: tbm.draw(["conv2:3"])),  # type: ignore[list-item]
        (ModelCompareError, "snapshot.unit", lambda: tbm.draw([])),
        (NotRenderableError, "no frozen graph", lambda: tbm.draw(plain.unit("conv2", 1))),
        (ProbeError, "has 0 to 19", lambda: tbm.caricatures(a, 20)),
        (ProbeError, "neither a file", lambda: tbm.caricatures(a, "nowhere.png")),
        (ModelCompareError, "uint8", lambda: tbm.caricatures(a, np.zeros((8, 8, 3)))),
    ]
    for error, says, call in calls:
        with pytest.raises(error, match=says):
            call()


def test_bounds_are_told(models: Path) -> None:
    unit = open_snapshot(models, "a").unit("conv2", 3)
    with pytest.raises(ModelCompareError, match='give an integer from 32 to 512, or "auto"'):
        tbm.draw(unit, size="large", progress=False)  # type: ignore[arg-type]
    with pytest.raises(ModelCompareError, match="cossim_pow is 99; give a number from 0 to 16"):
        tbm.draw(unit, cossim_pow=99, progress=False)


@pytest.mark.usefixtures("drawn_here")
def test_a_console_without_pictures_shows_a_line(models: Path) -> None:
    """A page of 300 kB, or the records of all layers, would fill it."""
    a = open_snapshot(models, "a")
    drawn = tbm.draw(a.unit("conv2", 3), **QUICK)
    for shown, words in (
        (a, "a/net@0"),
        (a.layer("conv2"), "conv2 of a/net@0"),
        (drawn, "Pictures"),
        (drawn.sheet(), "save("),
        (tbm.show(a, lines={("conv1", "conv2"): 0.5}), "save("),
    ):
        assert words in repr(shown)
        assert len(repr(shown)) < 150


def test_hostile_names_stay_words(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>\x1b" + "long" * 100
    picture = np.zeros((32, 40, 3), np.uint8)
    sheet = Sheet(name, (Row(name, (Cell((name, name), picture, f'"{name}'), Cell((), None))),))
    for text in (sheet.html(), sheet.save(tmp_path / "x.html").read_text()):
        assert "script" not in Page(text).tags
    assert sheet.save(tmp_path / "x.png").stat().st_size > 100
    with pytest.raises(OptionError, match=r"neither \.html nor \.png"):
        sheet.save(tmp_path / "x.gif")
    assert Sheet("nothing", ()).image().size[0] > 0


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["expanded_conv_1_add", "expanded_conv_13_project"], ["1_add", "13_project"]),
        (["block1", "block2"], ["block1", "block2"]),
        (["conv", "conv_1"], ["conv", "conv_1"]),
        (["one"], ["one"]),
        ([], []),
    ],
)
def test_short_names(names: list[str], short: list[str]) -> None:
    assert short_names(names) == short

"""Analogies of a unit and caricatures of a photo, drawn in a worker process and kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from tb_modelcompare.analogy.correlation import MEANING
from tb_modelcompare.capture.contract import LayerFilter
from tb_modelcompare.compare.best_photos import about_ties, best_photos
from tb_modelcompare.compare.layers import chosen_layers, one_for_each
from tb_modelcompare.compare.named_photo import named_photo
from tb_modelcompare.compare.units import top_positions_along
from tb_modelcompare.errors import ActivationError, OptionError
from tb_modelcompare.errors.checks import one_of
from tb_modelcompare.jobs.drawn import Drawn, Picture, draw_now
from tb_modelcompare.jobs.registry import task_from_request
from tb_modelcompare.log.direction import Direction
from tb_modelcompare.log.layer import Layer
from tb_modelcompare.log.opening import Named, opened
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.notebook.asking import Follow, asked, finder, following
from tb_modelcompare.notebook.on_sheet import OnSheet
from tb_modelcompare.render.sheet import Cell, Row, Sheet, enlarged, short_names
from tb_modelcompare.tensorflow_setup.device import DEFAULT_DEVICE

PHOTOS = 4
"""Images of the probe that stand above a unit's pictures."""

_ACROSS = 6  # caricatures in a row


@dataclass(frozen=True, eq=False, repr=False)
class Analogies(OnSheet):
    """A direction drawn, and the directions that answer to it in layers of models.

    Attributes
    ----------
    unit : Direction
    models : tuple of Snapshot
        Those that were searched, the unit's own first, if it is among them.
    drawn : tuple of Drawn
        The unit's own picture, then those of each model, in order of depth. Each has the `picture`
        (None where there is none) and an `item` with `snapshot`, `layer`, `drawn` (the correlation
        of the activity along the drawn direction, its interval and null), `r2` and `best_unit`.
    images : tuple of (str, array (height, width, 3) uint8)
        The images of the probe that excite the unit most, with their captions.
    notes : tuple of str
        What to keep in mind when looking.
    """

    unit: Direction
    models: tuple[Snapshot, ...]
    drawn: tuple[Drawn, ...]
    images: tuple[tuple[str, Picture], ...]
    notes: tuple[str, ...]

    def by_model(self) -> list[tuple[str, list[Drawn]]]:
        """The pictures of each model under a short name, the unit's own model first.

        Returns
        -------
        list of (str, list of Drawn)
        """
        own = self.unit.snapshot
        models = [own, *(one for one in self.models if one.id != own.id)]
        return [
            (label, [one for one in self.drawn if one.item.snapshot == model.id])
            for label, model in zip(model_names(models), models, strict=True)
        ]

    def sheet(self, *, images: bool = True) -> Sheet:
        """All pictures: a row for each model, its layers in order of depth.

        Parameters
        ----------
        images : bool
            Whether the images of the probe that excite the unit most stand above them. Leave them
            out of what you publish if you may not publish the images.

        Returns
        -------
        Sheet
            Shown by a notebook; ``.save("sheet.html")`` and ``.save("sheet.png")`` write files.
        """
        photos = tuple(Cell(tuple(text.split("\n")), image) for text, image in self.images)
        rows = [Row(f"images for {self.unit.name}", photos)] if images else []
        for model, drawn in self.by_model():
            layers = [one.item.layer for one in drawn if one.item.role == "analogy"]
            short = dict(zip(layers, short_names(layers), strict=True))
            cells = tuple(self._cell(model, one, short) for one in drawn)
            rows.append(Row(model, cells))
        others = ", ".join(model.id for model in self.models)
        title = f"{self.unit.name} of {self.unit.snapshot.id} in {others}"
        return Sheet(title, tuple(rows))

    def _cell(self, model: str, one: Drawn, short: dict[str, str]) -> Cell:
        item = one.item
        full = f"{item.snapshot} {item.layer}"
        if item.role != "analogy":
            what = self.unit.itself if item.role == "source" else f"R² {item.r2:.2f} taken away"
            return Cell((model, self.unit.name, what), one.picture, full)
        lines = (model, short[item.layer])
        if one.picture is None:
            return Cell((*lines, "no picture"), None, f"{full}: {item.problem}")
        correlation = "" if item.drawn is None else f"r {item.drawn.correlation:.2f}"
        return Cell((*lines, correlation), one.picture, full)


@dataclass(frozen=True, eq=False, repr=False)
class Caricatures(OnSheet):
    """What layers of a model see in a photo.

    Attributes
    ----------
    snapshot : Snapshot
    name : str
        Of the photo.
    photo : array (height, width, 3) uint8
    drawn : tuple of Drawn
        One for each layer, in order of depth.
    """

    snapshot: Snapshot
    name: str
    photo: Picture
    drawn: tuple[Drawn, ...]

    def sheet(self) -> Sheet:
        """The photo, and the pictures of all layers in order of depth.

        Returns
        -------
        Sheet
        """
        cells = [
            Cell((one.item.layer,), one.picture, one.item.problem or one.item.layer)
            for one in self.drawn
        ]
        rows = [
            Row("" if start else self.snapshot.id, tuple(cells[start : start + _ACROSS]))
            for start in range(0, len(cells), _ACROSS)
        ]
        photo = Row("the photo", (Cell((self.name,), self.photo),))
        return Sheet(f"{self.name} as {self.snapshot.id} sees it", (photo, *rows))


def analogies(
    unit: Direction,
    models: Sequence[Named],
    *,
    layers: str | Sequence[str] | None = None,
    direction: str = "regression",
    residual_of: Layer | None = None,
    size: int | Literal["auto"] = 96,
    steps: int = 128,
    seed: int = 0,
    cossim_pow: float = 0.0,
    device: str = DEFAULT_DEVICE,
    progress: bool | Follow = True,
) -> Analogies:
    """Draw a unit, and the direction that answers to it in layers of other models.

    Pictures are drawn in a process of their own, and kept where the tab and the command line find
    them. The same call gives the same pictures at once.

    Parameters
    ----------
    unit : Direction
        ``snapshot.unit(layer, number)``, a sum or difference of units, or any
        ``snapshot.direction(layer, weights)``.
    models : sequence of Snapshot or str
        Where to look. The unit's own model may be among them; its pictures then come first.
    layers : str or sequence of str, optional
        A regular expression that is searched for in the names of layers, or one for each model in
        the order of `models`. By default all layers of which there can be a picture.
    direction : {"regression", "pattern", "decoder"}
        Which direction answers: that of linear regression, the pattern that varies together with
        the unit, or the decoder that predicts it best.
    residual_of : Layer, optional
        ``snapshot.layer(name)``: draw the residual direction, which is the unit without what this
        layer has of it.
    size : int or "auto"
        Pixels of a picture's side, from 32 to 512. "auto" is 96, 192 or 384 for each layer, by how
        far apart its positions are and how much they see.
    steps : int
        Of optimisation; more is sharper. Pictures of 192 pixels and more take some on top of them.
    seed : int
        Of the first noise.
    cossim_pow : float
        0 asks for much of the direction; 1 to 4 also for little else.
    device : str
        What TensorFlow computes on, as for `--device`.
    progress : bool or callable
        Whether to show a bar, or a function of the share done and of what is being done.

    Returns
    -------
    Analogies
        Its `sheet()` is what a notebook shows.

    Raises
    ------
    UnknownSnapshotError
        If there is no such snapshot.
    ProbeMismatchError
        If the snapshots were logged on different probes.
    LayerSelectionError
        If a regular expression matches no layer.
    NotRenderableError
        If a snapshot was logged without its frozen graph.
    OptionError, RequestError, LimitError
        If an option has a value that it does not take, or there would be more than 256 pictures.
    """
    if not isinstance(unit, Direction):
        raise ActivationError(f"{unit!r:.100} is no unit; give snapshot.unit(layer, number)")
    if isinstance(models, Snapshot | str) or not isinstance(models, Sequence) or not models:
        raise OptionError("models is to be a list of at least one snapshot")
    answer = one_of("direction", direction, tuple(MEANING))
    given = [opened(model) for model in models]
    patterns = one_for_each(layers, given)
    own = unit.snapshot
    order = sorted(range(len(given)), key=lambda i: given[i].id != own.id)  # its own comes first
    targets = [
        {
            "snapshot": given[i].id,
            "layers": None if (one := patterns[i]) is None else [*chosen_layers(given[i], one)],
        }
        for i in order
    ]
    snapshots = [own, *given, *([] if residual_of is None else [residual_of.snapshot])]
    request = {
        **asked(unit),
        "answer": answer,
        "minus": residual_of and {"snapshot": residual_of.snapshot.id, "layer": residual_of.name},
        "targets": targets,
        **{"size": size, "steps": steps, "seed": seed, "cossim_pow": cossim_pow},
    }
    task = task_from_request(request, finder(snapshots))
    with following(progress, "analogies") as follow:
        drawn = draw_now(task, device, follow)
    probe = own.probe()
    largest = max((len(one.picture) for one in drawn if one.picture is not None), default=96)
    top = top_positions_along(unit, probe, PHOTOS)
    return Analogies(
        unit,
        tuple(given[i] for i in order),
        tuple(drawn),
        tuple(best_photos(probe, top, size=largest)),
        (MEANING[answer], *about_ties(top)),
    )


def caricatures(
    model: Named,
    image: str | Path | int | npt.NDArray[np.uint8],
    *,
    layers: LayerFilter | None = None,
    size: int = 224,
    steps: int = 128,
    seed: int = 0,
    cossim_pow: float = 1.0,
    device: str = DEFAULT_DEVICE,
    progress: bool | Follow = True,
) -> Caricatures:
    """Draw what each layer of a model sees in a photo (feature inversion).

    Pictures are drawn in a process of their own, and kept, as those of `analogies`.

    Parameters
    ----------
    model : Snapshot or str
    image : str, Path, int or array (height, width, 3) uint8
        The name or the number of an image of the probe, or a photo of your own: a file or its
        pixels.
    layers : regular expression, list of names or predicate of a `Node`, optional
        By default all layers of which there can be a picture.
    size : int
        Pixels of a picture's longer side, from 32 to 512.
    steps : int
        Of optimisation; more is sharper.
    seed : int
        Of the first noise.
    cossim_pow : float
        From 0 to 16: more makes the pictures purer and less strong.
    device : str
        What TensorFlow computes on, as for `--device`.
    progress : bool or callable
        Whether to show a bar, or a function of the share done and of what is being done.

    Returns
    -------
    Caricatures
        Its `sheet()` is what a notebook shows.

    Raises
    ------
    UnknownSnapshotError
        If there is no such snapshot.
    LayerSelectionError
        If no layer is chosen.
    NotRenderableError
        If the snapshot was logged without its frozen graph.
    ProbeError, PhotoError
        If the image is neither one of the probe nor a photo that can be decoded.
    RequestError, LimitError
        If an option has a value that it does not take, or there would be more than 256 pictures.
    """
    snapshot = opened(model)
    photo = named_photo(snapshot, image)
    request = {
        "kind": "caricatures",
        "snapshot": snapshot.id,
        "layers": None if layers is None else [*chosen_layers(snapshot, layers)],
        **photo.asked,
        **{"size": size, "steps": steps, "seed": seed, "cossim_pow": cossim_pow},
    }
    task = task_from_request(request, finder([snapshot]))
    with following(progress, "caricatures") as follow:
        drawn = draw_now(task, device, follow)
    return Caricatures(snapshot, photo.name, enlarged(photo.pixels, size), tuple(drawn))


def model_names(models: Sequence[Snapshot]) -> list[str]:
    """Names of snapshots that tell them apart: of runs where these differ, else their ids."""
    runs = [model.run for model in models]
    return runs if len(set(runs)) == len(runs) and "." not in runs else [m.id for m in models]

"""Pictures of directions, each beside the images of the probe that excite it most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tb_modelcompare.compare.best_photos import best_photos
from tb_modelcompare.compare.units import top_positions_along
from tb_modelcompare.errors import ActivationError
from tb_modelcompare.jobs.drawn import Drawn, Picture, draw_all
from tb_modelcompare.jobs.registry import task_from_request
from tb_modelcompare.log.direction import Direction
from tb_modelcompare.notebook.asking import Follow, asked, finder, following
from tb_modelcompare.notebook.on_sheet import OnSheet
from tb_modelcompare.notebook.pictures import PHOTOS
from tb_modelcompare.render.sheet import Cell, Row, Sheet
from tb_modelcompare.tensorflow_setup.device import DEFAULT_DEVICE


@dataclass(frozen=True, eq=False, repr=False)
class Pictures(OnSheet):
    """Directions drawn.

    Attributes
    ----------
    directions : tuple of Direction
    drawn : tuple of Drawn
        One for each direction: the `picture`, and an `item` with the share of the probe's images
        that it exceeds along the direction (`stronger_than`).
    images : tuple of tuple of (str, array (height, width, 3) uint8)
        For each direction the images of the probe that excite it most, with their captions.
    """

    directions: tuple[Direction, ...]
    drawn: tuple[Drawn, ...]
    images: tuple[tuple[tuple[str, Picture], ...], ...]

    def sheet(self, *, images: bool = True) -> Sheet:
        """A row for each direction: its picture, and the images that excite it most.

        Parameters
        ----------
        images : bool
            Without images, all pictures are in one row. Leave them out of what you publish if you
            may not publish the images.

        Returns
        -------
        Sheet
            Shown by a notebook; ``.save("sheet.html")`` and ``.save("sheet.png")`` write files.
        """
        cells = [
            Cell((direction.name, *_strength(one)), one.picture, f"{one.item.snapshot} {_of(one)}")
            for direction, one in zip(self.directions, self.drawn, strict=True)
        ]
        names = list(dict.fromkeys(direction.snapshot.id for direction in self.directions))
        title = f"{len(cells)} directions of {', '.join(names)}"
        if not images:
            return Sheet(title, (Row("", tuple(cells)),))
        rows = [
            Row(direction.name, (cell, *(Cell(tuple(t.split("\n")), photo) for t, photo in photos)))
            for direction, cell, photos in zip(self.directions, cells, self.images, strict=True)
        ]
        return Sheet(title, tuple(rows))


def _strength(one: Drawn) -> tuple[str, ...]:
    share = one.item.stronger_than
    return () if share is None else (f"stronger than {share:.0%}",)


def _of(one: Drawn) -> str:
    return one.item.problem or one.item.layer


def draw(
    directions: Direction | Sequence[Direction],
    *,
    size: int | Literal["auto"] = 96,
    steps: int = 128,
    seed: int = 0,
    cossim_pow: float = 0.0,
    device: str = DEFAULT_DEVICE,
    progress: bool | Follow = True,
) -> Pictures:
    """Draw units and other directions, each beside the images that excite it most.

    Pictures are drawn in a process of their own, and kept, as those of `analogies`. All of them
    begin with the same noise, so those of similar directions are alike.

    Parameters
    ----------
    directions : Direction or sequence of Direction
        Units, sums of units, the steps of ``unit.interpolate(other, 5)``, the
        ``unit.facets(3)``; of any layers and snapshots.
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
    Pictures
        Its `sheet()` is what a notebook shows.

    Raises
    ------
    ActivationError
        If something else than directions is given.
    NotRenderableError
        If a snapshot was logged without its frozen graph, or a layer has no picture.
    RequestError, LimitError
        If an option has a value that it does not take.
    """
    given = [directions] if isinstance(directions, Direction) else list(directions)
    wrong = [one for one in given if not isinstance(one, Direction)]
    if wrong or not given:
        raise ActivationError(
            f"{wrong[0] if wrong else given!r:.100} is no direction; give snapshot.unit(layer, "
            "number)"
        )
    find = finder([one.snapshot for one in given])
    options = {"size": size, "steps": steps, "seed": seed, "cossim_pow": cossim_pow}
    tasks = [task_from_request({**asked(one), "targets": [], **options}, find) for one in given]
    with following(progress, "pictures") as follow:
        drawn = [one for (one,) in draw_all(tasks, device, follow)]
    largest = max((len(one.picture) for one in drawn if one.picture is not None), default=96)
    # To open a probe is to check all of its pixels.
    probes = {
        one.id: one.probe() for one in {one.snapshot.id: one.snapshot for one in given}.values()
    }
    images = []
    for direction in given:
        probe = probes[direction.snapshot.id]
        top = top_positions_along(direction, probe, PHOTOS)
        images.append(tuple(best_photos(probe, top, size=largest)))
    return Pictures(tuple(given), tuple(drawn), tuple(images))

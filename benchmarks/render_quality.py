"""How strong pictures are among the photos: ours, lucid's and MaCo's after equal CPU time.

For each layer:unit of a logged snapshot, ours is drawn at a size, and then lucid's `render_vis` and
MaCo (`render_maco.py`) at the same size until they have taken the same CPU time. Each draws all
pictures in one job. The rank of a
picture is the share of the probe's images that it exceeds, and its strength is its activity over
the 99 % quantile of theirs. It is seen as `picture_activities` tells: at the size of the model's
input, and moved to four sides.

    python benchmarks/render_quality.py LOGDIR SNAPSHOT LAYER:UNIT [LAYER:UNIT …] --size 192
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from render import Clock, Point, lucid_render, say
from render_maco import maco_render, photo_magnitudes, stored_magnitudes

from tb_modelcompare.compare.strength import share_of_weaker_images
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.log.snapshot import Snapshot
from tb_modelcompare.render import (
    FrozenModel,
    contact_sheet,
    picture_activities,
    render_directions,
    warm_up,
)

PREVIEW = 16


def main() -> None:
    arguments = parse()
    snapshot = open_snapshot(arguments.logdir, arguments.snapshot)
    model = FrozenModel.from_snapshot(snapshot)
    names = [name.rsplit(":", 1) for name in arguments.units]
    directions = [(layer, np.eye(snapshot.layer(layer).units)[int(unit)]) for layer, unit in names]
    warm_up()

    preview, ours = our_render(model, directions, arguments)
    say(f"ours: previews after {preview:.1f} s of CPU, done after {ours.cpu:.1f} s")
    # A few steps tell what one takes, and how much comes before. The first ones are slower.
    _, begun, later = lucid_render(model, directions, arguments.size, (1, PREVIEW, 3 * PREVIEW))
    step = (later.cpu - begun.cpu) / (2 * PREVIEW)
    count = max(2, PREVIEW + round((ours.cpu - begun.cpu) / step))
    *_, theirs = lucid_render(model, directions, arguments.size, (1, count))
    say(f"lucid: {count} steps in {theirs.cpu:.1f} s of CPU")

    maco = maco_pictures(model, snapshot, directions, ours.cpu, arguments)

    sets = {"ours": ours.pictures, "lucid": theirs.pictures, "MaCo": maco}
    pictures = [np.rint(one).astype(np.uint8) for batch in sets.values() for one in batch]
    found = picture_activities(model, directions * len(sets), pictures).reshape(len(sets), -1)
    measures = {
        who: [
            measured(snapshot, *along, value)
            for along, value in zip(directions, values, strict=True)
        ]
        for who, values in zip(sets, found, strict=True)
    }
    say(f"{'rank, strength':40s}" + "".join(f"{who:>16s}" for who in sets))
    for i, name in enumerate(arguments.units):
        line(name, [values[i] for values in measures.values()])
    line("mean", [np.mean(values, axis=0) for values in measures.values()])
    arguments.out.mkdir(parents=True, exist_ok=True)
    sheet = contact_sheet(
        pictures, [*arguments.units] * len(sets), columns=len(directions), rows=[*sets]
    )
    sheet.save(arguments.out / f"{arguments.snapshot.replace('/', '-')}.png")


def line(name: str, values: Sequence[tuple[float, float]]) -> None:
    say(f"{name:40s}" + "".join(f"{rank:8.1%} {strength:7.2f}" for rank, strength in values))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("logdir")
    parser.add_argument("snapshot")
    parser.add_argument("units", nargs="+", metavar="LAYER:UNIT")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--steps", type=int, default=128)
    parser.add_argument("--crops", type=int, default=4, help="of a picture in a step of MaCo")
    parser.add_argument(
        "--spectrum", type=Path, help="MaCo's magnitudes, a file of xplique (default: the probe's)"
    )
    parser.add_argument("--out", type=Path, default=Path("render-benchmark"))
    return parser.parse_args()


def our_render(
    model: FrozenModel, directions: list[tuple[str, np.ndarray]], arguments: argparse.Namespace
) -> tuple[float, Point]:
    """CPU seconds until every picture had a preview, and the pictures."""
    clock = Clock()
    previews: list[float] = []

    def on_images(step: int, images: dict[int, np.ndarray]) -> None:
        if step == PREVIEW:
            previews.append(clock.seconds()[1])

    pictures = render_directions(
        model,
        directions,
        size=arguments.size,
        steps=arguments.steps,
        preview_steps=(PREVIEW,),
        on_images=on_images,
    )
    return previews[-1], Point(arguments.steps, *clock.seconds(), pictures)


def maco_pictures(
    model: FrozenModel,
    snapshot: Snapshot,
    directions: list[tuple[str, np.ndarray]],
    seconds: float,
    arguments: argparse.Namespace,
) -> np.ndarray:
    """MaCo's pictures after about so many CPU seconds."""
    if arguments.spectrum is None:
        magnitudes = photo_magnitudes(snapshot.probe().images, arguments.size)
    else:
        magnitudes = stored_magnitudes(arguments.spectrum, arguments.size)
    times: list[float] = []

    def render(steps: int) -> np.ndarray:
        clock = Clock()
        times.clear()
        return maco_render(
            model,
            directions,
            magnitudes,
            arguments.size,
            steps,
            arguments.crops,
            on_step=lambda _: times.append(clock.seconds()[1]),
        )

    # Crops shrink from the first step to the last, so how many there are is found out before.
    render(PREVIEW // 2)
    step = (times[-1] - times[0]) / (len(times) - 1)
    steps = max(2, 1 + round((seconds - times[0]) / step))
    pictures = render(steps)
    say(f"MaCo: {steps} steps of {arguments.crops} crops in {times[-1]:.1f} s of CPU")
    return pictures


def measured(
    snapshot: Snapshot, layer: str, direction: np.ndarray, activity: float
) -> tuple[float, float]:
    """The rank of a picture, and its strength."""
    rank = share_of_weaker_images(snapshot, layer, direction, activity)
    along = snapshot.activations(layer) @ direction
    image = snapshot.image_of_row()
    means = np.bincount(image, along) / np.bincount(image)
    return rank, float(activity / np.quantile(means, 0.99))


if __name__ == "__main__":
    main()

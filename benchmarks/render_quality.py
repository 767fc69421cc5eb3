"""How strong pictures are among the photos, ours beside lucid's after equal CPU time.

For each layer:unit of a logged snapshot, ours is drawn at a size, and then lucid's `render_vis` at
the same size until it has taken the same CPU time. Both are drawn in one job each. The rank of a
picture is the share of the probe's images that it exceeds, and its strength is its activity over
the 99 % quantile of theirs. It is seen as `picture_activities` tells: at the size of the model's
input, and moved to four sides.

    python benchmarks/render_quality.py LOGDIR SNAPSHOT LAYER:UNIT [LAYER:UNIT …] --size 192
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np
from render import Clock, Point, lucid_render, say

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
    # A few steps tell what one takes, and how much comes before.
    begun, later = lucid_render(model, directions, arguments.size, (1, PREVIEW))
    step = (later.cpu - begun.cpu) / (PREVIEW - 1)
    count = max(2, round((ours.cpu - begun.cpu) / step))
    *_, theirs = lucid_render(model, directions, arguments.size, (1, count))
    say(f"lucid: {count} steps in {theirs.cpu:.1f} s of CPU")

    pictures = [*ours.pictures, *np.rint(theirs.pictures).astype(np.uint8)]
    found = picture_activities(model, [*directions, *directions], pictures)
    say(f"{'':40s} rank: ours  lucid   strength: ours  lucid")
    both = [measured(snapshot, *along, found[i]) for i, along in enumerate([*directions] * 2)]
    for name, own, other in zip(arguments.units, both, both[len(directions) :], strict=False):
        say(f"{name:40s}      {own[0]:5.1%} {other[0]:6.1%}          {own[1]:6.2f} {other[1]:6.2f}")
    for who, values in (("ours", both[: len(directions)]), ("lucid", both[len(directions) :])):
        ranks, strengths = np.transpose(values)
        say(f"mean of {who}: rank {ranks.mean():.1%}, strength {strengths.mean():.2f}")
    arguments.out.mkdir(parents=True, exist_ok=True)
    sheet = contact_sheet(
        pictures, [*arguments.units] * 2, columns=len(directions), rows=["ours", "lucid"]
    )
    sheet.save(arguments.out / f"{arguments.snapshot.replace('/', '-')}.png")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("logdir")
    parser.add_argument("snapshot")
    parser.add_argument("units", nargs="+", metavar="LAYER:UNIT")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--steps", type=int, default=128)
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

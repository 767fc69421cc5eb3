"""Our renders against lucid's own `render_vis`: time to an equal objective value.

The job is that of lucid's notebook on neuron analogies: one unit of GoogLeNet, its predicted
directions in twelve layers, 96 px, 512 steps. lucid runs unmodified, through the same import
hook, in the same process, on the same frozen graph, one after the other. The objective is
measured on finished pictures, shown to the network clean: the mean of the activations along
the direction, per layer relative to what lucid reaches in the end, averaged over layers.

    python benchmarks/render.py MODEL.keras --photos DIRECTORY --out DIRECTORY
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from tb_modelcompare.analogy.directions import predict_direction
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.log.writer import SummaryWriter
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.render import FrozenModel, contact_sheet, render_directions
from tb_modelcompare.render.frozen import pruned_graph
from tb_modelcompare.render.lucid_bridge import load_lucid

LAYERS = r"^(conv1_7x7_s2|conv2_3x3_reduce|conv2_3x3|inception_[345][a-e])$"
THRESHOLDS = (16, 32, 64, 96, 128, 192, 256, 320, 384, 448, 512)

Directions = list[tuple[str, np.ndarray]]
Curve = list[tuple[int, float, float, np.ndarray]]  # step, wall and processor seconds, pictures


def main() -> None:
    arguments = parse()
    model, directions = prepare(arguments)
    thresholds = [step for step in THRESHOLDS if step <= arguments.steps]
    value = objective(model, directions, arguments.size)
    theirs = lucid_render(model, directions, arguments.size, thresholds)
    ours = our_render(model, directions, arguments.size, thresholds)
    goal = value(theirs[-1][3])

    print(f"{len(directions)} layers, {arguments.size} px; objective relative to lucid's last")
    print("        |        lucid render_vis       |             ours")
    print("   step |  wall s  cpu s  objective     |  wall s  cpu s  objective   worst layer")
    for (step, wall, cpu, images), (_, our_wall, our_cpu, our_images) in zip(
        theirs, ours, strict=True
    ):
        relative = value(our_images) / goal
        print(
            f"  {step:5d} | {wall:7.1f} {cpu:6.1f}  {np.mean(value(images) / goal):9.3f}     "
            f"| {our_wall:7.1f} {our_cpu:6.1f}  {relative.mean():9.3f}   {relative.min():9.3f}"
        )
    report("in all, the same number of steps", theirs[-1], ours[-1])
    for what, summary in (("mean of layers", np.mean), ("every layer", np.min)):
        equal = [point for point in ours if summary(value(point[3]) / goal) >= 1]
        if equal:
            to = f"to lucid's last objective, {what} (ours at step {equal[0][0]})"
            report(to, theirs[-1], equal[0])
        else:
            print(f"lucid's last objective, {what}, was not reached")
    save(arguments.out, directions, theirs, ours)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=Path, help="a GoogLeNet as .keras")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300, help="photos to regress on")
    parser.add_argument("--unit", default="inception_4d:484")
    parser.add_argument("--layers", default=LAYERS)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--steps", type=int, default=512)
    parser.add_argument("--out", type=Path, default=Path("render-benchmark"))
    return parser.parse_args()


def prepare(arguments: argparse.Namespace) -> tuple[FrozenModel, Directions]:
    """The model as a log directory holds it, and its unit's predicted directions."""
    import keras

    source, unit = arguments.unit.split(":")
    probe = Probe.from_directory(arguments.photos, limit=arguments.count)
    log = Path(tempfile.mkdtemp(prefix="render-benchmark-")) / "run"
    with SummaryWriter(log, probe) as writer:
        writer.add_model(
            "googlenet",
            keras.models.load_model(arguments.model),
            preprocessing=Preprocessing.caffe(mean=(104.0, 117.0, 123.0)),
            layers=arguments.layers,
        )
    snapshot = open_snapshot(log.parent, "run")
    rows = {name: np.asarray(a) for name, a in snapshot.all_activations().items()}
    one_hot = np.eye(rows[source].shape[1])[int(unit)]
    directions = []
    for layer, activations in rows.items():
        vector = predict_direction(rows[source], activations, one_hot)
        vector = one_hot if re.fullmatch(layer, source) else vector
        directions.append((layer, vector / np.linalg.norm(vector)))
    return FrozenModel.from_snapshot(snapshot), directions


def objective(
    model: FrozenModel, directions: Directions, size: int
) -> Callable[[np.ndarray], np.ndarray]:
    """From pictures (n, size, size, 3) in [0, 255] to the mean along each one's direction."""
    import tensorflow

    tf = tensorflow.compat.v1
    layers = [layer for layer, _ in directions]
    graph = tf.Graph()
    with graph.as_default():
        images = tf.placeholder(tf.float32, (None, size, size, 3))
        graph_def = pruned_graph(model, layers, tf.GraphDef)
        tensors = [f"{model.tensor(layer)}:0" for layer in layers]
        outputs = tf.import_graph_def(graph_def, {model.input: images}, tensors)
        means = [tf.reduce_mean(output[i], (0, 1)) for i, output in enumerate(outputs)]
    session = tf.Session(graph=graph)

    def measure(pictures: np.ndarray) -> np.ndarray:
        prepared = model.preprocessing.apply(pictures.astype(np.float32) / 255)
        found = session.run(means, {images: prepared})
        return np.array([m @ v for m, (_, v) in zip(found, directions, strict=True)])

    return measure


def lucid_render(
    model: FrozenModel, directions: Directions, size: int, thresholds: list[int]
) -> Curve:
    """lucid's `render_vis` as it is; its time at a step is its share of the whole."""
    import tensorflow

    lucid = load_lucid()
    preprocessing = model.preprocessing.for_channels(3)
    offset, scale = np.float32(preprocessing.offset), np.float32(preprocessing.scale)

    class GoogLeNet(lucid.vision_base.Model):  # type: ignore[misc, name-defined]
        input_name = model.input
        image_value_range = (offset, offset + scale)
        is_BGR = preprocessing.bgr  # noqa: N815 (lucid's name)
        graph_def = tensorflow.compat.v1.GraphDef.FromString(model.path.read_bytes())

    parts = [
        lucid.objectives.direction(model.tensor(layer), np.asarray(vector, np.float32), batch=i)
        for i, (layer, vector) in enumerate(directions)
    ]
    # render_vis counts from 0 and snapshots after the update.
    at = [step - 1 for step in thresholds]
    np.random.seed(0)
    clock, processor = time.perf_counter(), time.process_time()
    images = lucid.render.render_vis(
        GoogLeNet(),
        lucid.objectives.Objective.sum(parts),
        lambda: lucid.param.image(size, batch=len(directions)),
        thresholds=at,
        verbose=False,
    )
    wall, cpu = time.perf_counter() - clock, time.process_time() - processor
    return [
        (step, wall * step / thresholds[-1], cpu * step / thresholds[-1], batch * 255)
        for step, batch in zip(thresholds, images, strict=True)
    ]


def our_render(
    model: FrozenModel, directions: Directions, size: int, thresholds: list[int]
) -> Curve:
    found: dict[int, tuple[int, float, float, np.ndarray]] = {}
    latest = np.zeros((len(directions), size, size, 3), np.uint8)
    clock, processor = time.perf_counter(), time.process_time()

    def keep(step: int, images: dict[int, np.ndarray]) -> None:  # once per batch of layers
        wall, cpu = time.perf_counter() - clock, time.process_time() - processor
        latest[list(images)] = list(images.values())
        found[step] = (step, wall, cpu, latest.copy())

    render_directions(
        model,
        directions,
        size=size,
        steps=thresholds[-1],
        preview_steps=thresholds,
        on_images=keep,
    )
    return list(found.values())


def report(what: str, theirs: Any, ours: Any) -> None:
    print(
        f"{what}: {theirs[1] / ours[1]:.2f} times faster by the clock, "
        f"{theirs[2] / ours[2]:.2f} times less processor time"
    )


def save(out: Path, directions: Directions, theirs: Curve, ours: Curve) -> None:
    """Both strips on one sheet: a row per threshold, lucid's above ours."""
    out.mkdir(parents=True, exist_ok=True)
    images, rows = [], []
    for (step, *_, lucids), (*_, own) in zip(theirs, ours, strict=True):
        images += [*np.rint(lucids).astype(np.uint8), *own]
        rows += [f"lucid {step}", f"ours {step}"]
    labels = [layer for layer, _ in directions] * len(rows)
    sheet = contact_sheet(images, labels, columns=len(directions), rows=rows)
    sheet.save(out / "strips.png")
    print(f"strips: {out / 'strips.png'}")


if __name__ == "__main__":
    main()

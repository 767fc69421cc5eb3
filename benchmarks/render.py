"""Our renders against lucid's own `render_vis`: time to an equal objective value.

The job is that of lucid's notebook on neuron analogies: one unit of GoogLeNet and its predicted
directions in other layers, at 96 px. lucid runs unmodified, through the same import hook, in the
same process, on the same frozen graph, for its 512 steps. Then ours runs. The objective is
measured on finished pictures, shown to the network clean: the mean of the activations along the
direction. For each layer the benchmark tells when ours has reached what lucid reaches in the end.
All layers of a job are optimised side by side, so the time of a layer is that of the job until
then.

Pictures begin at random, and how much of the objective they get varies. So each side draws several
times. The aim of a layer is the mean of what lucid's pictures reach, and the time of ours is the
mean of the times at which they have it.

By default these are four layers and three seeds, which takes some six minutes of CPU time. With
`--full` they are the twelve layers of the notebook. CPU seconds are those of this process with all
its threads. They hardly change with what else the machine does, as seconds by the clock do. Most
stable are those of one thread:

    OMP_NUM_THREADS=1 TF_NUM_INTRAOP_THREADS=1 TF_NUM_INTEROP_THREADS=1 \
        python benchmarks/render.py MODEL.keras --photos DIRECTORY [--full] [--seeds 3]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from tb_modelcompare.analogy.directions import predict_direction
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.log.writer import SummaryWriter
from tb_modelcompare.probe.preprocessing import Preprocessing
from tb_modelcompare.probe.probe import Probe
from tb_modelcompare.render import (
    FrozenModel,
    RenderCancelled,
    contact_sheet,
    render_directions,
    warm_up,
)
from tb_modelcompare.render.frozen import pruned_graph
from tb_modelcompare.render.loop import forget_programs
from tb_modelcompare.render.lucid_bridge import load_lucid

FOUR_LAYERS = r"^(conv2_3x3|inception_(3b|4d|5a))$"
ALL_LAYERS = r"^(conv1_7x7_s2|conv2_3x3_reduce|conv2_3x3|inception_[345][a-e])$"
SOURCE, UNIT = "inception_4d", 484
SIZE = 96
LUCID_STEPS = 512
# Ours is looked at after so many steps, and ends when every layer has what lucid reached.
LOOKS = (*range(16, 257, 16), 320, 384, 448, 512)

Directions = Sequence[tuple[str, np.ndarray]]
Measure = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Point:
    """Pictures (layers, height, width, 3) in [0, 255] after so many steps, and seconds."""

    step: int
    wall: float
    cpu: float
    pictures: np.ndarray


def main() -> None:
    arguments = parse()
    model, directions = prepare(arguments)
    layers = [layer for layer, _ in directions]
    measure = objective(model, directions)

    warm_up()
    looks = (1, LUCID_STEPS)
    theirs = [lucid_render(model, directions, SIZE, looks, k) for k in range(arguments.seeds)]
    finals = np.array([measure(last.pictures) for _, last in theirs])
    goal = finals.mean(0)
    spread = finals.std(0) / goal
    ours = [our_render(model, directions, goal, measure, k) for k in range(arguments.seeds)]

    lucid = mean_seconds([last for _, last in theirs])
    say(f"\nlucid: {LUCID_STEPS} steps in {lucid[1]:.1f} s of CPU, {lucid[0]:.1f} s of wall")
    begun = [mean_seconds(first)[1] for first in ([one for one, _ in theirs], [o[0] for o in ours])]
    say(f"up to the first step, of this: lucid {begun[0]:.1f} s of CPU, ours {begun[1]:.1f} s")
    say("lucid's objective varies between its seeds by " + ", ".join(map("{:.0%}".format, spread)))
    say(f"ours has it, mean of {len(ours)} seeds   steps    CPU  clock   less CPU   by the clock")
    ratios = []
    for layer in layers:
        points = [reached[layer] for _, reached, _ in ours if layer in reached]
        if len(points) < len(ours):
            say(f"  {layer:30s} not reached by {len(ours) - len(points)} seeds")
            continue
        wall, cpu = mean_seconds(points)
        step = np.mean([point.step for point in points])
        ratios.append((lucid[1] / cpu, lucid[0] / wall))
        say(
            f"  {layer:30s} {step:5.0f} {cpu:5.1f}s {wall:5.1f}s    "
            f"{ratios[-1][0]:5.1f} × {ratios[-1][1]:7.1f} ×"
        )
    if len(ratios) == len(layers):
        for what, values in zip(("CPU", "time by the clock"), np.transpose(ratios), strict=True):
            say(f"less {what}: {values.mean():.1f} × in the mean, {min(values):.1f} × at worst")
    save(arguments.out, layers, theirs[0][1], ours[0][2])


def mean_seconds(points: Sequence[Point]) -> tuple[float, float]:
    """Of wall and of CPU."""
    wall, cpu = np.mean([(point.wall, point.cpu) for point in points], axis=0).tolist()
    return wall, cpu


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", type=Path, help="a GoogLeNet as .keras")
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100, help="photos to regress on")
    parser.add_argument("--full", action="store_true", help="twelve layers instead of four")
    parser.add_argument("--seeds", type=int, default=3, help="pictures of each layer, of each side")
    parser.add_argument("--out", type=Path, default=Path("render-benchmark"))
    return parser.parse_args()


def prepare(arguments: argparse.Namespace) -> tuple[FrozenModel, Directions]:
    """The model as a log directory holds it, and its unit's predicted directions."""
    import keras

    say(f"logging the model on {arguments.count} photos")
    probe = Probe.from_directory(arguments.photos, limit=arguments.count)
    log = Path(tempfile.mkdtemp(prefix="render-benchmark-")) / "run"
    with SummaryWriter(log, probe) as writer:
        writer.add_model(
            "googlenet",
            keras.models.load_model(arguments.model),
            preprocessing=Preprocessing.caffe(mean=(104.0, 117.0, 123.0)),
            layers=ALL_LAYERS if arguments.full else FOUR_LAYERS,
        )
    snapshot = open_snapshot(log.parent, "run")
    rows = {name: np.asarray(a) for name, a in snapshot.all_activations().items()}
    one_hot = np.eye(rows[SOURCE].shape[1])[UNIT]
    directions = []
    for layer, activations in rows.items():
        vector = predict_direction(rows[SOURCE], activations, one_hot)
        vector = one_hot if re.fullmatch(layer, SOURCE) else vector
        directions.append((layer, vector / np.linalg.norm(vector)))
    return FrozenModel.from_snapshot(snapshot), directions


def objective(model: FrozenModel, directions: Directions) -> Measure:
    """From pictures (n, size, size, 3) in [0, 255] to the mean along each one's direction."""
    import tensorflow

    tf = tensorflow.compat.v1
    layers = [layer for layer, _ in directions]
    graph = tf.Graph()
    with graph.as_default():
        images = tf.placeholder(tf.float32, (None, SIZE, SIZE, 3))
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


class Clock:
    """Seconds of wall and of CPU since it was made, without those of what is taken out."""

    def __init__(self) -> None:
        self._start = self._now()

    @staticmethod
    def _now() -> np.ndarray:
        return np.array([time.perf_counter(), time.process_time()])

    def seconds(self) -> tuple[float, float]:
        wall, cpu = (self._now() - self._start).tolist()
        return wall, cpu

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        before = self._now()
        yield
        self._start += self._now() - before


class Thresholds(tuple[int, ...]):
    """lucid's thresholds, which it looks into after each step: that is when time is read."""

    clock: Clock
    seconds: dict[int, tuple[float, float]]

    def __contains__(self, i: object) -> bool:
        if not super().__contains__(i):
            return False
        seconds = self.seconds[self.index(i)] = self.clock.seconds()
        say(f"lucid: step {self[self.index(i)] + 1} of {self[-1] + 1}, {seconds[1]:.0f} s of CPU")
        return True


def lucid_render(
    model: FrozenModel, directions: Directions, size: int, steps: Sequence[int], seed: int = 0
) -> list[Point]:
    """lucid's `render_vis` as it is: pictures and seconds after each of `steps`."""
    import tensorflow

    lucid = load_lucid()
    preprocessing = model.preprocessing.for_channels(3)
    offset, scale = np.array([preprocessing.offset, preprocessing.scale], np.float32)

    class Subject(lucid.vision_base.Model):  # type: ignore[misc, name-defined]
        input_name = model.input
        image_value_range = (offset, offset + scale)
        is_BGR = preprocessing.bgr  # noqa: N815 (lucid's name)
        graph_def = tensorflow.compat.v1.GraphDef.FromString(model.path.read_bytes())

    parts = [
        lucid.objectives.direction(model.tensor(layer), np.asarray(vector, np.float32), batch=i)
        for i, (layer, vector) in enumerate(directions)
    ]
    np.random.seed(seed)
    thresholds = Thresholds(step - 1 for step in steps)  # lucid counts from 0
    thresholds.clock, thresholds.seconds = Clock(), {}
    images = lucid.render.render_vis(
        Subject(),
        lucid.objectives.Objective.sum(parts),
        lambda: lucid.param.image(size, batch=len(directions)),
        thresholds=thresholds,
        verbose=False,
    )
    return [
        Point(step, *thresholds.seconds[k], batch * 255)
        for k, (step, batch) in enumerate(zip(steps, images, strict=True))
    ]


def our_render(
    model: FrozenModel, directions: Directions, goal: np.ndarray, measure: Measure, seed: int
) -> tuple[Point, dict[str, Point], Point]:
    """The first step, the look at which each layer had reached its goal, and the last one."""
    latest = np.zeros((len(directions), SIZE, SIZE, 3), np.uint8)
    forget_programs()  # lucid begins anew for each seed as well
    clock = Clock()
    first: list[Point] = []
    reached: dict[str, Point] = {}
    last = Point(0, 0.0, 0.0, latest)

    def on_step(done: int, total: int) -> None:
        if not first:
            first.append(Point(1, *clock.seconds(), latest))

    def on_images(step: int, images: dict[int, np.ndarray]) -> None:  # of a batch of layers
        nonlocal last
        last = Point(step, *clock.seconds(), latest)
        with clock.stopped():
            latest[list(images)] = list(images.values())
            share = measure(latest) / goal
            for i in images:
                if share[i] >= 1 and directions[i][0] not in reached:
                    reached[directions[i][0]] = last
                    say(f"ours: {directions[i][0]} has lucid's objective after {step} steps")
            say(
                f"ours: step {step}, {last.cpu:.0f} s of CPU, objective / lucid's: "
                + " ".join(f"{directions[i][0]} {share[i]:.2f}" for i in images)
            )

    with contextlib.suppress(RenderCancelled):
        render_directions(
            model,
            directions,
            size=SIZE,
            steps=LOOKS[-1],
            seed=seed,
            preview_steps=LOOKS,
            on_step=on_step,
            on_images=on_images,
            cancelled=lambda: len(reached) == len(directions),
        )
    return first[0], reached, last


def say(what: str) -> None:
    print(what, flush=True)


def save(out: Path, layers: Sequence[str], theirs: Point, ours: Point) -> None:
    """lucid's last pictures above ours, when these have as much of the objective."""
    out.mkdir(parents=True, exist_ok=True)
    images = [*np.rint(theirs.pictures).astype(np.uint8), *ours.pictures]
    rows = [f"lucid {theirs.step}", f"ours {ours.step}"]
    sheet = contact_sheet(images, [*layers, *layers], columns=len(layers), rows=rows)
    sheet.save(out / "strips.png")
    say(f"pictures: {out / 'strips.png'}")


if __name__ == "__main__":
    main()

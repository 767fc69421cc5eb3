"""Pairs of models to take pictures of: what is logged for each, and what of it is looked at.

Real models and photos are looked for where TB_MODELCOMPARE_SHARED says, or in `../shared/data`
beside the checkout.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from live_tab import ROOT

LAST = 400  # step of the demo's networks
SEEDS = (f"seed0/seed0@{LAST}", f"seed1/seed1@{LAST}")
OWN = "By hand"
REPORT = "report.html"
TRAINED, TRAINED_STEPS = ("mobile", "seed0"), 400
CONVERGENCE = ROOT / "benchmarks" / "convergence.py"
BLOCKS = 12  # of a ViT
HEADS, WIDTH = 3, 192  # those of ViT-Tiny: pictures of ViT-Base would take four times as long


@dataclass(frozen=True)
class Pair:
    """Two models to take pictures of."""

    name: str
    log: Callable[[Path], None]
    """Writes what is not there yet into a log directory."""
    subject: Mapping[str, Any] = field(default_factory=dict)
    """What is looked at."""
    at: str = "url"
    """Which address of the subject it is at."""
    real: bool = False
    """Whether it needs real models and photos."""


def shared() -> Path:
    """Where real models and photos are, if there are any."""
    default = ROOT.parent / "shared" / "data"
    return Path(os.environ.get("TB_MODELCOMPARE_SHARED", default))


def log_demo(logdir: Path) -> None:
    """The package's own demo: small trained networks."""
    _command("demo", "--logdir", str(logdir), "--no-serve")


def _command(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "tb_modelcompare", *arguments], check=True)


def log_with_alignment(logdir: Path) -> None:
    """The demo, and an alignment of one's own."""
    from tb_modelcompare import Probe, SummaryWriter

    log_demo(logdir)
    if (logdir / "by_hand").is_dir():
        return
    lines = {(name, name): 0.9 for name in ("conv1", "conv2", "mixed3a", "mixed4a", "logits")}
    with SummaryWriter(logdir / "by_hand", Probe.from_run(logdir / "seed0")) as writer:
        writer.add_alignment(OWN, *(f"{logdir}:{one}" for one in SEEDS), lines)


def log_single(logdir: Path) -> None:
    """One snapshot of the demo."""
    log_demo(logdir.parent / "demo")
    if not (logdir / "mobile").is_dir():
        shutil.copytree(logdir.parent / "demo" / "mobile", logdir / "mobile")


def log_report(logdir: Path) -> None:
    """A report on the demo with pictures of the layers in which branches meet."""
    demo = logdir.parent / "demo"
    log_demo(demo)
    if not (logdir / REPORT).is_file():
        layers = ("--layers", "^(conv[12]|mixed..|average)$")
        pictures = ("--pictures", "6", *layers, "--out", str(logdir / REPORT))
        _command("report", str(demo), "seed0", "seed1", *pictures)


def log_training(logdir: Path) -> None:
    """Two networks of the demo at many steps, as `benchmarks/convergence.py` logs them."""
    spec = importlib.util.spec_from_file_location("convergence", CONVERGENCE)
    assert spec is not None
    assert spec.loader is not None
    convergence = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(convergence)
    if not any(logdir.iterdir()):
        chosen = [one for one in convergence.NETWORKS if one[0] in TRAINED]
        convergence.log(logdir, TRAINED_STEPS, chosen)


def log_trained(logdir: Path, probe: Any = None) -> None:
    """GoogLeNet and MobileNetV2 on a probe, by default of forty photos."""
    import keras

    from tb_modelcompare import Preprocessing

    for run, file, scale in (
        ("googlenet", "googlenet_bvlc", Preprocessing.caffe((104, 117, 123))),
        ("mobilenet_v2", "mobilenet_v2_imagenet_slim", Preprocessing.tf()),
    ):
        path = shared() / "models" / f"{file}.keras"
        _add(
            logdir,
            run,
            lambda path=path: keras.models.load_model(path, compile=False),
            scale,
            probe,
        )


def log_random(logdir: Path) -> None:
    """ResNet-50 and a ViT of random weights on forty photos: names and widths are the point."""
    import keras

    from tb_modelcompare import Preprocessing

    keras.utils.set_random_seed(0)
    resnet = partial(keras.applications.ResNet50, weights=None)
    _add(logdir, "resnet50", resnet, Preprocessing.caffe())
    _add(logdir, "vit_tiny_patch16_224", vit, Preprocessing.tf())


def _add(logdir: Path, run: str, load: Callable[[], Any], scale: Any, probe: Any = None) -> None:
    """Log a model if it is not there yet."""
    from tb_modelcompare import Probe, SummaryWriter

    if (logdir / run).is_dir():
        return
    if probe is None:
        photos = shared() / "images" / "open_224"
        probe = Probe.from_directory(photos, size=224, limit=40, positions_per_image=4)
    with SummaryWriter(logdir / run, probe) as writer:
        writer.add_model(run, load(), preprocessing=scale)


def vit() -> Any:
    """A vision transformer with patches of 16 pixels, by the names of torchvision's."""
    import keras
    from keras import layers

    class Embedding(layers.Layer):
        """A class token before the patches, and where each stands."""

        def build(self, shape: Any) -> None:
            _, tokens, width = shape
            self.token = self.add_weight(shape=(1, 1, width), initializer="random_normal")
            self.places = self.add_weight(shape=(1, tokens + 1, width), initializer="random_normal")

        def call(self, x: Any) -> Any:
            first = keras.ops.broadcast_to(self.token, (keras.ops.shape(x)[0], 1, x.shape[-1]))
            return keras.ops.concatenate([first, x], axis=1) + self.places

    def block(number: int, tokens: int) -> Any:
        x = given = keras.Input((tokens, WIDTH))
        y = layers.LayerNormalization(epsilon=1e-6, name="ln_1")(x)
        y = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name="self_attention")(y, y)
        x = layers.Add(name="add_1")([x, y])
        y = layers.LayerNormalization(epsilon=1e-6, name="ln_2")(x)
        mlp = [
            layers.Dense(4 * WIDTH, activation="gelu", name="dense_0"),
            layers.Dense(WIDTH, name="dense_1"),
        ]
        y = keras.Sequential([keras.Input((tokens, WIDTH)), *mlp], name="mlp")(y)
        return keras.Model(given, layers.Add(name="add_2")([x, y]), name=f"encoder_block_{number}")

    x = image = keras.Input((224, 224, 3), name="image")
    x = layers.Conv2D(WIDTH, 16, strides=16, name="conv_proj")(x)
    x = layers.Reshape((-1, WIDTH), name="patches")(x)
    x = Embedding(name="embedding")(x)
    for number in range(BLOCKS):
        x = block(number, x.shape[1])(x)
    x = layers.LayerNormalization(epsilon=1e-6, name="encoder_ln")(x)
    x = layers.Lambda(lambda tokens: tokens[:, 0], name="class_token")(x)
    return keras.Model(image, layers.Dense(1000, name="heads_head")(x))


def look_at(logdir: Path) -> dict[str, Any]:
    """What of any log directory is looked at: two models' last steps, and layers halfway down."""
    from tb_modelcompare.log.reader import list_snapshots

    snapshots = list_snapshots(logdir).snapshots
    latest = {(one.run, one.name): one for one in snapshots}
    steps = Counter((one.run, one.name) for one in snapshots)
    most = sorted(latest, key=lambda model: -steps[model])
    a, b = latest[most[0]], latest[most[min(1, len(most) - 1)]]
    layers = [layer.name for layer in a.layers]
    ends = Counter(name[-3:] for name in layers)
    return {
        "a": a.id,
        "b": b.id,
        "layer": layers[len(layers) // 2],
        "partner": b.layers[len(b.layers) // 2].name,
        "word": ends.most_common(1)[0][0],
        "trained": (a.id, b.id),
    }


PAIRS = (
    Pair(
        "demo",
        log_with_alignment,
        {
            "a": SEEDS[0],
            "b": SEEDS[1],
            "layer": "mixed4a_3x3",
            "partner": "mixed4a_3x3",
            "word": "3x3",
            "trained": SEEDS,
            "third": f"mobile/mobile@{LAST}",
            "own": (OWN, *SEEDS),
        },
    ),
    Pair("single", log_single, at="single"),
    Pair("empty", lambda logdir: None, at="empty"),
    Pair(
        "report",
        log_report,
        {"a": SEEDS[0], "b": SEEDS[1]},
        at="report",
    ),
    Pair(
        "training",
        log_training,
        {"trained": tuple(f"{run}/{run}@{TRAINED_STEPS // 2}" for run in TRAINED)},
    ),
    Pair(
        "trained",
        log_trained,
        {
            "a": "googlenet/googlenet@0",
            "b": "mobilenet_v2/mobilenet_v2@0",
            "layer": "inception_4c",
            "partner": "expanded_conv_13_depthwise",
            "word": "3x3",
            "trained": ("googlenet/googlenet@0", "mobilenet_v2/mobilenet_v2@0"),
            "classifiers": False,
        },
        real=True,
    ),
    Pair(
        "random",
        log_random,
        {
            "a": "resnet50/resnet50@0",
            "b": "vit_tiny_patch16_224/vit_tiny_patch16_224@0",
            "layer": "conv4_block3_2_relu",
            "partner": "encoder_block_6/mlp/dense_1",
            "word": "2_relu",
            "trained": ("resnet50/resnet50@0", "vit_tiny_patch16_224/vit_tiny_patch16_224@0"),
        },
        real=True,
    ),
)

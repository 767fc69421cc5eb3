"""Pictures of every state of the tab: `./run screenshots OUT` runs this.

OUT gets a folder for each pair of models, and `logs/` with what was logged for them, which a later
run uses again. Real models and photos are looked for where TB_MODELCOMPARE_SHARED says, or in
`../shared/data` beside the checkout; without them only the other pairs are photographed.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from live_tab import ROOT, Board, Tab
from playwright.sync_api import Error, sync_playwright
from states import STATES, State, Subject, enter

THEMES = ("light", "dark")
SIZES = ((1024, 768), (1440, 900), (2560, 1440))


@dataclass(frozen=True)
class Pair:
    """Two models to photograph."""

    name: str
    log: Callable[[Path], None]
    """Writes what is not there yet into a log directory."""
    snapshots: int
    subject: dict[str, Any]


def log_demo(logdir: Path) -> None:
    """The package's own demo: small trained networks."""
    if (logdir / "tb_modelcompare_demo.json").is_file():
        return
    code = "from tb_modelcompare.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "demo", "--logdir", str(logdir), "--no-serve"]
    subprocess.run(command, check=True)


def shared() -> Path:
    """Where real models and photos are, if there are any."""
    default = ROOT.parent / "shared" / "data"
    return Path(os.environ.get("TB_MODELCOMPARE_SHARED", default))


def log_real(logdir: Path) -> None:
    """GoogLeNet and MobileNetV2 on forty photos."""
    import keras

    from tb_modelcompare import Preprocessing, Probe, SummaryWriter

    photos = shared() / "images" / "open_224"
    probe = Probe.from_directory(photos, size=224, limit=40, positions_per_image=4)
    for run, file, scale in (
        ("googlenet", "googlenet_bvlc", Preprocessing.caffe()),
        ("mobilenet_v2", "mobilenet_v2_imagenet_slim", Preprocessing.tf()),
    ):
        if (logdir / run).is_dir():
            continue
        model = keras.models.load_model(shared() / "models" / f"{file}.keras", compile=False)
        with SummaryWriter(logdir / run, probe) as writer:
            writer.add_model(run, model, preprocessing=scale)


def log_names(logdir: Path) -> None:
    """ResNet-50 of random weights, and ViT-B/16 by the names and widths of its layers alone."""
    import keras

    from tb_modelcompare import Preprocessing, Probe, SummaryWriter

    rng = np.random.default_rng(0)
    probe = Probe(rng.integers(0, 256, (24, 64, 64, 3), dtype=np.uint8), positions_per_image=4)
    if not (logdir / "resnet50").is_dir():
        model = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3))
        with SummaryWriter(logdir / "resnet50", probe) as writer:
            writer.add_model("resnet50", model, preprocessing=Preprocessing.caffe())
    run = "vit_base_patch16_224"
    if not (logdir / run).is_dir():
        base = rng.standard_normal((24 * 4, 16)).astype(np.float32)
        values = {
            name: np.maximum(base @ rng.standard_normal((16, units)), 0).astype(np.float32)
            for name, units in vit().items()
        }
        with SummaryWriter(logdir / run, probe) as writer:
            writer.add_activations(run, values)


def vit() -> dict[str, int]:
    """Layers of transformers' ViTModel (base, patches of 16), with their units."""
    layers = {"vit.embeddings.patch_embeddings.projection": 768, "vit.embeddings.dropout": 768}
    parts = {
        "layernorm_before": 768,
        "attention.attention.query": 768,
        "attention.attention.key": 768,
        "attention.attention.value": 768,
        "attention.output.dense": 768,
        "layernorm_after": 768,
        "intermediate.dense": 3072,
        "output.dense": 768,
    }
    for block in range(12):
        layers |= {f"vit.encoder.layer.{block}.{part}": units for part, units in parts.items()}
    return {**layers, "vit.layernorm": 768, "vit.pooler.dense": 768, "classifier": 1000}


PAIRS = (
    Pair(
        "demo",
        log_demo,
        3,
        {
            "a": "seed0/seed0@{last}",
            "b": "seed1/seed1@{last}",
            "layer": "mixed4a_3x3",
            "partner": "mixed4a_3x3",
            "word": "3x3",
            "trained": ("seed0/seed0@{last}", "seed1/seed1@{last}"),
        },
    ),
    Pair(
        "real",
        log_real,
        2,
        {
            "a": "googlenet/googlenet@0",
            "b": "mobilenet_v2/mobilenet_v2@0",
            "layer": "inception_4c",
            "partner": "expanded_conv_13_depthwise",
            "word": "3x3",
            "trained": ("googlenet/googlenet@0", "mobilenet_v2/mobilenet_v2@0"),
        },
    ),
    Pair(
        "names",
        log_names,
        2,
        {
            "a": "resnet50/resnet50@0",
            "b": "vit_base_patch16_224/vit_base_patch16_224@0",
            "layer": "conv4_block3_2_conv",
            "partner": "vit.encoder.layer.6.intermediate.dense",
            "word": "2_conv",
            "trained": (
                "resnet50/resnet50@0",
                "vit_base_patch16_224/vit_base_patch16_224@0",
            ),
        },
    ),
)


def photograph(browser: Any, subject: Subject, state: State, folder: Path) -> list[str]:
    """One state in both themes at every width; what the browser complained of."""
    complaints = []
    for theme in THEMES:
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        context.set_default_timeout(60_000)
        tab = Tab(context.new_page())
        # Set before the tab is there: what it draws on canvas is drawn once.
        tab.page.emulate_media(color_scheme=theme)
        address = f"{subject.url}?darkMode={str(theme == 'dark').lower()}"
        try:
            enter(tab, state, Subject(**{**vars(subject), "url": address}))
        except (Error, AssertionError) as problem:  # the other states are photographed all the same
            complaints.append(f"not reached: {str(problem).splitlines()[0]}")
        for width, height in SIZES:
            tab.page.set_viewport_size({"width": width, "height": height})
            tab.page.wait_for_timeout(900)
            tab.page.screenshot(path=folder / f"{state.name}-{theme}-{width}.png")
        complaints += tab.complaints
        context.close()
    return complaints


def main(arguments: Sequence[str] | None = None) -> int:
    """Photograph; 1 if a state was not reached or the browser complained."""
    parser = argparse.ArgumentParser(prog="./run screenshots", description=__doc__)
    parser.add_argument("out", type=Path, help="where pictures and logs go")
    parser.add_argument("--only", default="", help="states whose names match this expression")
    parser.add_argument("--pair", choices=[pair.name for pair in PAIRS], help="one pair alone")
    options = parser.parse_args(arguments)
    wrong = 0
    environ = {**os.environ, "TB_MODELCOMPARE_CACHE": str(options.out.resolve() / "cache")}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        for pair in PAIRS:
            if options.pair not in (None, pair.name):
                continue
            if pair.name == "real" and not (shared() / "models").is_dir():
                print(f"real: left out, as there are no models and photos in {shared()}")
                continue
            logdir, folder = options.out / "logs" / pair.name, options.out / pair.name
            folder.mkdir(parents=True, exist_ok=True)
            pair.log(logdir)
            board = Board(logdir, environ, folder / "tensorboard.log")
            try:
                board.wait("data/plugin/modelcompare/", pair.snapshots)
                subject = Subject(url=board.url, **chosen(pair, logdir))
                for state in STATES:
                    if not re.search(options.only, state.name):
                        continue
                    said = photograph(browser, subject, state, folder)
                    wrong += bool(said)
                    print(pair.name, state.name, *said, sep="  ", flush=True)
            finally:
                board.end()
    return int(wrong > 0)


def chosen(pair: Pair, logdir: Path) -> dict[str, Any]:
    """What of a pair is looked at, at its last step."""
    from tb_modelcompare.log.reader import list_snapshots

    last = max(snapshot.step for snapshot in list_snapshots(logdir).snapshots)
    return {
        key: tuple(one.format(last=last) for one in value)
        if isinstance(value, tuple)
        else value.format(last=last)
        for key, value in pair.subject.items()
    }


if __name__ == "__main__":
    raise SystemExit(main())

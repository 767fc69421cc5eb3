"""Do layers near the input settle first? The demo's networks, logged at many steps.

    python benchmarks/convergence.py LOGDIR [--steps 800]

Two seeds of the demo's Inception and one of its MobileNet are trained and logged (a directory
that holds them is used again); for each is printed when its layers froze, and the rank
correlation of that with depth. `tensorboard --logdir LOGDIR` shows them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from scipy.stats import spearmanr

from tb_modelcompare.log.reader import open_steps
from tb_modelcompare.training import freezing_steps, trend

NETWORKS = (("seed0", "inception", 0), ("seed1", "inception", 1), ("mobile", "mobile", 0))
TRAINING_WINDOWS, TEST_WINDOWS, PROBE_WINDOWS = 600, 60, 12  # per photograph


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("logdir", type=Path)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--threshold", type=float, default=0.9)
    arguments = parser.parse_args()
    if not arguments.logdir.exists():
        log(arguments.logdir, arguments.steps)
    for run, _, _ in NETWORKS:
        found = trend(open_steps(arguments.logdir, run))
        frozen = freezing_steps(found.values, found.steps, arguments.threshold)
        order = spearmanr(range(len(frozen)), frozen).statistic
        print(f"{run}: {len(found.steps)} steps, rank correlation {order:.2f}")
        for layer, step in zip(found.layers, frozen, strict=True):
            print(f"  {layer:24} {step}")


def log(root: Path, steps: int, chosen: Sequence[tuple[str, str, int]] = NETWORKS) -> None:
    import keras

    from tb_modelcompare import Preprocessing, Probe, SummaryWriter
    from tb_modelcompare.demo import networks
    from tb_modelcompare.demo.photographs import cut_windows, load_photographs
    from tb_modelcompare.demo.training import train

    photographs = load_photographs()
    training = cut_windows(photographs, TRAINING_WINDOWS, test=False)
    test = cut_windows(photographs, TEST_WINDOWS, test=True)
    shown = [i for i in range(len(test.names)) if i % TEST_WINDOWS < PROBE_WINDOWS]
    names = [test.names[i] for i in shown]
    probe = Probe(test.images[shown], positions_per_image=4, names=names)
    early = (0, 5, 10, 15, 20, 30, 40, 50, 60, 80)
    history = sorted({step for step in early if step < steps} | {*range(100, steps, 25), steps})
    for run, network, seed in chosen:
        keras.utils.set_random_seed(seed)
        model = getattr(networks, network)(keras)
        with SummaryWriter(root / run, probe) as writer:

            def snapshot(step: int, run: str = run, model=model, writer=writer) -> None:  # type: ignore[no-untyped-def]
                writer.add_model(
                    run,
                    model,
                    step=step,
                    preprocessing=Preprocessing.tf(),
                    layers=networks.compared_layers(model),
                    frozen=step in (0, steps),
                    progress=False,
                )

            train(
                model,
                training,
                steps=steps,
                seed=seed,
                snapshot_steps=history,
                on_snapshot=snapshot,
                on_step=lambda step, loss: None,
            )
        print(f"{run} is trained", flush=True)


if __name__ == "__main__":
    main()

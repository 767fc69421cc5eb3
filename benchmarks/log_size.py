"""What a training takes on the disk: one file a snapshot against one file a layer.

    python benchmarks/log_size.py [--snapshots 50] [--layers 30] [--rows 200] [--units 32]
    python benchmarks/log_size.py --compress LOGDIR

Random layers that all change from step to step, in float32 and in float16, and in float32 with
two thirds of the layers frozen as in fine-tuning. The first row is what versions before 3 of the
format wrote: `numpy.save` of each layer, and the layer graph.

The second form says how small zlib would make the layers of the snapshots of a log directory, and
how much CPU that takes beside writing and hashing them. By bytes means that the first bytes of all
values come first, then the second ones, and so on.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tb_modelcompare import Probe, Snapshot, SummaryWriter, list_snapshots
from tb_modelcompare.log.format import Dtype

Layers = dict[str, np.ndarray]


def layers_of(step: int, count: int, rows: int, units: int, frozen: int) -> Layers:
    """Activations at a step; the first `frozen` layers are the same at each."""
    return {
        f"layer{i}": np.random.default_rng((0 if i < frozen else step, i)).standard_normal(
            (rows, units), np.float32
        )
        for i in range(count)
    }


def measured(root: Path) -> tuple[int, int, int]:
    """Files, bytes that the disk spends on them, and bytes of event files."""
    files = [file for file in root.rglob("*") if file.is_file()]
    events = sum(file.stat().st_size for file in files if "tfevents" in file.name)
    return len(files), sum(file.stat().st_blocks * 512 for file in files), events


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("snapshots", 50), ("layers", 30), ("rows", 200), ("units", 32)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--compress", metavar="LOGDIR", type=Path)
    options = parser.parse_args()
    if options.compress is not None:
        for snapshot in list_snapshots(options.compress).snapshots:
            compress(snapshot)
        return
    steps, count = options.snapshots, options.layers
    sizes = (count, options.rows, options.units)
    probe = Probe(np.zeros((options.rows, 8, 8, 3), np.uint8))

    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        graph = b""
        cases: list[tuple[str, Dtype, int]] = [
            ("float32", "float32", 0),
            ("float16", "float16", 0),
            ("float32, 2/3 frozen", "float32", 2 * count // 3),
        ]
        for number, (name, dtype, frozen) in enumerate(cases):
            run = root / str(number)
            cpu = time.process_time()
            with SummaryWriter(run, probe) as writer:
                for step in range(steps):
                    layers = layers_of(step, *sizes, frozen)
                    writer.add_activations("net", layers, step, dtype=dtype)
            cpu = time.process_time() - cpu
            listed = list_snapshots(run).snapshots
            assert len(listed) == steps
            graph = (run / listed[0].graph_asset.path).read_bytes()
            report(name, run, cpu / steps)
        former = root / "former"
        for step in range(steps):
            folder = former / str(step)
            folder.mkdir(parents=True)
            for i, values in enumerate(layers_of(step, *sizes, 0).values()):
                np.save(folder / f"{i:04d}.npy", values)
            (folder / "graph.json").write_bytes(graph)
        report("a file a layer", former, None)


def by_bytes(values: np.ndarray) -> bytes:
    return values.reshape(-1).view(np.uint8).reshape(-1, values.itemsize).T.tobytes()


def compress(snapshot: Snapshot) -> None:
    layers = [np.array(snapshot.activations(name)) for name in snapshot.layer_names]
    size = sum(layer.nbytes for layer in layers)

    def cpu(work: Callable[[np.ndarray], bytes]) -> tuple[list[bytes], float]:
        start = time.process_time()
        made = [work(layer) for layer in layers]
        return made, (time.process_time() - start) * 1e9 / size

    def written(layer: np.ndarray) -> bytes:
        with tempfile.TemporaryFile() as stream:
            stream.write(layer.data)
        return hashlib.sha256(layer.data).digest()

    print(f"{snapshot.id}: {size / 1e6:.1f} MB, {cpu(written)[1]:.1f} s of CPU a GB to write")
    for name, prepared in (("as they are", np.ndarray.tobytes), ("by bytes", by_bytes)):
        parts, seconds = cpu(lambda layer, prepared=prepared: zlib.compress(prepared(layer), 1))
        start = time.process_time()
        for part in parts:
            zlib.decompress(part)
        back = (time.process_time() - start) * 1e9 / size
        share = sum(map(len, parts)) / size
        print(f"  zlib 1, {name}: {share:.2f} of it, {seconds:.1f} s a GB more, {back:.1f} to read")


def report(name: str, root: Path, seconds: float | None) -> None:
    files, size, events = measured(root)
    cpu = "" if seconds is None else f", {1000 * seconds:.0f} ms of CPU a snapshot"
    print(f"{name}: {files} files, {size / 1e6:.1f} MB, events {events / 1e6:.1f} MB{cpu}")


if __name__ == "__main__":
    main()

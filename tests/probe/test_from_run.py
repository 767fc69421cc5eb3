"""The probe of a former run, taken again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.errors import ProbeError
from tb_modelcompare.log.reader import open_snapshot
from tb_modelcompare.log.same_probe import require_same_probe


def test_it_is_the_same_probe(logdir: Path, probe: Probe) -> None:
    for place in (logdir, logdir / "a", str(logdir / "b")):  # of one run, or of all that share it
        again = Probe.from_run(place)
        assert again.id == probe.id
        assert again.names == probe.names
    with SummaryWriter(logdir / "c", again) as writer:
        writer.add_activations("net", {"a": np.ones((30, 2))})
    require_same_probe(open_snapshot(logdir, "a"), open_snapshot(logdir, "c"))


def test_arrays_are_taken_as_arrays(tmp_path: Path) -> None:
    tokens = np.random.default_rng(0).integers(0, 255, (4, 6, 3)).astype(np.uint8)
    texts = Probe.from_arrays(tokens, positions_per_item=2)
    with SummaryWriter(tmp_path, texts) as writer:
        writer.add_activations("net", {"a": np.ones((8, 2))})
    again = Probe.from_run(tmp_path)
    assert (again.id, again.is_of_images) == (texts.id, False)


def test_runs_of_two_probes_are_told_apart(logdir: Path, probe: Probe) -> None:
    other = Probe(probe.images[:5])
    with SummaryWriter(logdir / "c", other) as writer:
        writer.add_activations("net", {"a": np.ones((5, 2))})
    with pytest.raises(ProbeError, match=rf"2 probes: .*{other.id[:16]} in .*/c.*give one"):
        Probe.from_run(logdir)
    assert Probe.from_run(logdir / "c").id == other.id


@pytest.mark.parametrize("damage", ["altered", "cut", "pickle", "no json", "missing", "nested"])
def test_a_damaged_probe_is_refused(tmp_path: Path, probe: Probe, damage: str) -> None:
    with SummaryWriter(tmp_path, probe) as writer:
        writer.add_activations("net", {"a": np.ones((30, 2))})
    (folder,) = (tmp_path / "plugins/modelcompare/probes").iterdir()
    images, meta = folder / "images.npy", folder / "probe.json"
    content = bytearray(images.read_bytes())
    if damage == "altered":
        content[-1] ^= 1
        images.write_bytes(content)
    elif damage == "cut":
        images.write_bytes(content[:-100])
    elif damage == "pickle":
        np.save(images, np.array([{}], dtype=object), allow_pickle=True)
    elif damage == "no json":
        meta.write_text("[" * 100_000)
    elif damage == "missing":
        images.unlink()
    else:
        meta.write_text(json.dumps({**json.loads(meta.read_text()), "names": [["x"]] * 10}))
    with pytest.raises(ProbeError, match="probe in"):
        Probe.from_run(tmp_path)


def test_directories_without_a_probe_say_what_to_give(tmp_path: Path, probe: Probe) -> None:
    for place, complaint in ((tmp_path, "holds no probe"), (tmp_path / "no", "no directory")):
        with pytest.raises(ProbeError, match=complaint):
            Probe.from_run(place)
    with pytest.raises(ProbeError, match="give the directory"):
        Probe.from_run(7)  # type: ignore[arg-type]
    with SummaryWriter(tmp_path, probe) as writer:
        writer.add_activations("net", {"a": np.ones((30, 2))})
    (folder,) = (tmp_path / "plugins/modelcompare/probes").iterdir()
    shutil.copytree(folder, folder.with_name(".partial-7-x"))  # of a writer that was stopped
    assert Probe.from_run(tmp_path).id == probe.id

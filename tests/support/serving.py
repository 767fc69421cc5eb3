"""A log directory written by the real writer, and TensorBoard's real application over it."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from patience import HANG
from tensorboard.backend import application
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.plugins import base_plugin
from werkzeug.test import Client, TestResponse

from tb_modelcompare import Probe, SummaryWriter
from tb_modelcompare.server.plugin import ModelComparePlugin

PREFIX = "/data/plugin/modelcompare"
POST_HEADERS = {"X-Modelcompare": "1"}
HOSTILE_RUN = "<img src=x onerror=alert(1)>"
HOSTILE_LAYER = "../../../etc/passwd"


def activations(seed: int, widths: tuple[int, ...] = (8, 12, 6)) -> dict[str, np.ndarray]:
    """Layers of a small network on 60 rows; neighbours are related, the last is rectified."""
    rng = np.random.default_rng(seed)
    layers = {"conv1": rng.standard_normal((60, widths[0])).astype(np.float32)}
    for i, width in enumerate(widths[1:], start=2):
        before = layers[f"conv{i - 1}"]
        mixed = before @ rng.standard_normal((before.shape[1], width))
        layers[f"conv{i}"] = np.maximum(mixed, 0).astype(np.float32)
    return layers


def make_probe(seed: int = 0, count: int = 20) -> Probe:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, 16, 24, 3), dtype=np.uint8)
    names = [f"photo{i}.jpg" for i in range(count)]
    return Probe(pixels, positions_per_image=3, seed=seed, names=names)


def write_logs(root: Path) -> None:
    probe = make_probe()
    for run, seed in (("first", 1), ("second", 2)):
        with SummaryWriter(root / run, probe) as writer:
            writer.add_activations("net", activations(seed), step=0)
            writer.add_activations("net", activations(seed + 10), step=5)
    with SummaryWriter(root / "elsewhere", make_probe(seed=9)) as writer:
        writer.add_activations("net", activations(3), step=0)
    hostile = {HOSTILE_LAYER: activations(4)["conv1"], "sœur/été": activations(4)["conv2"]}
    with SummaryWriter(root / HOSTILE_RUN, probe) as writer:
        writer.add_activations('"><script>', hostile, step=0)


class Server:
    """TensorBoard's application with the plugin, and requests to it as the tab makes them."""

    def __init__(self, logdir: Path | str, path_prefix: str = "", **flags: Any) -> None:
        guidance = {"tensors": 0}
        self.multiplexer = plugin_event_multiplexer.EventMultiplexer(
            size_guidance=guidance, tensor_size_guidance={"modelcompare": 0}
        )
        self.multiplexer.AddRunsFromDirectory(str(logdir))
        self.multiplexer.Reload()
        provider = data_provider.MultiplexerDataProvider(self.multiplexer, str(logdir))
        names = {"host": None, "bind_all": False, "modelcompare_hosts": "", **flags}
        self.context = base_plugin.TBContext(
            data_provider=provider,
            flags=argparse.Namespace(**names),
            logdir=str(logdir),
            multiplexer=self.multiplexer,
        )
        self.plugin = ModelComparePlugin(self.context)
        app = application.TensorBoardWSGI(
            [self.plugin], path_prefix=path_prefix, data_provider=provider
        )
        self.client = Client(app)
        self.prefix = path_prefix + PREFIX

    def get(self, route: str, headers: dict[str, str] | None = None, **query: Any) -> TestResponse:
        return self.client.get(f"{self.prefix}/{route}", query_string=query, headers=headers)

    def json(self, route: str, **query: Any) -> Any:
        response = self.get(route, **query)
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_json()

    def post(self, route: str, body: Any) -> TestResponse:
        return self.client.post(f"{self.prefix}/{route}", json=body, headers=POST_HEADERS)

    def ask(self, body: Any) -> dict[str, Any]:
        """POST a job that must be accepted."""
        response = self.post("jobs", body)
        assert response.status_code == 200, response.get_data(as_text=True)
        return response.get_json()

    def wait(
        self,
        job_id: str,
        until: Callable[[dict[str, Any]], bool] | None = None,
        seconds: float = HANG,
    ) -> dict[str, Any]:
        """Poll as the tab does, until the job ended or `until` holds."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.json("job", id=job_id)
            if status["status"] not in ("queued", "running") or (until and until(status)):
                return status
            time.sleep(0.05)
        raise AssertionError(f"still {json.dumps(status)} after {seconds} s")


def error_of(response: TestResponse) -> tuple[int, str, str]:
    """(status, type, message) of an error answer."""
    error = response.get_json()["error"]
    return response.status_code, error["type"], error["message"]

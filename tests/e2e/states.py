"""Every state of the tab: what an address opens, and what a reader does to get there.

The accessibility test and `./run screenshots` go through this list, so a state that is added
here is checked and photographed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from live_tab import Tab
from patience import LATE


@dataclass(frozen=True)
class Subject:
    """Two logged models, and what of them the states look at."""

    url: str
    a: str
    b: str
    layer: str
    """A layer of A."""
    partner: str
    """A layer of B."""
    word: str
    """Part of the names of several layers."""
    trained: tuple[str, str]
    """Two snapshots of which the first has other steps."""


@dataclass(frozen=True)
class State:
    """One picture of the tab."""

    name: str
    address: Mapping[str, str | int] = field(default_factory=dict)
    reach: Callable[[Tab], None] = lambda tab: None
    """What is done once the address is open."""
    point: Callable[[Tab], None] = lambda tab: None
    """Where the pointer is then, whatever the size of the window."""
    slow: bool = True
    """Whether the tests leave it to `--all`."""


def parameters(state: State, subject: Subject) -> dict[str, str | int]:
    """The address of a state, in which `{layer}` and the like stand for what the subject has."""
    a, b = subject.trained if state.address.get("view") in ("models", "training") else ("", "")
    given = {"a": a or subject.a, "b": b or subject.b, "measure": "linear_cka", **state.address}
    return {
        key: value.format(**vars(subject)) if isinstance(value, str) else value
        for key, value in given.items()
    }


def enter(tab: Tab, state: State, subject: Subject) -> None:
    """Open a state and wait until it is drawn."""
    tab.open(subject.url, **parameters(state, subject))
    state.reach(tab)
    state.point(tab)
    quiet(tab)


def quiet(tab: Tab) -> None:
    """Until nothing is computed any more and nothing moves."""
    tab.frame.locator("progress").first.wait_for(state="detached", timeout=LATE)
    tab.page.wait_for_timeout(400)


def _drawn(tab: Tab) -> None:
    tab.frame.locator(".legend .count").filter(has_text=re.compile(r"^\s*[1-9]")).wait_for(
        timeout=LATE
    )


def _matrix(tab: Tab) -> None:
    tab.frame.get_by_test_id("matrix").locator("canvas").first.wait_for(timeout=LATE)


def _test_id(*names: str) -> Callable[[Tab], None]:
    def wait(tab: Tab) -> None:
        _drawn(tab)
        for name in names:
            tab.frame.get_by_test_id(name).first.wait_for(timeout=LATE)
            tab.page.wait_for_timeout(1200)  # what costs something starts after a moment
            quiet(tab)

    return wait


def _click(role: str, name: str) -> Callable[[Tab], None]:
    def click(tab: Tab) -> None:
        _drawn(tab)
        tab.frame.get_by_role(role, name=name).first.click()

    return click


def _pointed(tab: Tab) -> None:
    tab.page.mouse.move(5, 5)
    tab.frame.locator(".model.a [role=option]").nth(3).hover()
    tab.page.wait_for_timeout(400)


def _search(tab: Tab) -> None:
    _drawn(tab)
    tab.frame.get_by_role("combobox", name="Find or filter layers").click()
    tab.page.keyboard.type("1")
    tab.page.wait_for_timeout(400)


def _zoomed(tab: Tab) -> None:
    _drawn(tab)
    for _ in range(2):
        tab.frame.get_by_role("button", name="Zoom in").click()
        tab.page.wait_for_timeout(400)


def _large(tab: Tab) -> None:
    _test_id("unit")(tab)
    tab.frame.get_by_test_id("unit").locator("button.picture").first.click()
    tab.frame.get_by_role("dialog").wait_for()
    tab.page.wait_for_timeout(600)


def _export(figure: str) -> Callable[[Tab], None]:
    def export(tab: Tab) -> None:
        _drawn(tab)
        quiet(tab)
        tab.frame.get_by_role("button", name="Export…").click()
        dialog = tab.frame.get_by_role("dialog", name="Export")
        dialog.get_by_label("figure").select_option(figure)
        dialog.get_by_role("img").wait_for()
        tab.page.wait_for_timeout(500)

    return export


def _cells(name: str) -> Callable[[Tab], None]:
    def wait(tab: Tab) -> None:
        cells = tab.frame.get_by_test_id(name).get_by_role("application")
        cells.or_(tab.frame.get_by_text("One step only")).wait_for(timeout=LATE)

    return wait


def _own_graph(tab: Tab) -> None:
    _drawn(tab)
    graph = tab.frame.frame_locator('iframe[title="TensorBoard\'s own graph"]')
    graph.locator(".node").first.wait_for(timeout=LATE)
    tab.page.wait_for_timeout(5000)  # it moves the graph about after it was drawn


def _failed(tab: Tab) -> None:
    """The comparison fails, as it does where the logs are damaged."""
    _drawn(tab)
    tab.allow(500, "jobs")
    error = {"type": "MissingAssetError", "message": "layer one: the file arrays/0.bin is gone"}
    tab.page.route(
        "**/jobs?*",
        lambda route: route.fulfill(
            status=500, content_type="application/json", body=json.dumps({"error": error})
        ),
    )
    tab.frame.get_by_label("measure").first.select_option("mean_cca")
    tab.frame.get_by_role("alert").first.wait_for()


PINNED: dict[str, Any] = {"side": "a", "layer": "{layer}"}

STATES: tuple[State, ...] = (
    State("graph", {}, _drawn, slow=False),
    State("graph-pointed", {}, _drawn, _pointed),
    State("graph-zoomed", {}, _zoomed),
    State("graph-filtered", {"filter": "{word}"}, _drawn),
    State("search", {}, _search),
    State("models-to-choose", {}, _click("button", "Model A")),
    State("layer", PINNED, _test_id("matches")),
    State("unit", {**PINNED, "unit": 1}, _test_id("unit", "analogies"), slow=False),
    State("unit-large", {**PINNED, "unit": 1}, _large),
    State("caricatures", {**PINNED, "image": 0}, _test_id("caricatures")),
    State("pair", {**PINNED, "pair": "{partner}"}, _test_id("pair", "certainty")),
    State("all-pairs", {"lines": "all"}, _drawn),
    State("above-the-null", {"scale": "null"}, _drawn),
    State("warnings", {"measure": "mean_cca"}, _drawn),
    State("distance", {"measure": "procrustes_distance"}, _drawn),
    State("itself", {"b": "{a}"}, _drawn),
    State("matrix", {"view": "matrix"}, _matrix),
    State("matrix-pair", {"view": "matrix", **PINNED, "pair": "{partner}"}, _matrix),
    State("both", {"view": "both", **PINNED}, _test_id("matrix", "matches"), slow=False),
    State("own-graph", {"graphs": "a", **PINNED}, _own_graph),
    State("export-graph", {}, _export("graph"), slow=False),
    State("export-matrix", {}, _export("matrix")),
    State("models", {"view": "models"}, _cells("model-matrix"), slow=False),
    State("training", {"view": "training"}, _cells("trend-a"), slow=False),
    State("training-change", {"view": "training", "way": "1"}, _cells("trend-a")),
    State("missing", {"a": "gone/gone@1"}),
    State("failed", {}, _failed),
)

"""Every state of the tab: what an address opens, and what a reader does to get there.

The accessibility test and `./run screenshots` go through this list, so a state that is added
here is checked and photographed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from string import Formatter
from typing import Any

from live_tab import Tab
from patience import LATE
from playwright.sync_api import expect


@dataclass(frozen=True)
class Subject:
    """Logged models, and what of them the states look at; empty where there is no such thing."""

    url: str = ""
    """Of a TensorBoard with two models."""
    single: str = ""
    """Of one with a single snapshot."""
    empty: str = ""
    """Of one without any."""
    report: str = ""
    """Of a file that `tb-modelcompare report` wrote."""
    a: str = ""
    b: str = ""
    layer: str = ""
    """A layer of A."""
    partner: str = ""
    """A layer of B."""
    word: str = ""
    """Part of the names of several layers."""
    trained: tuple[str, ...] = ("", "")
    """Two snapshots of which the first has other steps."""
    unit: str = "1"
    third: str = ""
    """A further model that can be rendered."""
    own: tuple[str, ...] = ("", "", "")
    """An alignment of the user's own, and the two snapshots that it is of."""
    classifiers: bool = True
    """Whether both have the same classes."""


@dataclass(frozen=True)
class State:
    """One picture of the tab."""

    name: str
    address: Mapping[str, str | int] = field(default_factory=dict)
    reach: Callable[[Tab], None] = lambda tab: None
    """What is done once the address is open."""
    point: Callable[[Tab], None] = lambda tab: None
    """Where the pointer is then, whatever the size of the window."""
    at: str = "url"
    """Which address of the subject it is at."""
    slow: bool = True
    """Whether the tests leave it to `--all`."""
    complaint: str = ""
    """What the browser says of it, as it should."""


PAIR = {"a": "{a}", "b": "{b}", "measure": "linear_cka"}


def parameters(state: State, subject: Subject) -> dict[str, str | int]:
    """The address of a state, in which `{layer}` and the like stand for what the subject has."""
    given = {**PAIR, **state.address} if state.at in ("url", "report") else state.address
    return {
        key: value.format(**vars(subject)) if isinstance(value, str) else value
        for key, value in given.items()
    }


def is_there(state: State, subject: Subject) -> bool:
    """Whether a subject has all that a state is of."""
    if not getattr(subject, state.at) or (state.name == "classifiers" and not subject.classifiers):
        return False
    named = [
        name
        for value in state.address.values()
        for _, name, *_ in Formatter().parse(str(value))
        if name
    ]
    return all(Formatter().get_field(name, (), vars(subject))[0] for name in named)


def enter(tab: Tab, state: State, subject: Subject) -> None:
    """Open a state and wait until it is drawn."""
    tab.open(getattr(subject, state.at), **parameters(state, subject))
    state.reach(tab)
    state.point(tab)
    quiet(tab)


# What moves for a while has ended, pictures are there, and what that changed is drawn.
AT_REST = """async () => {
  const ends = one => Number.isFinite(one.effect?.getComputedTiming().endTime);
  const moving = document.getAnimations().filter(ends);
  const pictures = [...document.images].filter(one => one.checkVisibility());
  await Promise.allSettled(moving.map(one => one.finished));
  await Promise.allSettled(pictures.map(one => one.decode()));
  await document.fonts.ready;
  await new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)));
}"""


def quiet(tab: Tab) -> None:
    """Until nothing is computed any more and nothing moves."""
    computing = tab.frame.locator("progress, [aria-busy=true]")
    expect(computing).to_have_count(0, timeout=LATE)
    tab.run(AT_REST)


def _drawn(tab: Tab) -> None:
    some = re.compile(r"^\s*[1-9]")
    tab.frame.locator(".legend .count").filter(has_text=some).wait_for(timeout=LATE)


def _idle(tab: Tab) -> None:
    """Nothing is chosen, and the panel has said what stands out."""
    _drawn(tab)
    found = tab.frame.get_by_test_id("stands-out")
    found.get_by_role("list").or_(found.get_by_text("Nothing stands out")).first.wait_for(
        timeout=LATE
    )


def _matrix(tab: Tab) -> None:
    tab.frame.get_by_test_id("matrix").locator("canvas").first.wait_for(timeout=LATE)


def _there(tab: Tab, *names: str) -> None:
    for name in names:
        tab.frame.get_by_test_id(name).first.wait_for(timeout=LATE)


def _test_id(*names: str) -> Callable[[Tab], None]:
    def wait(tab: Tab) -> None:
        _drawn(tab)
        _there(tab, *names)

    return wait


def _layer(tab: Tab) -> None:
    """The matches have their intervals, and what costs something has been computed."""
    _test_id("certainty", "shared")(tab)


def _pair(tab: Tab) -> None:
    _there(tab, "certainty", "shared")
    card = tab.frame.get_by_test_id("pair")
    card.get_by_role("button", name=re.compile(r"^Unit \d+ of ")).first.wait_for(timeout=LATE)


def _pair_by_a_click(tab: Tab) -> None:
    """The card is there at once; its interval, null and unit pairs come later."""
    _matrix(tab)
    tab.frame.get_by_test_id("matrix").locator("canvas").first.click()
    _pair(tab)


def _unit(tab: Tab) -> None:
    """The analogies are drawn, in the panel and in the figure."""
    _test_id("analogies", "picture", "on-graph")(tab)
    there = re.compile(r"^\s*\d+\s+pictures? of")  # and not so many of so many
    expect(tab.frame.get_by_test_id("budget")).to_have_text(there, timeout=LATE)


def _caricatures(tab: Tab) -> None:
    _test_id("caricatures")(tab)
    tab.inspector().get_by_role("button", name="Draw caricatures").click()
    expect(tab.frame.get_by_test_id("caricature")).to_have_count(2, timeout=LATE)


def _click(role: str, name: str) -> Callable[[Tab], None]:
    def click(tab: Tab) -> None:
        _drawn(tab)
        tab.frame.get_by_role(role, name=name).first.click()

    return click


def _hover(*steps: Callable[[Any], Any]) -> Callable[[Tab], None]:
    """Point at something until its sentence is there."""

    def hover(tab: Tab) -> None:
        tab.page.mouse.move(5, 5)
        there: Any = tab.frame
        for step in steps:
            there = step(there)
        there.hover()
        tab.frame.get_by_role("tooltip").first.wait_for()

    return hover


def _show(name: str) -> Callable[[Tab], None]:
    """Scroll to the last that has this test id."""
    return lambda tab: tab.frame.get_by_test_id(name).last.evaluate(
        "one => one.scrollIntoView({block: 'end'})"
    )


def _search(tab: Tab) -> None:
    _drawn(tab)
    tab.frame.get_by_role("combobox", name="Find or filter layers").click()
    tab.page.keyboard.type("1")
    tab.frame.get_by_role("listbox").get_by_role("option").first.wait_for()


def _zoomed(tab: Tab) -> None:
    _drawn(tab)
    for _ in range(2):
        tab.frame.get_by_role("button", name="Zoom in").click()


def _large(tab: Tab) -> None:
    _unit(tab)
    tab.frame.get_by_test_id("unit").locator("button.picture").first.click()
    tab.frame.get_by_role("dialog").get_by_text(re.compile("^1 of ")).wait_for()
    tab.page.keyboard.press("ArrowRight")
    tab.frame.get_by_role("dialog").get_by_text(re.compile("^2 of ")).wait_for()


def _large_analogy(tab: Tab) -> None:
    _unit(tab)
    tab.frame.get_by_test_id("on-graph").nth(1).click()
    tab.frame.get_by_role("dialog").wait_for()


def _export(figure: str) -> Callable[[Tab], None]:
    def export(tab: Tab) -> None:
        _drawn(tab)
        quiet(tab)
        tab.frame.get_by_role("button", name="Export…").click()
        dialog = tab.frame.get_by_role("dialog", name="Export")
        dialog.get_by_label("figure").select_option(figure)
        dialog.get_by_role("img").wait_for()

    return export


def _cells(name: str) -> Callable[[Tab], None]:
    def wait(tab: Tab) -> None:
        cells = tab.frame.get_by_test_id(name).get_by_role("application")
        cells.or_(tab.frame.get_by_text("One step only")).wait_for(timeout=LATE)

    return wait


def _own_graph(tab: Tab) -> None:
    """TensorBoard moves its graph about after it was drawn."""
    _drawn(tab)
    graph = tab.frame.frame_locator('iframe[title="TensorBoard\'s own graph"]')
    node = graph.locator(".node").first
    node.wait_for(timeout=LATE)
    tab.still(node)


def _heading(tab: Tab) -> None:
    tab.frame.get_by_role("heading").first.wait_for()


def _alert(tab: Tab) -> None:
    tab.frame.get_by_role("alert").first.wait_for()


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
    _alert(tab)


def _away(tab: Tab) -> None:
    """TensorBoard has ended."""
    _drawn(tab)
    tab.page.route("**/plugin/modelcompare/**", lambda route: route.abort())
    tab.frame.get_by_label("measure").first.select_option("mean_cca")
    tab.frame.get_by_role("button", name="Retry").wait_for()


PINNED: dict[str, Any] = {"side": "a", "layer": "{layer}"}
CHOSEN: dict[str, Any] = {**PINNED, "pair": "{partner}"}
UNIT: dict[str, Any] = {**PINNED, "unit": "{unit}"}
TRAINED = {"a": "{trained[0]}", "b": "{trained[1]}"}

STATES: tuple[State, ...] = (
    State("graph", {}, _idle, slow=False),
    State(
        "graph-pointed",
        {},
        _drawn,
        _hover(lambda frame: frame.locator(".model.a [role=option]").nth(3)),
    ),
    State("graph-zoomed", {}, _zoomed),
    State("graph-filtered", {"filter": "{word}"}, _drawn),
    State("search", {}, _search),
    State("models-to-choose", {}, _click("button", "Model A")),
    State(
        "classifiers",
        {},
        _test_id("answers"),
        _hover(lambda frame: frame.get_by_test_id("answers").get_by_role("button").first),
    ),
    State(
        "sentence", {}, _idle, _hover(lambda frame: frame.get_by_role("combobox", name="measure"))
    ),
    State("layer", PINNED, _layer),
    State("unit", UNIT, _unit),
    State("unit-large", UNIT, _large),
    State(
        "analogy-pointed",
        UNIT,
        _unit,
        _hover(lambda frame: frame.get_by_test_id("on-graph").nth(1)),
    ),
    State("analogy-large", UNIT, _large_analogy),
    State("analogies", UNIT, _unit, _show("analogies")),
    State("added-model", {**UNIT, "more": "{third}"}, _unit, _show("analogies")),
    State("caricatures", {**PINNED, "image": 0}, _caricatures, _show("caricatures")),
    State("pair", CHOSEN, _pair),
    State("pair-photo", {**CHOSEN, "image": 0}, _pair, _show("pair")),
    State("all-pairs", {"lines": "all"}, _drawn),
    State("above-the-null", {"scale": "null"}, _drawn),
    State("own-alignment", {"a": "{own[1]}", "b": "{own[2]}", "measure": "own:{own[0]}"}, _drawn),
    State("warnings", {"measure": "mean_cca"}, _drawn),
    State("distance", {"measure": "procrustes_distance"}, _drawn),
    State("itself", {"b": "{a}"}, _drawn),
    State("matrix", {"view": "matrix"}, _matrix),
    State("matrix-pair", {"view": "matrix"}, _pair_by_a_click),
    State("both", {"view": "both", **PINNED}, _test_id("matrix", "certainty"), slow=False),
    State("own-graph", {"graphs": "a", **PINNED}, _own_graph),
    State("export-graph", {}, _export("graph"), slow=False),
    State("export-matrix", {}, _export("matrix")),
    State("models", {**TRAINED, "view": "models"}, _cells("model-matrix"), slow=False),
    State("training", {**TRAINED, "view": "training"}, _cells("trend-a"), slow=False),
    State("training-change", {**TRAINED, "view": "training", "way": "1"}, _cells("trend-a")),
    State("missing", {"a": "gone/gone@1"}, _alert),
    State("both-missing", {"a": "gone/gone@1", "b": "gone/gone@2"}, _alert),
    State("failed", {}, _failed),
    State("away", {}, _away, complaint="ERR_FAILED"),
    State("one-snapshot", {}, _drawn, at="single"),
    State("empty", {}, _heading, at="empty"),
    State("report", {}, _drawn, at="report"),
    State("report-unit", UNIT, _test_id("unit"), at="report"),
    State("report-pair", CHOSEN, _test_id("pair"), at="report"),
)

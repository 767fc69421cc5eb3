"""What holds in every state of the tab."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from live_tab import Board, Tab
from playwright.sync_api import expect
from states import STATES, State, Subject, enter, is_there, quiet

SEEN = Subject(
    a="first/first@0",
    b="second/second@0",
    layer="module_3x3",
    partner="block_conv",
    word="module",
    trained=("steps/trained@20", "second/second@0"),
    own=("By hand", "first/first@0", "steps/trained@0"),
)


@pytest.fixture
def subject(board: Board) -> Subject:
    return replace(SEEN, url=board.url)


# What a reader can operate, in words, where no sentence says what it does.
UNEXPLAINED = """(() => {
  const controls = 'button, select, input, a[href], [role=slider], [role=separator]';
  return [...document.querySelectorAll(controls)]
    .filter(one => one.checkVisibility())
    .filter(one => {
      const said = one.getAttribute('aria-description') || one.title;
      return said.trim().split(/\\s+/).length < 2 && !one.closest('[role=listbox], [role=grid]');
    })
    .map(one => one.outerHTML.slice(0, 150));
})()"""

EVERY = [
    pytest.param(state, id=state.name, marks=[pytest.mark.slow] if state.slow else [])
    for state in STATES
    if is_there(state, replace(SEEN, url="at a board"))
]


@pytest.mark.parametrize("state", EVERY)
def test_every_state_can_be_understood_and_operated(
    tab: Tab, subject: Subject, state: State, violations: Callable[[Tab], list[str]]
) -> None:
    enter(tab, state, subject)
    assert tab.run(UNEXPLAINED) == []
    for theme in ("light", "dark"):
        tab.theme(theme)
        quiet(tab)
        assert violations(tab) == [], theme
    if state.complaint:
        tab.complaints[:] = [one for one in tab.complaints if state.complaint not in one]


# Whether nothing lies over a tip, through which one points.
IN_FRONT = """tip => {
  tip.style.pointerEvents = 'auto';
  const { left, right, top, bottom } = tip.getBoundingClientRect();
  const [x, y] = [[left + 4, (left + right) / 2, right - 4], [top + 4, (top + bottom) / 2]];
  return x.every(p => y.every(q => tip.contains(document.elementFromPoint(p, q))));
}"""


def test_sentences_are_shown_to_the_pointer_and_to_the_keyboard(tab: Tab, subject: Subject) -> None:
    tab.open(
        subject.url, a=subject.a, b=subject.b, **{"side": "a", "layer": subject.layer}
    ).settle()
    tip = tab.frame.get_by_role("tooltip")
    tab.frame.get_by_role("combobox", name="lines").hover()
    expect(tip).to_contain_text("Chooses which pairs of layers get a line.")
    expect(tip).to_contain_text("strongest partners")  # what is chosen now
    assert tip.evaluate(IN_FRONT)
    tab.frame.get_by_role("combobox", name="measure").hover()
    expect(tip).to_contain_text("Debiased linear CKA")
    assert tip.evaluate(IN_FRONT)  # and not behind the controls below the bar
    tab.page.mouse.move(5, 5)
    expect(tip).to_have_count(0)
    tab.frame.get_by_role("button", name="Model A").focus()
    tab.page.keyboard.press("Tab")
    while "Swap" not in (tab.run("document.activeElement.ariaLabel") or ""):
        tab.page.keyboard.press("Tab")
    expect(tip).to_have_text("Exchanges A and B, with what is chosen in them.")
    tab.page.keyboard.press("Escape")
    expect(tip).to_have_count(0)
    tab.frame.get_by_role("button", name="rows", exact=True).click()
    expect(tip).to_contain_text("A row is one position of one image.")
    # Above a dialog as well.
    tab.frame.get_by_role("button", name="Export…").click()
    tab.frame.get_by_role("dialog").get_by_role("button", name="CSV").hover()
    expect(tip).to_be_in_viewport()


# Words of tables that are cut in two, as where there is room for none of their columns.
CUT = """() => [...document.querySelectorAll('th, td code')].filter(one => {
  const range = document.createRange();
  range.selectNodeContents(one);
  return /^\\w+$/.test(one.textContent) && range.getClientRects().length > 1;
}).map(one => one.textContent)"""


def test_a_question_mark_opens_the_page_of_its_panel(tab: Tab, subject: Subject) -> None:
    tab.open(subject.url, a=subject.a, b=subject.b).settle()
    with tab.page.expect_popup() as opened:
        tab.frame.get_by_role("link", name="Help on what is drawn").click()
    page = opened.value
    page.get_by_role("heading", name="Choose which lines are drawn").wait_for()
    page.get_by_role("link", name="Renders and directions").click()
    page.get_by_role("columnheader", name="function", exact=True).wait_for()
    assert page.evaluate(CUT) == []

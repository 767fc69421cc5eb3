"""A user's own alignment in the tab: in the menu, drawn, and without invented statistics."""

from __future__ import annotations

from live_tab import Board, Tab
from playwright.sync_api import expect

PAIR = {"a": "first/first@0", "b": "steps/trained@0"}


def test_it_is_chosen_and_drawn_in_graph_and_matrix_without_statistics(
    tab: Tab, board: Board
) -> None:
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(f"{request.url} {request.post_data}"))
    tab.open(board.url, **PAIR, measure="linear_cka").settle()
    menu = tab.frame.get_by_role("combobox", name="measure")
    assert menu.locator("optgroup[label='Your own'] option").all_inner_texts() == ["By hand"]
    menu.select_option("By hand")
    expect(tab.frame.locator(".legend .count")).to_have_text("2 lines")
    tab.address(measure="own:By hand")
    asked.clear()  # CKA has statistics, and the tab asks for them after a moment

    tab.box("a", "stem").click()
    rows = tab.frame.get_by_test_id("matches").locator("li")
    expect(rows).to_have_count(2)
    assert [text.split()[:2] for text in rows.all_inner_texts()] == [
        ["one", "0.900"],
        ["two", "0.200"],
    ]
    tab.page.wait_for_timeout(1200)  # longer than the tab waits before it asks for statistics
    assert not [one for one in asked if "significance" in one or "chance" in one]
    assert tab.frame.get_by_label("scale").locator("option[value='null']").count() == 0

    tab.frame.get_by_role("button", name="Swap A and B").click()
    expect(rows.first).to_contain_text("0.900")
    tab.frame.get_by_role("button", name="Matrix", exact=True).click()
    tab.frame.get_by_role("grid").or_(tab.frame.locator(".matrix")).first.wait_for()
    assert not tab.frame.get_by_role("alert").count()


def test_other_models_have_it_not(tab: Tab, board: Board) -> None:
    tab.allow(404, "alignment")
    tab.open(board.url, a="first/first@0", b="first/first@0", measure="own:By hand")
    expect(tab.frame.get_by_role("alert")).to_contain_text("choose another measure")
    assert (
        tab.frame.get_by_role("combobox", name="measure")
        .locator("optgroup[label='Your own']")
        .count()
        == 0
    )

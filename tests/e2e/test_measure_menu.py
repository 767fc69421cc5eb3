"""The menu of measures, and the toolbar that it stands in."""

from __future__ import annotations

from live_tab import Board, Tab

from tb_modelcompare.similarity import MEASURES


def test_six_measures_come_first_with_advice_and_the_others_by_family(
    tab: Tab, board: Board
) -> None:
    tab.open(board.url, a="first/first@0", b="second/second@0").settle()
    groups = tab.frame.get_by_role("combobox", name="measure").locator("optgroup")
    listed = groups.evaluate_all(
        "all => all.map(g => [g.label, [...g.children].map(o => o.value)])"
    )
    advised, *families = listed
    assert advised[0] == "Advised"
    assert len(advised[1]) == 6
    assert advised[1][0] == "unbiased_linear_cka"  # the one that the tab begins with
    assert {heading for heading, _ in families} == {
        f"More: {one.family}" for one in MEASURES.values() if not one.advice
    }
    names = [name for _, names in listed for name in names]
    assert sorted(names) == sorted(MEASURES)
    panel = tab.inspector()
    for name in advised[1]:
        assert MEASURES[name].advice in panel.inner_text()
    panel.get_by_role("button", name=MEASURES["mutual_knn"].title, exact=True).click()
    tab.address(measure="mutual_knn")

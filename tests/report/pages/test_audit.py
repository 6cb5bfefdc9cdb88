"""The page of an audit: what it says is what the audit's JSON says."""

import base64

import numpy as np
import pytest

from sunhwan.report.page.page import Chart, Code, Facts, Heading, Table, Text
from sunhwan.report.pages import audit as audit_page


def blocks(page, title):
    return next(section.blocks for section in page.sections if section.title == title)


def test_the_answer_tells_leaks_and_baselines(audited):
    assert audit_page.answer(audited) == (
        "1 leak is proved: the result is flattered. A simple model is better than the network in 1 of 2 fits."
    )
    alone = {**audited, "fits": audited["fits"][:1], "findings": []}
    assert audit_page.answer(alone) == (
        "No leak was found. Ridge on </script> windows is better than the network."
    )
    sound = {**alone, "fits": audited["fits"][1:]}
    assert audit_page.answer(sound) == "No leak was found. No simple model is better than the network."
    likely = {**sound, "findings": [{**audited["findings"][0], "certain": False}]}
    assert audit_page.answer(likely).startswith("1 leak is likely, and none proved.")
    assert "never called" in audit_page.answer({**audited, "fits": []})


def test_the_chart_has_the_network_the_baselines_and_their_intervals(audited):
    chart = blocks(audit_page.page(audited), "Scores")[0]
    assert isinstance(chart, Chart) and len(chart.views) == 2
    network, models = next(iter(chart.views.values()))["data"]
    assert network["x"] == ["the network"] and models["x"] == ["last value", "ridge", "boosting"]
    drawn = np.frombuffer(base64.b64decode(models["y"]["bdata"]), models["y"]["dtype"])
    np.testing.assert_array_equal(drawn, [1.5, 1.4, 2.5])
    # 20 to 30 % lower than 2 is 1.6 to 1.4; of boosting -40 to 5 % is 2.8 to 1.9.
    np.testing.assert_allclose(models["error_y"]["array"], [0.1, 0.12, 0.3])
    np.testing.assert_allclose(models["error_y"]["arrayminus"], [0.1, 0.1, 0.6])


@pytest.mark.parametrize(
    ("metric", "network", "ends"),
    [("mae", 2.0, (1.0, 1.5)), ("accuracy", 0.8, (0.85, 0.9)), ("rmse", 2.0, (2**0.5, 3**0.5))],
)
def test_intervals_are_in_the_metric_s_units(metric, network, ends):
    fit = {"metric": metric, "network": network, "improvements": {"a": {"interval": [25.0, 50.0]}}}
    assert audit_page.interval(fit, "a") == pytest.approx(ends)


def test_each_fit_has_a_table_whose_best_row_is_marked(audited):
    _, first, second = blocks(audit_page.page(audited), "Scores")
    assert isinstance(first, Table) and first.rows[first.strong][0] == "ridge on </script> windows"
    assert first.rows[2][1:] == ["1.4", "30 % lower (95 % interval 24 to 35)"]
    assert second.rows[second.strong] == ["your network", "90.0 %", ""]
    assert second.rows[-1] == ["random convolutions", "left out", "the budget is spent"]


def test_a_finding_has_its_lines_evidence_and_remedy(audited):
    heading, text, code, facts, mend, *_ = blocks(audit_page.page(audited), "Findings")
    assert heading == Heading("scaled on test, fit #1", "leak")
    assert isinstance(text, Text) and text.text.endswith("among them.")
    assert isinstance(code, Code) and code.text.splitlines()[0].startswith(
        "13  scaled = scaler.fit_transform"
    )
    assert isinstance(facts, Facts) and "examples: test 0, training 17" in facts.items
    assert mend.text == "To mend it: Fit scalers to the training rows alone."


def test_what_is_found_in_several_fits_is_told_once(audited):
    one = audited["findings"][0]
    same = {**one, "fit": 2}
    page = audit_page.page({**audited, "findings": [one, same]})
    found = blocks(page, "Findings")
    assert [block.text for block in found if isinstance(block, Heading)] == ["scaled on test, fits #1 and #2"]
    other = {**same, "evidence": {"rows": 7}}
    found = blocks(audit_page.page({**audited, "findings": [one, other]}), "Findings")
    (facts,) = (block for block in found if isinstance(block, Facts))
    assert facts.items[1] == "fit #2: rows 7"


def test_what_a_script_says_ends_no_tag_of_the_page(audited):
    html = audit_page.page(audited).html()
    assert "<b onclick" not in html and "ridge on &lt;/script&gt; windows" in html
    assert '<span class="mark leak">leak</span>' in html


def test_a_fit_without_baselines_and_a_script_without_fits_have_a_page(audited):
    declined = {**audited["fits"][0], "declined": "the rows are ragged", "baselines": {}, "network": None}
    page = audit_page.page({**audited, "fits": [declined]})
    assert "the rows are ragged" in page.html()
    page = audit_page.page({**audited, "fits": [], "findings": []})
    assert [section.title for section in page.sections] == ["Not seen"]

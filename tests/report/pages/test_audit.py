"""The page of an audit shows what the JSON of the audit contains."""

import base64

import numpy as np
import pytest

from sunhwan.report.page.page import Chart, Code, Facts, Heading, Table, Text
from sunhwan.report.pages import audit as audit_page


def blocks(page, title):
    return next(section.blocks for section in page.sections if section.title == title)


def test_the_verdict_and_the_counts_stand_on_top(audited):
    page = audit_page.page(audited)
    assert page.answer == audited["verdict"]
    assert page.facts == ["2 fits", "1 leak, 1 warning, 1 note", audited["speed"]]
    none = {"leak": 0, "warning": 0, "note": 0}
    assert audit_page.page({**audited, "findings": [], "counts": none}).facts[1] == "no findings"


def test_the_chart_has_the_network_the_baselines_and_their_intervals(audited):
    chart = blocks(audit_page.page(audited), "Scores")[0]
    assert isinstance(chart, Chart) and len(chart.views) == 2
    network, models = next(iter(chart.views.values()))["data"]
    assert network["x"] == ["network"] and models["x"] == ["last value", "ridge", "boosting"]
    drawn = np.frombuffer(base64.b64decode(models["y"]["bdata"]), models["y"]["dtype"])
    np.testing.assert_array_equal(drawn, [1.5, 1.4, 2.5])
    # 20 to 30% lower than 2 is 1.6 to 1.4; for boosting -40 to 5% is 2.8 to 1.9.
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
    assert first.rows[2][1:] == ["1.4", "30% lower error"]
    assert second.rows[second.strong] == ["your network", "90.0%", ""]
    assert second.rows[-1] == ["MiniRocket", "left out", "the budget is spent"]


def test_a_finding_has_its_lines_evidence_and_remedy(audited):
    heading, text, code, facts, fix, *_ = blocks(audit_page.page(audited), "Findings")
    assert heading == Heading("scaled on test, fit #1", "leak")
    assert isinstance(text, Text) and text.text.endswith("including those of the test part.")
    assert isinstance(code, Code) and code.text.splitlines()[0].startswith(
        "13  scaled = scaler.fit_transform"
    )
    assert isinstance(facts, Facts) and "examples: test 0, train 17" in facts.items
    assert fix.text == "Fix: Fit scalers on the training rows only."


def test_a_finding_in_several_fits_has_their_evidence_once_where_it_is_the_same(audited):
    finding = audited["findings"][0]
    first = finding["evidence"][0]
    both = {**finding, "fits": [1, 2], "evidence": [first, {**first, "fit": 2}]}
    shown = blocks(audit_page.page({**audited, "findings": [both]}), "Findings")
    assert shown[0] == Heading("scaled on test, fits #1 and #2", "leak")
    (facts,) = (block for block in shown if isinstance(block, Facts))
    assert "rows: 900" in facts.items
    different = {**both, "evidence": [first, {"fit": 2, "rows": 7}]}
    shown = blocks(audit_page.page({**audited, "findings": [different]}), "Findings")
    (facts,) = (block for block in shown if isinstance(block, Facts))
    assert facts.items[1] == "fit #2: rows 7"


def test_text_of_a_script_closes_no_tag_of_the_page(audited):
    html = audit_page.page(audited).html()
    assert "<b onclick" not in html and "ridge on &lt;/script&gt; windows" in html
    assert '<span class="mark leak">leak</span>' in html


def test_a_fit_without_baselines_and_a_script_without_fits_have_a_page(audited):
    declined = {
        **audited["fits"][0],
        **{"declined": "the rows are ragged", "baselines": {}, "network": None, "best_baseline": None},
    }
    page = audit_page.page({**audited, "fits": [declined]})
    assert "the rows are ragged" in page.html()
    page = audit_page.page({**audited, "fits": [], "findings": []})
    assert [section.title for section in page.sections] == ["Not audited"]

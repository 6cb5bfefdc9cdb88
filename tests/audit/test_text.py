"""An audit as text and as JSON."""

from types import SimpleNamespace

import pytest

from sunhwan.audit.baselines import Comparison
from sunhwan.audit.findings.case import Finding
from sunhwan.audit.text import Audit
from sunhwan.evaluation.significance import Improvement


def test_a_finding_that_is_the_same_for_each_seed_is_reported_once(on_noise):
    audit = on_noise(
        "for seed in range(3):\n    network().fit(x, y, validation_split=0.2, verbose=0)\n"
        "network().fit(x[:150], y[:150], verbose=0)",
        baselines=False,
    )
    text = str(audit)
    assert text.count("there is no test part") == 1
    shared = text.partition("fits #1 to #3")[2]
    assert "there is no test part" in shared and "trained on" not in shared
    assert text.partition("fit #4")[2].partition("fits #1")[0].count("150 rows that it was trained on") == 1
    assert [finding.fit for finding in audit if finding.name == "no_test"] == [1, 2, 3, 4]
    (same,) = (found for found in audit.to_dict()["findings"] if found["fits"] == (1, 2, 3))
    assert [evidence["fit"] for evidence in same["evidence"]] == [1, 2, 3]


LEAK = Finding("leak", "window_overlap", "rows are shared", "Split first.", True, [2], {"rows": 3}, 1)
LIKELY = Finding("leak", "window_overlap", "rows are shared", "Split first.", False, [2], {"rows": 3}, 1)
SURE = Improvement(30.0, (24.0, 35.0), 0.95, 1.0, 100, 5.0)
UNSURE = Improvement(30.0, (-2.0, 35.0), 0.95, 0.9, 100, 5.0)
BEATEN = Comparison("test", 9, "mae", 2.0, {"last_value": 2.5, "ridge": 1.4}, improvements={"ridge": SURE})
UNCERTAIN = Comparison("test", 9, "mae", 2.0, {"ridge": 1.4}, improvements={"ridge": UNSURE})
BEST = Comparison("test", 9, "accuracy", 0.9, {"majority": 0.6})


def audit_of(findings, *comparisons):
    fits = [
        SimpleNamespace(number=number, title="GRU 2", lines=[2]) for number in range(1, len(comparisons) + 1)
    ]
    return Audit("a.py", fits, list(comparisons), findings)


@pytest.mark.parametrize(
    ("audit", "verdict"),
    [
        (
            audit_of([LEAK], BEATEN, BEST),
            "1 leak is proved: the result looks better than it is. "
            "A baseline beats the network in 1 of 2 fits.",
        ),
        (audit_of([], BEATEN), "No leak was found. Ridge regression beats the network."),
        (
            audit_of([], UNCERTAIN),
            "No leak was found. Ridge regression beats the network, but not significantly.",
        ),
        (audit_of([], BEST), "No leak was found. No baseline beats the network."),
        (audit_of([LIKELY], BEST), "1 leak is likely, but none is proved. No baseline beats the network."),
        (audit_of([], Comparison("test")), "No leak was found. No network could be compared with baselines."),
        (Audit("a.py"), "Keras's fit was never called, so there is nothing to audit."),
    ],
)
def test_the_verdict_has_leaks_and_baselines(audit, verdict):
    assert audit.to_dict()["verdict"] == verdict


def test_json_has_what_a_page_shows():
    audit = audit_of([LEAK], BEATEN)
    audit.source = "import keras\n  model.fit(x, y)\n"
    fit = audit.to_dict()["fits"][0]
    assert (fit["best_baseline"], fit["better_baselines"]) == ("ridge", ["ridge"])
    assert fit["figures"] == {"network": "2", "last_value": "2.5", "ridge": "1.4"}
    assert fit["improvements"]["ridge"]["text"] == "30% lower error (95% interval 24 to 35)"
    assert audit.to_dict()["counts"] == {"leak": 1, "warning": 0, "note": 0}
    assert audit.to_dict()["findings"][0]["code"] == ["model.fit(x, y)"]


def test_text_shows_only_baselines_that_beat_the_network():
    lines = str(audit_of([], BEATEN)).splitlines()
    assert lines[0] == "fit #1 (GRU 2), line 2"
    assert lines[1].split() == ["your", "network,", "test", "MAE", "2"]
    assert "<-" not in lines[2]
    assert lines[3].endswith("MAE 1.4         <- 30% lower error (95% interval 24 to 35)")

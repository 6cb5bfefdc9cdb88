"""Scripts in the manner of public tutorials: planted flaws are found, and no leak is claimed in a sound one.

To add a script, put it into `scripts/` and its verdict here: the names of findings that it must have (and,
with a level before the name, of what level), or "sound".
"""

from functools import cache
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parent / "scripts"

VERDICTS = {
    "stock_shuffled": {"leak scaled_on_test", "leak window_overlap"},
    "air_passengers": {"leak scaled_on_test", "leak target_in_inputs"},
    "energy": {"leak selected_on_reported"},
    "sensor_windows": {"leak window_overlap", "class_imbalance"},
    "reviews": {"padding_without_mask", "selected_on_reported"},
    "spam": {"leak duplicates"},
    "sales_stateful": {"stateful_shuffled", "inverse_scaling"},
    "weather_lagged": {"leak shuffled_split", "constant_predictions"},
    "bike_demand": {"leak target_in_inputs", "leak scaled_on_test", "selected_on_reported"},
    "sound_air_passengers": "sound",
    "sound_energy": "sound",
    "sound_sensors": "sound",
    "sound_reviews": "sound",
    "sound_river_level": "sound",
}


def test_every_script_has_a_verdict():
    assert {path.stem for path in SCRIPTS.glob("*.py")} == set(VERDICTS)


@pytest.fixture(scope="module")
def audited(run_audited):
    """Each script's audit, run once."""

    @cache
    def audit(name):
        path = SCRIPTS / f"{name}.py"
        found = run_audited(path.read_text(), str(path))
        print(found)
        return found

    return audit


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_is_that_of_its_author(name, audited):
    audit = audited(name)
    if VERDICTS[name] == "sound":
        assert not [finding.name for finding in audit if finding.level == "leak"]
        return
    names = {name for finding in audit for name in (finding.name, f"{finding.level} {finding.name}")}
    assert names >= VERDICTS[name]
    # And no leak that nobody planted.
    planted = {each.removeprefix("leak ") for each in VERDICTS[name]}
    assert {finding.name for finding in audit if finding.level == "leak"} <= planted


def test_validation_is_not_taken_for_the_result_where_a_test_part_is_scored_by_hand(audited):
    assert "selected_on_reported" not in {each.name for each in audited("sound_river_level")}


@pytest.mark.parametrize("name", VERDICTS)
def test_each_finding_has_evidence_and_a_remedy(name, audited):
    for finding in audited(name):
        assert finding.evidence and finding.fix and finding.text
        assert all(isinstance(line, int) for line in finding.lines)


@pytest.mark.parametrize("name", VERDICTS)
def test_each_fit_stands_beside_a_baseline(name, audited):
    for comparison in audited(name).comparisons:
        assert not comparison.declined
        assert len(comparison.baselines) >= 2
        assert comparison.network is not None

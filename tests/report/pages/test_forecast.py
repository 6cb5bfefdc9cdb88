"""The page of a forecast, of made-up runs."""

import numpy as np
import pytest

from sunhwan import rundir
from sunhwan.report.pages.forecast import data, drifted, intervals
from sunhwan.report.pages.targets import Target


def target(steps, minutes):
    """Forecasts of 0 that were right but in the last step, whose interval is below the actual value."""
    windows = 30
    actual = np.zeros((windows, steps))
    model = np.stack([actual, actual - 1, actual + 1], axis=-1)
    actual[:, -1] = 2
    origin = np.datetime64("2024-05-01", "s") + np.arange(windows) * np.timedelta64(minutes, "m")
    figures = {"target": "T", "unit": "degC", "interval": {"level": 0.8}, "best_baseline": "ridge"}
    interval = np.timedelta64(minutes, "m").astype("timedelta64[s]")
    series = np.zeros(windows, int)
    return Target(figures, {}, origin, series, [""], interval, actual, model, {"ridge": actual})


def test_how_far_ahead_is_an_axis_of_numbers_that_alt_texts_name_shortly():
    chart = intervals(target(steps=144, minutes=10))[0]
    coverage, level = chart.views["all"]["data"]
    assert coverage["type"] == level["type"] == "scatter" and coverage["x"] == level["x"]
    assert "type" not in chart.views["all"]["layout"]["xaxis"]
    assert "cover least at 24 hours ahead (0%) and most at 0.167 hours ahead (100%)" in chart.alt
    assert chart.table.rows[79] == ["13.3", "100.0%"]


@pytest.fixture
def sound():
    """Columns of which one misses three in a thousand readings, in the first of two months."""

    def column(name, drift, missing=0):
        return {
            "name": name,
            "missing": [missing, 0, 0],
            "longest_gap": missing,
            "missing_by_month": [missing / 1000, 0],
            "drift": drift,
        }

    columns = [column("p", 0.1), column("PAR", -0.6, missing=3)]
    columns += [column(f"x{i}", 0.7 + i / 10) for i in range(6)]
    return {
        "rows": {"train": 1000, "validation": 300, "test": 300},
        "months": ["2024-05", "2024-06"],
        "columns": columns,
    }


def test_a_few_missing_values_are_named_and_pale(sound, tmp_path):
    rundir.put(tmp_path, health=sound)
    chart = data(rundir.Run(tmp_path, {"notes": []}))[-1]
    heat = chart.views["all"]["data"][0]
    assert (heat["y"], heat["text"]) == (["PAR"], [["0.3%", ""]])
    assert heat["zmin"] == 0 and heat["zmax"] >= 0.1
    assert "PAR has the most missing values: 0.3% in 2024-05." in chart.alt


def test_the_columns_that_drifted_most_are_named(sound):
    said = drifted(sound).text
    assert said.endswith(
        "in standard deviations: x5 +1.2, x4 +1.1, x3 +1.0, x2 +0.9, x1 +0.8, and less in 2 other columns."
    )
    assert drifted({"columns": sound["columns"][:1]}) is None

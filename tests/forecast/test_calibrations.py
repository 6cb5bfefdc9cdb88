"""Calibrations of several series: one of no name, and those that were not in training."""

import json

import numpy as np
import pytest

from sunhwan.data.windows import encode
from sunhwan.errors import SunhwanError
from sunhwan.forecast.calibrations import Calibrations


@pytest.fixture
def bounded(run):
    """Windows of three series, the first of which has no name, and bounds too narrow for the third."""
    rows = encode(run.readings, run.result.fitted.model.plan)
    windows = rows.windows().thinned(600)
    rows = windows.rows
    object.__setattr__(rows, "series_names", ("", "s1", "s2"))
    actual = windows.plan.physical(windows.truths())
    width = np.where(rows.series[windows.last] == 2, 0.1, 5.0)[:, None, None, None]
    return windows, actual[..., None] + width * [-1, 1] + 3 * np.sin(windows.last)[:, None, None, None]


def states_of(calibrations):
    return [state.to_dict() for state in calibrations]


def test_a_series_without_a_name_has_a_calibration_of_its_own(bounded):
    windows, bounds = bounded
    calibrations = Calibrations.fit(windows, bounds, 0.8)
    assert set(calibrations.series) == {"", "s1", "s2"}
    assert states_of(calibrations.of("")) == states_of(calibrations.series[""])
    assert states_of(calibrations.of("unheard")) == states_of(calibrations.pooled)
    assert states_of(calibrations.of("")) != states_of(calibrations.pooled)
    # What it learns is its own, and leaves those of unheard series alone.
    _, after = calibrations.run(windows, bounds)
    updated = calibrations.updated(after)
    assert states_of(updated.of("")) == states_of(after[""]) != states_of(calibrations.of(""))
    assert states_of(updated.of("unheard")) == states_of(calibrations.pooled)


def test_they_come_back_from_json(bounded):
    windows, bounds = bounded
    calibrations = Calibrations.fit(windows, bounds, 0.8)
    again = Calibrations.from_dict(json.loads(json.dumps(calibrations.to_dict())))
    assert again.to_dict() == calibrations.to_dict()
    np.testing.assert_array_equal(again.now(windows, bounds), calibrations.now(windows, bounds))
    with pytest.raises(KeyError):
        Calibrations.from_dict({"series": {}})
    with pytest.raises(SunhwanError, match="a calibration saved"):
        Calibrations.from_dict({"series": {"": [{}]}, "pooled": []})


def test_intervals_of_now_and_of_the_whole_part_begin_alike(bounded):
    windows, bounds = bounded
    calibrations = Calibrations.fit(windows, bounds, 0.8)
    now, (run, _) = calibrations.now(windows, bounds), calibrations.run(windows, bounds)
    for code in range(3):
        first = np.flatnonzero(windows.rows.series[windows.last] == code)[0]
        np.testing.assert_array_equal(now[first], run[first])
    assert (run != now).any()

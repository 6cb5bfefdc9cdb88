"""Splits that are not in time, and series that only look like it."""

import numpy as np
import pytest

from sunhwan.audit.findings import overlap


def cut(series, timesteps, hop=1):
    starts = range(0, len(series) - timesteps + 1, hop)
    return np.stack([series[start : start + timesteps] for start in starts])


@pytest.fixture
def series():
    return np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)


def test_a_split_in_time_has_no_training_window_after_a_judged_one(series):
    windows = cut(series, 20)
    overlaps = overlap.later(windows[300:], windows[:300])
    assert (overlaps.rows, overlaps.share, overlaps.count) == (0, 0.0, len(windows) - 300)


@pytest.mark.parametrize(("hop", "shared"), [(1, 19), (5, 15), (10, 10)])
def test_windows_that_training_goes_on_from_are_found_whatever_the_hop(hop, shared, series):
    windows = cut(series, 20, hop)
    judged = np.arange(len(windows)) % 4 == 1
    overlaps = overlap.later(windows[judged], windows[~judged])
    assert overlaps.share == 1
    assert overlaps.shared == shared
    row, training, common = overlaps.examples[0]
    np.testing.assert_array_equal(windows[judged][row][-common:], windows[~judged][training][:common])


def test_the_share_is_that_of_the_windows_that_overlap(series):
    windows = cut(series, 20)
    judged = np.r_[0:10, 350:381]  # the first ten lie before training, the last after it
    overlaps = overlap.later(windows[judged], windows[10:350])
    assert overlaps.rows == 10


def test_a_sensor_that_stands_still_or_has_few_values_overlaps_with_nothing():
    random = np.random.default_rng(0)
    still = np.zeros((200, 20, 1), np.float32)
    assert overlap.later(still[:50], still[50:]).rows == 0
    coarse = random.integers(0, 2, (400, 20, 1)).astype(np.float32)
    overlaps = overlap.later(coarse[:100], coarse[100:])
    assert overlaps.share < 0.02  # runs of eight agree by chance, whole windows do not


def test_windows_too_short_to_tell_say_nothing(series):
    assert overlap.later(cut(series, 3), cut(series, 3)) is None


def test_neighbours_in_time_are_found_in_whatever_order_rows_stand():
    random = np.random.default_rng(0)
    series = np.cumsum(random.normal(size=301))
    x = np.stack([random.normal(size=300), series[:-1]], axis=1)[:, None]
    y, order = series[1:], random.permutation(300)
    judged, training = order[:75], order[75:]
    chain = overlap.neighbours((x[judged], y[judged]), (x[training], y[training]))
    within = sum({row - 1, row + 1} <= set(training) for row in judged)
    assert (chain.between, chain.column) == (within, 1)
    in_time = overlap.neighbours((x[225:], y[225:]), (x[:225], y[:225]))
    assert in_time.between == 0


def test_values_that_recur_do_not_chain():
    y = np.random.default_rng(0).integers(0, 50, 300).astype(float)
    x = np.roll(y, 1)[:, None, None]
    assert overlap.neighbours((x[:50], y[:50]), (x[50:], y[50:])) is None


@pytest.mark.parametrize(
    ("test", "leaks"),
    [("x[250:], y[250:]", []), ("x[200:], y[200:]", ["window_overlap", "row_overlap"])],
)
def test_a_test_part_that_reaches_into_training_is_seen(test, leaks, named):
    names, _ = named(
        f"x, y = cut(series)\nmodel = network()\nmodel.fit(x[:250], y[:250], verbose=0)\n"
        f"model.evaluate({test}, verbose=0)\n"
    )
    assert set(names) <= set(leaks) and bool(names) == bool(leaks)


def test_a_random_validation_part_within_training_years_is_a_warning_if_the_test_is_sound(named):
    text = (
        "x, y = cut(series)\nfirst = random.permutation(300)\nmodel = network()\n"
        "model.fit(x[first], y[first], validation_split=0.2, verbose=0)\n"
        "model.evaluate(x[312:], y[312:], verbose=0)\n"
    )
    assert named(text)[0] == []
    assert named(text, "warning")[0] == ["window_overlap"]

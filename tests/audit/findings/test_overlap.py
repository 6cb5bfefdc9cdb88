"""Rows in common: what is found, and what must not be taken for it."""

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
    found = overlap.later(windows[300:], windows[:300])
    assert (found.windows, found.share, found.looked_at) == (0, 0.0, len(windows) - 300)


@pytest.mark.parametrize(("hop", "shared"), [(1, 19), (5, 15), (10, 10)])
def test_windows_that_training_goes_on_from_are_found_whatever_the_hop(hop, shared, series):
    windows = cut(series, 20, hop)
    judged = np.arange(len(windows)) % 4 == 1
    found = overlap.later(windows[judged], windows[~judged])
    assert found.share == 1
    assert found.shared == shared
    row, training, common = found.examples[0]
    np.testing.assert_array_equal(windows[judged][row][-common:], windows[~judged][training][:common])


def test_the_share_is_that_of_the_windows_that_overlap(series):
    windows = cut(series, 20)
    judged = np.r_[0:10, 350:381]  # the first ten lie before training, the last after it
    found = overlap.later(windows[judged], windows[10:350])
    assert found.windows == 10


def test_a_sensor_that_stands_still_or_has_few_values_overlaps_with_nothing():
    random = np.random.default_rng(0)
    still = np.zeros((200, 20, 1), np.float32)
    assert overlap.later(still[:50], still[50:]).windows == 0
    coarse = random.integers(0, 2, (400, 20, 1)).astype(np.float32)
    found = overlap.later(coarse[:100], coarse[100:])
    assert found.share < 0.02  # runs of eight agree by chance, whole windows do not


def test_windows_too_short_to_tell_say_nothing(series):
    assert overlap.later(cut(series, 3), cut(series, 3)) is None


def test_copies_are_rows_whose_inputs_and_targets_agree_in_every_bit(series):
    x, y = cut(series, 5)[:, :, :1], np.arange(396.0)
    copied = x[[7, 9]], y[[7, 9]]
    judged = np.concatenate([copied[0], x[300:] + 1]), np.concatenate([copied[1], y[300:]])
    found = overlap.copies(judged, (x[:300], y[:300]))
    assert found is None or found.rows == 0  # five values and a target recur by chance
    x, y = cut(series, 20), np.arange(381.0)
    judged = np.concatenate([x[[7, 9]], x[300:]]), np.concatenate([y[[7, 9]], y[300:]])
    found = overlap.copies(judged, (x[:300], y[:300]))
    assert (found.rows, found.examples, found.within) == (2, ((0, 7), (1, 9)), 0.0)
    assert overlap.copies((judged[0], judged[1] + 0.5), (x[:300], y[:300])).rows == 0


def test_short_rows_are_copies_where_their_neighbours_are_too():
    y = np.random.default_rng(0).integers(0, 9, 500).astype(float)  # few values: each pair recurs
    x = np.roll(y, 1)[:, None]
    apart = overlap.copies((x[300:], y[300:]), (x[:300], y[:300]))
    reaching = overlap.copies((x[200:], y[200:]), (x[:300], y[:300]))
    assert apart.rows == 0
    assert reaching.rows == 100 - overlap.RUN + 1


def test_rows_that_training_has_several_times_are_counted():
    x = np.random.default_rng(0).normal(size=(20, 12))
    found = overlap.copies((x[:5], None), (np.concatenate([x, x[:10]]), None))
    assert (found.rows, found.within) == (5, 20 / 30)


def test_neighbours_in_time_are_found_in_whatever_order_rows_stand():
    random = np.random.default_rng(0)
    series = np.cumsum(random.normal(size=301))
    x = np.stack([random.normal(size=300), series[:-1]], axis=1)[:, None]
    y, order = series[1:], random.permutation(300)
    judged, training = order[:75], order[75:]
    found = overlap.neighbours((x[judged], y[judged]), (x[training], y[training]))
    within = sum({row - 1, row + 1} <= set(training) for row in judged)
    assert (found.between, found.column) == (within, 1)
    in_time = overlap.neighbours((x[225:], y[225:]), (x[:225], y[:225]))
    assert in_time.between == 0


def test_values_that_recur_do_not_chain():
    y = np.random.default_rng(0).integers(0, 50, 300).astype(float)
    x = np.roll(y, 1)[:, None, None]
    assert overlap.neighbours((x[:50], y[:50]), (x[50:], y[50:])) is None


def test_hashes_tell_rows_apart_and_zeros_not():
    rows = np.random.default_rng(0).normal(size=(5000, 3)).astype(np.float32)
    assert len(np.unique(overlap.hashes(rows))) == 5000
    assert overlap.hashes(np.array([[0.0]])) == overlap.hashes(np.array([[-0.0]]))
    swapped = overlap.hashes(np.array([[1.0, 2.0], [2.0, 1.0]]))
    assert swapped[0] != swapped[1]


@pytest.fixture
def recordings():
    """Windows that do not overlap: noise on a few shapes, as sensors have it."""
    random = np.random.default_rng(2)
    shapes = np.sin(np.arange(30) * random.uniform(0.2, 1.0, (4, 1)))
    return (shapes[random.integers(4, size=600)] + 0.3 * random.normal(size=(600, 30)))[:, :, None]


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        (lambda rows: rows.round(2), 0.003),
        (lambda rows: rows * (1 + 1e-6), 1e-6),
        (lambda rows: rows + np.random.default_rng(3).normal(0, 0.01, rows.shape), 0.012),
    ],
)
def test_copies_that_differ_a_little_are_found(changed, difference, recordings):
    judged = np.concatenate([changed(recordings[:40]), recordings[500:]])
    found = overlap.near(judged, recordings[:500])
    assert (found.rows, found.count) == (40, 140)
    assert found.difference == pytest.approx(difference, rel=0.6)
    assert [(row, training) for row, training, _ in found.examples] == [(0, 0), (1, 1), (2, 2)]


def test_neighbours_by_chance_are_no_copies(recordings):
    assert overlap.near(recordings[500:], recordings[:500]).rows == 0
    assert overlap.near(recordings[:100], recordings[:500]).rows == 0  # equal ones are told elsewhere
    # Points on a curve lie dense: some are near each other, and none is a copy.
    phase = np.random.default_rng(4).uniform(0, 6.28, (800, 1))
    circle = np.sin(phase + np.arange(24) / 4)
    assert overlap.near(circle[600:], circle[:600]).rows == 0
    walk = np.cumsum(np.random.default_rng(5).normal(size=900))
    windows = cut(walk, 24)
    assert overlap.near(windows[700:], windows[:700]).rows == 0

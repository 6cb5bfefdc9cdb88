"""Baselines: against scikit-learn, against hand-made cases, and blind to the test part."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from sunhwan.baselines import study as baselines
from sunhwan.baselines.study import PENALTIES, boosting, fit_ridge, lagged, lags, seasonal
from sunhwan.data import table
from sunhwan.data.grid import Grid
from sunhwan.data.series import Preparation, prepare
from sunhwan.data.sets import newyork

NAN = float("nan")


def windows_over(values, target, timesteps, horizon=1):
    """Windows over values (rows, features) whose last value of the target is 0, so that it is the change."""
    values, target = values.astype(np.float32), target.astype(np.float32)
    everything = np.ones(len(values), bool)
    grid = Grid(timesteps, 1, horizon)
    last = grid.whole(everything, everything, np.zeros(len(values), int))
    return grid.windows(values, target, np.zeros_like(target), last)


def made(weights, rows, noise, seed, horizon=1):
    """Windows whose target is a weighted sum (timesteps, features) of the window, plus noise."""
    random = np.random.default_rng(seed)
    timesteps, features = weights.shape
    values, target = random.normal(size=(rows, features)), np.zeros(rows)
    for last in range(timesteps - 1, rows - horizon):
        target[last + horizon] = (values[last - timesteps + 1 : last + 1] * weights).sum()
    return windows_over(values, target + noise * random.normal(size=rows), timesteps, horizon)


@pytest.fixture(scope="module")
def weather(make_table):
    """Windows of 48 hours over two stations with a daily cycle and slow changes."""
    random = np.random.default_rng(0)
    rows = 700
    hours = np.arange(rows)
    stations = []
    for phase in (0, 3):
        slow = np.cumsum(random.normal(size=rows)) * 0.3
        stations.append(10 + 5 * np.sin(2 * np.pi * (hours - phase) / 24) + slow)
    temperature = np.concatenate(stations)
    other = np.roll(temperature, 2) * 0.5 + random.normal(size=2 * rows)
    readings = make_table({"T": temperature, "x": other}, rows=[rows, rows])
    return readings, prepare(readings, Preparation("T", 48, 6, calendar=("hour_of_day",)))


def test_ridge_recovers_a_linear_law():
    weights = np.array([[0.0, 0.0], [0.0, -0.25], [0.5, 1.0]])
    train, val, test = (made(weights, rows, noise=0, seed=seed) for seed, rows in enumerate((3000, 500, 500)))
    ridge = fit_ridge(train, val)
    # The smallest penalty, 0.1, shrinks by about 0.1 of 3,000 rows; float32 adds less.
    np.testing.assert_allclose(ridge.weights, weights, atol=1e-4)
    assert (ridge.penalty, ridge.timesteps) == (0.1, 3)
    assert np.abs(ridge.predict(test) - test.truth).max() < 1e-3


def test_ridge_is_scikit_learn_s_at_the_window_and_penalty_it_chose(weather):
    _, series = weather
    ridge = fit_ridge(series.train, series.val, season=24)
    x = series.train.inputs(np.arange(len(series.train))).astype(np.float64)[:, -ridge.timesteps :]
    change = (series.train.truth - series.train.persistence).astype(np.float64)
    theirs = SklearnRidge(alpha=ridge.penalty).fit(x.reshape(len(x), -1), change)
    # Ours are rounded to float32, and both solve normal equations of inputs that are much alike.
    np.testing.assert_allclose(ridge.weights[-ridge.timesteps :].ravel(), theirs.coef_, atol=1e-5)
    assert ridge.bias == pytest.approx(theirs.intercept_, abs=1e-5)
    assert not ridge.weights[: -ridge.timesteps].any() if ridge.timesteps < 48 else True
    x = series.test.inputs(np.arange(len(series.test)))[:, -ridge.timesteps :].reshape(len(series.test), -1)
    np.testing.assert_allclose(
        ridge.predict(series.test), series.test.persistence + theirs.predict(x.astype(np.float64)), atol=1e-4
    )


def test_every_window_and_penalty_was_tried_and_the_best_on_validation_taken(weather):
    _, series = weather
    ridge = fit_ridge(series.train, series.val, season=24)
    x = {
        part: getattr(series, part).inputs(np.arange(len(getattr(series, part)))).astype(np.float64)
        for part in ("train", "val")
    }
    change = series.train.truth - series.train.persistence
    errors = {}
    for length in (1, 3, 6, 12, 24, 48):
        for penalty in PENALTIES:
            recent = {part: values[:, -length:].reshape(len(values), -1) for part, values in x.items()}
            model = SklearnRidge(alpha=penalty).fit(recent["train"], change)
            said = series.val.persistence + model.predict(recent["val"])
            errors[length, penalty] = np.abs(said - series.val.truth).mean()
    chosen = errors[ridge.timesteps, ridge.penalty]
    # Of choices closer than float32 can tell apart, either will do.
    assert chosen == pytest.approx(min(errors.values()), abs=1e-6)
    assert max(errors.values()) > chosen + 0.01, "the choices differ, so there was something to choose"


def test_validation_chooses_and_test_does_not():
    """In validation the law of training does not hold; in test it does. The penalty must be validation's."""
    weights = np.array([[0.3], [1.0]])
    train, test = made(weights, 400, noise=0.1, seed=0), made(weights, 400, noise=0.1, seed=1)
    val = made(-weights, 400, noise=0.1, seed=2)
    ridge = fit_ridge(train, val)
    assert ridge.penalty == PENALTIES[-1]
    assert fit_ridge(train, test).penalty < 100


def test_a_short_law_takes_a_short_window():
    weights = np.zeros((32, 1))
    weights[-1] = 1
    train, val = (made(weights, rows, noise=1, seed=seed) for seed, rows in enumerate((150, 3000)))
    assert fit_ridge(train, val).timesteps == 1


def test_ridge_looks_no_further_back_than_memory_allows(monkeypatch):
    weights = np.zeros((8, 2))
    weights[0] = 1
    train, val = (made(weights, 500, noise=0.1, seed=seed) for seed in range(2))
    assert fit_ridge(train, val).timesteps == 8
    monkeypatch.setattr(baselines, "MOST_WEIGHTS", 7)
    ridge = fit_ridge(train, val, season=8)
    assert ridge.timesteps <= 3
    assert ridge.weights.shape == (8, 2)
    assert not ridge.weights[:5].any()


def test_many_training_windows_are_thinned_evenly(monkeypatch):
    train = made(np.ones((1, 1)), 1000, noise=0, seed=0)
    assert len(baselines.training_index(train)) == len(train) == 999
    monkeypatch.setattr(baselines, "MOST_TRAINING_WINDOWS", 100)
    index = baselines.training_index(train)
    assert (len(index), index[0], index[-1]) == (100, 0, 998)
    assert set(np.diff(index)) == {10, 11}


def test_batches_hold_every_window_once_in_order(monkeypatch):
    monkeypatch.setattr(baselines, "BATCH", 7)
    windows = made(np.ones((2, 1)), 31, noise=0, seed=0)
    parts = list(baselines.batches(windows))
    assert [len(part) for part in parts] == [7, 7, 7, 7, 1]
    np.testing.assert_array_equal(np.concatenate(parts), windows.inputs(np.arange(len(windows))))


def numbered(make_table, lookback, horizon, rows=(240,), interval=3600, missing=()):
    """Windows over rows that are numbered by their values."""
    values = np.arange(float(sum(rows)))
    x = np.random.default_rng(0).normal(size=len(values))
    values[list(missing)] = NAN
    readings = make_table({"T": values, "x": x}, rows=list(rows), interval=interval)
    return prepare(readings, Preparation("T", lookback, horizon, features=("x",)))


@pytest.mark.parametrize(("horizon", "back"), [(1, 23), (6, 18), (23, 1), (30, 18), (47, 1)])
def test_same_time_yesterday_is_the_latest_value_at_the_target_s_hour(make_table, horizon, back):
    series = numbered(make_table, 24, horizon, rows=(600,))
    said = np.rint(series.physical(seasonal(series, series.val)))
    np.testing.assert_array_equal(said, series.val.last - back)
    target = series.val.last + horizon
    assert (said <= series.val.last).all() and ((target - said) % 24 == 0).all()


@pytest.mark.parametrize(
    ("horizon", "interval"), [(24, 3600), (48, 3600), (1, 86400), (3, 86400), (2, 7 * 86400)]
)
def test_where_yesterday_is_the_last_value_itself_or_there_is_no_day(make_table, horizon, interval):
    series = numbered(make_table, 2, horizon, rows=(500,), interval=interval)
    assert seasonal(series, series.test) is None


def test_before_there_is_a_yesterday_the_last_value_stands_in(make_table):
    series = numbered(make_table, 2, 6, rows=(120, 120))
    said = np.rint(series.physical(seasonal(series, series.train)))
    last = series.train.last
    within = np.where(last < 120, last, last - 120)
    np.testing.assert_array_equal(said, np.where(within >= 18, last - 18, last))
    assert (within < 18).sum() == 2 * 17


def test_a_gap_yesterday_is_the_last_value_known_then(make_table):
    series = numbered(make_table, 2, 6, missing=(50, 51))
    said = dict(zip(series.train.last, np.rint(series.physical(seasonal(series, series.train))), strict=True))
    assert [said[last] for last in (67, 68, 69, 70)] == [49, 49, 49, 52]


def test_boosting_sees_lags_at_the_target_s_hour():
    for step, season, horizon in ((1, 24, 24), (1, 24, 6), (6, 144, 150), (2, 24, 3), (1, 0, 5)):
        found = lags(200, step, season, horizon)
        assert found == sorted(set(found)) and {0, 1, 2, 3, 5, 8, 16, 128} <= set(found)
        extra = set(found) - {0, 1, 2, 3, 5, 8, 16, 32, 64, 128}
        hours = {k for k in range(200) if season and (k * step + horizon) % season == 0}
        assert extra <= hours <= set(found)
    assert lags(3, 1, 24, 24) == [0, 1, 2]
    # 25 hours after the last row, as in the tutorial: 23 hours back is the target's hour.
    assert 23 in lags(240, 6, 144, 150) and 24 not in lags(240, 6, 144, 150)


def test_what_boosting_sees_of_a_window(monkeypatch):
    monkeypatch.setattr(baselines, "BATCH", 4)
    values = np.arange(60.0).reshape(20, 3)
    windows = windows_over(values, np.zeros(20), timesteps=6)
    index = np.array([0, 3, 5, 6, 9, 13])
    seen = lagged(windows, index, [0, 2, 5], calendar=1)
    for row, last in zip(seen, windows.last[index], strict=True):
        expected = [*values[last, :2], *values[last - 2, :2], *values[last - 5, :2], values[last, 2]]
        assert row.tolist() == expected
    assert lagged(windows, index, [0, 1], calendar=0).shape == (6, 6)


@pytest.fixture(scope="module")
def boosted(weather):
    return boosting(weather[1])


def test_boosting_beats_the_last_value(weather, boosted):
    _, series = weather
    for part in ("val", "test"):
        windows = getattr(series, part)
        assert boosted[part].shape == (len(windows),)
        error = np.abs(boosted[part] - windows.truth).mean()
        assert error < 0.5 * np.abs(windows.persistence - windows.truth).mean()


def test_boosting_uses_no_target_of_the_test_part(weather, boosted):
    _, series = weather
    again = boosting(replace(series, test=replace(series.test, target=-7 * series.test.target)))
    for part in ("val", "test"):
        np.testing.assert_array_equal(again[part], boosted[part])


def mean_absolute_error(series, forecasts):
    return np.abs(forecasts.astype(float) - series.test.truth).mean() * series.target_std


def test_ridge_on_new_york():
    """On real weather, from a short window to stay quick: better than the last value by far."""
    how = Preparation("temp (degC)", "12h", "24h", calendar=("hour_of_day", "day_of_year"), fill="12h")
    series = prepare(newyork.load(), how)
    ridge = fit_ridge(series.train, series.val, season=24)
    last_value = mean_absolute_error(series, series.test.persistence)
    assert 3.5 < last_value < 4
    assert mean_absolute_error(series, ridge.predict(series.test)) < 0.9 * last_value


@pytest.mark.real
def test_ridge_on_beijing(real_file):
    readings = table.load(real_file("beijing_hourly_2010_2014.csv"))
    calendar = ("hour_of_day", "day_of_year")
    series = prepare(readings, Preparation("TEMP", "240h", "24h", calendar=calendar, split=(50, 25, 25)))
    ridge = fit_ridge(series.train, series.val, season=24)
    assert mean_absolute_error(series, series.test.persistence) == pytest.approx(2.696, abs=0.005)
    assert mean_absolute_error(series, ridge.predict(series.test)) == pytest.approx(2.286, abs=0.02)


@pytest.mark.real
def test_ridge_on_the_whole_of_new_york(real_file):
    real_file("newyork_hourly_2013.csv")
    how = Preparation("temp (degC)", "5d", "24h", calendar=("hour_of_day", "day_of_year"), fill="12h")
    series = prepare(newyork.load(), how)
    ridge = fit_ridge(series.train, series.val, season=24)
    assert mean_absolute_error(series, ridge.predict(series.test)) == pytest.approx(3.123, abs=0.03)

"""Baselines of whole paths, held to scikit-learn's and to what a pencil says."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from sunhwan.baselines import paths as baselines
from sunhwan.baselines.trees import Trees
from sunhwan.data import table
from sunhwan.data.features.encoder import Encoder
from sunhwan.data.features.kinds import Number
from sunhwan.data.features.scale import Scale
from sunhwan.data.grid import Grid
from sunhwan.data.preparation import ForecastSpec, prepare
from sunhwan.data.sets import newyork
from sunhwan.data.table import Table
from sunhwan.data.windows import EncodedRows, WindowPlan

HOUR = np.timedelta64(3600, "s")


def weather(rows=1500, targets=("T",), known=(), **how):
    random = np.random.default_rng(1)
    hours = np.arange(rows)
    slow = np.cumsum(random.normal(size=rows)) / 5
    columns = {
        "T": 10 + 5 * np.sin(2 * np.pi * hours / 24) + slow + random.normal(size=rows),
        "p": 1000 + 3 * np.cos(2 * np.pi * hours / 50) + random.normal(size=rows),
        "plan": (random.random(rows) < 0.2) * 1.0,
    }
    columns["T"] += 3 * columns["plan"]
    readings = Table(
        np.datetime64("2024-01-01", "s") + hours * HOUR,
        np.zeros(rows, np.int32),
        ("",),
        pl.DataFrame(columns),
        HOUR,
        "made.csv",
        "",
    )
    return prepare(readings, ForecastSpec(targets, 6, 12, known, **how))


def test_the_straight_line_is_that_of_scikit_learn():
    learnt = weather(targets=("T", "p"), known=("plan",))
    train, val = learnt.windows("train"), learnt.windows("val")
    line = baselines.fit_linear(train, val)
    index = np.arange(len(train))
    x = np.concatenate(
        [
            train.ahead(index).reshape(len(train), -1),
            train.windows(index)[:, 12 - line.timesteps :].reshape(len(train), -1),
        ],
        axis=1,
    )
    y = (train.truths() - train.current[:, None]).reshape(len(train), -1)
    theirs = Ridge(line.penalty).fit(x.astype(float), y.astype(float))
    index = np.arange(len(val))
    x = np.concatenate(
        [
            val.ahead(index).reshape(len(val), -1),
            val.windows(index)[:, 12 - line.timesteps :].reshape(len(val), -1),
        ],
        axis=1,
    )
    expected = theirs.predict(x).reshape(-1, 6, 2) + val.current[:, None]
    np.testing.assert_allclose(line.predict(val), expected, atol=2e-4)


def test_the_choice_of_the_straight_line_is_validations():
    learnt = weather()
    train, val = learnt.windows("train"), learnt.windows("val")
    line = baselines.fit_linear(train, val)
    best = np.abs(line.predict(val) - val.truths()).mean()
    for timesteps in (1, 3, 6, 12):
        for penalty in baselines.PENALTIES:
            index = np.arange(len(train))
            x = train.windows(index)[:, 12 - timesteps :].reshape(len(train), -1).astype(float)
            y = (train.truths() - train.current[:, None]).reshape(len(train), -1)
            model = Ridge(penalty).fit(x, y)
            x = val.windows(np.arange(len(val)))[:, 12 - timesteps :].reshape(len(val), -1)
            said = model.predict(x).reshape(-1, 6, 1) + val.current[:, None]
            assert best <= np.abs(said - val.truths()).mean() + 1e-4


def test_yesterday_is_the_latest_known_value_at_that_time_of_day():
    learnt = weather()
    test = learnt.windows("test")
    said = baselines.seasonal(test)
    column = learnt.rows.values[:, learnt.plan.target_features[0]]
    for i in (0, 5, len(test) - 1):
        for step in range(6):
            assert said[i, step, 0] == column[test.last[i] + step + 1 - 24]


def test_yesterday_before_the_beginning_is_the_last_value():
    learnt = weather()
    train = learnt.windows("train")
    early = train.take(np.flatnonzero(train.last + 6 < 24))
    assert len(early)
    np.testing.assert_array_equal(baselines.seasonal(early), baselines.last_value(early))


@pytest.mark.parametrize("known", [(), ("plan",)])
def test_trees_of_arrays_say_what_scikit_learn_says(known):
    learnt = weather(targets=("T", "p"), known=known)
    boosted = baselines.boosting(learnt.windows("train"), learnt.windows("val"))
    test = learnt.windows("test")
    trees = Trees.of(boosted)
    np.testing.assert_allclose(trees.predict(test), boosted.predict(test), atol=1e-5)
    again = Trees.from_arrays(learnt.plan, trees.arrays())
    np.testing.assert_array_equal(again.predict(test), trees.predict(test))
    # It has learnt something: better than the last value.
    error = np.abs(boosted.predict(test) - test.truths()).mean()
    assert error < 0.9 * np.abs(baselines.last_value(test) - test.truths()).mean()


def test_trees_that_point_nowhere_are_refused():
    learnt = weather()
    arrays = Trees.of(baselines.boosting(learnt.windows("train"), learnt.windows("val"))).arrays()
    with pytest.raises(ValueError, match="not there"):
        Trees.from_arrays(learnt.plan, {**arrays, "0:left": arrays["0:left"] + 10_000})
    with pytest.raises(KeyError):
        Trees.from_arrays(learnt.plan, {})


def test_what_is_known_in_advance_is_used():
    with_plan, without = weather(known=("plan",)), weather()
    errors = []
    for learnt in (with_plan, without):
        line = baselines.fit_linear(learnt.windows("train"), learnt.windows("val"))
        test = learnt.windows("test")
        errors.append(np.abs(line.predict(test) - test.truths()).mean())
    assert errors[0] < 0.95 * errors[1]


def made(weights, rows, noise, seed):
    """Windows whose target, whose last value is always 0, is a weighted sum (timesteps, features) of the
    window, plus noise."""
    random = np.random.default_rng(seed)
    timesteps, features = weights.shape
    values, target = random.normal(size=(rows, features)), np.zeros(rows)
    for last in range(timesteps - 1, rows - 1):
        target[last + 1] = (values[last - timesteps + 1 : last + 1] * weights).sum()
    target += noise * random.normal(size=rows)
    columns = [Number("T"), *(Number(f"c{i}") for i in range(features))]
    encoder = Encoder(tuple(columns), Scale(np.zeros(features + 1), np.ones(features + 1)), 0, HOUR)
    values = np.concatenate([np.zeros((rows, 1)), values], axis=1).astype(np.float32)
    plan = WindowPlan(("T",), (), encoder, Grid(timesteps, 1, 1), (1,))
    time, series = np.zeros(rows, "datetime64[s]"), np.zeros(rows, int)
    return EncodedRows(plan, values, target.astype(np.float32)[:, None], time, series, ("",)).windows()


def law(line, features):
    """(used timesteps, features) the weights of the columns beside the target's."""
    return line.weights[:, 0].reshape(-1, features + 1)[:, 1:]


def test_ridge_recovers_a_linear_law():
    weights = np.array([[0.0, 0.0], [0.0, -0.25], [0.5, 1.0]])
    train, val, test = (made(weights, rows, noise=0, seed=seed) for seed, rows in enumerate((3000, 500, 500)))
    line = baselines.fit_linear(train, val)
    # The smallest penalty, 0.1, shrinks by about 0.1 of 3,000 rows; float32 adds less.
    np.testing.assert_allclose(law(line, 2), weights, atol=1e-4)
    assert (line.penalty, line.timesteps) == (0.1, 3)
    assert np.abs(line.predict(test) - test.truths()).max() < 1e-3


def test_validation_chooses_and_test_does_not():
    """In validation the law of training does not hold; in test it does. The penalty must be validation's."""
    weights = np.array([[0.3], [1.0]])
    train, test = made(weights, 400, noise=0.1, seed=0), made(weights, 400, noise=0.1, seed=1)
    val = made(-weights, 400, noise=0.1, seed=2)
    assert baselines.fit_linear(train, val).penalty == baselines.PENALTIES[-1]
    assert baselines.fit_linear(train, test).penalty < 100


def test_a_short_law_takes_a_short_window():
    weights = np.zeros((32, 1))
    weights[-1] = 1
    train, val = (made(weights, rows, noise=1, seed=seed) for seed, rows in enumerate((150, 3000)))
    assert baselines.fit_linear(train, val).timesteps == 1


def test_ridge_looks_no_further_back_than_memory_allows(monkeypatch):
    weights = np.zeros((8, 2))
    weights[0] = 1
    train, val = (made(weights, 500, noise=0.1, seed=seed) for seed in range(2))
    assert baselines.fit_linear(train, val).timesteps == 8
    monkeypatch.setattr(baselines, "MOST_WEIGHTS", 10)
    assert baselines.fit_linear(train, val).timesteps <= 3


def test_many_windows_are_thinned_evenly_and_batched_in_order():
    windows = made(np.ones((1, 1)), 1000, noise=0, seed=0)
    assert len(windows.thinned(1000)) == len(windows) == 999
    last = windows.thinned(100).last
    assert (len(last), last[0], last[-1]) == (100, 0, 998)
    assert set(np.diff(last)) == {10, 11}
    parts = list(baselines.batches(windows.thinned(31), 7))
    assert [len(part) for part in parts] == [7, 7, 7, 7, 3]
    np.testing.assert_array_equal(np.concatenate(parts), np.arange(31))


def test_boosting_sees_lags_at_the_target_s_hour():
    for step, season, horizon in ((1, 24, 24), (1, 24, 6), (6, 144, 150), (2, 24, 3), (1, 0, 5)):
        found = baselines.lags(200, step, season, horizon)
        assert found == sorted(set(found)) and {0, 1, 2, 3, 5, 8, 16, 128} <= set(found)
        extra = set(found) - {0, 1, 2, 3, 5, 8, 16, 32, 64, 128}
        hours = {k for k in range(200) if season and (k * step + horizon) % season == 0}
        assert extra <= hours <= set(found)
    assert baselines.lags(3, 1, 24, 24) == [0, 1, 2]
    # 25 hours after the last row, as in the tutorial: 23 hours back is the target's hour.
    assert 23 in baselines.lags(240, 6, 144, 150) and 24 not in baselines.lags(240, 6, 144, 150)


def single(readings, lookback, **how):
    how = {"calendar": ("hour_of_day", "day_of_year"), "fill": "12h", "step": 1, **how}
    target = next(name for name in ("temp (degC)", "TEMP") if name in readings.columns.columns)
    prepared = prepare(readings, ForecastSpec((target,), lookback=lookback, leads=("24h",), **how))
    return [prepared.windows(part) for part in ("train", "val", "test")]


def errors(train, val, test):
    """Mean absolute errors on test of the last value and of ridge, in the target's unit."""
    physical, line = test.plan.physical, baselines.fit_linear(train, val)
    said = baselines.last_value(test), line.predict(test)
    return [np.abs(physical(each) - physical(test.truths())).mean() for each in said]


def test_ridge_on_new_york():
    """On real weather, from a short window to stay quick: better than the last value by far."""
    last_value, ridge = errors(*single(newyork.load(), "12h"))
    assert 3.5 < last_value < 4
    assert ridge < 0.9 * last_value


@pytest.mark.real
def test_ridge_on_beijing(real_file):
    readings = table.load(real_file("beijing_hourly_2010_2014.csv"))
    last_value, ridge = errors(*single(readings, "240h", split=(50, 25, 25), fill="6h"))
    assert last_value == pytest.approx(2.696, abs=0.005)
    assert ridge == pytest.approx(2.286, abs=0.02)


@pytest.mark.real
def test_ridge_on_the_whole_of_new_york(real_file):
    real_file("newyork_hourly_2013.csv")
    assert errors(*single(newyork.load(), "5d"))[1] == pytest.approx(3.123, abs=0.03)

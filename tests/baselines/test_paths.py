"""Baselines of whole paths, held to scikit-learn's and to what a pencil says."""

import numpy as np
import polars as pl
import pytest
from sklearn.linear_model import Ridge

from sunhwan.baselines import paths as baselines
from sunhwan.baselines.trees import Trees
from sunhwan.data import paths
from sunhwan.data.paths import Wanted
from sunhwan.data.table import Table

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
    return paths.learn(readings, Wanted(targets, 6, 12, known, **how))


def test_the_straight_line_is_that_of_scikit_learn():
    learnt = weather(targets=("T", "p"), known=("plan",))
    train, val = learnt.paths("train"), learnt.paths("val")
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
    train, val = learnt.paths("train"), learnt.paths("val")
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
    test = learnt.paths("test")
    said = baselines.seasonal(test)
    column = learnt.rows.values[:, learnt.plan.target_features[0]]
    for i in (0, 5, len(test) - 1):
        for step in range(6):
            assert said[i, step, 0] == column[test.last[i] + step + 1 - 24]


def test_yesterday_before_the_beginning_is_the_last_value():
    learnt = weather()
    train = learnt.paths("train")
    early = train.take(np.flatnonzero(train.last + 6 < 24))
    assert len(early)
    np.testing.assert_array_equal(baselines.seasonal(early), baselines.last_value(early))


@pytest.mark.parametrize("known", [(), ("plan",)])
def test_trees_of_arrays_say_what_scikit_learn_says(known):
    learnt = weather(targets=("T", "p"), known=known)
    boosted = baselines.boosting(learnt.paths("train"), learnt.paths("val"))
    test = learnt.paths("test")
    trees = Trees.of(boosted)
    np.testing.assert_allclose(trees.predict(test), boosted.predict(test), atol=1e-5)
    again = Trees.from_arrays(learnt.plan, trees.arrays())
    np.testing.assert_array_equal(again.predict(test), trees.predict(test))
    # It has learnt something: better than the last value.
    error = np.abs(boosted.predict(test) - test.truths()).mean()
    assert error < 0.9 * np.abs(baselines.last_value(test) - test.truths()).mean()


def test_trees_that_point_nowhere_are_refused():
    learnt = weather()
    arrays = Trees.of(baselines.boosting(learnt.paths("train"), learnt.paths("val"))).arrays()
    with pytest.raises(ValueError, match="not there"):
        Trees.from_arrays(learnt.plan, {**arrays, "0:left": arrays["0:left"] + 10_000})
    with pytest.raises(KeyError):
        Trees.from_arrays(learnt.plan, {})


def test_what_is_known_in_advance_is_used():
    with_plan, without = weather(known=("plan",)), weather()
    errors = []
    for learnt in (with_plan, without):
        line = baselines.fit_linear(learnt.paths("train"), learnt.paths("val"))
        test = learnt.paths("test")
        errors.append(np.abs(line.predict(test) - test.truths()).mean())
    assert errors[0] < 0.95 * errors[1]

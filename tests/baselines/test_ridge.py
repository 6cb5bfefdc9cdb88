"""Ridge regression, compared with scikit-learn's."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge as Theirs

from sunhwan.baselines.ridge import PENALTIES, Ridge
from sunhwan.baselines.windows import ArrayWindows
from sunhwan.errors import SunhwanError


def flat(windows, timesteps):
    """Known future values and the latest timesteps: (windows, weights)."""
    index = np.arange(len(windows))
    recent = windows.windows(index)[:, 12 - timesteps :].reshape(len(windows), -1)
    return np.concatenate([windows.ahead(index).reshape(len(windows), -1), recent], axis=1).astype(float)


def changes(windows):
    return (windows.truths() - windows.current[:, None]).reshape(len(windows), -1).astype(float)


def test_it_is_that_of_scikit_learn(weather):
    learnt = weather(targets=("T", "p"), known=("plan",))
    train, validation = learnt.windows("train"), learnt.windows("val")
    ridge = Ridge.fit(train, validation)
    theirs = Theirs(ridge.penalty).fit(flat(train, ridge.timesteps), changes(train))
    expected = theirs.predict(flat(validation, ridge.timesteps)).reshape(-1, 6, 2)
    np.testing.assert_allclose(ridge.predict(validation), expected + validation.current[:, None], atol=2e-4)


def test_validation_chooses_timesteps_and_penalty(weather):
    learnt = weather()
    train, validation = learnt.windows("train"), learnt.windows("val")
    ridge = Ridge.fit(train, validation)
    best = np.abs(ridge.predict(validation) - validation.truths()).mean()
    for timesteps in (1, 3, 6, 12):
        for penalty in PENALTIES:
            model = Theirs(penalty).fit(flat(train, timesteps), changes(train))
            prediction = model.predict(flat(validation, timesteps)).reshape(-1, 6, 1)
            error = prediction + validation.current[:, None] - validation.truths()
            assert best <= np.abs(error).mean() + 1e-4


def test_known_future_values_are_used(weather):
    errors = []
    for learnt in (weather(known=("plan",)), weather()):
        test = learnt.windows("test")
        ridge = Ridge.fit(learnt.windows("train"), learnt.windows("val"))
        errors.append(np.abs(ridge.predict(test) - test.truths()).mean())
    assert errors[0] < 0.95 * errors[1]


def test_once_loaded_a_window_has_the_same_bits_alone_and_in_a_batch(weather):
    learnt = weather(targets=("T", "p"), known=("plan",))
    test = learnt.windows("test")
    fitted = Ridge.fit(learnt.windows("train"), learnt.windows("val"))
    loaded = Ridge.from_saved(learnt.plan, fitted.to_dict(), fitted.to_arrays())
    whole = loaded.predict(test)
    np.testing.assert_allclose(whole, fitted.predict(test), atol=1e-5)
    for window in (0, 17, len(test) - 1):
        np.testing.assert_array_equal(loaded.predict(test.take(np.array([window])))[0], whole[window])


def test_memory_limits_the_timesteps(weather):
    learnt = weather()
    features = len(learnt.plan.names)
    ridge = Ridge.fit(learnt.windows("train"), learnt.windows("val"), most_weights=4 * features)
    assert ridge.timesteps <= 4


def test_windows_without_all_steps_are_refused(weather):
    learnt = weather()
    train = learnt.windows("train")
    truth = np.where(np.arange(len(train.rows))[:, None] % 3 == 0, np.nan, train.rows.truth)
    with pytest.raises(SunhwanError, match=r"ridge regression needs training windows .*shorter --horizon"):
        Ridge.fit(replace(train, rows=replace(train.rows, truth=truth)), learnt.windows("val"))


@pytest.mark.parametrize("feature", [0, None])
def test_plain_arrays_serve_as_well(feature):
    random = np.random.default_rng(0)
    x = 50 + 10 * random.normal(size=(900, 8, 2))
    y = x[:, -1:, 0] + np.stack([x[:, -2, 1], 2 * x[:, -3, 1]], axis=1) - 80
    train = ArrayWindows.of(x[:600], y[:600], feature)
    ridge = Ridge.fit(train, train.like(x[600:750], y[600:750]))
    test = train.like(x[750:])
    np.testing.assert_allclose(test.physical(ridge.predict(test)), y[750:], atol=0.1)

"""Gradient boosting, whose trees as arrays are compared with scikit-learn's own."""

import numpy as np
import pytest

from sunhwan.baselines.boosting import Boosting, lags
from sunhwan.baselines.naive import LastValue
from sunhwan.baselines.windows import ArrayWindows


def loaded(boosting):
    return Boosting.from_saved(boosting.plan, boosting.to_dict(), boosting.to_arrays())


@pytest.mark.parametrize("known", [(), ("plan",)])
def test_trees_of_arrays_predict_what_scikit_learn_predicts(weather, known):
    learnt = weather(targets=("T", "p"), known=known)
    boosting = Boosting.fit(learnt.windows("train"), learnt.windows("val"))
    test = learnt.windows("test")
    trees = loaded(boosting)
    assert boosting.models and not trees.models
    np.testing.assert_allclose(trees.predict(test), boosting.predict(test), atol=1e-5)
    np.testing.assert_array_equal(loaded(trees).predict(test), trees.predict(test))
    # It has learnt something: better than the last value.
    error = np.abs(boosting.predict(test) - test.truths()).mean()
    assert error < 0.9 * np.abs(LastValue(learnt.plan).predict(test) - test.truths()).mean()


def test_trees_that_point_nowhere_are_refused(weather):
    learnt = weather()
    boosting = Boosting.fit(learnt.windows("train"), learnt.windows("val"))
    saved, arrays = boosting.to_dict(), boosting.to_arrays()
    with pytest.raises(ValueError, match="do not exist"):
        Boosting.from_saved(learnt.plan, saved, {**arrays, "0:left": arrays["0:left"] + 10_000})
    with pytest.raises(KeyError):
        Boosting.from_saved(learnt.plan, saved, {})
    for wrong in ([], [-1], [12]):
        with pytest.raises(ValueError, match="expected some of 12"):
            Boosting.from_saved(learnt.plan, {"lags": wrong}, arrays)


def test_lags_are_dense_near_the_end_and_at_the_targets_time_of_day():
    assert lags(50, 1, 24, 30) == [0, 1, 2, 3, 5, 8, 16, 18, 32, 42]
    assert lags(10, 1, 0, 1) == [0, 1, 2, 3, 5, 8]


def test_plain_arrays_serve_as_well():
    random = np.random.default_rng(0)
    x = random.normal(size=(3000, 8, 2))
    y = x[:, -1:, 0] + np.stack([np.sign(x[:, -3, 1]), 2 * np.sign(x[:, -3, 1])], axis=1)
    train = ArrayWindows.of(x[:2000], y[:2000], feature=0, cell=(3, 0))
    boosting = Boosting.fit(train, train.like(x[2000:2500], y[2000:2500]), lags=(0, 2), loss="squared_error")
    assert loaded(boosting).lags == (0, 2)
    test = train.like(x[2500:])
    for predictor in (boosting, loaded(boosting)):
        error = np.abs(test.physical(predictor.predict(test)) - y[2500:]).mean()
        assert error < 0.1 * np.abs(x[2500:, -1:, 0] - y[2500:]).mean()

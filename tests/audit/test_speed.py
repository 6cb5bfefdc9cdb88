"""How fast a fit is: measured on its own model, which never notices, or declined with a reason."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest

import sunhwan
from sunhwan.audit.baselines import Budget, Comparison
from sunhwan.audit.fits import read
from sunhwan.audit.observe.watch import watching
from sunhwan.audit.session import clock
from sunhwan.audit.speed import Speed, estimate, sentence
from sunhwan.audit.text import Audit

X = np.random.default_rng(0).normal(size=(64, 6, 2)).astype("float32")


def model_of(layer):
    model = keras.Sequential([layer, keras.layers.Dropout(0.2), keras.layers.Dense(1)])
    model.compile("adam", "mse", metrics=["mae"])
    return model


def timed(layer, seconds=600.0):
    """The audit of a fit, of its speed alone."""
    with watching(__file__) as observed:
        model_of(layer).fit(X, X[:, 0, :1], batch_size=16, verbose=0)
    audit = Audit(__file__, read(observed), [Comparison("train", declined="not wanted")])
    clock(audit, 2.0, Budget(seconds))
    return audit


def trained(audited):
    """What a program has that goes on training after a block, audited or not."""
    keras.utils.set_random_seed(3)
    model = model_of(keras.layers.LSTM(3, dropout=0.3, recurrent_dropout=0.2))
    with sunhwan.accelerated():
        if audited:
            with sunhwan.audit(budget=600) as findings:
                model.fit(X, X[:, 0, :1], epochs=2, verbose=0)
            assert findings.speeds[0], findings.speeds
        else:
            model.fit(X, X[:, 0, :1], epochs=2, verbose=0)
        before = model.history.history["loss"]
        model.fit(X, X[:, 0, :1], epochs=1, verbose=0)
    # A layer that is given no seed draws from speed that all share.
    noise = keras.ops.convert_to_numpy(keras.random.normal((3,)))
    return [*model.get_weights(), *(v.numpy() for v in model.optimizer.variables), before, noise]


def test_a_program_goes_on_with_the_bits_that_it_would_have_without_a_measurement():
    for alone, measured in zip(trained(False), trained(True), strict=True):
        np.testing.assert_array_equal(alone, measured)


def test_steps_are_timed_in_turns_and_have_the_same_losses():
    audit = timed(keras.layers.GRU(3))
    speed = audit.speeds[0]
    assert speed.ratio > 0 and speed.accelerated > 0 and speed.steps >= 1
    assert speed.difference < 1e-4
    assert audit.fits[0].calls[0].steps == 4
    assert "with sunhwan.accelerate(): about" in str(audit)  # as the fit itself was not


@pytest.mark.parametrize(
    ("layer", "seconds", "reason"),
    [
        (keras.layers.GRU(3), 0.0, "the time budget is spent"),
        (keras.layers.Flatten(), 600.0, "the model has no recurrent layer"),
        (keras.layers.RNN(keras.layers.GRUCell(3)), 600.0, "no layer is accelerated"),
    ],
)
def test_what_cannot_be_timed_is_null_with_a_reason(layer, seconds, reason):
    audit = timed(layer, seconds)
    assert reason in str(audit)
    fit = audit.to_dict()["fits"][0]
    assert fit["speedup"] is None and reason in fit["not_timed"]


def fitted(*calls):
    return SimpleNamespace(
        calls=[SimpleNamespace(steps=n, seconds=s, accelerated=a) for n, s, a in calls], recurrent=[1]
    )


@pytest.mark.parametrize(
    ("calls", "otherwise"),
    [
        ([(100, 6.0, True)], 10 + 1 * 11),  # 100 steps of 0.01 s
        ([(100, 6.0, True), (100, 0.5, True)], 10 + 1.5 * 11),  # no more than the fit took
        ([(10, 6.0, False)], 10 - 1.2 * 11 / 12),
    ],
)
def test_of_a_fit_the_steps_are_scaled_and_nothing_else(calls, otherwise):
    times = estimate([fitted(*calls)], [Speed(12.0, accelerated=0.01, steps=8)], 10.0)
    assert times.otherwise == pytest.approx(otherwise)
    assert times.accelerated == calls[0][2]


def test_losses_that_differ_are_not_called_the_same():
    speed = Speed(2.0, accelerated=0.01, steps=8, difference=0.02)
    line = sentence(estimate([fitted((100, 6.0, True))], [speed], 10.0), [speed])
    assert "losses differ by up to 2%" in line and "same" not in line

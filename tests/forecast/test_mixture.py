"""Weights that validation chooses."""

import numpy as np
import pytest

from sunhwan.forecast import mixture

TRUTH = np.random.default_rng(0).normal(size=(200, 4, 1))
NOISE = np.random.default_rng(1).normal(size=(3, 200, 4, 1))


def test_the_best_alone_where_others_add_nothing():
    assert mixture.weights({"good": TRUTH + 0.1 * NOISE[0], "bad": TRUTH + 5}, TRUTH) == {"good": 1.0}


def test_errors_that_cancel_are_averaged():
    found = mixture.weights({"a": TRUTH + NOISE[0], "b": TRUTH + NOISE[1]}, TRUTH)
    assert sum(found.values()) == pytest.approx(1) and min(found.values()) > 0.3


def test_what_gains_too_little_is_left_out():
    forecasts = {"a": TRUTH + NOISE[0], "b": TRUTH + NOISE[0] + 0.4 * NOISE[1]}
    better = {"a": forecasts["a"], "b": TRUTH + 0.98 * NOISE[0] - 0.05 * NOISE[1]}
    assert "b" in mixture.weights(better, TRUTH)
    assert mixture.weights(better, TRUTH, {"b": 0.5}) == {"a": 1.0}


def test_what_was_not_observed_counts_for_nothing():
    truth = TRUTH.copy()
    truth[100:] = np.nan
    wrong = TRUTH + NOISE[0]
    wrong[100:] = 1e9
    assert mixture.weights({"a": wrong, "b": TRUTH + 30}, truth) == {"a": 1.0}


def test_what_is_near_and_what_is_far_are_mixed_for_themselves():
    steps = np.array([0.1, 1, 1, 1])[:, None]
    forecasts = {"near": TRUTH + steps * NOISE[0], "far": TRUTH + 0.6 * NOISE[1], "bad": TRUTH + 9}
    found = mixture.by_step(forecasts, TRUTH)
    assert found.keys() == {"near", "far"}
    assert found["near"][0] > 0.9 and max(found["near"][1:]) < 0.5 < min(found["far"][1:])


def test_weights_of_each_step_add_up_to_one():
    found = mixture.by_step({"a": TRUTH + NOISE[0], "b": TRUTH + NOISE[1], "c": TRUTH + NOISE[2]}, TRUTH)
    assert set(found) == {"a", "b", "c"}
    np.testing.assert_allclose(sum(found.values()), 1, rtol=1e-6)
    assert all(weights[1] == weights[2] for weights in found.values())  # blocks of 1, 2 and the rest


def test_what_would_gain_too_little_keeps_the_weights_of_all():
    forecasts = {"a": TRUTH + NOISE[0], "b": TRUTH + NOISE[1]}
    found, common = mixture.by_step(forecasts, TRUTH), mixture.weights(forecasts, TRUTH)
    assert all(weights[-1] == np.float32(common[name]) for name, weights in found.items())


def test_steps_that_were_never_observed_have_the_weights_of_all():
    truth = TRUTH.copy()
    truth[:, 3:] = np.nan
    forecasts = {"a": TRUTH + NOISE[0], "b": TRUTH + NOISE[1]}
    common = mixture.weights(forecasts, truth)
    found = mixture.by_step(forecasts, truth)
    assert {name: weights[3] for name, weights in found.items()} == pytest.approx(common)

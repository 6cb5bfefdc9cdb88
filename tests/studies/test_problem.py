"""How forecasts are judged, beside scikit-learn's own figures."""

import math

import numpy as np
import pytest
from sklearn import metrics

from sunhwan.studies import problem
from sunhwan.studies.problem import Examples, Metric, Problem

RANDOM = np.random.default_rng(0)
TRUTH = RANDOM.normal(size=501).astype(np.float32)
FORECAST = (TRUTH + RANDOM.normal(size=501)).astype(np.float32)
LABELS = RANDOM.integers(0, 2, 501)
PROBABILITY = RANDOM.random(501).astype(np.float32)

# The reference sums in float64 as we do, over the same float32 numbers.
CLOSE = {"rel": 1e-12}


def test_errors_are_scikit_learn_s():
    truth, forecast = TRUTH.astype(np.float64), FORECAST.astype(np.float64)
    absolute = problem.mean_absolute_error(FORECAST, TRUTH)
    squared = problem.mean_squared_error(FORECAST, TRUTH)
    assert absolute == {"loss": pytest.approx(metrics.mean_absolute_error(truth, forecast), **CLOSE)}
    assert squared == {"loss": pytest.approx(metrics.mean_squared_error(truth, forecast), **CLOSE)}


def test_cross_entropy_and_accuracy_are_scikit_learn_s():
    score = problem.binary_crossentropy(PROBABILITY, LABELS)
    assert score["loss"] == pytest.approx(metrics.log_loss(LABELS, PROBABILITY.astype(np.float64)), **CLOSE)
    assert score["accuracy"] == metrics.accuracy_score(LABELS, PROBABILITY > 0.5)


def test_certainty_that_is_wrong_costs_much_but_not_infinitely_much():
    score = problem.binary_crossentropy(np.array([1.0, 0.0], np.float32), np.array([0, 1]))
    assert score == {"loss": pytest.approx(-math.log(1e-7), rel=1e-6), "accuracy": 0.0}


def test_a_network_that_broke_down_has_no_accuracy():
    # NaN > 0.5 is False, which would count as class 0: right in half of all texts.
    score = problem.binary_crossentropy(np.full(4, np.nan, np.float32), np.array([0, 1, 0, 1]))
    assert math.isnan(score["loss"])
    assert math.isnan(score["accuracy"])


def test_scores_are_given_in_the_metric_s_unit():
    part = Examples(np.zeros((501, 1)), TRUTH)
    other = Examples(np.zeros((501, 1)), TRUTH + 1)
    judged = Problem(part, part, other, (1,), Metric("mae", "degC", "mae", factor=8.5))
    loss = problem.mean_absolute_error(FORECAST, TRUTH)["loss"]
    assert judged.score(FORECAST, "val") == {"loss": loss, "value": loss * 8.5}
    assert judged.score(FORECAST, "test")["loss"] != loss


def test_the_figure_of_a_text_study_is_its_accuracy():
    part = Examples(np.zeros((501, 1)), LABELS)
    metric = Metric("accuracy", "accuracy", "binary_crossentropy", higher_is_better=True)
    score = Problem(part, part, part, (1,), metric).score(PROBABILITY, "val")
    assert score["value"] == score["accuracy"] != score["loss"]


def test_examples_are_gathered_by_number():
    inputs = np.arange(12).reshape(4, 3)
    part = Examples(inputs, np.array([5, 6, 7, 8]))
    gathered, targets = part.gather(np.array([2, 0, 2]))
    assert len(part) == 4
    assert gathered.tolist() == [[6, 7, 8], [0, 1, 2], [6, 7, 8]]
    assert targets.tolist() == [7, 5, 7]

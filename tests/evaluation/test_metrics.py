"""Metrics against scikit-learn, against figures worked out by hand, and with all that is not as expected."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.special import log_softmax, softmax
from sklearn import metrics as theirs

from sunhwan.errors import SunhwanError
from sunhwan.evaluation.metrics import (
    TEMPERATURES,
    Temperature,
    classification,
    errors_of_windows,
    expected_calibration_error,
    fit_temperature,
    forecast_errors,
    interval_scores,
    negative_log_likelihood,
    pinball_loss,
    reliability,
)

NAN = float("nan")

ROUNDING = 1e-12
"""Relative: sums of some hundred float64 products, added in another order."""

finite = st.floats(-1e6, 1e6)


def forecasts(shape=(40, 6), seed=0):
    """A forecast and its truth."""
    random = np.random.default_rng(seed)
    truth = random.normal(20, 5, shape)
    return truth + random.normal(0.5, 2, shape), truth


def classified(examples=500, classes=4, seed=0, sharpness=1.0):
    """Logits and labels drawn from their softmax, the logits then multiplied by `sharpness`."""
    random = np.random.default_rng(seed)
    logits = random.normal(size=(examples, classes)) * 1.5
    truth = np.array([random.choice(classes, p=p) for p in softmax(logits, axis=1)])
    return sharpness * logits, truth


# Forecasts


def test_forecast_errors_are_scikit_learn_s():
    forecast, truth = forecasts()
    errors = forecast_errors(forecast, truth)
    assert errors.mae == pytest.approx(theirs.mean_absolute_error(truth, forecast), rel=ROUNDING)
    assert errors.rmse == pytest.approx(
        theirs.root_mean_squared_error(truth.ravel(), forecast.ravel()), rel=ROUNDING
    )
    per_step = theirs.mean_absolute_error(truth, forecast, multioutput="raw_values")
    np.testing.assert_allclose(errors.mae_per_step, per_step, rtol=ROUNDING)
    assert errors.mae_last_step == errors.mae_per_step[-1]
    assert errors.count == 240


def test_errors_by_hand():
    """Errors 1, 2 and 0, 3: mae 6 / 4, rmse sqrt(14 / 4)."""
    errors = forecast_errors([[1, 2], [3, 4]], [[0, 4], [3, 1]])
    assert (errors.mae, errors.rmse, errors.mae_last_step) == (1.5, np.sqrt(3.5), 2.5)
    assert errors.mae_per_step.tolist() == [0.5, 2.5]
    assert errors_of_windows([[1, 2], [3, 4]], [[0, 4], [3, 1]]).tolist() == [1.5, 1.5]


def test_targets_are_never_averaged():
    forecast, truth = forecasts((30, 5, 3))
    truth[4:9, 2:, 1] = NAN
    errors, windows = forecast_errors(forecast, truth), errors_of_windows(forecast, truth)
    scores = interval_scores(forecast - 1, forecast + 1, truth, 0.8)
    assert errors.mae_per_step.shape == scores.coverage_per_step.shape == (5, 3)
    for target in range(3):
        one = forecast_errors(forecast[..., target], truth[..., target])
        assert (errors.mae[target], errors.rmse[target], errors.count[target]) == pytest.approx(
            (one.mae, one.rmse, one.count), rel=ROUNDING
        )
        alone = interval_scores(forecast[..., target] - 1, forecast[..., target] + 1, truth[..., target], 0.8)
        assert scores.winkler[target] == pytest.approx(alone.winkler, rel=ROUNDING)
        np.testing.assert_allclose(
            windows[:, target], errors_of_windows(forecast[..., target], truth[..., target]), rtol=ROUNDING
        )


def test_what_was_not_observed_is_not_scored():
    forecast, truth = forecasts()
    truth[3, 2:] = NAN
    truth[:, 5] = NAN
    errors = forecast_errors(forecast, truth)
    known = ~np.isnan(truth)
    assert errors.mae == pytest.approx(np.abs(forecast - truth)[known].mean(), rel=ROUNDING)
    assert errors.count == known.sum() == 197
    assert np.isnan(errors.mae_last_step) and not np.isnan(errors.mae_per_step[:5]).any()


def test_a_forecast_that_broke_down_cannot_look_good():
    forecast, truth = forecasts()
    forecast[7, 1] = NAN
    errors = forecast_errors(forecast, truth)
    assert np.isnan([errors.mae, errors.rmse, errors.mae_per_step[1]]).all()
    assert not np.isnan(errors.mae_per_step[2])
    scores = interval_scores(forecast - 100, forecast + 100, truth, 0.9)
    assert scores.coverage == pytest.approx(239 / 240, rel=ROUNDING)
    assert np.isnan(scores.mean_width) and np.isnan(scores.winkler)
    assert np.isnan(pinball_loss(forecast[..., None], truth, [0.5])).all()


@pytest.mark.parametrize("shape", [(3,), (3, 2, 1, 1), ()])
def test_shapes_that_are_no_forecasts(shape):
    values = np.zeros(shape)
    with pytest.raises(ValueError, match=r"truth has shape .* expected \(windows, horizon\)"):
        forecast_errors(values, values)


def test_shapes_that_differ():
    with pytest.raises(ValueError, match=r"forecast has shape \(3, 2\), expected that of truth, \(3, 1\)"):
        errors_of_windows(np.zeros((3, 2)), np.zeros((3, 1)))
    with pytest.raises(ValueError, match=r"upper has shape \(2, 2\)"):
        interval_scores(np.zeros((3, 2)), np.zeros((2, 2)), np.zeros((3, 2)), 0.9)
    with pytest.raises(ValueError, match="there are 2 quantiles"):
        pinball_loss(np.zeros((3, 2, 3)), np.zeros((3, 2)), [0.1, 0.9])


@pytest.mark.parametrize("truth", [np.zeros((0, 3)), np.zeros((3, 0)), np.full((2, 3), NAN)])
def test_nothing_to_score(truth):
    for score in (
        lambda: forecast_errors(truth, truth),
        lambda: errors_of_windows(truth, truth),
        lambda: interval_scores(truth, truth, truth, 0.9),
        lambda: pinball_loss(truth[..., None], truth, [0.5]),
    ):
        with pytest.raises(SunhwanError, match="a target has no actual value"):
            score()


def test_one_window_of_one_step():
    assert forecast_errors([[3]], [[1]]).rmse == 2


# Intervals


def test_the_interval_score_by_hand():
    """Width 2; at 80 % a truth outside costs 10 times its distance: 2, 2 + 5, 2 + 10, and 2 on the bound."""
    scores = interval_scores(np.zeros((2, 2)), np.full((2, 2), 2.0), [[1, -0.5], [3, 2]], 0.8)
    assert scores.winkler == pytest.approx((2 + 7 + 12 + 2) / 4, rel=ROUNDING)
    assert (scores.coverage, scores.mean_width, scores.count) == (0.5, 2, 4)
    assert scores.coverage_per_step.tolist() == [0.5, 0.5]
    assert scores.mean_width_per_step.tolist() == [2, 2]


@given(
    arrays.arrays(float, (4, 3), elements=finite),
    arrays.arrays(float, (4, 3), elements=st.floats(0, 1e6)),
    arrays.arrays(float, (4, 3), elements=finite),
    st.floats(0.05, 0.95),
)
def test_the_interval_score_is_that_of_its_two_quantiles(lower, width, truth, level):
    """2 / alpha times the pinball losses of the quantiles alpha / 2 and 1 - alpha / 2."""
    alpha, upper = 1 - level, lower + width
    score = interval_scores(lower, upper, truth, level).winkler
    loss = pinball_loss(np.stack([lower, upper], axis=-1), truth, [alpha / 2, 1 - alpha / 2])
    # Some 1e6 in differences of 1e6, divided by 0.05: absolute rounding of 1e-8.
    assert score == pytest.approx(2 / alpha * loss.sum(), rel=1e-9, abs=1e-7)


def test_infinite_bounds_hold_everything_and_are_infinitely_wide():
    scores = interval_scores([[-np.inf]], [[np.inf]], [[3.0]], 0.9)
    assert (scores.coverage, scores.mean_width, scores.winkler) == (1, np.inf, np.inf)


def test_bounds_that_cross_and_levels_that_are_none():
    with pytest.raises(ValueError, match="lower is above upper in 1 of 2 intervals"):
        interval_scores([[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 0.0]], 0.9)
    for level in (0, 1, 90, NAN):
        with pytest.raises(ValueError, match=f"level is {level}, expected a number above 0 and below 1"):
            interval_scores([[0.0]], [[1.0]], [[0.0]], level)


@pytest.mark.parametrize("quantile", [0.05, 0.5, 0.9])
def test_pinball_loss_is_scikit_learn_s(quantile):
    forecast, truth = forecasts()
    expected = theirs.mean_pinball_loss(truth.ravel(), forecast.ravel(), alpha=quantile)
    assert pinball_loss(forecast[..., None], truth, [quantile]) == pytest.approx([expected], rel=ROUNDING)


def test_pinball_loss_is_least_at_the_quantile():
    truth = np.random.default_rng(0).normal(size=(4000, 1))
    quantiles = (0.1, 0.8)
    for shift in (-0.3, 0.3):
        at = np.quantile(truth, quantiles)
        best, worse = (
            pinball_loss(np.broadcast_to(said, (4000, 1, 2)), truth, quantiles) for said in (at, at + shift)
        )
        assert (best < worse).all()


def test_pinball_loss_of_several_targets():
    forecast, truth = forecasts((20, 3, 2))
    loss = pinball_loss(np.stack([forecast, forecast + 1], axis=-1), truth, [0.2, 0.7])
    assert loss.shape == (2, 2)
    one = pinball_loss((forecast[..., 1] + 1)[..., None], truth[..., 1], [0.7])
    assert loss[1, 1] == pytest.approx(one[0], rel=ROUNDING)


# Classifiers


def test_classification_by_hand():
    """Class 2 of four never occurs, and class 3 is never said: its figures are 0."""
    scores = classification([0, 0, 0, 1, 1, 3], [0, 0, 1, 1, 1, 0], classes=4)
    assert scores.accuracy == 4 / 6
    np.testing.assert_allclose(scores.precision, [2 / 3, 2 / 3, 0, 0], rtol=ROUNDING)
    np.testing.assert_allclose(scores.recall, [2 / 3, 1, 0, 0], rtol=ROUNDING)
    np.testing.assert_allclose(scores.f1, [2 / 3, 4 / 5, 0, 0], rtol=ROUNDING)
    assert scores.macro_f1 == pytest.approx((2 / 3 + 4 / 5 + 0) / 3, rel=ROUNDING)
    assert scores.support.tolist() == [3, 2, 0, 1]
    assert scores.confusion.tolist() == [[2, 1, 0, 0], [0, 2, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_accuracy_and_macro_f1_are_scikit_learn_s(pairs):
    truth, predicted = np.array(pairs).T
    scores = classification(truth, predicted, classes=5)
    assert scores.accuracy == pytest.approx(theirs.accuracy_score(truth, predicted), rel=ROUNDING)
    expected = theirs.f1_score(truth, predicted, average="macro", zero_division=0)
    assert scores.macro_f1 == pytest.approx(expected, rel=ROUNDING)
    assert scores.confusion.sum() == scores.support.sum() == len(pairs)


def test_labels_that_are_none():
    for wrong in ([0, 3], [-1, 0], [0.5, 0], [NAN, 0], ["a", "b"]):
        with pytest.raises(ValueError, match=r"truth holds .* expected integers from 0 to 2"):
            classification(wrong, [0, 0], classes=3)
    with pytest.raises(ValueError, match=r"truth has shape \(1, 2\), expected \(examples,\)"):
        classification([[0, 1]], [0, 1], classes=2)
    with pytest.raises(ValueError, match=r"predicted has shape \(3,\), expected that of truth, \(2,\)"):
        classification([0, 1], [0, 1, 1], classes=2)
    with pytest.raises(SunhwanError, match="truth holds no examples"):
        classification([], [], classes=2)


def test_labels_may_be_whole_floats_or_bools():
    assert classification(np.array([0.0, 1.0]), np.array([False, True]), classes=2).accuracy == 1


# Calibration


def test_the_reliability_table_by_hand():
    """Confidences 0.55 and 0.6 in the third bin, one right; 0.95 in the fifth, right: gaps 0.075 and 0.05."""
    probability = np.array([[0.55, 0.45], [0.4, 0.6], [0.95, 0.05]])
    table = reliability(probability, [0, 0, 0], bins=5)
    assert table.count.tolist() == [0, 0, 2, 0, 1]
    np.testing.assert_allclose(table.edges, [0, 0.2, 0.4, 0.6, 0.8, 1])
    np.testing.assert_allclose(table.confidence, [NAN, NAN, 0.575, NAN, 0.95])
    np.testing.assert_allclose(table.accuracy, [NAN, NAN, 0.5, NAN, 1])
    assert table.expected_calibration_error == pytest.approx((2 * 0.075 + 0.05) / 3)


def test_a_confidence_on_an_edge_is_in_the_bin_below():
    assert reliability([[0.5, 0.5], [0.25, 0.75], [0.0, 1.0]], [0, 0, 0], bins=4).count.tolist() == [
        0,
        1,
        1,
        1,
    ]


def test_the_calibration_error_is_the_paper_s_sum_over_fifteen_bins():
    logits, truth = classified(sharpness=2)
    probability = softmax(logits, axis=1)
    confidence, right = probability.max(axis=1), probability.argmax(axis=1) == truth
    error = 0.0
    for low in range(15):
        within = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        if within.any():
            error += within.mean() * abs(right[within].mean() - confidence[within].mean())
    assert expected_calibration_error(probability, truth) == pytest.approx(error, rel=1e-9)
    assert error > 0.05, "a classifier that is too sure"


def test_a_probability_of_class_1_is_as_good_as_two_columns():
    random = np.random.default_rng(0)
    p, truth = random.random(200), random.integers(0, 2, 200)
    table, other = reliability(p, truth), reliability(np.stack([1 - p, p], axis=1), truth)
    assert table.expected_calibration_error == other.expected_calibration_error


@given(arrays.arrays(float, (12, 3), elements=st.floats(-30, 30)), st.integers(1, 40))
def test_every_example_is_in_one_bin(logits, bins):
    table = reliability(softmax(logits, axis=1), np.arange(12) % 3, bins)
    assert table.count.sum() == 12
    known = table.count > 0
    # A float32 or float64 softmax may be off its bin's edge by rounding.
    assert (table.confidence[known] >= table.edges[:-1][known] - 1e-12).all()
    assert (table.confidence[known] <= table.edges[1:][known] + 1e-12).all()
    assert 0 <= table.expected_calibration_error <= 1


def test_probabilities_that_are_none():
    for wrong in (NAN, -0.1, 1.5):
        with pytest.raises(ValueError, match="NaN or not between 0 and 1"):
            reliability([[wrong, 0.5]], [0])
    with pytest.raises(ValueError, match="two classes or more"):
        reliability([[1.0]], [0])
    with pytest.raises(ValueError, match="bins is 0"):
        reliability([[0.5, 0.5]], [0], bins=0)
    with pytest.raises(ValueError, match="truth has 1 labels, probability 2 rows"):
        reliability([[0.5, 0.5]] * 2, [0])
    with pytest.raises(SunhwanError, match="no examples"):
        reliability(np.zeros((0, 2)), [])


def test_negative_log_likelihood_is_scikit_learn_s():
    logits, truth = classified()
    expected = theirs.log_loss(truth, softmax(logits, axis=1))
    assert negative_log_likelihood(logits, truth) == pytest.approx(expected, rel=1e-9)
    assert negative_log_likelihood(log_softmax(logits, axis=1), truth) == pytest.approx(expected, rel=1e-9)
    assert negative_log_likelihood(logits + 1000, truth) == pytest.approx(expected, rel=1e-9)
    assert negative_log_likelihood([[-np.inf, 0.0]], [0]) == np.inf


@pytest.mark.parametrize("sharpness", [0.4, 1, 3])
def test_the_temperature_undoes_what_sharpened_the_logits(sharpness):
    logits, truth = classified(examples=4000, sharpness=sharpness)
    temperature = fit_temperature(logits, truth)
    # 4,000 labels tell the temperature to about 3 %.
    assert temperature.value == pytest.approx(sharpness, rel=0.08)
    assert temperature.nll_after <= temperature.nll_before
    assert temperature.nll_before == pytest.approx(negative_log_likelihood(logits, truth), rel=1e-9)
    after = negative_log_likelihood(temperature.log_probabilities(logits), truth)
    assert temperature.nll_after == pytest.approx(after, rel=1e-9)
    if sharpness == 3:
        before = expected_calibration_error(softmax(logits, axis=1), truth)
        assert expected_calibration_error(temperature.probabilities(logits), truth) < before / 3


def test_no_temperature_does_better():
    logits, truth = classified(examples=300, sharpness=2)
    temperature = fit_temperature(logits, truth)
    grid = np.geomspace(*TEMPERATURES, 400)
    assert temperature.nll_after <= min(negative_log_likelihood(logits / t, truth) for t in grid) + 1e-12


def test_log_probabilities_do_as_well_as_logits():
    logits, truth = classified(sharpness=2)
    of_logits, of_logs = (fit_temperature(x, truth) for x in (logits, log_softmax(logits, axis=1)))
    # The search ends within a millionth of the logarithm.
    assert of_logits.value == pytest.approx(of_logs.value, rel=1e-5)


def test_the_likeliest_class_stays():
    logits, truth = classified(sharpness=2)
    probability = fit_temperature(logits, truth).probabilities(logits)
    assert (probability.argmax(axis=1) == logits.argmax(axis=1)).all()
    np.testing.assert_allclose(probability.sum(axis=1), 1)


def test_validation_that_says_nothing_of_confidence():
    alike = fit_temperature(np.zeros((5, 3)), [0, 1, 2, 0, 1])
    assert alike == Temperature(1.0, pytest.approx(np.log(3)), pytest.approx(np.log(3)))
    without_mistake = fit_temperature([[1.0, 0.0], [0.0, 2.0]], [0, 1])
    assert without_mistake.value == 1
    always_wrong = fit_temperature([[1.0, 0.0], [0.0, 2.0]], [1, 0])
    assert always_wrong.value == pytest.approx(TEMPERATURES[1])
    # Logits at -inf elsewhere are no hindrance.
    assert np.isfinite(fit_temperature([[1.0, 0.0, -np.inf], [2.0, 1.5, -np.inf]], [1, 0]).value)


def test_logits_that_no_temperature_mends():
    with pytest.raises(SunhwanError, match="1 of 2 validation examples"):
        fit_temperature([[-np.inf, 0.0], [0.0, 0.0]], [0, 1])
    for wrong in (NAN, np.inf):
        with pytest.raises(ValueError, match="logits holds NaN or"):
            fit_temperature([[wrong, 0.0]], [0])
    with pytest.raises(ValueError, match=r"logits has shape \(2,\)"):
        negative_log_likelihood([0.0, 1.0], [0, 1])


def test_gaussian_intervals_score_what_the_normal_distribution_says():
    """The 90 % interval of a standard normal has width 2 z and an interval score of 2 phi(z) / 0.05."""
    truth = np.random.default_rng(0).normal(size=(200_000, 1))
    z = scipy.stats.norm.ppf(0.95)
    scores = interval_scores(np.full_like(truth, -z), np.full_like(truth, z), truth, 0.9)
    # Standard error of a share of 0.9 in 200,000: 0.0007; five of them.
    assert scores.coverage == pytest.approx(0.9, abs=0.0035)
    assert scores.winkler == pytest.approx(2 * scipy.stats.norm.pdf(z) / 0.05, rel=0.01)

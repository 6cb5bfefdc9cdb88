"""How good forecasts, intervals and classifiers are: figures of arrays, each with the paper that it is from.

Forecasts are arrays (windows, horizon) of one target, or (windows, horizon, targets). *Means run over windows
and steps of the horizon, never over targets*, whose units differ: with several targets every figure is an
array (targets,). *A missing (NaN) actual value is not scored; a forecast that is NaN where the
actual value is known makes its figure NaN*, so a network that broke down cannot look good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, logsumexp

from sunhwan.errors import SunhwanError

BINS = 15
"""Bins of equal width that calibration is measured in, as in Guo et al."""

TEMPERATURES = (0.05, 20.0)
"""Where a temperature is looked for."""


@dataclass(frozen=True)
class ForecastErrors:
    """Errors of a forecast of several steps, in the target's unit; with several targets (targets,) for each.

    Attributes:
        mae: mean absolute error over windows and steps.
        rmse: root of the mean squared error over windows and steps.
        mae_per_step: (horizon,) or (horizon, targets) mean absolute error of each step over windows; NaN for
            a step without an actual value.
        mae_last_step: of the last step.
        count: how many actual values were scored.
    """

    mae: float | np.ndarray
    rmse: float | np.ndarray
    mae_per_step: np.ndarray
    mae_last_step: float | np.ndarray
    count: int | np.ndarray


def forecast_errors(forecast: np.ndarray, truth: np.ndarray) -> ForecastErrors:
    """Errors over all windows, by step and of the last step.

    Args:
        forecast, truth: (windows, horizon) or (windows, horizon, targets), in the target's unit.

    Raises:
        ValueError: the shapes are no such shapes, or differ.
        SunhwanError: a target has no actual value.

    Example:
        >>> errors = forecast_errors([[1.0, 2.0], [3.0, 4.0]], [[1.0, 4.0], [2.0, np.nan]])
        >>> errors.mae, errors.mae_per_step, errors.mae_last_step, errors.count
        (1.0, array([0.5, 2. ]), 2.0, 3)
    """
    forecast, truth = alike(truth, forecast=forecast)
    known = observed(truth)
    error = forecast - truth
    per_step = mean(np.abs(error), known, axis=0)
    return ForecastErrors(
        mae=plain(mean(np.abs(error), known)),
        rmse=plain(np.sqrt(mean(np.square(error), known))),
        mae_per_step=per_step,
        mae_last_step=plain(per_step[-1]),
        count=plain(known.sum(axis=(0, 1))),
    )


def errors_of_windows(forecast: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Each window's mean absolute error over its steps: what `significance.improvement` compares.

    Args:
        forecast, truth: (windows, horizon) or (windows, horizon, targets).

    Returns:
        (windows,) or (windows, targets), NaN for a window without an actual value.

    Raises:
        ValueError: the shapes are no such shapes, or differ.
        SunhwanError: a target has no actual value.

    Example:
        >>> errors_of_windows([[1.0, 2.0], [3.0, 4.0]], [[1.0, 4.0], [np.nan, np.nan]])
        array([ 1., nan])
    """
    forecast, truth = alike(truth, forecast=forecast)
    return mean(np.abs(forecast - truth), observed(truth), axis=1)


@dataclass(frozen=True)
class IntervalScores:
    """How prediction intervals did; with several targets (targets,) for each.

    Attributes:
        level: the share of actual values that the intervals should cover, such as 0.9.
        coverage: the share that they covered, bounds included.
        mean_width: in the target's unit.
        winkler: the interval score, in the target's unit; lower is better. It is the width and, for a truth
            outside, its distance from the interval times 2 / (1 - level).
        coverage_per_step: (horizon,) or (horizon, targets).
        mean_width_per_step: (horizon,) or (horizon, targets), in the target's unit.
        count: how many actual values were scored.
    """

    level: float
    coverage: float | np.ndarray
    mean_width: float | np.ndarray
    winkler: float | np.ndarray
    coverage_per_step: np.ndarray
    mean_width_per_step: np.ndarray
    count: int | np.ndarray


def interval_scores(lower: np.ndarray, upper: np.ndarray, truth: np.ndarray, level: float) -> IntervalScores:
    """Coverage, width and interval score of intervals that should cover a share `level` of the actual values.

    Where a bound is NaN and the actual value is known, it counts as not covered and the width is NaN.

    Args:
        lower, upper, truth: (windows, horizon) or (windows, horizon, targets), in the target's unit.
        level: above 0 and below 1.

    Raises:
        ValueError: the shapes differ, `level` is none, or a lower bound is above its upper one.
        SunhwanError: a target has no actual value.

    Source: Winkler, "A decision-theoretic approach to interval estimation", JASA 67 (1972); Gneiting and
    Raftery, "Strictly proper scoring rules, prediction, and estimation", JASA 102 (2007), section 6.2.

    Example:
        >>> scores = interval_scores([[0.0, 0.0]], [[2.0, 2.0]], [[1.0, 2.5]], level=0.9)
        >>> scores.coverage, scores.mean_width, round(scores.winkler, 9)
        (0.5, 2.0, 7.0)
    """
    share("level", level)
    lower, upper, truth = alike(truth, lower=lower, upper=upper)
    crossed = int((lower > upper).sum())
    if crossed:
        raise ValueError(f"lower is above upper in {crossed:,} of {lower.size:,} intervals; sort them first.")
    known = observed(truth)
    covered = (lower <= truth) & (truth <= upper)
    width = upper - lower
    # Not written with min or max of a difference: an infinite bound would meet 0 * inf.
    outside = np.where(truth < lower, lower - truth, np.where(truth > upper, truth - upper, 0.0))
    score = width + 2 / (1 - level) * outside
    return IntervalScores(
        level=level,
        coverage=plain(mean(covered, known)),
        mean_width=plain(mean(width, known)),
        winkler=plain(mean(score, known)),
        coverage_per_step=mean(covered, known, axis=0),
        mean_width_per_step=mean(width, known, axis=0),
        count=plain(known.sum(axis=(0, 1))),
    )


def pinball_loss(forecast: np.ndarray, truth: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
    """The loss that a quantile minimises: its distance from the actual value, weighted by the side.

    Args:
        forecast: (windows, horizon[, targets], quantiles), in the target's unit.
        truth: (windows, horizon[, targets]), in the target's unit.
        quantiles: the level of each forecast, above 0 and below 1; 0.5 gives half the absolute error.

    Returns:
        (quantiles,) or (targets, quantiles), in the target's unit.

    Raises:
        ValueError: the shapes do not fit, or a level is none.
        SunhwanError: a target has no actual value.

    Source: Koenker and Bassett, "Regression quantiles", Econometrica 46 (1978).

    Example:
        >>> pinball_loss([[[0.0, 3.0]]], [[1.0]], quantiles=(0.1, 0.9)).round(9)
        array([0.1, 0.2])
    """
    quantiles = np.array([share("a quantile", level) for level in quantiles])
    forecast, truth = np.asarray(forecast, np.float64), np.asarray(truth, np.float64)
    if truth.ndim not in (2, 3) or forecast.shape != (*truth.shape, len(quantiles)):
        raise ValueError(
            f"forecast has shape {forecast.shape}, truth {truth.shape}, and there are {len(quantiles)} "
            "quantiles; expected (windows, horizon[, targets], quantiles) and (windows, horizon[, targets])."
        )
    known = observed(truth)[..., None]
    above = truth[..., None] - forecast
    return mean(np.where(above > 0, quantiles, quantiles - 1) * above, known)


def alike(truth: np.ndarray, **forecasts: np.ndarray) -> list[np.ndarray]:
    """The forecasts and, last, the truth as float64 arrays of one shape.

    Raises:
        ValueError: the truth has neither two nor three dimensions, or a forecast has another shape.
    """
    truth = np.asarray(truth, np.float64)
    if truth.ndim not in (2, 3):
        raise ValueError(
            f"truth has shape {truth.shape}, expected (windows, horizon) or (windows, horizon, targets)."
        )
    arrays = {name: np.asarray(values, np.float64) for name, values in forecasts.items()}
    for name, values in arrays.items():
        if values.shape != truth.shape:
            raise ValueError(f"{name} has shape {values.shape}, expected that of truth, {truth.shape}.")
    return [*arrays.values(), truth]


def observed(truth: np.ndarray) -> np.ndarray:
    """Where actual values are known; every target must have one."""
    known = ~np.isnan(truth)
    if not known.any(axis=(0, 1)).all():
        raise SunhwanError(
            f"a target has no actual value in {truth.shape[0]:,} windows of {truth.shape[1]:,} steps; "
            "expected at least one reading to score forecasts on"
        )
    return known


def mean(values: np.ndarray, known: np.ndarray, axis: int | tuple[int, int] = (0, 1)) -> np.ndarray:
    """The mean of what is known along windows (0), steps (1) or both, NaN where nothing is."""
    count = known.sum(axis=axis)
    total = np.where(known, values, 0).sum(axis=axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def plain(value: np.ndarray) -> float | int | np.ndarray:
    """A Python number where there is one target, the array where there are several."""
    return value.item() if value.ndim == 0 else value


def share(name: str, value: float) -> float:
    """`value`, if it is above 0 and below 1."""
    if not 0 < value < 1:
        raise ValueError(f"{name} is {value}, expected a number above 0 and below 1.")
    return float(value)


@dataclass(frozen=True)
class Classification:
    """How well examples were classified.

    Attributes:
        accuracy: the share of examples classified correctly.
        macro_f1: the mean of `f1` over the classes that occur, in truth or prediction: a rare class weighs as
            much as a common one.
        precision: (classes,) of the examples predicted as a class, the share that is; 0 where none is
            predicted.
        recall: (classes,) of the examples of a class, the share predicted as it; 0 where there are none.
        f1: (classes,) the harmonic mean of both; 0 where both are.
        support: (classes,) examples of each class.
        confusion: (classes, classes) examples by true class (row) and predicted class (column).
    """

    accuracy: float
    macro_f1: float
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    confusion: np.ndarray


def classification(truth: np.ndarray, predicted: np.ndarray, classes: int) -> Classification:
    """Accuracy, macro-F1, and each class by itself.

    Args:
        truth, predicted: (examples,) integers, 0 to `classes` - 1.
        classes: how many there are, whether or not all occur.

    Raises:
        ValueError: the shapes differ, or a label is no such integer.
        SunhwanError: there are no examples.

    Source: `sklearn.metrics`, with `zero_division=0`.

    Example:
        >>> scores = classification([0, 0, 1, 2], [0, 1, 1, 2], classes=3)
        >>> scores.accuracy, round(scores.macro_f1, 3), scores.confusion.tolist()
        (0.75, 0.778, [[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    """
    # Here, since forecasts are scored and predicted without it, and it takes half a second.
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    truth, predicted = labels("truth", truth, classes), labels("predicted", predicted, classes)
    if truth.shape != predicted.shape:
        raise ValueError(f"predicted has shape {predicted.shape}, expected that of truth, {truth.shape}.")
    everyone = np.arange(classes)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=everyone, zero_division=0
    )
    return Classification(
        accuracy=float((truth == predicted).mean()),
        macro_f1=float(f1[np.union1d(truth, predicted)].mean()),
        precision=precision,
        recall=recall,
        f1=f1,
        support=support,
        confusion=confusion_matrix(truth, predicted, labels=everyone),
    )


@dataclass(frozen=True)
class Reliability:
    """The reliability table: of the examples predicted with some confidence, how many were correct.

    Attributes:
        edges: (bins + 1,) from 0 to 1. A bin holds confidences above its lower edge, up to its upper one.
        count: (bins,) examples.
        confidence: (bins,) their mean confidence, NaN where there are none.
        accuracy: (bins,) the share of them that was correct, NaN where there are none.
        expected_calibration_error: the mean over examples of their bin's |accuracy - confidence|.
    """

    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    expected_calibration_error: float


def reliability(probability: np.ndarray, truth: np.ndarray, bins: int = BINS) -> Reliability:
    """The reliability table and the expected calibration error, in bins of equal width.

    Args:
        probability: (examples, classes), or (examples,) of class 1 of two.
        truth: (examples,) integers.
        bins: of equal width between 0 and 1. The figure depends on it: compare only figures of equal bins.

    Raises:
        ValueError: the shapes do not fit, a probability is NaN or not between 0 and 1, a label is no class,
            or `bins` is less than 1.
        SunhwanError: there are no examples.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017.

    Example:
        >>> table = reliability([0.9, 0.9, 0.9, 0.2], [1, 1, 0, 0], bins=5)
        >>> table.count.tolist(), table.accuracy[4].round(3), round(table.expected_calibration_error, 3)
        ([0, 0, 0, 1, 3], np.float64(0.667), 0.225)
    """
    if bins < 1:
        raise ValueError(f"bins is {bins}, expected at least 1.")
    probability = np.asarray(probability, np.float64)
    if probability.ndim == 1:
        probability = np.stack([1 - probability, probability], axis=1)
    table, truth = labelled("probability", probability, truth)
    # The sums of a float32 softmax are off by some millionths.
    if not ((table >= -1e-6) & (table <= 1 + 1e-6)).all():
        raise ValueError("probability holds values that are NaN or not between 0 and 1.")
    confidence = np.clip(table.max(axis=1), 0, 1)
    right = table.argmax(axis=1) == truth
    edges = np.linspace(0, 1, bins + 1)
    within = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, bins - 1)
    count = np.bincount(within, minlength=bins)
    sums = [np.bincount(within, weights=values, minlength=bins) for values in (confidence, right)]
    confidence, accuracy = (np.where(count > 0, total / np.maximum(count, 1), np.nan) for total in sums)
    gap = np.abs(sums[1] - sums[0]).sum() / len(truth)
    return Reliability(edges, count, confidence, accuracy, float(gap))


def expected_calibration_error(probability: np.ndarray, truth: np.ndarray, bins: int = BINS) -> float:
    """How far confidence is from accuracy on average: see `reliability`, which gives the table as well.

    Arguments are those of `reliability`; the result lies between 0 and 1.

    Example:
        >>> round(expected_calibration_error([[0.2, 0.8], [0.4, 0.6]], [1, 1]), 3)
        0.3
    """
    return reliability(probability, truth, bins).expected_calibration_error


def negative_log_likelihood(logits: np.ndarray, truth: np.ndarray) -> float:
    """The mean of -log of the probability given to the class that came true, in nats.

    Args:
        logits: (examples, classes) logits or log-probabilities: the softmax of either is the same. -inf is a
            probability of 0; where such a class came true, the result is infinite.
        truth: (examples,) integers.

    Raises:
        ValueError: the shapes do not fit, or a label is no class.
        SunhwanError: there are no examples.

    Example:
        >>> round(negative_log_likelihood(np.log([[0.5, 0.5], [0.2, 0.8]]), [0, 1]), 4)
        0.4581
    """
    logits, truth = labelled("logits", logits, truth)
    return float(-log_softmax(logits, axis=1)[np.arange(len(truth)), truth].mean())


@dataclass(frozen=True)
class Temperature:
    """What logits are divided by so that confidence fits accuracy; which class is likeliest stays.

    Attributes:
        value: above 1 where the classifier was too sure, below where it was not sure enough.
        nll_before, nll_after: negative log likelihood on validation at temperature 1 and at this one, nats.
    """

    value: float
    nll_before: float
    nll_after: float

    def log_probabilities(self, logits: np.ndarray) -> np.ndarray:
        """(examples, classes) of logits or log-probabilities (examples, classes)."""
        return log_softmax(np.asarray(logits, np.float64) / self.value, axis=1)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """(examples, classes) of logits or log-probabilities (examples, classes)."""
        return np.exp(self.log_probabilities(logits))


def fit_temperature(logits: np.ndarray, truth: np.ndarray) -> Temperature:
    """The temperature that does best on validation by negative log likelihood, within `TEMPERATURES`.

    The likelihood is convex in 1 / temperature, so it has one minimum along the temperature's logarithm, and
    a search between bounds finds it. Validation without a mistake would always ask for more confidence, and
    knows nothing of it: there the temperature stays 1.

    Args:
        logits: (examples, classes) validation logits or log-probabilities.
        truth: (examples,) integers.

    Raises:
        ValueError: the shapes do not fit, a logit is NaN or +inf, or a label is no class.
        SunhwanError: there are no examples, or one came true whose probability is 0.

    Source: Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2.

    Example: three of four are correct, all with a confidence of 0.9; at the best temperature it is 0.75.
        >>> logits = np.log([[0.9, 0.1]] * 4)
        >>> temperature = fit_temperature(logits, [0, 0, 0, 1])
        >>> temperature.value.__round__(2), temperature.probabilities(logits)[0].round(3)
        (2.0, array([0.75, 0.25]))
    """
    logits, truth = labelled("logits", logits, truth)
    if not (logits < np.inf).all():
        raise ValueError("logits holds NaN or +inf, expected finite logits, or -inf for a probability of 0.")
    true = logits[np.arange(len(truth)), truth]
    impossible = int((true == -np.inf).sum())
    if impossible:
        raise SunhwanError(
            f"{impossible:,} of {len(truth):,} validation examples are of a class with a predicted "
            "probability of 0, which no temperature can change; give logits, or probabilities above 0"
        )

    def loss(log_temperature: float) -> float:
        scale = np.exp(-log_temperature)
        return float((logsumexp(scale * logits, axis=1) - scale * true).mean())

    low, high = np.log(TEMPERATURES)
    if (logits.argmax(axis=1) == truth).all():
        low = 0.0
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    # A flat loss (all logits alike) leaves the search anywhere: then nothing is to be changed.
    before, best = loss(0.0), min((0.0, found.x, low, high), key=loss)
    return Temperature(float(np.exp(best)), before, loss(best))


def labels(name: str, values: np.ndarray, classes: int) -> np.ndarray:
    """(examples,) of integers from 0 to `classes` - 1, at least one."""
    array = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}, expected (examples,).")
    if not len(array):
        raise SunhwanError(f"{name} holds no examples; expected at least one to score a classifier on")
    whole = array.astype(np.int64) if array.dtype.kind in "biuf" and np.isfinite(array).all() else None
    if whole is None or (whole != array).any() or whole.min() < 0 or whole.max() >= classes:
        strange = array[0] if whole is None else array[(whole != array) | (whole < 0) | (whole >= classes)][0]
        raise ValueError(f"{name} holds {strange!r}, expected integers from 0 to {classes - 1}.")
    return whole


def labelled(name: str, table: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A table (examples, classes) in float64 and its labels (examples,)."""
    table = np.asarray(table, np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(
            f"{name} has shape {table.shape}, expected (examples, classes), two classes or more."
        )
    truth = labels("truth", truth, table.shape[1])
    if len(truth) != len(table):
        raise ValueError(f"truth has {len(truth):,} labels, {name} {len(table):,} rows; expected as many.")
    return table, truth

"""Baselines trained on the same rows as a fit, and scored on the same rows with the same metric."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from sunhwan.audit.fits import Fit, outputs, spaced, windows
from sunhwan.audit.unchanged import unchanged
from sunhwan.baselines import classifiers, minirocket
from sunhwan.baselines.boosting import lags
from sunhwan.baselines.ngrams import NbSvm, Ngrams, NgramTexts, TfIdf
from sunhwan.baselines.predictors import PREDICTORS
from sunhwan.baselines.windows import ArrayWindows
from sunhwan.data.ragged import Ragged
from sunhwan.errors import SunhwanError
from sunhwan.evaluation.significance import Improvement, improvement

MOST_ROWS = 20_000
"""Baselines are trained on at most this many rows, evenly spaced."""

MOST_SCORED = 50_000
"""Rows that are scored, evenly spaced where there are more."""

MOST_COLUMNS = 1_500
"""Ridge and logistic regression see at most this many numbers of a window, the latest ones."""

MOST_CONVOLVED = 60_000
"""Timesteps that MiniRocket is trained on, or scored on: 10 ms a window would use up any budget."""

FEWEST_ROWS = 20
"""No baseline is trained on fewer rows."""


@dataclass(eq=False)
class Comparison:
    """A network compared with its baselines.

    Attributes:
        part: the name of the part that is scored.
        rows: how many rows it has.
        metric: "mae", "mse", "rmse" or "accuracy".
        network: its score, or None where it is unknown.
        baselines: scores by key, the cheapest first.
        details: what to know about a baseline, as which column it repeats.
        improvements: how much lower each baseline's error is than the network's; negative where it is higher.
        skipped: why a baseline is missing, by key.
        predictions: of the network for the scored rows, or None.
        targets: of these rows.
        unpredicted: why the network could not predict these rows, or "".
        units: what an error of 1 means, where that is not plain; else "".
        declined: why there is no comparison at all, or "".
    """

    part: str
    rows: int = 0
    metric: str = ""
    network: float | None = None
    baselines: dict[str, float] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    improvements: dict[str, Improvement] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    predictions: np.ndarray | None = None
    targets: np.ndarray | None = None
    unpredicted: str = ""
    units: str = ""
    declined: str = ""

    @property
    def best(self) -> str | None:
        """The key of the best baseline."""
        if not self.baselines:
            return None
        return (max if self.metric == "accuracy" else min)(self.baselines, key=self.baselines.get)

    def beats(self, name: str) -> bool:
        """Whether a baseline has a better score than the network."""
        if self.network is None or not np.isfinite(self.network):
            return False
        score = self.baselines[name]
        return score > self.network if self.metric == "accuracy" else score < self.network


class Budget:
    """Seconds that may be spent: nothing begins when none are left."""

    def __init__(self, seconds: float):
        self.seconds, self.begun = seconds, time.monotonic()

    @property
    def left(self) -> float:
        return self.seconds - (time.monotonic() - self.begun)

    def part(self, share: float) -> Budget:
        """A budget that is spent when this share of its own is."""
        part = Budget(share * self.seconds)
        part.begun = self.begun
        return part


def compare(fit: Fit, budget: Budget, known: dict[tuple, dict[str, tuple[np.ndarray, str]]]) -> Comparison:
    """A fit's network and its baselines on its reported part.

    Args:
        known: predictions of baselines so far, which fits on the same rows share; added to.
    """
    part = fit.reported
    comparison = Comparison(part.name, part.rows.count, fit.metric)
    why = fit.declined or part.rows.declined
    if not why and min(len(fit.train.rows), len(part.rows)) < FEWEST_ROWS // 4:
        why = f"{len(fit.train.rows)} training and {len(part.rows)} {part.words} rows are too few"
    if not why and part.rows.x.shape[1:] != fit.train.rows.x.shape[1:]:
        why = f"the {part.words} rows have another shape than the training rows"
    if why:
        comparison.declined = why
        return comparison
    index = spaced(len(part.rows), MOST_SCORED)
    comparison.targets = part.rows.y[index]
    whole = finite(part.rows.x[index], comparison.targets)
    if not whole.any():
        comparison.declined = f"every {part.words} row contains NaN"
        return comparison
    index, comparison.targets = index[whole], comparison.targets[whole]
    try:
        comparison.predictions = predictions(fit, index)
    except Exception as error:  # the script's model, which may have changed since
        comparison.unpredicted = f"it cannot predict any more ({type(error).__name__}: {error})"
    network_errors = (
        None if comparison.predictions is None else errors(fit, comparison.predictions, comparison.targets)
    )
    comparison.network = None if network_errors is None else score(network_errors, comparison.metric)
    # From a stream Keras may have read other rows than the copied ones, on which baselines are scored.
    if fit.scored is not None and np.isfinite(fit.scored) and part.rows.whole and not part.rows.streamed:
        # The model may have been trained on since; Keras's score at the time is the result.
        if comparison.network is None or abs(comparison.network - fit.scored) > 0.02 * abs(fit.scored) + 1e-6:
            network_errors = None
        comparison.network = fit.scored
    if comparison.network is not None and not np.isfinite(comparison.network):
        network_errors = None
    try:
        makers = MAKERS[fit.kind, fit.task](fit)
    except SunhwanError as why:
        comparison.declined = str(why)
        return comparison
    before = known.setdefault((fit.train.digest, part.digest, fit.metric), {})
    for name, make in makers:
        if name not in before:
            if budget.left <= 0:
                comparison.skipped[name] = "the time budget is spent"
                continue
            try:
                with quiet():
                    before[name] = make(part.rows.x[index])
            except Exception as error:  # rows that nobody thought of; the other baselines are still fitted
                comparison.skipped[name] = f"it fails on these rows ({type(error).__name__}: {error})"
                continue
        if before[name] is None:
            continue
        predicted, comparison.details[name] = before[name]
        baseline_errors = errors(fit, predicted, comparison.targets)
        comparison.baselines[name] = score(baseline_errors, comparison.metric)
        if network_errors is not None and network_errors.sum() > 0:
            comparison.improvements[name] = improvement(baseline_errors, network_errors)
    return comparison


@contextmanager
def quiet() -> Iterator[None]:
    """Silences warnings about the script's rows, which its author did not ask for."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def finite(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(rows,) bool: which have no NaN."""
    return np.isfinite(x.reshape(len(x), -1)).all(axis=1) & np.isfinite(y.reshape(len(y), -1)).all(axis=1)


def predictions(fit: Fit, index: np.ndarray) -> np.ndarray | None:
    """The network's predictions for rows of its reported part: observed, or made with its weights then."""
    part = fit.reported
    if part.call.predictions is not None and len(part.call.predictions) == len(part.rows):
        return part.call.predictions[index]
    model, weights = fit.model, part.call.after if part.call.kind == "evaluate" else fit.calls[-1].after
    if weights is None:
        return None
    with unchanged(model):  # recurrent dropout draws seeds even in predictions
        model.set_weights(weights)
        batch = part.call.options.get("batch_size") if part.call.kind == "evaluate" else None
        batch = batch or fit.calls[-1].options.get("batch_size")
        if any(getattr(layer, "stateful", False) for layer in fit.recurrent):
            return None  # its predictions depend on what it was fed before
        return np.asarray(model.predict(part.rows.inputs(part.rows.x[index]), batch_size=batch, verbose=0))


def predicted_labels(predictions: np.ndarray) -> np.ndarray:
    """(rows,) int64 classes, of probabilities."""
    predictions = predictions.reshape(len(predictions), -1)
    if predictions.shape[1] == 1:
        return (predictions[:, 0] > 0.5).astype(np.int64)
    return predictions.argmax(axis=1)


def errors(fit: Fit, predictions: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """(rows,) the error of each row; their mean is the metric (for accuracy its complement)."""
    if fit.task == "classes":
        return (predicted_labels(predictions) != fit.labels(targets)).astype(np.float64)
    difference = outputs(predictions) - outputs(targets)
    return (np.abs(difference) if fit.metric == "mae" else np.square(difference)).mean(axis=1)


def score(row_errors: np.ndarray, metric: str) -> float:
    mean = float(row_errors.mean())
    return {"accuracy": 1 - mean, "rmse": mean**0.5}.get(metric, mean)


# ---- Sequences of numbers ----


@dataclass(eq=False)
class Training:
    """Rows to train baselines on, and others to choose by."""

    x: np.ndarray
    y: np.ndarray
    validation_x: np.ndarray
    validation_y: np.ndarray


def training(fit: Fit) -> Training:
    """The training rows, thinned. Choices are made on validation where that is not the reported part, else on
    the last fifth of training."""
    rows = fit.train.rows
    index = spaced(len(rows), MOST_ROWS)
    index = index[finite(rows.x[index], rows.y[index])]
    if len(index) < FEWEST_ROWS:
        raise SunhwanError(
            f"there are {len(index)} training rows without NaN; baselines need at least {FEWEST_ROWS}"
        )
    if fit.validation and fit.validation.name != fit.reported.name:
        validation = fit.validation.rows
        if validation.y is not None and len(validation) >= FEWEST_ROWS:
            chosen = spaced(len(validation), MOST_ROWS // 4)
            chosen = chosen[finite(validation.x[chosen], validation.y[chosen])]
            if len(chosen) >= FEWEST_ROWS and validation.x.shape[1:] == rows.x.shape[1:]:
                return Training(rows.x[index], rows.y[index], validation.x[chosen], validation.y[chosen])
    at = int(0.8 * len(index))
    return Training(rows.x[index[:at]], rows.y[index[:at]], rows.x[index[at:]], rows.y[index[at:]])


Maker = tuple[str, Callable[[np.ndarray], tuple[np.ndarray, str] | None]]


def numbers_regression(fit: Fit) -> list[Maker]:
    data = training(fit)
    x, y = windows(data.x), outputs(data.y)
    whole_x, whole_y = (
        np.concatenate([x, windows(data.validation_x)]),
        np.concatenate([y, outputs(data.validation_y)]),
    )
    last, earlier = single_cells(whole_x, whole_y)

    def cell(place):
        def make(rows):
            if place is None:
                return None
            step, column = place
            timesteps, features = x.shape[1:]
            which = f"column {column + 1} of {features}" if features > 1 else ""
            back = f"{timesteps - 1 - step} timesteps before the last" if step < timesteps - 1 else ""
            predictions = np.repeat(windows(rows)[:, step, column][:, None], y.shape[1], axis=1)
            return predictions, ", ".join(filter(None, (which, back)))

        return make

    def mean(rows):
        return (np.tile(whole_y.mean(axis=0), (len(rows), 1)), "") if last is None else None

    @cache
    def parts():  # where a baseline is trained, within its budget, and not for fits that share predictions
        train = ArrayWindows.of(x, y, feature=None if last is None else last[1], cell=earlier)
        return train, train.like(windows(data.validation_x), outputs(data.validation_y))

    widest = max(MOST_COLUMNS // x.shape[2], 1)
    options = {
        "ridge": {"most_weights": MOST_COLUMNS},
        "boosting": {
            "lags": lags(x.shape[1], 1, 0, 1)[:widest],
            "loss": "absolute_error" if fit.metric == "mae" else "squared_error",
        },
    }

    def trained(name):
        def make(rows):
            if name == "boosting" and y.shape[1] > 4:
                return None  # so many pairs of a window and a step would take the others' time
            train, validation = parts()
            predictor = PREDICTORS[name].fit(train, validation, **options.get(name, {}))
            if predictor is None:
                return None
            return train.physical(predictor.predict(train.like(windows(rows)))), ""

        return make

    return [
        ("last_value", cell(last)),
        ("seasonal", cell(earlier)),
        ("mean", mean),
        *((name, trained(name)) for name in PREDICTORS if name not in ("last_value", "seasonal")),
    ]


def single_cells(x: np.ndarray, y: np.ndarray) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """The column whose last value is nearest to the targets, and the earlier cell that is nearer still.

    Args:
        x: (rows, timesteps, features).
        y: (rows, numbers).

    Returns:
        (timestep, feature) each, or None: a last value that is further off than the mean of the targets is in
        other units, and an earlier cell is a season back only where it beats the last value.
    """
    own = own_columns(x, y)
    index = spaced(len(x), 2_000)
    x, y = x[index], y[index]
    distance = np.empty(x.shape[1:])
    for step in range(x.shape[1]):
        distance[step] = np.abs(x[:, step, :, None] - y[:, None, :]).mean(axis=(0, 2))
    distance[:, ~own] = np.inf
    column = int(distance[-1].argmin())
    nearest = distance[-1, column]
    last = None if nearest > np.abs(y - np.median(y, axis=0)).mean() else (x.shape[1] - 1, column)
    step, feature = np.unravel_index(int(distance.argmin()), distance.shape)
    earlier = step < x.shape[1] - 2 and distance[step, feature] < 0.95 * nearest
    seasonal = earlier and distance[step, feature] < np.abs(y - y.mean()).mean()
    return last, (int(step), int(feature)) if seasonal else None


def own_columns(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(features,) bool: columns in which the targets also occur, earlier or later; else all columns."""
    targets = y[:, 0].astype(np.float32)
    own = np.array([np.isin(targets, x[:, :, column]).mean() > 0.9 for column in range(x.shape[2])])
    return own if own.any() else ~own


# ---- Sequences of numbers to classes ----


def numbers_classes(fit: Fit) -> list[Maker]:
    data = training(fit)
    train = fit.labels(data.y), fit.labels(data.validation_y)
    several_classes(train[0])
    classes = fit.classes

    def features(rows):
        """The window, and each column's mean, spread and extremes, which do not depend on the place."""
        x = windows(rows)
        flat = x[:, -max(MOST_COLUMNS // x.shape[2], 1) :].reshape(len(x), -1)
        return np.concatenate([flat, x.mean(1), x.std(1), x.min(1), x.max(1)], axis=1)

    def logistic(rows):
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(features(data.x))
        x, validation = scaler.transform(features(data.x)), scaler.transform(features(data.validation_x))
        models = [LogisticRegression(C=c, max_iter=300).fit(x, train[0]) for c in (0.01, 0.1, 1.0)]
        best = max(models, key=lambda model: model.score(validation, train[1]))
        return one_hot(best.predict(scaler.transform(features(rows))), classes), ""

    def convolutions(rows):
        x = np.concatenate([windows(data.x), windows(data.validation_x)])
        if not minirocket.installed() or x.shape[1] < minirocket.TAPS:
            return None
        if len(rows) * x.shape[1] > MOST_CONVOLVED:
            return None
        x = x[spaced(len(x), MOST_CONVOLVED // x.shape[1])]
        chosen = np.concatenate(train)[spaced(len(data.x) + len(data.validation_x), len(x))]
        model = minirocket.train(recordings(x), chosen)
        return model.logits(recordings(windows(rows))), ""

    return [
        ("majority", majority(fit, np.concatenate(train))),
        ("logistic", logistic),
        ("minirocket", convolutions),
    ]


def recordings(x: np.ndarray) -> Ragged:
    """Windows of equal length as recordings."""
    return Ragged(x.reshape(-1, x.shape[2]), np.arange(len(x) + 1) * x.shape[1])


def majority(fit: Fit, labels: np.ndarray) -> Callable:
    def make(rows):
        return classifiers.majority(labels, fit.classes, len(rows)), ""

    return make


def several_classes(labels: np.ndarray) -> None:
    classes = np.unique(labels)
    if len(classes) < 2:
        raise SunhwanError(f"all training rows are of class {classes[0]}; baselines need two classes")
    if classes[0] < 0:
        raise SunhwanError(f"a class is {classes[0]}; baselines expect classes numbered from 0")


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[labels]


# ---- Sequences of token ids to classes ----


def tokens_classes(fit: Fit) -> list[Maker]:
    data = training(fit)
    labels, validation_labels = fit.labels(data.y), fit.labels(data.validation_y)
    several_classes(labels)
    words = int(max(data.x.max(), data.validation_x.max())) + 1
    texts, validation = ragged(data.x), ragged(data.validation_x)
    grams = Ngrams.fit(texts, words, least=2, order=2)

    def counted(part):
        return NgramTexts(part.values, part.offsets, grams)

    def linear(kind):
        def make(rows):
            model = kind.fit(counted(texts), labels, fit.classes, (counted(validation), validation_labels))
            # Words that training never had are unknown to the model.
            return model.logits(counted(ragged(rows, words))), ""

        return make

    return [
        ("majority", majority(fit, np.concatenate([labels, validation_labels]))),
        ("tfidf", linear(TfIdf)),
        ("nb_svm", linear(NbSvm)),
    ]


def ragged(ids: np.ndarray, words: int | None = None) -> Ragged:
    """Padded rows of ids as sequences without their padding, which is 0.

    Example:
        >>> ragged(np.array([[0, 0, 3], [4, 5, 0]])).values
        array([3, 4, 5], dtype=int32)
    """
    ids = ids.astype(np.int32)
    if words is not None:
        ids = np.where(ids < words, ids, 0)
    present = ids > 0
    return Ragged(ids[present], np.concatenate([[0], np.cumsum(present.sum(axis=1))]))


def tokens_regression(fit: Fit) -> list[Maker]:
    raise SunhwanError(
        "the inputs are token ids and the targets are not classes, for which there is no baseline"
    )


MAKERS = {
    ("numbers", "regression"): numbers_regression,
    ("numbers", "classes"): numbers_classes,
    ("tokens", "classes"): tokens_classes,
    ("tokens", "regression"): tokens_regression,
}

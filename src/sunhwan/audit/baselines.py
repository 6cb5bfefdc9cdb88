"""Simple models on exactly the rows of a fit, scored on exactly the rows and by the metric of its result."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from sunhwan.audit.fits import Fit, outputs, windows
from sunhwan.audit.unchanged import unchanged
from sunhwan.baselines import minirocket, ngrams
from sunhwan.baselines.paths import lags
from sunhwan.data.texts.vocabulary import Ragged
from sunhwan.errors import SunhwanError
from sunhwan.evaluation.significance import Improvement, improvement

PENALTIES = 10.0 ** np.arange(-2, 6)
"""Ridge penalties that held rows choose from, for columns scaled to variance 1 and sums over rows."""

MOST_ROWS = 20_000
"""Baselines learn from at most so many rows, evenly spaced."""

MOST_SCORED = 50_000
"""Rows that are scored, evenly spaced where there are more."""

MOST_COLUMNS = 1_500
"""Ridge and logistic regression see so many numbers of a window, the latest ones."""

MOST_CONVOLVED = 60_000
"""Timesteps that random convolutions learn from, or are scored on: 10 ms a window would spend any budget."""

FEWEST_ROWS = 20
"""From fewer training rows no baseline learns."""

NAMES = {
    "last_value": "last value",
    "season_back": "one season back",
    "mean": "mean of training",
    "ridge": "ridge on the same windows",
    "boosting": "gradient boosting",
    "majority": "majority",
    "logistic": "logistic regression",
    "random_convolutions": "random convolutions",
    "tfidf": "TF-IDF of the ids",
    "nb_svm": "NB-SVM on ids",
}


@dataclass(eq=False)
class Comparison:
    """A network beside its baselines.

    Attributes:
        part: the name of the part that is scored.
        rows: how many rows that are.
        metric: "mae", "mse", "rmse" or "accuracy".
        network: its score, or None where it could not be had.
        baselines: scores by name, the cheapest first.
        details: what is worth saying of a baseline, as which column it takes.
        against: how much lower each baseline's error is than the network's; negative where it is higher.
        skipped: why a baseline is missing, by name.
        said: the network's predictions of the scored rows, or None.
        truth: their targets.
        unanswered: why the network could not be asked about these rows, or "".
        units: what an error of 1 means, where that is not plain; else "".
        declined: why there is no comparison at all, or "".
    """

    part: str
    rows: int = 0
    metric: str = ""
    network: float | None = None
    baselines: dict[str, float] = field(default_factory=dict)
    details: dict[str, str] = field(default_factory=dict)
    against: dict[str, Improvement] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    said: np.ndarray | None = None
    truth: np.ndarray | None = None
    unanswered: str = ""
    units: str = ""
    declined: str = ""

    @property
    def best(self) -> str | None:
        """The name of the best baseline."""
        if not self.baselines:
            return None
        return (max if self.metric == "accuracy" else min)(self.baselines, key=self.baselines.get)


class Budget:
    """Seconds that may be taken, by all that begins only while some are left."""

    def __init__(self, seconds: float):
        self.seconds, self.begun = seconds, time.monotonic()

    @property
    def left(self) -> float:
        return self.seconds - (time.monotonic() - self.begun)

    def part(self, share: float) -> Budget:
        """One that is spent when so much of this one is."""
        part = Budget(share * self.seconds)
        part.begun = self.begun
        return part


def compare(fit: Fit, budget: Budget, known: dict[tuple, dict[str, tuple[np.ndarray, str]]]) -> Comparison:
    """A fit's network and its baselines on its reported part.

    Args:
        known: what baselines said of rows before, for fits on the same rows; added to.
    """
    part = fit.reported
    found = Comparison(part.name, part.rows.count, fit.metric)
    why = fit.declined or part.rows.declined
    if not why and min(len(fit.train.rows), len(part.rows)) < FEWEST_ROWS // 4:
        why = f"there are {len(fit.train.rows)} training rows and {len(part.rows)} to be judged on"
    if not why and part.rows.x.shape[1:] != fit.train.rows.x.shape[1:]:
        why = "the rows that it was judged on have another shape than those of training"
    if why:
        found.declined = why
        return found
    index = spread(len(part.rows), MOST_SCORED)
    found.truth = part.rows.y[index]
    whole = finite(part.rows.x[index], found.truth)
    if not whole.any():
        found.declined = "every row that it was judged on has NaN in it"
        return found
    index, found.truth = index[whole], found.truth[whole]
    try:
        found.said = predictions(fit, index)
    except Exception as error:  # somebody's model, which may be another by now
        found.unanswered = f"it could not be asked once more ({type(error).__name__}: {error})"
    mine = None if found.said is None else errors(fit, found.said, found.truth)
    found.network = None if mine is None else score(mine, found.metric)
    # Of a stream Keras may have seen other rows than those that are kept, on which baselines are scored.
    if fit.scored is not None and np.isfinite(fit.scored) and part.rows.whole and not part.rows.streamed:
        # The model may have gone on since; what Keras said then is the result.
        if found.network is None or abs(found.network - fit.scored) > 0.02 * abs(fit.scored) + 1e-6:
            mine = None
        found.network = fit.scored
    if found.network is not None and not np.isfinite(found.network):
        mine = None
    try:
        makers = MAKERS[fit.kind, fit.task](fit)
    except SunhwanError as why:
        found.declined = str(why)
        return found
    before = known.setdefault((fit.train.digest, part.digest, fit.metric), {})
    for name, make in makers:
        if name not in before:
            if budget.left <= 0:
                found.skipped[name] = "the budget is spent"
                continue
            try:
                with quiet():
                    before[name] = make(part.rows.x[index])
            except Exception as error:  # of rows that nobody thought of; the others are still told
                found.skipped[name] = f"it fails on these rows ({type(error).__name__}: {error})"
                continue
        if before[name] is None:
            continue
        said, found.details[name] = before[name]
        theirs = errors(fit, said, found.truth)
        found.baselines[name] = score(theirs, found.metric)
        if mine is not None and mine.sum() > 0:
            found.against[name] = improvement(theirs, mine)
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Warnings of scikit-learn about somebody else's rows are not theirs to mend here."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        yield


def spread(count: int, most: int) -> np.ndarray:
    """The numbers of all rows, or of `most` evenly spaced ones."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def finite(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(rows,) bool: which have no NaN."""
    return np.isfinite(x.reshape(len(x), -1)).all(axis=1) & np.isfinite(y.reshape(len(y), -1)).all(axis=1)


def predictions(fit: Fit, index: np.ndarray) -> np.ndarray | None:
    """What the network said, or says now with the weights that it had, about rows of its reported part."""
    part = fit.reported
    if part.call.said is not None and len(part.call.said) == len(part.rows):
        return part.call.said[index]
    model, weights = fit.model, part.call.after if part.call.kind == "evaluate" else fit.calls[-1].after
    if weights is None:
        return None
    with unchanged(model):  # recurrent dropout draws seeds in predictions, too
        model.set_weights(weights)
        batch = part.call.options.get("batch_size") if part.call.kind == "evaluate" else None
        batch = batch or fit.calls[-1].options.get("batch_size")
        if any(getattr(layer, "stateful", False) for layer in fit.recurrent):
            return None  # its answers depend on what it was fed before
        return np.asarray(model.predict(part.rows.inputs(part.rows.x[index]), batch_size=batch, verbose=0))


def errors(fit: Fit, said: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(rows,) by which each row is wrong, so that their mean is the metric (its complement for accuracy)."""
    if fit.task == "classes":
        said = said.reshape(len(said), -1)
        chosen = (said[:, 0] > 0.5).astype(np.int64) if said.shape[1] == 1 else said.argmax(axis=1)
        return (chosen != fit.labels(truth)).astype(np.float64)
    difference = outputs(said) - outputs(truth)
    return (np.abs(difference) if fit.metric == "mae" else np.square(difference)).mean(axis=1)


def score(of_rows: np.ndarray, metric: str) -> float:
    mean = float(of_rows.mean())
    return {"accuracy": 1 - mean, "rmse": mean**0.5}.get(metric, mean)


# ---- Sequences of numbers ----


@dataclass(eq=False)
class Training:
    """Rows to learn from, and held ones to choose by."""

    x: np.ndarray
    y: np.ndarray
    held_x: np.ndarray
    held_y: np.ndarray


def training(fit: Fit) -> Training:
    """The training rows, thinned; choices are made on validation where that is not what is reported, else on
    the last fifth of training."""
    rows = fit.train.rows
    index = spread(len(rows), MOST_ROWS)
    index = index[finite(rows.x[index], rows.y[index])]
    if len(index) < FEWEST_ROWS:
        raise SunhwanError(f"there are {len(index)} training rows without NaN; baselines need {FEWEST_ROWS}")
    val = fit.val
    if val and val.rows.y is not None and val.name != fit.reported.name and len(val.rows) >= FEWEST_ROWS:
        held = spread(len(val.rows), MOST_ROWS // 4)
        held = held[finite(val.rows.x[held], val.rows.y[held])]
        if len(held) >= FEWEST_ROWS and val.rows.x.shape[1:] == rows.x.shape[1:]:
            return Training(rows.x[index], rows.y[index], val.rows.x[held], val.rows.y[held])
    at = int(0.8 * len(index))
    return Training(rows.x[index[:at]], rows.y[index[:at]], rows.x[index[at:]], rows.y[index[at:]])


Maker = tuple[str, Callable[[np.ndarray], tuple[np.ndarray, str] | None]]


def numbers_regression(fit: Fit) -> list[Maker]:
    data = training(fit)
    x, y = windows(data.x), outputs(data.y)
    whole_x, whole_y = np.concatenate([x, windows(data.held_x)]), np.concatenate([y, outputs(data.held_y)])
    last, season = single_cells(whole_x, whole_y)

    def cell(place):
        def make(seen):
            if place is None:
                return None
            step, column = place
            timesteps, features = x.shape[1:]
            of = f"column {column + 1} of {features}" if features > 1 else ""
            back = f"{timesteps - 1 - step} steps before the last" if step < timesteps - 1 else ""
            said = np.repeat(windows(seen)[:, step, column][:, None], y.shape[1], axis=1)
            return said, ", ".join(filter(None, (of, back)))

        return make

    def mean(seen):
        return (np.tile(whole_y.mean(axis=0), (len(seen), 1)), "") if last is None else None

    def base(rows):
        return 0.0 if last is None else windows(rows)[:, last[0], last[1]][:, None]

    def ridge(seen):
        used = max(MOST_COLUMNS // x.shape[2], 1)

        def flat(rows):
            return windows(rows)[:, -used:].reshape(len(rows), -1).astype(np.float64)

        model = Ridge.fit(
            flat(data.x), y - base(data.x), flat(data.held_x), outputs(data.held_y) - base(data.held_x)
        )
        return model.predict(flat(seen)) + base(seen), ""

    def boosting(seen):
        from sklearn.ensemble import HistGradientBoostingRegressor

        if y.shape[1] > 4:
            return None  # a model for each number would take the time of them all
        steps = [x.shape[1] - 1 - lag for lag in lags(x.shape[1], 1, 0, 1)]

        def view(rows):
            return windows(rows)[:, steps].reshape(len(rows), -1)[:, :MOST_COLUMNS]

        inputs, held = view(data.x), view(data.held_x)
        change, held_change = y - base(data.x), outputs(data.held_y) - base(data.held_x)
        said = []
        for column in range(y.shape[1]):
            model = HistGradientBoostingRegressor(
                loss="absolute_error" if fit.metric == "mae" else "squared_error",
                learning_rate=0.08,
                max_iter=200,
                early_stopping=True,
                n_iter_no_change=10,
                random_state=0,
            )
            model.fit(inputs, change[:, column], X_val=held, y_val=held_change[:, column])
            said.append(model.predict(view(seen)))
        return np.stack(said, axis=1) + base(seen), ""

    return [
        ("last_value", cell(last)),
        ("season_back", cell(season)),
        ("mean", mean),
        ("ridge", ridge),
        ("boosting", boosting),
    ]


def single_cells(x: np.ndarray, y: np.ndarray) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
    """The column whose last value is nearest to the targets, and the earlier cell that is nearer still.

    Args:
        x: (rows, timesteps, features).
        y: (rows, numbers).

    Returns:
        (timestep, feature) each, or None: a last value that is further off than the mean of the targets is
        in other units, and an earlier cell is a season only where it beats the last value.
    """
    own = own_columns(x, y)
    index = spread(len(x), 2_000)
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
    season = (
        (int(step), int(feature))
        if earlier and distance[step, feature] < np.abs(y - y.mean()).mean()
        else None
    )
    return last, season


def own_columns(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(features,) bool: columns in which the targets stand too, earlier or later; all if none has them."""
    targets = y[:, 0].astype(np.float32)
    found = np.array([np.isin(targets, x[:, :, column]).mean() > 0.9 for column in range(x.shape[2])])
    return found if found.any() else ~found


@dataclass(frozen=True, eq=False)
class Ridge:
    """scikit-learn's Ridge of a penalty that held rows choose, on columns scaled to variance 1."""

    scaler: object
    model: object

    @classmethod
    def fit(cls, x, y, held_x, held_y):
        from sklearn.linear_model import Ridge as Linear
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(x)
        x, held_x = scaler.transform(x), scaler.transform(held_x)
        models = [Linear(alpha=alpha).fit(x, y) for alpha in PENALTIES]
        missed = [np.abs(model.predict(held_x).reshape(held_y.shape) - held_y).mean() for model in models]
        alpha = PENALTIES[int(np.argmin(missed))]
        return cls(scaler, Linear(alpha=alpha).fit(np.concatenate([x, held_x]), np.concatenate([y, held_y])))

    def predict(self, x):
        return self.model.predict(self.scaler.transform(x)).reshape(len(x), -1)


# ---- Sequences of numbers to classes ----


def numbers_classes(fit: Fit) -> list[Maker]:
    data = training(fit)
    train = fit.labels(data.y), fit.labels(data.held_y)
    several_classes(train[0])
    classes = fit.classes

    def features(rows):
        """The window, and each column's mean, spread and extremes, which do not depend on the place."""
        x = windows(rows)
        flat = x[:, -max(MOST_COLUMNS // x.shape[2], 1) :].reshape(len(x), -1)
        return np.concatenate([flat, x.mean(1), x.std(1), x.min(1), x.max(1)], axis=1)

    def logistic(seen):
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(features(data.x))
        x, held = scaler.transform(features(data.x)), scaler.transform(features(data.held_x))
        models = [LogisticRegression(C=c, max_iter=300).fit(x, train[0]) for c in (0.01, 0.1, 1.0)]
        best = max(models, key=lambda model: model.score(held, train[1]))
        return one_hot(best.predict(scaler.transform(features(seen))), classes), ""

    def random_convolutions(seen):
        x = np.concatenate([windows(data.x), windows(data.held_x)])
        if not minirocket.installed() or x.shape[1] < minirocket.TAPS:
            return None
        if len(seen) * x.shape[1] > MOST_CONVOLVED:
            return None
        x = x[spread(len(x), MOST_CONVOLVED // x.shape[1])]
        chosen = np.concatenate(train)[spread(len(data.x) + len(data.held_x), len(x))]
        model = minirocket.fit(*recordings(x), chosen)
        return model.logits(*recordings(windows(seen))), ""

    return [
        ("majority", majority(fit, np.concatenate(train))),
        ("logistic", logistic),
        ("random_convolutions", random_convolutions),
    ]


def recordings(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows of equal length as recordings, one behind the other: values (rows, features), offsets."""
    return x.reshape(-1, x.shape[2]), np.arange(len(x) + 1) * x.shape[1]


def majority(fit: Fit, labels: np.ndarray) -> Callable:
    def make(seen):
        return ngrams.majority(labels, fit.classes, len(seen)), ""

    return make


def several_classes(labels: np.ndarray) -> None:
    found = np.unique(labels)
    if len(found) < 2:
        raise SunhwanError(f"all training rows are of class {found[0]}; baselines need two classes")
    if found[0] < 0:
        raise SunhwanError(f"a class is {found[0]}; baselines expect classes that are counted from 0")


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    return np.eye(classes)[labels]


# ---- Sequences of token ids to classes ----


def tokens_classes(fit: Fit) -> list[Maker]:
    data = training(fit)
    labels, held_labels = fit.labels(data.y), fit.labels(data.held_y)
    several_classes(labels)
    words = int(max(data.x.max(), data.held_x.max())) + 1
    texts, held = ragged(data.x), ragged(data.held_x)
    grams = ngrams.Ngrams.fit(texts, words, least=2, order=2)

    def linear(of, binary):
        def make(seen):
            counts, held_counts = (grams.counts(part, binary=binary) for part in (texts, held))
            model = ngrams.chosen(of, counts, labels, held_counts, held_labels, fit.classes)
            # A word that training never had is none that the model knows.
            return model.logits(grams.counts(ragged(seen, words), binary=binary)), ""

        return make

    return [
        ("majority", majority(fit, np.concatenate([labels, held_labels]))),
        ("tfidf", linear(ngrams.tfidf_logistic, False)),
        ("nb_svm", linear(ngrams.nb_svm, True)),
    ]


def ragged(ids: np.ndarray, words: int | None = None) -> Ragged:
    """Padded rows of ids as sequences without their padding, the 0.

    Example:
        >>> ragged(np.array([[0, 0, 3], [4, 5, 0]])).ids
        array([3, 4, 5], dtype=int32)
    """
    ids = ids.astype(np.int32)
    if words is not None:
        ids = np.where(ids < words, ids, 0)
    there = ids > 0
    return Ragged(ids[there], np.concatenate([[0], np.cumsum(there.sum(axis=1))]))


def tokens_regression(fit: Fit) -> list[Maker]:
    raise SunhwanError("token ids with targets that are no classes; there is no baseline for that yet")


MAKERS = {
    ("numbers", "regression"): numbers_regression,
    ("numbers", "classes"): numbers_classes,
    ("tokens", "classes"): tokens_classes,
    ("tokens", "regression"): tokens_regression,
}

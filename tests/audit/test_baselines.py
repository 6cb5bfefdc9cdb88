"""Baselines of a fit, on series whose predictions are known."""

import keras
import numpy as np
import pytest

import sunhwan
from sunhwan.audit.baselines import Comparison, ragged
from sunhwan.evaluation.significance import improvement


def compared(x, y, model=None, loss="mse", metrics=("mae",), budget=600, **fit):
    """The comparison of a model that learns nothing, on the last fifth of its rows."""
    model = model or keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), loss, metrics=list(metrics))
    with sunhwan.audit(budget) as comparison:
        model.fit(x, y, validation_split=0.2, verbose=0, **fit)
    return comparison.comparisons[0], model


def cut(series, timesteps, column=0):
    """Windows and what follows each: (windows, timesteps, features), (windows, 1)."""
    x = np.lib.stride_tricks.sliding_window_view(series[:-1], timesteps, axis=0).transpose(0, 2, 1)
    return np.ascontiguousarray(x), series[timesteps:, column][:, None]


@pytest.fixture(scope="module")
def walk():
    """A random walk beside a column of noise."""
    random = np.random.default_rng(0)
    return cut(np.stack([random.normal(size=600), np.cumsum(random.normal(size=600))], axis=1), 12, column=1)


def test_the_last_value_is_that_of_the_column_that_the_target_follows(walk):
    x, y = walk
    comparison, _ = compared(x, y)
    at = int(0.8 * len(x))
    expected = np.abs(x[at:, -1, 1] - y[at:, 0]).mean()
    assert comparison.baselines["last_value"] == pytest.approx(expected)
    assert comparison.details["last_value"] == "column 2 of 2"
    assert (comparison.part, comparison.rows, comparison.metric) == ("validation", len(x) - at, "mae")


def test_the_network_s_score_is_keras_s(walk):
    x, y = walk
    comparison, model = compared(x, y)
    at = int(0.8 * len(x))
    assert comparison.network == pytest.approx(model.evaluate(x[at:], y[at:], verbose=0)[1], rel=1e-4)


def test_each_baseline_stands_beside_the_network_with_an_interval(walk):
    comparison, model = compared(*walk)
    x, y = walk
    at = int(0.8 * len(x))
    mine = np.abs(model.predict(x[at:], verbose=0) - y[at:])[:, 0]
    theirs = np.abs(x[at:, -1, 1] - y[at:, 0])
    expected = improvement(theirs, mine)
    assert comparison.improvements["last_value"].percent == pytest.approx(expected.percent, rel=1e-3)
    assert comparison.improvements["last_value"].sure


def test_a_season_is_found_and_ridge_finds_more():
    hours = np.arange(900)
    series = np.sin(2 * np.pi * hours / 24)[:, None] + np.random.default_rng(0).normal(0, 0.05, (900, 1))
    comparison, _ = compared(*cut(series, 30))
    assert comparison.details["seasonal"] == "23 timesteps before the last"
    assert (
        comparison.baselines["ridge"] < comparison.baselines["seasonal"] < comparison.baselines["last_value"]
    )


def test_ridge_is_exact_on_what_is_linear():
    x = np.random.default_rng(0).normal(size=(400, 6, 2))
    y = (x @ [1.0, -2.0]) @ np.arange(6.0)
    comparison, _ = compared(x, y)
    assert comparison.baselines["ridge"] < 1e-2 < comparison.baselines["boosting"]


def test_where_no_column_is_in_the_target_s_units_the_mean_stands_for_the_last_value():
    random = np.random.default_rng(0)
    comparison, _ = compared(random.normal(size=(200, 5, 1)), 1000 + random.normal(size=200))
    assert "last_value" not in comparison.baselines
    assert comparison.baselines["mean"] == pytest.approx(0.8, abs=0.2)


def test_several_steps_ahead_are_scored_together(walk):
    x, y = walk
    ahead = np.concatenate([y[:-2], y[1:-1], y[2:]], axis=1)
    model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(3)])
    comparison, _ = compared(x[:-2], ahead, model)
    at = int(0.8 * len(ahead))
    expected = np.abs(x[at:-2, -1, 1][:, None] - ahead[at:]).mean()
    assert comparison.baselines["last_value"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("loss", "metrics", "metric"),
    [
        ("mae", [], "mae"),
        ("mse", [], "mse"),
        ("mse", [keras.metrics.RootMeanSquaredError()], "rmse"),
        ("huber", [], "mae"),
    ],
)
def test_baselines_are_scored_by_the_network_s_metric(loss, metrics, metric, walk):
    x, y = walk
    metrics = [type(each)() for each in metrics]
    comparison, _ = compared(x, y, loss=loss, metrics=metrics)
    at = int(0.8 * len(x))
    difference = x[at:, -1, 1] - y[at:, 0]
    expected = {
        "mae": np.abs(difference).mean(),
        "mse": (difference**2).mean(),
        "rmse": (difference**2).mean() ** 0.5,
    }
    assert comparison.metric == metric
    assert comparison.baselines["last_value"] == pytest.approx(expected[metric], rel=1e-5)
    assert comparison.network is not None


@pytest.mark.parametrize("one_hot", [False, True])
def test_classes_have_the_majority_and_logistic_regression(one_hot):
    random = np.random.default_rng(0)
    labels = random.choice(3, 400, p=[0.6, 0.2, 0.2])
    x = random.normal(size=(400, 8, 1)) + labels[:, None, None]
    model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(3, activation="softmax")])
    y = np.eye(3)[labels] if one_hot else labels
    loss = "categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy"
    comparison, _ = compared(x, y, model, loss, ["accuracy"])
    assert comparison.metric == "accuracy"
    assert comparison.baselines["majority"] == pytest.approx((labels[320:] == 0).mean())
    assert comparison.baselines["logistic"] > 0.85


def test_ids_of_words_have_linear_models_of_their_own():
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 300)
    ids = random.integers(10, 60, (300, 12))
    ids[np.arange(300), random.integers(0, 12, 300)] = 3 + labels  # one word says it
    model = keras.Sequential(
        [keras.layers.Embedding(60, 4), keras.layers.LSTM(4), keras.layers.Dense(1, activation="sigmoid")]
    )
    comparison, _ = compared(ids, labels, model, "binary_crossentropy", ["accuracy"])
    assert list(comparison.baselines) == ["majority", "tfidf", "nb_svm"]
    assert comparison.baselines["nb_svm"] > 0.95
    assert comparison.best == "nb_svm"


def test_padding_is_no_word():
    found = ragged(np.array([[0, 0, 3], [4, 5, 0]]), words=5)
    assert (found.values.tolist(), found.offsets.tolist()) == ([3, 4], [0, 1, 2])


def test_rows_that_are_weighed_are_scored_as_baselines_are(walk):
    x, y = walk
    weights = np.where(np.arange(len(x)) < 0.9 * len(x), 1.0, 0.0)
    comparison, model = compared(x, y, loss="mae", metrics=(), sample_weight=weights)
    at = int(0.8 * len(x))
    expected = np.abs(model.predict(x[at:], verbose=0) - y[at:]).mean()
    assert comparison.network == pytest.approx(expected, rel=1e-3)


def test_a_budget_that_is_spent_leaves_baselines_out(walk):
    comparison, _ = compared(*walk, budget=0)
    assert not comparison.baselines
    assert comparison.skipped["ridge"] == "the time budget is spent"


def test_rows_with_nan_are_left_out(walk):
    x, y = np.array(walk[0]), np.array(walk[1])
    x[5, 3, 0] = np.nan
    x[-1, 0, 0] = np.nan
    comparison, _ = compared(x, y)
    at = int(0.8 * len(x))
    assert comparison.baselines["last_value"] == pytest.approx(np.abs(x[at:-1, -1, 1] - y[at:-1, 0]).mean())


@pytest.mark.parametrize(
    ("x", "y", "reason"),
    [
        (np.ones((3, 2, 1)), np.ones(3), "2 training and 1 validation rows are too few"),
        (np.full((50, 2, 1), np.nan), np.ones(50), "every validation row contains NaN"),
        (np.ones((50, 2, 1)), np.ones((50, 80)), "80 numbers per row"),
    ],
)
def test_what_has_no_baseline_is_declined_in_a_sentence(x, y, reason):
    model = keras.Sequential([keras.layers.GRU(2), keras.layers.Dense(np.shape(y)[-1] if y.ndim > 1 else 1)])
    comparison, _ = compared(x, y, model)
    assert reason in comparison.declined and not comparison.baselines


def test_an_autoencoder_is_declined():
    x = np.random.default_rng(0).normal(size=(50, 4, 1))
    model = keras.Sequential([keras.layers.GRU(2, return_sequences=True), keras.layers.Dense(1)])
    assert "autoencoder" in compared(x, x, model)[0].declined


def test_the_best_is_the_highest_accuracy_and_the_lowest_error():
    assert Comparison("test", metric="accuracy", baselines={"a": 0.5, "b": 0.7}).best == "b"
    assert Comparison("test", metric="mae", baselines={"a": 0.5, "b": 0.7}).best == "a"


def test_a_model_that_has_changed_since_cannot_predict(audited):
    audit = audited(
        """
        import keras, numpy as np
        x = np.random.default_rng(0).normal(size=(80, 12, 1))
        model = keras.Sequential([keras.layers.Input((12, 1)), keras.layers.GRU(2), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        model.fit(x, x[:, 0], validation_split=0.25, verbose=0)
        model.pop()
        """
    )
    comparison = audit.comparisons[0]
    assert "it cannot predict any more (ValueError" in comparison.unpredicted
    assert comparison.network is not None and comparison.baselines  # Keras's score at the time is the result
    assert "your network: it cannot predict any more" in str(audit)

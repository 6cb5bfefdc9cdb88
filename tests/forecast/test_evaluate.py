"""A model beside its baselines on the test part: each figure, and the sentence."""

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from sunhwan.data.health import health
from sunhwan.data.preparation import ForecastSpec, prepare
from sunhwan.forecast import evaluate as evaluating
from sunhwan.forecast.evaluate import evaluate, verdict
from sunhwan.forecast.exact import BoundNetworks
from sunhwan.forecast.run import learn
from sunhwan.training.progress import Nobody


def test_networks_predict_the_test_part_once(run, wanted, monkeypatch):
    learnt = prepare(run.readings, wanted(known=("plan",)))
    fitted, test = run.result.fitted, learnt.windows("test")
    mixed = replace(fitted.model, networks=fitted.networks, weights={"network": 1.0})
    expected = mixed.run(test)[0]
    hidden, counts = BoundNetworks.hidden, []
    monkeypatch.setattr(
        BoundNetworks, "hidden", lambda one, *inputs: counts.append(len(inputs[0])) or hidden(one, *inputs)
    )
    evaluation = evaluate(replace(fitted, model=mixed), learnt, test)
    assert sum(counts) == len(test)
    np.testing.assert_array_equal(evaluation.predictions, expected)
    assert len(evaluation.per_seed) == len(fitted.networks)


def test_a_run_is_compared_with_every_baseline(run):
    result, metrics = run.result, run.metrics
    assert set(metrics["test"]) == {
        "model",
        "last_value",
        "seasonal",
        "ridge",
        "boosting",
    }
    actual, predictions = result.evaluation.actual, result.evaluation.predictions
    assert metrics["test"]["model"]["mae"] == pytest.approx(np.nanmean(np.abs(predictions[..., 0] - actual)))
    assert metrics["test"]["model"]["mae_last_step"] == pytest.approx(
        np.nanmean(np.abs(predictions[:, -1, :, 0] - actual[:, -1]))
    )
    covered = (predictions[..., 1] <= actual) & (actual <= predictions[..., 2])
    assert metrics["interval"]["coverage"] == pytest.approx(covered.mean())
    assert 0.7 < covered.mean() < 0.9
    assert metrics["test"]["model"]["mae"] < 1.03 * min(
        errors["mae"] for name, errors in metrics["test"].items() if name != "model"
    )
    assert metrics["unit"] == "degC" and metrics["horizon"] == 6
    assert "6 h ahead: mean absolute error" in metrics["verdict"]


def test_a_test_part_of_one_value_is_no_reason_to_fail(tabled, station, wanted, small):
    hour = pl.int_range(500)
    frame = station(rows=500).with_columns(
        pl.when(hour >= 390).then(7.0).otherwise(pl.col("T (degC)")).alias("T (degC)")
    )
    metrics = learn(tabled(frame), wanted(), small, Nobody()).metrics
    assert metrics["verdict"].endswith(
        "The last value baseline makes no error on the test part: use last value."
    )


def test_a_network_that_adds_nothing_is_not_recommended(tabled, small):
    # A random walk: nobody can do better than the last value.
    walk = np.cumsum(np.random.default_rng(3).normal(size=900))
    time = [str(datetime(2024, 1, 1) + timedelta(hours=i)) for i in range(900)]
    frame = pl.DataFrame({"time": time, "x": walk})
    result = learn(tabled(frame), ForecastSpec(("x",), 6, 12), small, Nobody())
    assert any(part in result.metrics["verdict"] for part in ("use ", "is the simpler choice"))
    best = min(errors["mae"] for name, errors in result.metrics["test"].items() if name != "model")
    assert result.metrics["test"]["model"]["mae"] < 1.05 * best


def test_the_seasonal_baseline_is_called_by_its_season(run):
    assert run.metrics["names"]["seasonal"] == "same time yesterday"
    assert set(run.metrics["names"]) == set(run.metrics["test"]) - {"model"}


class Gain:
    def __init__(self, percent, sure):
        self.percent, self.sure = percent, sure

    def sentence(self, name):
        return f"compared with {name}"


@pytest.mark.parametrize(
    ("gain", "network", "expected"),
    [
        (None, True, "T. The A baseline makes no error on the test part: use A."),
        (Gain(3, True), False, "T. The network adds nothing here: use B."),
        (Gain(3, True), True, "T, compared with A."),
        (Gain(-3, True), True, "T, compared with A: use A."),
        (Gain(3, False), True, "T, compared with A: A is the simpler choice."),
    ],
)
def test_the_verdict(gain, network, expected):
    assert verdict("T", gain, "A", network, "B") == expected


def test_the_health_is_that_of_every_column_that_the_model_may_use(run, wanted):
    readings = replace(
        run.readings, columns=run.readings.columns.with_columns(month=pl.int_range(2100) % 12 + 0.5)
    )
    for features, there in ((("month", "p"), True), ((), False)):
        prepared = prepare(readings, wanted(features=features))
        table = health(prepared.readings, prepared.part)
        assert ("month" in [column["name"] for column in table["columns"]]) is there


def test_baselines_are_those_of_the_table(run):
    """A new baseline is a line of the table."""
    from sunhwan.baselines.predictors import PREDICTORS

    assert list(run.result.fitted.baselines) == list(PREDICTORS)
    assert list(run.result.evaluation.baselines) == list(PREDICTORS)
    assert evaluating.MODEL not in PREDICTORS

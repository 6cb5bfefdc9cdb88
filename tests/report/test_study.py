"""A run directory is read as far as it goes, and what is damaged is refused."""

from __future__ import annotations

import numpy as np
import pytest

from sunhwan import rundir
from sunhwan.errors import SunhwanError
from sunhwan.files import write_json
from sunhwan.report import study
from sunhwan.report.pictures import plots


@pytest.mark.parametrize(
    ("file", "gone"),
    [
        ("metrics.json", ["results"]),
        ("history.csv", ["loss"]),
        ("series.npz", ["series", "first_ten_days"]),
        ("predictions.npz", ["forecast", "forecast_against_actual", "error_by_hour"]),
    ],
)
def test_a_file_that_is_not_there_is_a_picture_less(file, gone, write_case):
    run = write_case("forecast", count=1, days=15)
    (run / file).unlink()
    read = study.read(run)
    for name in gone:
        assert plots.PLOTS[name](read) is None
    parts = {
        "metrics.json": read.metrics,
        "history.csv": read.curves,
        "series.npz": read.series,
        "predictions.npz": read.predictions,
    }
    assert [name for name, part in parts.items() if not part] == [file]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "run.json").unlink(), "no run.json"),
        (lambda run: (run / "run.json").write_text("{"), "run.json.*JSON"),
        (
            lambda run: write_json(
                run / "run.json",
                rundir.record("study", [], {}, {}) | {"state": "finished", "study_kind": "b"},
            ),
            "study_kind 'b'.*lacks study, metric.*forecast, text, adding",
        ),
        (lambda run: (run / "metrics.json").write_text("[]"), "metrics.json.*JSON object"),
        (lambda run: (run / "history.csv").write_text("model,seed,epoch,loss\n"), "no column val_loss"),
        (
            lambda run: (run / "history.csv").write_text("model,seed,epoch,loss,val_loss\ngru,0,one,1,1\n"),
            "history.csv', line 2: .*'one'",
        ),
        (lambda run: (run / "history.csv").write_text("model,seed,epoch,loss,val_loss\ngru,0,1\n"), "line 2"),
        (lambda run: (run / "series.npz").write_bytes(b"PK not a zip"), "series.npz' cannot be read"),
        (
            lambda run: np.savez(run / "series.npz", time=np.arange(3), edges=[], series=[], series_names=[]),
            "series.npz' has no array value",
        ),
    ],
)
def test_a_damaged_run_is_one_plain_sentence_and_leaves_no_plot(damage, message, write_case):
    run = write_case("forecast", count=1, days=15)
    damage(run)
    with pytest.raises(SunhwanError, match=message):
        plots.draw(run)
    assert not (run / "plots").exists()


def test_without_scores_the_networks_are_known_from_the_history(write_case):
    run = write_case("forecast", models=("gru",), baselines=("ridge",), days=15)
    (run / "metrics.json").unlink()
    labels = [predictor.label for predictor in study.read(run).best()]
    assert labels == ["gru (network)", "ridge (baseline)"], "and none is called the best"


def test_the_best_is_chosen_by_validation_not_by_test(write_forecasts):
    errors = {
        name: np.full(48, error)
        for name, error in (("gru", 1.0), ("lstm", 0.5), ("ridge", 0.7), ("last", 0.1))
    }
    models = {"gru": (1.0, 1.0, None), "lstm": (1.2, 0.5, None)}
    read = study.read(write_forecasts(errors, models, {"ridge": (0.8, 0.7), "last": (0.9, 0.1)}))
    labels = [predictor.label for predictor in read.predictors()]
    assert labels == ["gru (best network)", "ridge (best baseline)", "last"]
    assert [predictor.label for predictor in read.best()] == labels[:2]


def test_of_accuracies_the_highest_is_the_best(case):
    labels = [predictor.label for predictor in study.read(case("text")[0]).predictors()]
    assert labels == ["lstm (best network)", "nb_svm (best baseline)", "majority"]


def test_each_series_is_in_the_order_of_time():
    arrays = {
        "time": np.array([3, 1, 2, 1], "datetime64[s]"),
        "series": np.array([1, 1, 0, 0]),
        "series_names": np.array(["north", "south"]),
    }
    (north, first), (south, second) = study.rows_of_each_series(arrays)
    assert (north, list(first), south, list(second)) == ("north", [3, 2], "south", [1, 0])

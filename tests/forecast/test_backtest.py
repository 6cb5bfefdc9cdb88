"""A backtest: each fold is forecast by what lies before it, and all folds together are the test part."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from sunhwan.cli import group
from sunhwan.data import table
from sunhwan.data.files.records import Records
from sunhwan.data.preparation import ForecastSpec
from sunhwan.data.split import chronological
from sunhwan.errors import SunhwanError
from sunhwan.forecast.backtest import backtest, rolling
from sunhwan.forecast.options import Options, Settings
from sunhwan.forecast.run import learn
from sunhwan.training.progress import Nobody

SMALL = Options(Settings(units=4, dense=8, epochs=1), seeds=1)

WANTED = ForecastSpec(("T (degC)", "p"), "3h", "6h", features=("day",), split=(50, 20, 30))


def station(rows=500):
    """Two series of hourly readings, one shorter than the other, as a frame."""
    frames = []
    for number in range(2):
        random, hours = np.random.default_rng(number), np.arange(rows - 40 * number)
        start = np.datetime64("2024-03-01", "ms")
        frames.append(
            pl.DataFrame(
                {
                    "time": pl.Series(start + hours * np.timedelta64(3_600_000, "ms")).dt.to_string("%F %T"),
                    "place": f"s{number}",
                    "T (degC)": 10 + 5 * np.sin(hours / 4) + random.normal(size=len(hours)),
                    "p": 1000 + np.cumsum(random.normal(size=len(hours))),
                    "day": hours // 24 % 31 + 1.0,
                }
            )
        )
    return pl.concat(frames)


def as_table(frame):
    return table.assemble(Records(frame, "station.csv", ""), time=["time"], series="place")


@pytest.mark.parametrize("folds", [2, 5, 7])
@pytest.mark.parametrize("split", [(60, 20, 20), (0.4, 0.1, 0.5)])
def test_folds_cut_the_test_part_and_learn_from_what_lies_before(folds, split):
    series = np.repeat([0, 1, 2], [1000, 613, 97])
    whole = chronological(series, split)
    parts = rolling(series, split, folds)
    assert (sum((part == 2).astype(int) for part in parts) == (whole == 2)).all()
    for code in range(3):
        for part in parts:
            mine = part[series == code]
            known = mine[mine >= 0]
            assert (np.diff(known) >= 0).all() and (mine[len(known) :] == -1).all()
            train, val, test = ((known == code).sum() for code in range(3))
            assert val / (train + val) == pytest.approx(split[1] / (split[0] + split[1]), abs=1 / len(known))
            assert test == pytest.approx((whole[series == code] == 2).sum() / folds, abs=1)


@pytest.fixture(scope="module")
def result():
    return backtest(as_table(station()), WANTED, SMALL, Nobody(), 2)


def test_a_fold_is_a_run_on_the_rows_up_to_its_end(result):
    readings = as_table(station())
    part = rolling(readings.series, WANTED.split, 2)[0]
    split = (250, 100, 75)
    alone = learn(readings.take(part >= 0), replace(WANTED, split=split), SMALL, Nobody())
    first = result.evaluation.fold == 1
    np.testing.assert_array_equal(alone.evaluation.predictions, result.evaluation.predictions[first])
    assert first.sum() == 75 + 69 - 2 * (5 + 3)


def test_the_health_table_has_every_column_that_is_read(result):
    assert [column["name"] for column in result.health["columns"]] == ["T (degC)", "p", "day"]
    assert sum(result.health["rows"].values()) == 500 + 460


def test_the_figures_are_those_of_all_folds_and_their_spread(result):
    metrics, evaluation = result.metrics, result.evaluation
    assert [fold["fold"] for fold in metrics["folds"]] == [1, 2]
    assert metrics["windows"] == len(evaluation.made_at) == sum(fold["windows"] for fold in metrics["folds"])
    for i, one in enumerate(metrics["targets"]):
        error = np.abs(evaluation.predictions[:, :, i, 0] - evaluation.actual[:, :, i])
        assert one["test"]["model"]["mae"] == pytest.approx(error.mean())
        by_fold = [error[evaluation.fold == fold].mean() for fold in (1, 2)]
        assert [fold["targets"][i]["test"]["model"]["mae"] for fold in metrics["folds"]] == pytest.approx(
            by_fold
        )
        spread = one["over_folds"]["model"]["mae"]
        assert spread == pytest.approx({"mean": np.mean(by_fold), "std": abs(np.diff(by_fold)[0]) / 2**0.5})
    for code in (0, 1):
        first, second = (
            evaluation.made_at[(evaluation.fold == fold) & (evaluation.series == code)] for fold in (1, 2)
        )
        assert first.max() < second.min()
    assert metrics["improvement"]["windows"] == len(evaluation.made_at)


def test_later_rows_do_not_reach_an_earlier_fold(result):
    wild = station().with_columns(
        pl.when(pl.col("time") > "2024-03-19").then(-99.5).otherwise(pl.col("T (degC)")).alias("T (degC)")
    )
    other = backtest(as_table(wild), WANTED, SMALL, Nobody(), 2).evaluation
    mine = (result.evaluation.fold == 1) & (result.evaluation.made_at < np.datetime64("2024-03-18T18"))
    assert mine.sum() > 50
    np.testing.assert_array_equal(other.predictions[mine], result.evaluation.predictions[mine])


class Refusing(Nobody):
    def begin(self, member, epochs, batches):
        raise AssertionError(f"{member} was begun")


def test_too_many_folds_are_refused_before_anything_is_trained():
    with pytest.raises(SunhwanError, match=r"fold 1 of 40: the test part has .*; or ask for fewer --folds"):
        backtest(as_table(station()), WANTED, SMALL, Refusing(), 40)


def command(*arguments):
    return CliRunner().invoke(group, list(map(str, arguments)))


def test_the_command_keeps_all_folds(tmp_path):
    station().write_csv(tmp_path / "station.csv")
    done = command(
        "forecast", tmp_path / "station.csv", "--series", "place", "--target", "T (degC)", "--horizon", "3h",
        "--lookback", "6h", "--epochs", 1, "--seeds", 1, "--folds", 2, "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert "mean absolute error by fold" in done.stdout and any(" ± " in line for line in lines)
    assert any("each of 2 folds was forecast by a model" in line for line in lines)
    metrics = json.loads(lines[-1])
    assert json.loads((tmp_path / "run" / "metrics.json").read_text()) == metrics
    with np.load(tmp_path / "run" / "predictions.npz") as kept:
        counts = np.bincount(kept["fold"])[1:].tolist()
    assert counts == [fold["windows"] for fold in metrics["folds"]]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["options"]["folds"] == 2
    done = command(
        "forecast",
        tmp_path / "station.csv",
        "--target",
        "p",
        "--folds",
        2,
        "--test",
        tmp_path / "station.csv",
    )
    assert done.exit_code and "leave one of them out" in str(done.exception)

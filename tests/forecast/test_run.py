"""A file to a run: what is trained, tested, printed and saved."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from sunhwan.cli import group
from sunhwan.data.preparation import ForecastSpec
from sunhwan.errors import SunhwanError
from sunhwan.forecast.options import Options
from sunhwan.forecast.run import learn, run
from sunhwan.forecast.source import Source
from sunhwan.training.progress import Nobody


def test_a_file_of_its_own_is_the_test_part(tabled, station, wanted, small):
    frame = station(rows=900)
    first, second = tabled(frame[:600], "a.csv"), tabled(frame[600:], "b.csv")
    result = learn(first, wanted(split=(80, 20)), small, Nobody(), second)
    made = result.evaluation.made_at
    assert made[0] == np.datetime64("2024-03-26T00:00") + np.timedelta64(11, "h")
    assert len(made) == 300 - 11 - 6


def run_command(*arguments):
    return CliRunner().invoke(group, list(map(str, arguments)), catch_exceptions=False)


def test_the_command_says_first_whether_the_network_is_worth_it(tmp_path, station):
    station(rows=500).write_csv(tmp_path / "station.csv")
    out = tmp_path / "run"
    done = run_command(
        "forecast", tmp_path / "station.csv", "--target", "T (degC)", "--horizon", "6h", "--lookback", "12h",
        "--epochs", 1, "--seeds", 1, "--out", out, "--json",
    )  # fmt: skip
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert lines[0].startswith("T (degC), 6 h ahead: mean absolute error ")
    metrics = json.loads(lines[-1])
    assert metrics["run"] == str(out) and metrics["target"] == "T (degC)"
    assert json.loads((out / "metrics.json").read_text()) == metrics
    coming = run_command("predict", out, tmp_path / "station.csv").stdout.splitlines()
    assert (
        coming[0] == "made_at,time,step,T (degC),T (degC) lower 80%,T (degC) upper 80%" and len(coming) == 7
    )
    reading = json.dumps(station(rows=1).row(0, named=True))
    answer = CliRunner().invoke(group, ["stream", str(out)], input=f"\ufeff{reading}\n").stdout
    assert json.loads(answer)["waiting"].startswith("the next forecast needs 11 more rows")
    done = run_command(
        "predict", out, tmp_path / "station.csv", "--every", "24h", "--out", tmp_path / "f.parquet"
    )
    assert done.exit_code == 0 and len(pl.read_parquet(tmp_path / "f.parquet")) % 6 == 0


@pytest.mark.real
def test_beijing_is_forecast_better_than_by_a_straight_line(real_file):
    source = Source(real_file("beijing_hourly_2010_2014.csv"))
    readings, _ = source.read()
    wanted = ForecastSpec(("TEMP",), "24h", split=(50, 25, 25))
    result = learn(readings, wanted, Options(), Nobody())
    metrics = result.metrics
    assert metrics["test"]["model"]["mae_last_step"] <= 2.28
    assert metrics["improvement"]["interval"][0] > 0
    assert abs(metrics["interval"]["coverage"] - 0.8) <= 0.03
    assert metrics["interval"]["winkler"] <= metrics["interval"]["ridge_winkler"]
    actual, predictions = result.evaluation.actual[:, :, 0], result.evaluation.predictions[:, :, 0]
    covered = (predictions[..., 1] <= actual) & (actual <= predictions[..., 2])
    months = result.evaluation.made_at.astype("datetime64[M]")
    by_month = [covered[months == month].mean() for month in np.unique(months)]
    assert max(abs(share - 0.8) for share in (*by_month, *covered.mean(axis=0))) <= 0.08


def test_a_target_that_would_overwrite_another_column_is_refused_before_training(tabled, station, small):
    readings = tabled(station().rename({"p": "step"}))
    with pytest.raises(SunhwanError, match="the target 'step' has the name of another column"):
        run(readings, ForecastSpec(("step",), 6, 12), small, None)

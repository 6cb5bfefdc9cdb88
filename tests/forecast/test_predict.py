"""Forecasts of new rows by a run: the same elsewhere, with a word on what is unlike training."""

import shutil
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from sunhwan.data import table
from sunhwan.data.files.records import Records
from sunhwan.errors import SunhwanError
from sunhwan.forecast.predict import check_names, predict, predict_table


def test_a_run_predicts_elsewhere_what_it_predicted_here(run, tmp_path):
    home, readings, result = run.home, run.readings, run.result
    shutil.copytree(home / "run", tmp_path / "moved")
    there = predict(tmp_path / "moved", home / "station.csv", "24h")
    here = predict_table(result.fitted.model.updated(result.evaluation.calibrations_after), readings, "24h")
    assert there.columns.keys() == here.columns.keys()
    for name, column in here.columns.items():
        np.testing.assert_array_equal(there.columns[name], column)
    assert list(there.columns) == [
        "series", "made_at", "time", "step", "T (degC)", "T (degC) lower 80%", "T (degC) upper 80%",
    ]  # fmt: skip


def test_the_last_row_is_forecast_and_the_plan_goes_beyond_it(run, station):
    result = run.result
    model = result.fitted.model
    frame = station(series=3)
    hours = pl.col("time").str.slice(0, 16)
    cut = np.datetime64("2024-03-01T00:00") + np.timedelta64(650, "h")
    open_end = frame.with_columns(
        pl.when(hours <= str(cut)).then(pl.col("T (degC)")).alias("T (degC)"),
        pl.when(hours <= str(cut)).then(pl.col("p")).alias("p"),
    )
    found = predict_table(
        model, table.assemble(Records(open_end, "open.csv", ""), time=["time"], series="place")
    )
    assert set(found.columns["made_at"]) == {cut.astype("datetime64[ms]")}
    assert found.columns["time"][0] == cut + np.timedelta64(1, "h") and len(found.columns["time"]) == 18
    other = open_end.with_columns(
        pl.when(hours > str(cut)).then(1 - pl.col("plan")).otherwise(pl.col("plan")).alias("plan")
    )
    turned = predict_table(
        model, table.assemble(Records(other, "open.csv", ""), time=["time"], series="place")
    )
    assert (turned.columns["T (degC)"] != found.columns["T (degC)"]).all()


def test_series_that_were_not_in_training_are_named(run, station):
    result = run.result
    frame = station(series=4, seed=5)
    found = predict_table(
        result.fitted.model, table.assemble(Records(frame, "new.csv", ""), time=["time"], series="place")
    )
    assert any("the series 's3' were not in the training data" in warning for warning in found.warnings)
    assert set(found.columns["series"]) == {"s0", "s1", "s2", "s3"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda frame: frame.drop("p"), "lacks 'p'"),
        (lambda frame: frame[::2], "are 2 h apart, but the model was trained on rows 1 h apart"),
        (lambda frame: frame[:5], r"reads 12 rows of 1 h, and 6 rows after it with 'plan'"),
        (lambda frame: frame.rename({"time": "when"}), "lacks 'time'"),
    ],
)
def test_files_that_do_not_fit_the_run_are_refused(run, station, tmp_path, change, said):
    home = run.home
    change(station(series=3)).write_csv(tmp_path / "new.csv")
    with pytest.raises(SunhwanError, match=said):
        predict(home / "run", tmp_path / "new.csv")


def test_columns_in_another_order_and_more_of_them_do_no_harm(run, station, tmp_path):
    home = run.home
    frame = station(series=3)
    frame.select(pl.lit(1.0).alias("more"), *reversed(frame.columns)).write_csv(tmp_path / "new.csv")
    there, here = predict(home / "run", tmp_path / "new.csv"), predict(home / "run", home / "station.csv")
    for name, column in here.columns.items():
        np.testing.assert_array_equal(there.columns[name], column)


def test_values_and_times_that_are_unlike_those_of_training_are_noted(run, station, tmp_path):
    home = run.home
    frame = station(series=3)

    def said(file):
        return sorted(note for note in predict(home / "run", file).notes if "is made at" not in note)

    assert said(home / "station.csv") == []
    seconds = pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M").dt.epoch("s")
    frame.with_columns(pl.col("p") * 100, seconds.alias("time")).write_csv(tmp_path / "new.csv")
    pressure, times = said(tmp_path / "new.csv")
    assert pressure.startswith("p: its median is ") and pressure.endswith("is it in another unit?")
    assert times == (
        "times are written in another way (1709251200) than those that were learnt from "
        "(2024-03-01T00:00); the first is read as 2024-03-01 00:00"
    )


def test_prediction_loads_no_framework(run):
    home = run.home
    code = (
        "import sys; from pathlib import Path; from sunhwan.forecast.predict import predict;"
        f"predict(Path({str(home / 'run')!r}), Path({str(home / 'station.csv')!r}));"
        "loaded = {'jax', 'keras', 'tensorflow', 'torch', 'sklearn'} & set(sys.modules);"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", ["series", "made_at", "time", "step", "T lower 80%"])
def test_a_target_with_the_name_of_another_column_is_refused(target):
    with pytest.raises(SunhwanError, match=f"the target '{target}' has the name of another column"):
        check_names(("T", target), 0.8)
    check_names(("T", "T %", "T lower 90%"), 0.8)

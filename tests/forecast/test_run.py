"""A file to a forecaster: what it says, what it must not see, and what comes back from its directory."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from sunhwan import rundir
from sunhwan.baselines import paths as baselines
from sunhwan.cli import group
from sunhwan.data import table
from sunhwan.data.preparation import ForecastSpec, prepare
from sunhwan.errors import SunhwanError
from sunhwan.files import new_run
from sunhwan.forecast import model as forecaster
from sunhwan.forecast import network
from sunhwan.forecast import run as forecast
from sunhwan.forecast.model import Forecast, Options
from sunhwan.forecast.network import Settings
from sunhwan.forecast.predict import ahead, predict
from sunhwan.recurrence.cells import CELLS
from sunhwan.training.progress import Nobody

SMALL = Options(Settings(units=8, dense=16, epochs=2), seeds=1)


def station(rows=700, series=1, seed=0):
    """A frame of hourly readings, whose T has a daily wave, a slow drift, a plan that lifts it, and noise."""
    frames = []
    for number in range(series):
        random = np.random.default_rng([seed, number])
        hours = np.arange(rows)
        plan = (random.random(rows) < 0.2) * 1.0
        t = 10 + 5 * np.sin(2 * np.pi * hours / 24) + np.cumsum(random.normal(size=rows)) / 5 + 3 * plan
        frames.append(
            pl.DataFrame(
                {
                    "time": [
                        str(np.datetime64("2024-03-01T00:00") + np.timedelta64(int(hour), "h"))
                        for hour in hours
                    ],
                    "place": f"s{number}",
                    "T (degC)": t + 20 * number + random.normal(size=rows),
                    "p": 1000 + random.normal(size=rows),
                    "wind": random.choice(["N", "SE"], rows),
                    "plan": plan,
                }
            )
        )
    frame = pl.concat(frames)
    return frame if series > 1 else frame.drop("place")


def wanted(**how):
    return ForecastSpec(**{"targets": ("T (degC)",), "horizon": "6h", "lookback": "12h", **how})


def read(frame, tmp_path, name="station.csv", series=None):
    frame.write_csv(tmp_path / name)
    return table.load(tmp_path / name, series=series)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run of three series with a plan, its table and its result."""
    home = tmp_path_factory.mktemp("run")
    readings = read(station(series=3), home, series="place")
    result = forecast.learn(readings, wanted(known=("plan",)), SMALL, Nobody())
    _, source = forecast.Source(home / "station.csv", ("time",), "place").read()
    folder = new_run("forecast", home / "run")
    metrics = forecast.keep(result, rundir.record("forecast", [], {}, {}), folder, source)
    return home, readings, result, metrics


def test_the_test_part_is_forecast_by_each_network_once(kept, monkeypatch):
    _, readings, result, _ = kept
    learnt = prepare(readings, wanted(known=("plan",)))
    fitted = result.fitted
    chosen = forecaster.averaged_of(fitted.trained)
    mixed = replace(fitted.forecast, networks=chosen, weights={"network": 1.0})
    predict, asked = network.Network.predict, []
    monkeypatch.setattr(
        network.Network, "predict", lambda one, *given: asked.append(one) or predict(one, *given)
    )
    judged = forecast.judge(replace(fitted, forecast=mixed), learnt, learnt.windows("test"))
    assert list(map(id, asked)) == list(map(id, chosen))
    np.testing.assert_array_equal(judged.said, mixed.run(learnt.windows("test"))[0])
    assert len(judged.alone) == len(chosen)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("relative", [False, True])
def test_numpy_says_what_keras_says(tmp_path, cell, relative):
    learnt = prepare(read(station(), tmp_path), wanted(known=("plan",)))
    train, val = learnt.windows("train"), learnt.windows("val")
    line = baselines.fit_linear(train, val)
    settings = Settings(cell=cell, units=6, layers=2, dense=8, relative=relative)
    import keras

    keras.utils.set_random_seed(0)
    model = network.build(learnt.plan, line, np.zeros((learnt.plan.outputs, 3)), settings)
    random = np.random.default_rng(0)
    for layer in model.layers:
        if layer.name not in ("line", "ahead"):
            layer.set_weights([0.3 * random.normal(size=w.shape) for w in layer.get_weights()])
    kept = network.taken(model, settings, 0.8, learnt.plan)
    index = np.arange(40)
    theirs = np.asarray(model((val.windows(index), val.ahead(index))))
    ours = kept.predict(val.take(index), line).reshape(theirs.shape)
    np.testing.assert_allclose(ours, theirs, atol=2e-5)
    again = network.Network.from_kept(kept.as_dict(), kept.weights, learnt.plan)
    np.testing.assert_array_equal(again.predict(val.take(index), line).reshape(theirs.shape), ours)


def test_an_untrained_network_says_what_the_straight_line_says(tmp_path):
    learnt = prepare(read(station(), tmp_path), wanted())
    line = baselines.fit_linear(learnt.windows("train"), learnt.windows("val"))
    offsets = np.tile([0.0, -1.0, 2.0], (learnt.plan.outputs, 1))
    model = network.build(learnt.plan, line, offsets, Settings(units=4))
    kept = network.taken(model, Settings(units=4), 0.8, learnt.plan)
    test = learnt.windows("test")
    said = kept.predict(test, line)
    np.testing.assert_allclose(
        said - line.predict(test)[..., None], np.tile([0, -1, 2], (*said.shape[:3], 1)), atol=1e-5
    )


def test_the_loss_is_least_at_the_quantiles():
    truth = np.random.default_rng(0).normal(size=(4000, 1, 1)).astype(np.float32)
    truth[::7] = np.nan
    quantiles = np.nanquantile(truth, [0.5, 0.1, 0.9])

    def loss(said):
        return network.pinball_mean(np.tile(np.float32(said), (4000, 1, 1, 1)), truth, 0.8)

    least = loss(quantiles)
    for column in range(3):
        for change in (-0.2, 0.2):
            assert loss(quantiles + change * np.eye(3)[column]) > least + 1e-4
    in_keras = network.pinball(0.8)(truth[:, 0], np.tile(np.float32(quantiles), (4000, 1, 1)))
    counted = float(np.asarray(in_keras).mean()) * 4000 / np.isfinite(truth).sum()
    assert counted == pytest.approx(least, rel=1e-5)


def test_a_run_is_judged_beside_every_baseline(kept):
    _, _, result, metrics = kept
    assert set(metrics["test"]) == {
        "model",
        "last_value",
        "same_time_yesterday",
        "ridge",
        "gradient_boosting",
    }
    truth, said = result.judged.truth, result.judged.said
    assert metrics["test"]["model"]["mae"] == pytest.approx(np.nanmean(np.abs(said[..., 0] - truth)))
    assert metrics["test"]["model"]["mae_last_step"] == pytest.approx(
        np.nanmean(np.abs(said[:, -1, :, 0] - truth[:, -1]))
    )
    held = (said[..., 1] <= truth) & (truth <= said[..., 2])
    assert metrics["interval"]["coverage"] == pytest.approx(held.mean())
    assert 0.7 < held.mean() < 0.9
    assert metrics["test"]["model"]["mae"] < 1.03 * min(
        found["mae"] for name, found in metrics["test"].items() if name != "model"
    )
    assert metrics["unit"] == "degC" and metrics["horizon"] == 6
    assert "6 h ahead: mean absolute error" in metrics["verdict"]


def test_a_run_predicts_elsewhere_what_it_predicted_here(kept, tmp_path):
    home, readings, result, _ = kept
    shutil.copytree(home / "run", tmp_path / "moved")
    there = predict(tmp_path / "moved", home / "station.csv", "24h")
    here = ahead(result.fitted.forecast.updated(result.judged.ended), readings, "24h")
    assert there.columns.keys() == here.columns.keys()
    for name, column in here.columns.items():
        np.testing.assert_array_equal(there.columns[name], column)
    assert list(there.columns) == [
        "series", "made_at", "time", "step", "T (degC)", "T (degC) lower 80%", "T (degC) upper 80%",
    ]  # fmt: skip


def test_a_forecast_does_not_see_what_comes_after_it(kept):
    _, readings, result, _ = kept
    model = result.fitted.forecast
    column = readings.column("T (degC)").copy()
    for series in range(3):
        column[series * 700 + 600 : series * 700 + 700] = 1e4
    later = replace(readings, columns=readings.columns.with_columns(pl.Series("T (degC)", column)))
    before, after = (ahead(model, one, "1").columns for one in (readings, later))
    early = before["made_at"] < np.datetime64("2024-03-01") + np.timedelta64(600, "h")
    assert 0 < early.sum() < len(early)
    for name in before:
        np.testing.assert_array_equal(before[name][early], after[name][early])
    assert (before["T (degC)"][~early] != after["T (degC)"][~early]).all()


def test_test_rows_teach_nothing(tmp_path):
    frame, hour = station(rows=500), pl.int_range(500)
    wild = frame.with_columns(
        pl.when(hour >= 400).then(1e4 * hour % 77).otherwise(pl.col("T (degC)")).alias("T (degC)")
    )
    one, other = (
        forecast.learn(read(each, tmp_path), wanted(), SMALL, Nobody()).fitted.forecast
        for each in (frame, wild)
    )
    kept_one, kept_other = one.as_kept(), other.as_kept()
    assert kept_one[0] == kept_other[0]
    for name, array in kept_one[1].items():
        np.testing.assert_array_equal(array, kept_other[1][name])


def test_a_test_part_of_one_value_is_no_reason_to_fail(tmp_path):
    hour = pl.int_range(500)
    frame = station(rows=500).with_columns(
        pl.when(hour >= 390).then(7.0).otherwise(pl.col("T (degC)")).alias("T (degC)")
    )
    metrics = forecast.learn(read(frame, tmp_path), wanted(), SMALL, Nobody()).metrics
    assert metrics["verdict"].endswith("last value makes no error on the test part: use last value.")


def test_a_file_of_its_own_is_the_test_part(tmp_path):
    frame = station(rows=900).with_columns(month=pl.int_range(900) // 720 + 3.0, hour=pl.int_range(900) % 24)
    first, second = read(frame[:600], tmp_path, "a.csv"), read(frame[600:], tmp_path, "b.csv")
    how = wanted(split=(80, 20), features=("p", "month"))
    result = forecast.learn(first, how, SMALL, Nobody(), second)
    # A column of the clock that the model reads is in the health table, and one that it does not read is not.
    assert [column["name"] for column in result.health["columns"]] == [
        "T (degC)", "p", "wind", "plan", "month",
    ]  # fmt: skip
    made = result.judged.made_at
    assert made[0] == np.datetime64("2024-03-26T00:00") + np.timedelta64(11, "h")
    assert len(made) == 300 - 11 - 6


def test_the_last_row_is_forecast_and_the_plan_goes_beyond_it(kept):
    _, _, result, _ = kept
    model = result.fitted.forecast
    frame = station(series=3)
    hours = pl.col("time").str.slice(0, 16)
    cut = np.datetime64("2024-03-01T00:00") + np.timedelta64(650, "h")
    open_end = frame.with_columns(
        pl.when(hours <= str(cut)).then(pl.col("T (degC)")).alias("T (degC)"),
        pl.when(hours <= str(cut)).then(pl.col("p")).alias("p"),
    )
    from sunhwan.data.files.records import Records

    found = ahead(model, table.assemble(Records(open_end, "open.csv", ""), time=["time"], series="place"))
    assert set(found.columns["made_at"]) == {cut.astype("datetime64[ms]")}
    assert found.columns["time"][0] == cut + np.timedelta64(1, "h") and len(found.columns["time"]) == 18
    other = open_end.with_columns(
        pl.when(hours > str(cut)).then(1 - pl.col("plan")).otherwise(pl.col("plan")).alias("plan")
    )
    turned = ahead(model, table.assemble(Records(other, "open.csv", ""), time=["time"], series="place"))
    assert (turned.columns["T (degC)"] != found.columns["T (degC)"]).all()


def test_series_that_training_never_saw_are_named(kept):
    _, _, result, _ = kept
    from sunhwan.data.files.records import Records

    frame = station(series=4, seed=5)
    found = ahead(
        result.fitted.forecast, table.assemble(Records(frame, "new.csv", ""), time=["time"], series="place")
    )
    assert any("never saw the series 's3'" in warning for warning in found.warnings)
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
def test_files_that_do_not_fit_the_run_are_refused(kept, tmp_path, change, said):
    home, *_ = kept
    change(station(series=3)).write_csv(tmp_path / "new.csv")
    with pytest.raises(SunhwanError, match=said):
        predict(home / "run", tmp_path / "new.csv")


def test_columns_in_another_order_and_more_of_them_do_no_harm(kept, tmp_path):
    home, *_ = kept
    frame = station(series=3)
    frame.select(pl.lit(1.0).alias("more"), *reversed(frame.columns)).write_csv(tmp_path / "new.csv")
    there, here = predict(home / "run", tmp_path / "new.csv"), predict(home / "run", home / "station.csv")
    for name, column in here.columns.items():
        np.testing.assert_array_equal(there.columns[name], column)


def test_values_and_times_that_are_unlike_those_of_training_are_said(kept, tmp_path):
    home, *_ = kept
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


def test_prediction_loads_no_framework(kept):
    home, *_ = kept
    code = (
        "import sys; from pathlib import Path; from sunhwan.forecast.predict import predict;"
        f"predict(Path({str(home / 'run')!r}), Path({str(home / 'station.csv')!r}));"
        "loaded = {'jax', 'keras', 'tensorflow', 'torch', 'sklearn'} & set(sys.modules);"
        "assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_network_that_adds_nothing_is_not_recommended(tmp_path):
    # A random walk: nobody can do better than the last value.
    walk = np.cumsum(np.random.default_rng(3).normal(size=900))
    time = [str(datetime(2024, 1, 1) + timedelta(hours=i)) for i in range(900)]
    frame = pl.DataFrame({"time": time, "x": walk})
    result = forecast.learn(read(frame, tmp_path), ForecastSpec(("x",), 6, 12), SMALL, Nobody())
    assert any(part in result.metrics["verdict"] for part in ("use ", "is the simpler choice"))
    best = min(found["mae"] for name, found in result.metrics["test"].items() if name != "model")
    assert result.metrics["test"]["model"]["mae"] < 1.05 * best


def test_too_few_validation_windows_are_refused(tmp_path):
    with pytest.raises(SunhwanError, match="at least 50 are needed"):
        forecast.learn(read(station(rows=300), tmp_path), wanted(), SMALL, Nobody())


def test_a_cell_that_there_is_not_is_refused():
    with pytest.raises(SunhwanError, match="the cell is 'transformer'; expected one of"):
        Settings(cell="transformer")


@pytest.mark.parametrize("harm", ["plan", "line", "networks", "calibrations"])
def test_a_kept_model_that_lacks_something_is_refused(kept, harm):
    _, _, result, _ = kept
    model, arrays = result.fitted.forecast.as_kept()
    del model[harm]
    with pytest.raises(SunhwanError, match=r"cannot be read .*make the run anew"):
        Forecast.from_kept(model, arrays)


@pytest.mark.parametrize(
    "harm",
    [lambda plan: plan["encoder"].pop("mean"), lambda plan: plan.update(targets=["p", "no"])],
)
def test_a_damaged_plan_is_reported_as_what_it_is_part_of(kept, harm):
    _, _, result, _ = kept
    model, arrays = result.fitted.forecast.as_kept()
    harm(model["plan"])
    with pytest.raises(SunhwanError, match=r"^the kept model cannot be read .*make the run anew$"):
        Forecast.from_kept(model, arrays)


@pytest.mark.parametrize("harm", [lambda a: a[:1], lambda a: a * np.nan, lambda a: np.hstack([a, a])])
def test_a_kept_line_of_another_shape_or_without_numbers_is_refused(kept, harm):
    _, _, result, _ = kept
    model, arrays = result.fitted.forecast.as_kept()
    with pytest.raises(SunhwanError, match=r"cannot be read .*make the run anew"):
        Forecast.from_kept(model, arrays | {"line:weights": harm(arrays["line:weights"])})


@pytest.mark.parametrize("weights", [[1.0, 0.0], [float("nan")] * 6, "all"])
def test_kept_weights_of_other_steps_or_without_numbers_are_refused(kept, weights):
    _, _, result, _ = kept
    model, arrays = result.fitted.forecast.as_kept()
    with pytest.raises(SunhwanError, match=r"cannot be read .*make the run anew"):
        Forecast.from_kept({**model, "weights": dict.fromkeys(model["weights"], weights)}, arrays)


def run_command(*arguments):
    return CliRunner().invoke(group, list(map(str, arguments)), catch_exceptions=False)


def test_the_command_says_first_whether_the_network_is_worth_it(tmp_path):
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
    assert json.loads(answer)["waiting"].startswith("11 more rows")
    done = run_command(
        "predict", out, tmp_path / "station.csv", "--every", "24h", "--out", tmp_path / "f.parquet"
    )
    assert done.exit_code == 0 and len(pl.read_parquet(tmp_path / "f.parquet")) % 6 == 0


@pytest.mark.real
def test_beijing_is_forecast_better_than_by_a_straight_line(real_file):
    source = forecast.Source(real_file("beijing_hourly_2010_2014.csv"))
    readings, _ = source.read()
    wanted = ForecastSpec(("TEMP",), "24h", split=(50, 25, 25))
    result = forecast.learn(readings, wanted, Options(), Nobody())
    metrics = result.metrics
    assert metrics["test"]["model"]["mae_last_step"] <= 2.28
    assert metrics["improvement"]["interval"][0] > 0
    assert abs(metrics["interval"]["coverage"] - 0.8) <= 0.03
    assert metrics["interval"]["winkler"] <= metrics["interval"]["ridge_winkler"]
    truth, said = result.judged.truth[:, :, 0], result.judged.said[:, :, 0]
    held = (said[..., 1] <= truth) & (truth <= said[..., 2])
    months = result.judged.made_at.astype("datetime64[M]")
    by_month = [held[months == month].mean() for month in np.unique(months)]
    assert max(abs(share - 0.8) for share in (*by_month, *held.mean(axis=0))) <= 0.08

"""`sunhwan.Forecaster`, as people use it who know scikit-learn."""

import copy
import shutil
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.model_selection import TimeSeriesSplit, cross_val_score

import sunhwan
from sunhwan.errors import SunhwanError
from sunhwan.forecast import run as running
from sunhwan.forecast.clock import Clock
from sunhwan.forecast.evaluate import Result
from sunhwan.forecast.predict import predict
from sunhwan.forecast.search import Searched
from sunhwan.forecast.stream import Stream

SMALL = {"horizon": 3, "lookback": "24h", "epochs": 1, "seeds": 1, "units": 8}


def readings(rows=600, places=1):
    frames = []
    for place in range(places):
        random = np.random.default_rng(place)
        hours = np.arange(rows)
        frames.append(
            pl.DataFrame(
                {
                    "time": np.datetime64("2024-01-01", "ms") + hours * np.timedelta64(3_600_000, "ms"),
                    "place": f"s{place}",
                    "T": 10 * place + 5 * np.sin(hours / 4) + random.normal(size=rows) / 5,
                    "p": random.normal(size=rows),
                }
            )
        )
    frame = pl.concat(frames)
    return frame if places > 1 else frame.drop("place")


@pytest.fixture(scope="module")
def fitted():
    return sunhwan.Forecaster("T", **SMALL).fit(readings()[:500])


def test_parameters_are_those_of_scikit_learn(fitted):
    other = clone(fitted)
    assert other.get_params() == fitted.get_params() and not hasattr(other, "model_")
    assert other.set_params(seeds=3).seeds == 3
    with pytest.raises(ValueError, match="Invalid parameter"):
        other.set_params(neurons=3)


def test_it_can_be_cross_validated():
    scores = cross_val_score(
        sunhwan.Forecaster("T", **SMALL),
        readings(),
        cv=TimeSeriesSplit(2, test_size=100),
        error_score="raise",
    )
    assert len(scores) == 2 and (scores > 0.3).all()


def test_frames_come_back_in_their_kind(fitted):
    frame = readings()
    ours = fitted.predict(frame)
    assert isinstance(ours, pl.DataFrame) and ours["T"].is_between(-7, 7).all()
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    theirs = fitted.predict(pd.DataFrame(columns))
    assert isinstance(theirs, pd.DataFrame)
    np.testing.assert_array_equal(theirs["T"], ours["T"])
    indexed = fitted.predict(pd.DataFrame(columns).set_index("time"))
    np.testing.assert_array_equal(indexed["T"], ours["T"])
    zoned = pd.DataFrame(columns)
    zoned["time"] = zoned["time"].dt.tz_localize("UTC").dt.tz_convert("Asia/Seoul")
    np.testing.assert_array_equal(fitted.predict(zoned)["T"], ours["T"])


def test_intervals_stand_around_the_median(fitted):
    found = fitted.predict_interval(readings(), every=1)
    assert (found["T lower 80%"] <= found["T"]).all() and (found["T"] <= found["T upper 80%"]).all()
    assert found["step"].unique().sort().to_list() == [1, 2, 3]


def test_a_target_that_ends_in_percent_is_forecast():
    frame = readings().rename({"T": "humidity %"})
    model = sunhwan.Forecaster("humidity %", **SMALL).fit(frame[:500])
    columns = ["made_at", "time", "step", "humidity %"]
    assert model.predict(frame).columns == columns
    bounds = ["humidity % lower 80%", "humidity % upper 80%"]
    assert model.predict_interval(frame).columns == columns + bounds


def test_what_is_saved_is_loaded_and_is_a_run(fitted, tmp_path):
    fitted.save(tmp_path / "run")
    again = sunhwan.Forecaster.load(tmp_path / "run")
    frame = readings()
    assert again.predict_interval(frame).equals(fitted.predict_interval(frame))
    assert again.predict_interval().equals(fitted.predict_interval())
    frame.write_csv(tmp_path / "new.csv", datetime_format="%Y-%m-%d %H:%M:%S")
    by_command = predict(tmp_path / "run", tmp_path / "new.csv").columns["T"]
    np.testing.assert_array_equal(by_command, fitted.predict(frame)["T"])
    with pytest.raises(SunhwanError, match="exists already"):
        fitted.save(tmp_path / "run")


@pytest.mark.parametrize("places", [1, 2])
def test_new_rows_extend_the_history_and_the_intervals(places):
    frame = readings(700, places)
    hours = pl.col("time").rank("dense").cast(pl.Int64) - 1
    model = sunhwan.Forecaster("T", series="place" if places > 1 else None, **SMALL).fit(
        frame.filter(hours < 500)
    )
    network = [array.copy() for array in model.model_.to_arrays().values()]
    before = model.predict()
    assert set(before["made_at"].dt.strftime("%j %H")) == {"021 19"}
    wild = frame.with_columns(pl.when(hours >= 500).then(pl.col("T") * 4).otherwise(pl.col("T")).alias("T"))
    name = "s0" if places > 1 else ""
    margins = model.model_.calibrations.of(name)[0].margins
    for start in range(500, 700, 50):
        model.update(wild.filter(hours.is_between(start, start + 49)))
    assert (model.model_.calibrations.of(name)[0].margins > margins).all()
    assert set(model.predict()["made_at"].dt.strftime("%j %H")) == {"030 03"}
    for old, new in zip(network, model.model_.to_arrays().values(), strict=True):
        np.testing.assert_array_equal(old, new)


def with_gaps(frame):
    """The series interleaved, in each of which hours, a day and some values are missing."""
    hour = pl.col("time").rank("dense").cast(pl.Int64) - 1
    place = pl.col("place").str.tail(1).cast(pl.Int64)
    gone = (hour + 7 * place).is_in([520, 521, *range(560, 590), 640])
    frame = frame.with_columns(pl.when((hour + place) % 41 == 3).then(None).otherwise(pl.col("T")).alias("T"))
    return frame.filter(~gone).sort("time", "place")


def learnt(model):
    return {name: [state.to_dict() for state in states] for name, states in model.calibrations.series.items()}


@pytest.fixture(scope="module")
def of_two_places():
    frame = readings(660, 2)
    hour = pl.col("time").rank("dense").cast(pl.Int64) - 1
    return sunhwan.Forecaster("T", series="place", **SMALL).fit(frame.filter(hour < 500)), frame, hour


@pytest.mark.parametrize("begun", [False, True])
def test_rows_teach_the_same_one_by_one_in_batches_and_in_a_stream(of_two_places, tmp_path, begun):
    model, frame, hour = of_two_places
    new = with_gaps(frame).filter(hour >= 500 if begun else hour >= 440)
    model.save(tmp_path / "run")
    if not begun:
        # A run that keeps no readings, as of `sunhwan forecast`: what a stream has when it begins.
        (tmp_path / "run" / "readings.csv").unlink()

    def after(batches):
        again = sunhwan.Forecaster.load(tmp_path / "run")
        for number, batch in enumerate(batches):
            again.update(batch)
            if number == 1:
                again.save(tmp_path / "midway")
                again = sunhwan.Forecaster.load(tmp_path / "midway")
                shutil.rmtree(tmp_path / "midway")
        return learnt(again.model_)

    at_once = after([new])
    assert at_once != learnt(model.model_) and at_once["s0"][0]["scores"] != at_once["s1"][0]["scores"]
    assert after([new[row : row + 1] for row in range(len(new))]) == at_once
    cuts = np.sort(np.random.default_rng(0).choice(len(new), 9, replace=False)).tolist()
    edges = [0, *cuts, len(new)]
    assert after([new[low:high] for low, high in pairwise(edges) if low < high]) == at_once
    # One series after the other, too.
    assert after(new.partition_by("place")) == at_once
    if not begun:
        stream = Stream(model.model_, Clock(["time"], {"time": ["2024-01-01 00:00:00"]}), "place")
        for row in new.with_columns(pl.col("time").dt.to_string("%Y-%m-%d %H:%M:%S")).to_dicts():
            answer = stream.reading(row)
        for name, track in stream.tracks.items():
            assert [state.to_dict() for state in track.calibrations] == at_once[name]
        # What is forecast then is said by these intervals, and teaches nothing a second time.
        said = sunhwan.Forecaster.load(tmp_path / "run").update(new).predict_interval()
        said = said.filter(pl.col("series") == answer["series"])
        for column, name in [("T", "median"), ("T lower 80%", "lower"), ("T upper 80%", "upper")]:
            assert said[column].to_list() == answer["forecast"]["T"][name].tolist()


def test_rows_that_are_known_or_out_of_order_are_refused_and_none_is_taken(of_two_places):
    model, frame, hour = of_two_places
    model = copy.deepcopy(model)
    before = learnt(model.model_), model.history_
    new = frame.filter(hour.is_between(500, 509))
    for rows, said in [
        (frame.filter(hour.is_between(499, 509)), "'s0' begin at 2024-01-21 19:00, but those up to"),
        (pl.concat([new[:5], new[4:]]), "2024-01-22 00:00 of series 's0' occurs twice"),
        (new.reverse(), "rising timestamps"),
        (new.with_columns(pl.col("time") + pl.duration(minutes=20)), "not a multiple of the one"),
        (new.drop("p"), "the new rows lack 'p'"),
    ]:  # fmt: skip
        with pytest.raises(SunhwanError, match=said):
            model.update(rows)
        assert (learnt(model.model_), model.history_) == before
    model.update(new)
    with pytest.raises(SunhwanError, match="no row was added"):
        model.update(new)


def test_it_is_better_than_the_last_value(fitted):
    assert 0.3 < fitted.score(readings()[500:]) < 1


@pytest.mark.parametrize(
    ("X", "said"),
    [
        (np.zeros((3, 3)), "X is a ndarray; expected a pandas or polars frame"),
        (readings()[:0], "X has no rows"),
        (readings().drop("p"), "lacks 'p'"),
        (readings()[:5], "reads 24 rows"),
    ],
)
def test_what_is_no_frame_of_readings_is_refused(fitted, X, said):
    with pytest.raises(SunhwanError, match=said):
        fitted.predict(X)


def test_a_target_must_be_named():
    with pytest.raises(SunhwanError, match="no target is named"):
        sunhwan.Forecaster().fit(readings())


# ---- search and folds -------------------------------------------------------------------------------------


def test_folds_are_judged_like_those_of_the_command_and_leave_the_model_alone(fitted):
    frame = readings()[:500]
    model = sunhwan.Forecaster("T", **SMALL, folds=2, test=0.2).fit(frame)
    found = model.backtest_
    windows = [fold["windows"] for fold in found["folds"]]
    # 20 % of 500 rows, in two folds, within which windows of 24 rows and 3 ahead lie whole.
    assert sum(windows) == found["windows"] == 2 * (50 - 24 - 3 + 1)
    assert found["folds"][0]["from"] < found["folds"][1]["from"]
    assert found["test"]["model"]["mae"] < found["test"]["last_value"]["mae"]
    assert any(found["verdict"] in note for note in model.notes_)
    # What predicts has learnt from all rows, as without folds.
    assert model.predict(frame).equals(fitted.predict(frame))
    assert fitted.backtest_ is None and fitted.search_ is None


def test_a_search_chooses_on_rows_before_validation_and_folds(monkeypatch):
    seen = []

    def tried(readings_, wanted, options, watcher, count):
        seen.append((wanted.split, count))
        options = replace(options, settings=replace(options.settings, units=4, cell="lstm"))
        wanted = replace(wanted, lookback=12, horizon=3)
        return Searched(wanted, options, ({"setting": 1},), {"tried": 1}, "tried")

    def tested(readings_, wanted, options, watcher, folds):
        seen.append((wanted.split, wanted.lookback, options.settings.cell, folds))
        return Result(None, (), metrics={"verdict": "it is good"})

    def fitted_to(learnt, options, watcher):
        seen.append((learnt.plan.grid.lookback, options.settings.cell, int((learnt.part == 1).sum())))
        return SimpleNamespace(model="the model", notes=("fitted",))

    monkeypatch.setattr(running.searching, "search", tried)
    monkeypatch.setattr(running, "backtest", tested)
    monkeypatch.setattr(running, "fit", fitted_to)
    model = sunhwan.Forecaster("T", **SMALL | {"lookback": None}, search=3, folds=2, test=0.5)
    monkeypatch.setattr(model, "_remember", lambda records: None)
    model.fit(readings()[:500])
    shares = (40.0, 10.0, 50.0)
    # In the end a fifth of all rows is validation, as without folds.
    assert seen == [(shares, 3), (shares, 12, "lstm", 2), (12, "lstm", 100)]
    assert model.search_ == {"tried": 1} and model.trials_ == ({"setting": 1},)
    assert model.backtest_ == {"verdict": "it is good", "search": {"tried": 1}}
    assert model.model_ == "the model"
    assert model.notes_[-3:] == ("fitted", "over 2 folds: it is good", "tried")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"folds": 1}, "folds is 1, expected a whole number of at least 2, or None"),
        ({"folds": 2.5}, "folds is 2.5"),
        ({"search": 0}, "search is 0, expected a whole number of at least 1, or None"),
        ({"test": 1.0}, "test is 1.0, expected a share above 0 and below 1"),
        ({"folds": 40}, "fold 1 of 40"),
    ],
)
def test_folds_and_searches_that_are_none(given, said):
    with pytest.raises(SunhwanError, match=said):
        sunhwan.Forecaster("T", **SMALL, **given).fit(readings()[:500])

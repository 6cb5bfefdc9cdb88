"""From a declared forecast to a problem: what models are given, and what the run directory will hold."""

from dataclasses import replace

import numpy as np
import pytest

from sunhwan.baselines.naive import LastValue
from sunhwan.baselines.predictors import PREDICTORS
from sunhwan.errors import SunhwanError
from sunhwan.studies import forecasting
from sunhwan.studies.study import load

EVERY = ("last_value", "seasonal", "ridge", "boosting")


def test_the_problem_in_the_target_s_unit(study):
    problem = forecasting.problem(study())[""]
    kept = problem.files["predictions"]
    assert (problem.metric.name, problem.metric.unit, problem.metric.loss) == ("mae", "degC", "mae")
    assert problem.input_shape == (6, 2)
    # What is kept is in degrees, and scores are the error of just that.
    assert kept["truth"] == pytest.approx(problem.physical(problem.test.truth), abs=1e-5)
    for name, forecasts in problem.baselines.items():
        degrees = np.abs(kept[f"forecast:{name}"] - kept["truth"]).mean()
        assert problem.score(forecasts["test"], "test")["value"] == pytest.approx(degrees, rel=1e-5)


def test_what_is_kept_is_truth_at_the_target_s_time(study, station):
    problem = forecasting.problem(study())[""]
    written = np.loadtxt(station, delimiter=",", skiprows=1, usecols=1)
    times = np.loadtxt(station, delimiter=",", skiprows=1, usecols=0, dtype="datetime64[s]")
    kept, series = problem.files["predictions"], problem.files["series"]
    at = np.searchsorted(times, kept["time"])
    assert (times[at] == kept["time"]).all()
    assert (kept["truth"] == written[at]).all()
    # The horizon is 3 rows: the last value is that of 3 hours before.
    assert kept["forecast:last_value"] == pytest.approx(written[at - 3], abs=1e-5)
    assert (series["value"] == written).all()
    assert (series["edges"] == times[[180, 240]]).all()


def test_baselines_stand_in_one_order_and_only_if_asked_for(study, monkeypatch):
    # Boosting's many small parallel regions crawl where others hold the cores; here any forecast will do.
    monkeypatch.setitem(PREDICTORS, "boosting", LastValue)
    assert tuple(forecasting.problem(study(baselines=EVERY[::-1]))[""].baselines) == EVERY
    assert forecasting.problem(study(baselines=()))[""].baselines == {}


def test_where_yesterday_s_value_is_the_last_one_it_is_given_once(study):
    day = {"target": "T (degC)", "lookback": "6h", "horizon": "24h"}
    problem = forecasting.problem(study(baselines=EVERY[:2], prepare=day))[""]
    assert tuple(problem.baselines) == ("last_value",)


def test_ridge_is_fitted_for_the_linear_skip_even_where_it_is_no_baseline(study):
    plain = forecasting.problem(study(baselines=("last_value",)))[""]
    skip = {"wide": {"builder": "gru_linear_skip"}}
    corrected = forecasting.problem(study(baselines=("last_value",), models=("wide",), model=skip))[""]
    assert plain.context == {}
    assert set(corrected.context) == {"ridge"}
    assert tuple(corrected.baselines) == ("last_value",)


def test_daily_rows_have_a_season_of_a_week(study, tmp_path):
    random = np.random.default_rng(0)
    days = np.datetime64("2024-01-01") + np.arange(300)
    file = tmp_path / "daily.csv"
    file.write_text(
        "time,T\n"
        + "".join(f"{day},{value:.3f}\n" for day, value in zip(days, random.normal(size=300), strict=True))
    )
    problem = forecasting.problem(
        study(
            data={"name": "table", "path": str(file)},
            prepare={"target": "T", "lookback": 7, "horizon": 3},
            baselines=EVERY[:2],
        )
    )[""]
    assert tuple(problem.baselines) == ("last_value", "seasonal")
    saved = problem.files["predictions"]
    values = dict(zip(days.astype("datetime64[s]"), problem.files["series"]["value"], strict=True))
    week = np.timedelta64(7, "D")
    expected = [values[time - week] for time in saved["time"]]
    assert saved["forecast:seasonal"] == pytest.approx(expected, abs=1e-5)


def test_the_unit_is_the_study_s_or_the_name_s(study, tmp_path, station):
    assert forecasting.problem(replace(study(), unit="K"))[""].metric.unit == "K"
    bare = tmp_path / "bare.csv"
    bare.write_text(station.read_text().replace("T (degC)", "TEMP"))
    prepare = {**study().prepare, "target": "TEMP"}
    problem = forecasting.problem(study(data={"name": "table", "path": str(bare)}, prepare=prepare))[""]
    assert problem.metric.unit == ""


def test_the_fingerprint_is_the_file_s(study, station, tmp_path):
    copy = tmp_path / "copy.csv"
    copy.write_bytes(station.read_bytes())
    other = tmp_path / "other.csv"
    other.write_text(station.read_text() + "2024-01-13T12:00,1.00,1000.00\n")
    marks = [
        forecasting.problem(study(data={"name": "table", "path": str(path)}))[""].fingerprint
        for path in (station, copy, other)
    ]
    assert marks[0] == marks[1] != marks[2]


def test_a_time_column_may_be_named_as_text_or_in_a_list(study, station):
    for time in ("time", ["time"]):
        data = {"name": "table", "path": str(station), "time": time}
        assert len(forecasting.problem(study(data=data))[""].train) == 172


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        ({"lookbak": "6h"}, "unknown key 'lookbak'; a forecast has target, lookback, horizon, "),
        ({"lookback": None}, "has no lookback; expected rows or a duration"),
        ({"horizon": None}, "has no horizon; expected rows or a duration"),
        (
            {"target": ""},
            r"no target is named; name one of the columns 'T \(degC\)', 'p \(mbar\)' with --target",
        ),
        ({"target": None}, "no target is named"),
        ({"target": "T"}, r"'T'.*'T \(degC\)', 'p \(mbar\)'"),
        ({"target": 5}, "5"),
        ({"features": "T (degC)"}, "features is 'T"),
        ({"features": ["T (degC)", "q"]}, "'q'"),
        ({"calendar": ["hour"]}, "no calendar feature 'hour'; expected one of hour_of_day"),
        ({"lookback": "long"}, "lookback is 'long'; expected a number of rows or a duration"),
        ({"lookback": True}, "lookback is True; expected a number of rows"),
        ({"lookback": 7, "step": 2}, "lookback of 7 rows is not a multiple of the step of 2 rows"),
        ({"horizon": 0}, "horizon is 0"),
        ({"horizon": "90min"}, "horizon is 90min, which is 1.5 rows of 1 h"),
        ({"split": [40.5, 60]}, "a split of 40.5/60 was given; expected three shares"),
        ({"split": "60/20/20"}, "a split of 60/20/20 was given; expected three shares"),
        ({"split": [60, 20, float("inf")]}, "expected three shares"),
        ({"fill": "often"}, "fill is 'often'"),
        ({"indexing": "first_row"}, "indexing is 'first_row'"),
    ],
)
def test_preparation_that_makes_no_sense_is_refused(prepare, said, study):
    told = {key: value for key, value in {**study().prepare, **prepare}.items() if value is not None}
    with pytest.raises(SunhwanError, match=said) as error:
        forecasting.problem(study(prepare=told))
    assert "\n" not in str(error.value)


def test_unknown_baselines_and_missing_files_are_refused(study):
    with pytest.raises(
        SunhwanError, match="no baseline 'arima' for forecasts; expected some of last_value, "
    ):
        forecasting.problem(study(baselines=("arima",)))
    with pytest.raises(SunhwanError, match="needs a file of yours; name it with --data"):
        forecasting.problem(load("table_temperature"))

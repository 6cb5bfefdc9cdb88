"""The way from a table to windows: nothing of the future, of another part or of another series gets in."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from sunhwan.data import split, table
from sunhwan.data.series import Preparation, prepare
from sunhwan.data.sets import newyork
from sunhwan.errors import SunhwanError

NAN = float("nan")
PARTS = split.PARTS


def everything(windows):
    return windows.gather(np.arange(len(windows)))


def weather(make_table, rows=(300, 220), seed=0):
    """Readings of stations with all that learning could be tempted by: gaps, texts, counters, constants."""
    random = np.random.default_rng(seed)
    total = sum(rows)
    hours = np.concatenate([np.arange(count) for count in rows])
    temperature = 10 + 5 * np.sin(2 * np.pi * hours / 24) + random.normal(size=total)
    pressure = random.normal(1013, 8, total)
    sparse = np.where(random.random(total) < 0.85, NAN, random.normal(size=total))
    temperature[random.random(total) < 0.02] = NAN
    pressure[random.random(total) < 0.05] = NAN
    wind = random.choice(["N", "E", "S", None], total, p=[0.4, 0.3, 0.28, 0.02])
    return make_table(
        {
            "T": temperature,
            "p": pressure,
            "wind": wind.tolist(),
            "No": np.arange(total) * 1.0,
            "fixed": np.full(total, 2.5),
            "sparse": sparse,
            "whole": random.normal(size=total),
        },
        rows=list(rows),
    )


HOW = Preparation(
    "T", lookback=12, horizon=6, step=2, calendar=("hour_of_day",), fill="3h", split=(60, 20, 20)
)


def rewritten(readings, rows, seed):
    """The table with other values in `rows`: other scales, gaps, categories; no counter or constant left."""
    random = np.random.default_rng(seed)
    rows = pl.Series(rows)
    total = len(readings)
    other = {
        "T": random.normal(-400, 90, total),
        "p": np.where(random.random(total) < 0.1, NAN, random.normal(1e6, 5e5, total)),
        "wind": random.choice(["W", "N", *(f"new {i}" for i in range(40))], total),
        "No": random.normal(size=total),
        "fixed": random.normal(size=total),
        "sparse": random.normal(size=total),
        "whole": np.where(random.random(total) < 0.1, NAN, random.normal(size=total)),
    }
    columns = {}
    for name, values in other.items():
        values = pl.Series(values).fill_nan(None) if name != "wind" else pl.Series(values)
        columns[name] = readings.columns[name].zip_with(~rows, values)
    return replace(readings, columns=pl.DataFrame(columns))


@pytest.mark.parametrize("seed", range(5))
def test_nothing_of_validation_or_test_reaches_training(make_table, seed):
    readings = weather(make_table, seed=seed)
    later = split.chronological(readings.series, HOW.split) > 0
    before, after = prepare(readings, HOW), prepare(rewritten(readings, later, seed), HOW)
    assert not np.array_equal(before.val.truth, after.val.truth[: len(before.val)])
    for one, other in zip(everything(before.train), everything(after.train), strict=True):
        assert one.tobytes() == other.tobytes()
    assert before.train.persistence.tobytes() == after.train.persistence.tobytes()
    assert before.train.last.tolist() == after.train.last.tolist()
    assert before.recipe.features == after.recipe.features
    assert before.scale.mean.tolist() == after.scale.mean.tolist()
    assert before.scale.std.tolist() == after.scale.std.tolist()
    assert (before.target_mean, before.target_std) == (after.target_mean, after.target_std)


def test_the_rewriting_above_would_tempt(make_table):
    """With training rows rewritten too, all that must not change above does change."""
    readings = weather(make_table)
    before = prepare(readings, HOW)
    after = prepare(rewritten(readings, np.ones(len(readings), bool), 0), HOW)
    assert "No" not in before.features and "No" in after.features
    assert "sparse" not in before.features and "sparse" in after.features
    assert "fixed" not in before.features and "fixed" in after.features
    assert "whole was filled" not in before.features and "whole was filled" in after.features
    assert "wind=N" in before.features and "wind=N" not in after.features
    assert before.target_mean != after.target_mean


@pytest.mark.parametrize("indexing", ["last_row", "tutorial"])
def test_every_row_of_a_window_is_where_it_should_be(make_table, indexing):
    """Rows numbered by their values: inputs end at the last row, targets lie ahead, all in one part."""
    lengths = [150, 90]
    number = np.arange(240.0)
    readings = make_table({"row": number, "other": number**2 % 17}, rows=lengths)
    how = Preparation("row", 12, 6, features=("row",), step=3, indexing=indexing, split=(60, 20, 20))
    series = prepare(readings, how)
    part = split.chronological(readings.series, how.split)
    horizon = 6 if indexing == "last_row" else 9
    for code, name in enumerate(PARTS):
        windows = getattr(series, name)
        x, y = everything(windows)
        inputs = np.rint(x[:, :, 0] * series.scale.std[0] + series.scale.mean[0]).astype(int)
        targets = np.rint(series.physical(y)).astype(int)
        np.testing.assert_array_equal(inputs, windows.last[:, None] + np.array([-9, -6, -3, 0]))
        np.testing.assert_array_equal(targets, windows.last + horizon)
        np.testing.assert_array_equal(np.rint(series.physical(windows.persistence)), windows.last)
        for first, target in zip(inputs[:, 0], targets, strict=True):
            assert set(part[first : target + 1]) == {code}
            assert len(set(readings.series[first : target + 1])) == 1
        # Nothing is missing here, so every window that fits is there.
        fit = sum(max((part[readings.series == s] == code).sum() - 9 - horizon, 0) for s in range(2))
        assert len(windows) == fit


@pytest.mark.parametrize("cut", [185, 240, 263])
def test_what_comes_after_a_row_does_not_change_windows_that_end_there(make_table, cut):
    """Beyond the training rows nothing is learnt, so inputs are the same to the bit."""
    readings = weather(make_table, rows=(300,))
    how = replace(HOW, split=(60, 20, 20))
    before = prepare(readings, how)
    after = prepare(rewritten(readings, np.arange(300) > cut, 7), how)
    compared = 0
    for name in PARTS:
        one, other = getattr(before, name), getattr(after, name)
        both = np.intersect1d(one.last[one.last <= cut], other.last)
        compared += len(both)
        x = [windows.inputs(np.searchsorted(windows.last, both)) for windows in (one, other)]
        assert x[0].tobytes() == x[1].tobytes()
        y = [windows.current[both] for windows in (one, other)]
        assert y[0].tobytes() == y[1].tobytes()
    assert compared > 50


def test_what_comes_after_a_row_within_training_changes_the_scale_alone(make_table):
    random = np.random.default_rng(3)
    columns = {"T": random.normal(size=300), "p": random.normal(size=300)}
    columns["p"][random.random(300) < 0.1] = NAN
    later = {name: np.where(np.arange(300) > 100, 3 * values + 5, values) for name, values in columns.items()}
    one, other = (prepare(make_table(c), replace(HOW, calendar=())) for c in (columns, later))
    x = []
    for series in (one, other):
        inputs = series.train.inputs(np.flatnonzero(series.train.last <= 100))
        x.append(inputs * series.scale.std + series.scale.mean)
    assert not np.allclose(one.scale.mean, other.scale.mean)
    # float32 inputs of order 1 times a standard deviation of order 1.
    np.testing.assert_allclose(x[0], x[1], atol=1e-5)


def tutorial_generator(data, lookback, delay, min_index, max_index, step):
    """The samples and targets that the tutorial's generator yields in order, written anew from its rule."""
    rows = np.arange(min_index + lookback, max_index)
    samples = np.stack([data[row - lookback : row : step] for row in rows])
    return rows, samples, data[rows + delay, 1]


def test_the_tutorial_s_indexing_is_the_tutorial_s(make_table):
    random = np.random.default_rng(5)
    data = random.normal(20, 7, (500, 3))
    readings = make_table({name: data[:, i] for i, name in enumerate("abc")}, interval=600)
    how = Preparation(
        "b", lookback=36, step=6, horizon=24, indexing="tutorial", features=("a", "b", "c"), split=(300, 400)
    )
    series = prepare(readings, how)
    normalised = (data - data[:300].mean(axis=0)) / data[:300].std(axis=0)
    # The tutorial lets a part's last targets lie in the next part; here a part holds all its windows' rows.
    for name, start, end in (("train", 0, 300), ("val", 300, 400), ("test", 400, 500)):
        rows, samples, targets = tutorial_generator(normalised, 36, 24, start, end - 24, 6)
        windows = getattr(series, name)
        x, y = everything(windows)
        np.testing.assert_array_equal(windows.last + 6, rows)
        # float32 of values of order 1.
        np.testing.assert_allclose(x, samples, atol=1e-6)
        np.testing.assert_allclose(y, targets, atol=1e-6)


def test_targets_are_never_filled_and_gaps_are_filled_up_to_the_limit_with_a_mask(make_table):
    rows = 120
    values = np.arange(rows) * 1.0 % 13
    p = np.arange(rows) * 1.0 % 7
    values[[20, 21]] = NAN  # filled as a feature, and no target
    p[[40, 41]] = NAN  # filled
    p[50:55] = NAN  # filled for three rows, and broken for two
    readings = make_table({"T": values, "p": p})
    series = prepare(readings, Preparation("T", 2, 1, fill="3h", split=(100, 110)))
    assert series.features == ("T", "p", "T was filled", "p was filled")
    train = {int(last): i for i, last in enumerate(series.train.last)}
    x, y = everything(series.train)
    assert 19 not in train and 20 not in train, "a window forecasts a target that nobody measured"
    assert 21 in train and 22 in train
    assert not np.isnan(x).any() and not np.isnan(y).any()

    def physical(last, column):
        return x[train[last], :, column] * series.scale.std[column] + series.scale.mean[column]

    np.testing.assert_allclose(physical(21, 0), [values[19], values[19]], atol=1e-5)
    assert x[train[21], :, 2].tolist() == [1, 1] and x[train[22], :, 2].tolist() == [1, 0]
    assert x[train[41], :, 3].tolist() == [1, 1] and x[train[39], :, 3].tolist() == [0, 0]
    np.testing.assert_allclose(physical(52, 1), [p[49], p[49]], atol=1e-5)
    assert not {53, 54, 55} & train.keys() and {52, 56} <= train.keys()
    assert series.physical(series.train.persistence)[train[21]] == pytest.approx(values[19], abs=1e-5)
    notes = [note for note in series.notes if "missing" in note]
    assert notes == [
        "T: 2 of 120 values missing; 2 filled from the past (gaps up to 3 h)",
        "p: 7 of 120 values missing; 5 filled from the past (gaps up to 3 h), 2 left, which break windows",
        "5 of 114 windows are left out, since a value in them is missing",
    ]


def test_persistence_is_the_last_known_value_however_long_ago(make_table):
    rows = 100
    target = np.arange(rows) * 1.0
    target[10:19] = NAN
    x = np.random.default_rng(0).normal(size=rows)
    readings = make_table({"T": target, "x": x}, rows=[60, 40])
    series = prepare(readings, Preparation("T", 2, 4, features=("x",), fill=0))
    last = dict(zip(series.train.last.tolist(), series.physical(series.train.persistence), strict=True))
    assert last[15] == pytest.approx(9, abs=1e-4) and last[18] == pytest.approx(9, abs=1e-4)
    assert last[19] == pytest.approx(19, abs=1e-4)
    assert not {6, 14} & last.keys(), "a target that nobody measured"


def test_before_its_first_value_a_series_has_no_persistence_and_no_windows(make_table):
    target = np.arange(100) % 11 * 1.0
    target[[*range(8), *range(50, 55)]] = NAN
    readings = make_table({"T": target, "x": np.random.default_rng(0).normal(size=100)}, rows=[50, 50])
    series = prepare(readings, Preparation("T", 2, 1, features=("x",), split=(60, 20, 20)))
    last = series.train.last
    assert last[last < 50].min() == 8, "row 8 is the first whose last value is known"
    assert last[last >= 50].min() == 55, "the first series' last value is no value of the second"


def test_one_mask_serves_all_values_of_a_text_column(make_table):
    wind = ["N", "S", None, "N"] * 30
    readings = make_table({"T": np.random.default_rng(0).normal(size=120), "wind": wind})
    series = prepare(readings, Preparation("T", 2, 1))
    assert series.features == ("T", "wind=N", "wind=S", "wind was filled")
    x = series.train.inputs(np.arange(4))
    assert series.train.last[:4].tolist() == [1, 2, 3, 4]
    assert x[1].tolist()[1][1:] == [0, 1, 1], "row 2 takes S from row 1, and says so"
    assert x[2].tolist()[1][1:] == [1, 0, 0]


def test_several_series_have_their_own_parts(make_table):
    readings = weather(make_table, rows=(200, 100))
    series = prepare(readings, HOW)
    part = split.chronological(readings.series, HOW.split)
    for code, name in enumerate(PARTS):
        last = getattr(series, name).last
        assert {0, 1} == set(readings.series[last])
        assert set(part[last]) == {code}
    assert series.edges.tolist() == [readings.time[120], readings.time[160]]


def test_a_series_too_short_for_a_window_does_not_stop_the_others(make_table):
    readings = weather(make_table, rows=(2, 200))
    series = prepare(readings, HOW)
    assert set(readings.series[series.train.last]) == {1}
    assert len(series.edges) == 2


@pytest.mark.parametrize(
    ("interval", "season"), [(3600, 24), (600, 144), (86400, 0), (43200, 2), (7 * 86400, 0), (25200, 0)]
)
def test_the_season_is_a_day(make_table, interval, season):
    readings = make_table({"T": np.random.default_rng(0).normal(size=60)}, interval=interval)
    assert prepare(readings, Preparation("T", 2, 1)).season == season


def test_the_recipe_is_json_and_scales_a_row_as_the_windows_were_scaled(make_table):
    readings = weather(make_table)
    series = prepare(readings, HOW)
    recipe = json.loads(json.dumps(series.kept(), allow_nan=False))
    assert recipe["interval_seconds"] == 3600
    assert ["category", {"column": "wind", "values": ["E", "N", "S"]}] in recipe["features"]
    assert recipe["preparation"]["calendar"] == ["hour_of_day"]
    row = int(series.test.last[0])
    by_hand = (readings.column("T")[row] - recipe["mean"][0]) / recipe["std"][0]
    # float32 of a value of order 1.
    assert series.test.inputs(np.array([0]))[0, -1, 0] == pytest.approx(by_hand, abs=1e-6)
    truth = readings.column("T")[series.test.last + series.test.horizon]
    np.testing.assert_allclose(series.physical(series.test.truth), truth, atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "TEMP"}, "there is no column 'TEMP' of readings in made up"),
        ({"target": "wind"}, "column 'wind' of made up holds text"),
        ({"target": "fixed"}, "the target 'fixed' has the one value 2.5 in all training rows"),
        ({"features": ("T", "TEMP")}, "there is no column 'TEMP' of readings in made up"),
        ({"lookback": 400}, "the training part has 180 rows of 1 h (in its longest series), but a window"),
        ({"lookback": 62}, "the validation part has 60 rows of 1 h (in its longest series), but a window"),
        ({"lookback": 13}, "a lookback of 13 rows is no multiple of the step of 2 rows"),
        ({"horizon": "90min"}, "horizon is 90min, which is 1.5 rows of 1 h"),
        ({"fill": "some"}, "fill is 'some'; expected a number of rows or a duration"),
        ({"features": ("T", "sparse"), "fill": 0}, "no window of the training part (180 rows of 1 h)"),
        ({"split": (60, 40, 0)}, "a split of 60/40/0 was given"),
        ({"split": (200, 250)}, "the test part begins at row 250, but the series has 220 rows"),
    ],
)  # fmt: skip
def test_what_cannot_be_prepared(make_table, changes, message):
    with pytest.raises(SunhwanError) as error:
        prepare(weather(make_table), replace(HOW, **changes))
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": "T"}, "features is 'T'; expected a list of names"),
        ({"calendar": ("hour_of_day", 3)}, "calendar is ('hour_of_day', 3); expected a list of names"),
        (
            {"calendar": ("hour",)},
            "there is no calendar feature 'hour'; expected one of hour_of_day, day_of_week",
        ),
        ({"indexing": "tutoral"}, "indexing is 'tutoral'; expected one of last_row, tutorial"),
    ],
)
def test_what_is_no_preparation(changes, message):
    with pytest.raises(SunhwanError) as error:
        replace(HOW, **changes)
    assert str(error.value).startswith(message)


@pytest.mark.parametrize("missing_rows", [slice(None), slice(0, 60)])
def test_a_target_that_is_all_missing(make_table, missing_rows):
    target = np.arange(100.0)
    target[missing_rows] = NAN
    with pytest.raises(SunhwanError, match="the target 'T' has no value in the 60 training rows of made up"):
        prepare(make_table({"T": target, "x": np.arange(100.0) % 3}), Preparation("T", 2, 1))


def test_a_target_of_one_value_that_floats_cannot_average(make_table):
    # The mean of ten times 0.1 is not 0.1, and their standard deviation is not 0.
    with pytest.raises(SunhwanError, match=r"the target 'T' has the one value 0\.1 in all training rows"):
        prepare(make_table({"T": np.full(100, 0.1)}), Preparation("T", 2, 1))


def test_new_york_as_shipped():
    how = Preparation("temp (degC)", "5d", "24h", calendar=("hour_of_day", "day_of_year"), fill="12h")
    series = prepare(newyork.load(), how)
    assert [len(getattr(series, name)) for name in PARTS] == [15_272, 4_794, 4_768]
    assert series.train.shape == (120, len(series.features))
    last_value = np.abs(series.test.persistence.astype(float) - series.test.truth).mean() * series.target_std
    # Measured once, and free of chance.
    assert last_value == pytest.approx(3.887, abs=0.001)


@pytest.mark.real
def test_beijing(real_file):
    readings = table.load(real_file("beijing_hourly_2010_2014.csv"))
    how = Preparation("TEMP", "240h", "24h", calendar=("hour_of_day", "day_of_year"), split=(50, 25, 25))
    series = prepare(readings, how)
    assert "No" not in series.features and "pm2.5" not in series.features
    assert [name for name in series.features if "=" in name] == ["cbwd=NE", "cbwd=NW", "cbwd=SE", "cbwd=cv"]
    last_value = np.abs(series.test.persistence.astype(float) - series.test.truth).mean() * series.target_std
    assert last_value == pytest.approx(2.696, abs=0.001)

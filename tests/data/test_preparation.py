"""The way from a table to windows: nothing of the future, of another part or of another series gets in."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from sunhwan.data import split, table
from sunhwan.data.grid import Grid
from sunhwan.data.preparation import MOST_TIMESTEPS, ForecastSpec, layout, prepare
from sunhwan.data.sets import newyork
from sunhwan.data.windows import season_of
from sunhwan.errors import SunhwanError

NAN = float("nan")
PARTS = split.PARTS


def everything(windows):
    x, y = windows.gather(np.arange(len(windows)))
    return x, y[:, 0]


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


def single(target, lookback, lead, **how):
    """What forecasts one step, as studies do."""
    how = {"step": 1, "calendar": (), "fill": "6h", **how}
    return ForecastSpec((target,), lookback=lookback, leads=(lead,), **how)


HOW = single("T", 12, 6, step=2, calendar=("hour_of_day",), fill="3h", split=(60, 20, 20))


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
    val = before.windows("val"), after.windows("val")
    assert not np.array_equal(val[0].truths(), val[1].truths()[: len(val[0])])
    train = before.windows("train"), after.windows("train")
    for one, other in zip(*map(everything, train), strict=True):
        assert one.tobytes() == other.tobytes()
    assert train[0].current.tobytes() == train[1].current.tobytes()
    assert train[0].last.tolist() == train[1].last.tolist()
    assert before.plan.to_dict() == after.plan.to_dict()


def test_the_rewriting_above_would_tempt(make_table):
    """With training rows rewritten too, all that must not change above does change."""
    readings = weather(make_table)
    before = prepare(readings, HOW)
    after = prepare(rewritten(readings, np.ones(len(readings), bool), 0), HOW)
    assert "No" not in before.plan.names and "No" in after.plan.names
    assert "sparse" not in before.plan.names and "sparse" in after.plan.names
    assert "fixed" not in before.plan.names and "fixed" in after.plan.names
    assert "whole was filled" not in before.plan.names and "whole was filled" in after.plan.names
    assert "wind=N" in before.plan.names and "wind=N" not in after.plan.names
    assert before.plan.target_scale.mean != after.plan.target_scale.mean


@pytest.mark.parametrize("indexing", ["last_row", "tutorial"])
def test_every_row_of_a_window_is_where_it_should_be(make_table, indexing):
    """Rows numbered by their values: inputs end at the last row, targets lie ahead, all in one part."""
    lengths = [150, 90]
    number = np.arange(240.0)
    readings = make_table({"row": number, "other": number**2 % 17}, rows=lengths)
    how = single("row", 12, 6, features=("row",), step=3, indexing=indexing, split=(60, 20, 20))
    prepared = prepare(readings, how)
    plan = prepared.plan
    part = split.chronological(readings.series, how.split)
    horizon = 6 if indexing == "last_row" else 9
    for code, name in enumerate(PARTS):
        windows = prepared.windows(name)
        x, y = everything(windows)
        inputs = np.rint(plan.physical(x)[:, :, 0]).astype(int)
        targets = np.rint(plan.physical(y)).astype(int)
        np.testing.assert_array_equal(inputs, windows.last[:, None] + np.array([-9, -6, -3, 0]))
        np.testing.assert_array_equal(targets, windows.last + horizon)
        np.testing.assert_array_equal(np.rint(plan.physical(windows.current[:, 0])), windows.last)
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
        one, other = before.windows(name), after.windows(name)
        both = np.intersect1d(one.last[one.last <= cut], other.last)
        compared += len(both)
        same = [windows.take(np.searchsorted(windows.last, both)) for windows in (one, other)]
        x = [windows.windows(np.arange(len(both))) for windows in same]
        assert x[0].tobytes() == x[1].tobytes()
        assert same[0].current.tobytes() == same[1].current.tobytes()
    assert compared > 50


def test_what_comes_after_a_row_within_training_changes_the_scale_alone(make_table):
    random = np.random.default_rng(3)
    columns = {"T": random.normal(size=300), "p": random.normal(size=300)}
    columns["p"][random.random(300) < 0.1] = NAN
    later = {name: np.where(np.arange(300) > 100, 3 * values + 5, values) for name, values in columns.items()}
    one, other = (prepare(make_table(c), replace(HOW, calendar=())) for c in (columns, later))
    x = []
    for prepared in (one, other):
        train, scale = prepared.windows("train"), prepared.plan.encoder.scale
        x.append(train.windows(np.flatnonzero(train.last <= 100)) * scale.std + scale.mean)
    assert not np.allclose(one.plan.encoder.scale.mean, other.plan.encoder.scale.mean)
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
    how = single("b", 36, 24, step=6, indexing="tutorial", features=("a", "b", "c"), split=(300, 400))
    prepared = prepare(readings, how)
    normalised = (data - data[:300].mean(axis=0)) / data[:300].std(axis=0)
    # The tutorial lets a part's last targets lie in the next part; here a part holds all its windows' rows.
    for name, start, end in (("train", 0, 300), ("val", 300, 400), ("test", 400, 500)):
        rows, samples, targets = tutorial_generator(normalised, 36, 24, start, end - 24, 6)
        windows = prepared.windows(name)
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
    prepared = prepare(readings, single("T", 2, 1, fill="3h", split=(100, 110)))
    scale, windows = prepared.plan.encoder.scale, prepared.windows("train")
    assert prepared.plan.names == ("T", "p", "T was filled", "p was filled")
    train = {int(last): i for i, last in enumerate(windows.last)}
    x, y = everything(windows)
    assert 19 not in train and 20 not in train, "a window forecasts a target that nobody measured"
    assert 21 in train and 22 in train
    assert not np.isnan(x).any() and not np.isnan(y).any()

    def physical(last, column):
        return x[train[last], :, column] * scale.std[column] + scale.mean[column]

    np.testing.assert_allclose(physical(21, 0), [values[19], values[19]], atol=1e-5)
    assert x[train[21], :, 2].tolist() == [1, 1] and x[train[22], :, 2].tolist() == [1, 0]
    assert x[train[41], :, 3].tolist() == [1, 1] and x[train[39], :, 3].tolist() == [0, 0]
    np.testing.assert_allclose(physical(52, 1), [p[49], p[49]], atol=1e-5)
    assert not {53, 54, 55} & train.keys() and {52, 56} <= train.keys()
    current = prepared.plan.physical(windows.current)
    assert current[train[21], 0] == pytest.approx(values[19], abs=1e-5)
    assert [note for note in prepared.notes if "missing" in note] == [
        "T: 2 of 120 values missing; 2 filled from the past (gaps up to 3 h)",
        "p: 7 of 120 values missing; 5 filled from the past (gaps up to 3 h), 2 left, which break windows",
        "5 of 114 windows are left out, since a value in them is missing",
    ]


def test_before_its_first_value_a_series_has_no_persistence_and_no_windows(make_table):
    target = np.arange(100) % 11 * 1.0
    target[[*range(8), *range(50, 55)]] = NAN
    readings = make_table({"T": target, "x": np.random.default_rng(0).normal(size=100)}, rows=[50, 50])
    prepared = prepare(readings, single("T", 2, 1, features=("x",), split=(60, 20, 20)))
    assert prepared.plan.names[:2] == ("T", "x"), "the target always serves"
    last = prepared.windows("train").last
    assert last[last < 50].min() == 9, "rows 8 and 9 are the first window"
    assert last[last >= 50].min() == 56, "the first series' last value is no value of the second"


def test_one_mask_serves_all_values_of_a_text_column(make_table):
    wind = ["N", "S", None, "N"] * 30
    readings = make_table({"T": np.random.default_rng(0).normal(size=120), "wind": wind})
    prepared = prepare(readings, single("T", 2, 1))
    train = prepared.windows("train")
    assert prepared.plan.names == ("T", "wind=N", "wind=S", "wind was filled")
    x = train.windows(np.arange(4))
    assert train.last[:4].tolist() == [1, 2, 3, 4]
    assert x[1].tolist()[1][1:] == [0, 1, 1], "row 2 takes S from row 1, and says so"
    assert x[2].tolist()[1][1:] == [1, 0, 0]


def test_several_series_have_their_own_parts(make_table):
    readings = weather(make_table, rows=(200, 100))
    prepared = prepare(readings, HOW)
    part = split.chronological(readings.series, HOW.split)
    for code, name in enumerate(PARTS):
        last = prepared.windows(name).last
        assert {0, 1} == set(readings.series[last])
        assert set(part[last]) == {code}


def test_a_series_too_short_for_a_window_does_not_stop_the_others(make_table):
    readings = weather(make_table, rows=(2, 200))
    assert set(readings.series[prepare(readings, HOW).windows("train").last]) == {1}


@pytest.mark.parametrize(
    ("interval", "season"), [(3600, 24), (600, 144), (86400, 7), (43200, 2), (7 * 86400, 0), (25200, 0)]
)
def test_the_season_is_a_day_and_of_daily_rows_a_week(interval, season):
    assert season_of(np.timedelta64(interval, "s")) == season


@pytest.mark.parametrize(
    ("seconds", "horizon", "lookback"), [(3600, 24, 48), (600, 144, 288), (86400, 7, 28), (60, 1440, 2880)]
)
def test_defaults_follow_the_interval(seconds, horizon, lookback):
    grid, leads = layout(ForecastSpec(("T",)), np.timedelta64(seconds, "s"), 1_000_000)
    assert leads == tuple(range(1, horizon + 1))
    assert grid.horizon == horizon and lookback <= grid.lookback < lookback + grid.step
    assert grid.timesteps <= MOST_TIMESTEPS


def test_leads_are_rows_or_durations_that_rise():
    hour = np.timedelta64(3600, "s")
    assert layout(single("T", 12, "1d", step=2), hour, 100) == (Grid(12, 2, 24), (24,))
    assert layout(single("T", 12, 6, step=2, indexing="tutorial"), hour, 100)[1] == (8,)
    several = ForecastSpec(("T",), lookback=12, leads=(1, "6h", "1d"))
    assert layout(several, hour, 100) == (Grid(12, 1, 24), (1, 6, 24))
    with pytest.raises(SunhwanError, match="the steps to forecast are '6h', 1; expected them to rise"):
        layout(replace(several, leads=("6h", 1)), hour, 100)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": ("TEMP",)}, "made up has no data column 'TEMP'"),
        ({"targets": ("wind",)}, "column 'wind' of made up holds text"),
        ({"targets": ("fixed",)}, "the target 'fixed' has the one value 2.5 in all training rows"),
        ({"features": ("T", "TEMP")}, "made up has no data column 'TEMP'"),
        ({"lookback": 400}, "the training part has 180 rows of 1 h (in its longest series), but a window"),
        ({"lookback": 62}, "the validation part has 60 rows of 1 h (in its longest series), but a window"),
        ({"lookback": 13}, "a lookback of 13 rows is not a multiple of the step of 2 rows"),
        ({"leads": ("90min",)}, "horizon is 90min, which is 1.5 rows of 1 h"),
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
        prepare(make_table({"T": target, "x": np.arange(100.0) % 3}), single("T", 2, 1))


def test_a_target_of_one_value_that_floats_cannot_average(make_table):
    # The mean of ten times 0.1 is not 0.1, and their standard deviation is not 0.
    with pytest.raises(SunhwanError, match=r"the target 'T' has the one value 0\.1 in all training rows"):
        prepare(make_table({"T": np.full(100, 0.1)}), single("T", 2, 1))


def last_value_error(prepared):
    """On test, in the target's unit."""
    test, plan = prepared.windows("test"), prepared.plan
    return np.abs(plan.physical(test.current[:, None]) - plan.physical(test.truths())).mean()


def test_new_york_as_shipped():
    how = single("temp (degC)", "5d", "24h", calendar=("hour_of_day", "day_of_year"), fill="12h")
    prepared = prepare(newyork.load(), how)
    assert [len(prepared.windows(name)) for name in PARTS] == [15_272, 4_794, 4_768]
    assert prepared.windows("train").shape == (120, len(prepared.plan.names))
    # Measured once, and free of chance.
    assert last_value_error(prepared) == pytest.approx(3.887, abs=0.001)


@pytest.mark.real
def test_beijing(real_file):
    readings = table.load(real_file("beijing_hourly_2010_2014.csv"))
    how = single("TEMP", "240h", "24h", calendar=("hour_of_day", "day_of_year"), split=(50, 25, 25))
    prepared = prepare(readings, how)
    names = prepared.plan.names
    assert "No" not in names and "pm2.5" not in names
    assert [name for name in names if "=" in name] == ["cbwd=NE", "cbwd=NW", "cbwd=SE", "cbwd=cv"]
    assert last_value_error(prepared) == pytest.approx(2.696, abs=0.001)

"""Windows with whole paths: what they hold, what they never hold, and what is learnt from where."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from sunhwan.data import paths
from sunhwan.data.paths import Plan, Wanted
from sunhwan.data.table import Table
from sunhwan.errors import SunhwanError

HOUR = np.timedelta64(3600, "s")


def hourly(rows=300, series=1, **columns):
    """A table of `series` series of `rows` hours each; T counts rows, so that a window can be read off."""
    count = rows * series
    time = np.datetime64("2024-01-01", "s") + np.tile(np.arange(rows), series) * HOUR
    random = np.random.default_rng(0)
    given = {"T": np.arange(count) + 0.0, "p": random.normal(size=count), **columns}
    return Table(
        time,
        np.repeat(np.arange(series, dtype=np.int32), rows),
        tuple(f"s{i}" for i in range(series)) if series > 1 else ("",),
        pl.DataFrame(given),
        HOUR,
        "made.csv",
        "",
    )


def wanted(**how):
    return Wanted(**{"targets": ("T",), "horizon": 3, "lookback": 4, **how})


def unscaled(plan, scaled, column=0):
    return scaled * plan.encoder.scale.std[column] + plan.encoder.scale.mean[column]


def test_a_window_ends_where_its_path_begins():
    readings = hourly(T=np.sin(np.arange(300.0)) + np.arange(300))
    learnt = paths.learn(readings, wanted())
    test = learnt.paths("test")
    window, truth = test.gather(np.arange(len(test)))
    values = readings.column("T")
    plan = learnt.plan
    column = plan.names.index("T")
    for i, last in enumerate(test.last):
        np.testing.assert_allclose(
            unscaled(plan, window[i, :, column], column), values[last - 3 : last + 1], rtol=1e-4
        )
        np.testing.assert_allclose(unscaled(plan, truth[i], column), values[last + 1 : last + 4], rtol=1e-4)
    assert test.last[0] == 240 + 3 and test.last[-1] == 300 - 1 - 3


def test_no_row_is_in_two_parts():
    learnt = paths.learn(hourly(), wanted())
    rows = {}
    for part in ("train", "val", "test"):
        last = learnt.paths(part).last
        rows[part] = {row for end in last for row in range(end - 3, end + 4)}
    assert not rows["train"] & rows["val"] and not rows["val"] & rows["test"]


def test_no_window_crosses_series():
    learnt = paths.learn(hourly(rows=100, series=3), wanted())
    for part in ("train", "val", "test"):
        last = learnt.paths(part).last
        assert (
            len(last)
            and (last // 100 == (last - 3) // 100).all()
            and (last // 100 == (last + 3) // 100).all()
        )


@pytest.mark.parametrize("step", [1, 3])
def test_sampled_windows_hold_every_nth_row_counted_back_from_the_last(step):
    readings = hourly(rows=2000, T=np.sin(np.arange(2000.0)))
    learnt = paths.learn(readings, wanted(lookback=step * 100))
    assert learnt.plan.grid.step == 1 if step == 1 else learnt.plan.grid.step == 3
    train = learnt.paths("train")
    window = train.windows(np.array([5]))[0, :, learnt.plan.names.index("T")]
    at = train.last[5] - np.arange(learnt.plan.grid.timesteps)[::-1] * learnt.plan.grid.step
    np.testing.assert_array_equal(window, learnt.rows.values[at, learnt.plan.names.index("T")])


def test_gaps_break_windows_and_unobserved_truths_stay():
    column = np.sin(np.arange(300.0))
    column[50:60] = np.nan
    learnt = paths.learn(hourly(T=column), wanted(fill=2))
    last = learnt.paths("train").last
    # Rows 50 and 51 are filled from the past; 52 to 59 are a gap.
    origins = learnt.rows.origins().last
    assert 51 in origins and not set(range(52, 63)) & set(origins) and 63 in origins
    # Of a path that was not observed at all nothing can be learnt.
    assert 48 in last and not set(range(49, 63)) & set(last) and 63 in last
    index = np.flatnonzero(last == 48)
    np.testing.assert_array_equal(np.isnan(learnt.paths("train").truths(index)[0, :, 0]), [False, True, True])


def test_nothing_is_learnt_from_validation_or_test_rows():
    readings = hourly(T=np.sin(np.arange(300.0)))
    learnt = paths.learn(readings, wanted())
    for name in ("T", "p"):
        column = readings.column(name).copy()
        column[180:] = 1e6 * np.arange(120)
        other = paths.learn(
            replace(readings, columns=readings.columns.with_columns(pl.Series(name, column))), wanted()
        )
        assert other.plan.to_dict() == learnt.plan.to_dict()


def test_what_is_read_does_not_depend_on_later_rows():
    readings = hourly(T=np.sin(np.arange(300.0)))
    learnt = paths.learn(readings, wanted())
    column = readings.column("T").copy()
    column[200:] = np.nan
    later = paths.lay(
        replace(readings, columns=readings.columns.with_columns(pl.Series("T", column))), learnt.plan
    )
    np.testing.assert_array_equal(later.values[:200], learnt.rows.values[:200])


def test_what_is_known_in_advance_is_that_of_the_path():
    plan_of_rows = np.sin(np.arange(300.0) / 3)
    readings = hourly(T=np.cos(np.arange(300.0)), plan=plan_of_rows)
    learnt = paths.learn(readings, wanted(known=("plan",)))
    test = learnt.paths("test")
    column = learnt.plan.names.index("plan")
    ahead = test.ahead(np.array([7]))[0, :, 0]
    np.testing.assert_allclose(
        unscaled(learnt.plan, ahead, column), plan_of_rows[test.last[7] + 1 : test.last[7] + 4], rtol=1e-4
    )
    # At the end of a file: an origin only where the plan is known to the horizon.
    assert learnt.rows.origins().last[-1] == 300 - 1 - 3
    assert paths.learn(readings, wanted()).rows.origins().last[-1] == 299


def test_a_plan_comes_back_from_json():
    readings = hourly(wind=["NW", "SE", "N"] * 100, plan=np.sin(np.arange(300.0)))
    plan = paths.learn(readings, wanted(known=("plan", "wind"))).plan
    again = Plan.from_dict(plan.to_dict())
    assert again.to_dict() == plan.to_dict() and again.known_features.tolist() == plan.known_features.tolist()
    assert len(plan.known_features) == 4
    for harm in ({"targets": ["no"]}, {"season": "long"}):
        with pytest.raises(ValueError):
            Plan.from_dict(plan.to_dict() | harm)
    with pytest.raises(KeyError):
        Plan.from_dict({"targets": ["T"]})


@pytest.mark.parametrize(
    ("seconds", "horizon", "lookback"), [(3600, 24, 48), (600, 144, 288), (86400, 7, 28), (60, 1440, 2880)]
)
def test_defaults_follow_the_interval(seconds, horizon, lookback):
    grid = paths.default_grid(Wanted(("T",)), np.timedelta64(seconds, "s"), 1_000_000)
    assert grid.horizon == horizon and lookback <= grid.lookback < lookback + grid.step
    assert grid.timesteps <= paths.MOST_TIMESTEPS


@pytest.mark.parametrize(
    ("columns", "how", "said"),
    [
        ({}, {"targets": ()}, "no target is named"),
        ({}, {"targets": ("T", "T")}, "'T' stands twice"),
        ({}, {"known": ("T",)}, "said to be known in advance"),
        ({}, {"targets": ("no",)}, "there is no column 'no'"),
        ({"T": np.ones(300)}, {}, "has the one value 1 in all training rows"),
        ({"T": np.full(300, np.nan)}, {}, "has no value in the 180 training rows"),
        ({"T": np.arange(300) * 1e40}, {}, "numbers as large as 1.79e\\+42; expected none above 1e\\+30"),
        ({}, {"horizon": "90s"}, "expected a whole number of rows"),
        ({}, {"horizon": 70}, "needs 74"),
        ({"T": ["a", "b"] * 150}, {}, "holds text"),
    ],
)
def test_what_cannot_be_forecast_is_refused(columns, how, said):
    with pytest.raises(SunhwanError, match=said):
        paths.learn(hourly(**columns), wanted(**how))


def test_times_that_have_not_come_yet_are_said():
    readings = hourly()
    later = replace(readings, time=readings.time + np.timedelta64(36525, "D"))
    assert any("rows lie in the future" in note for note in paths.learn(later, wanted()).notes)
    assert not any("future" in note for note in paths.learn(readings, wanted()).notes)


def test_columns_of_the_clock_are_left_out_unless_asked_for():
    readings = hourly(T=np.sin(np.arange(300.0)), month=np.repeat([1.0, 2.0], 150))
    learnt = paths.learn(readings, wanted())
    assert "month" not in learnt.plan.names and any("calendar says the same" in note for note in learnt.notes)

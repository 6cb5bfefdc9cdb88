"""Windows and the steps after them: what they hold, what they never hold, and what is learnt from where."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunhwan.data.features.encoder import Encoder
from sunhwan.data.features.kinds import Number
from sunhwan.data.features.scale import Scale
from sunhwan.data.grid import Grid
from sunhwan.data.preparation import ForecastSpec, prepare
from sunhwan.data.table import Table
from sunhwan.data.windows import EncodedRows, WindowPlan, encode
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
    return ForecastSpec(**{"targets": ("T",), "horizon": 3, "lookback": 4, **how})


def unscaled(plan, scaled, column=0):
    return scaled * plan.encoder.scale.std[column] + plan.encoder.scale.mean[column]


def test_a_window_ends_where_its_steps_begin():
    readings = hourly(T=np.sin(np.arange(300.0)) + np.arange(300))
    learnt = prepare(readings, wanted())
    test = learnt.windows("test")
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
    learnt = prepare(hourly(), wanted())
    rows = {}
    for part in ("train", "val", "test"):
        last = learnt.windows(part).last
        rows[part] = {row for end in last for row in range(end - 3, end + 4)}
    assert not rows["train"] & rows["val"] and not rows["val"] & rows["test"]


def test_no_window_crosses_series():
    learnt = prepare(hourly(rows=100, series=3), wanted())
    for part in ("train", "val", "test"):
        last = learnt.windows(part).last
        assert (
            len(last)
            and (last // 100 == (last - 3) // 100).all()
            and (last // 100 == (last + 3) // 100).all()
        )


@pytest.mark.parametrize("step", [1, 3])
def test_sampled_windows_hold_every_nth_row_counted_back_from_the_last(step):
    readings = hourly(rows=2000, T=np.sin(np.arange(2000.0)))
    learnt = prepare(readings, wanted(lookback=step * 100))
    assert learnt.plan.grid.step == 1 if step == 1 else learnt.plan.grid.step == 3
    train = learnt.windows("train")
    window = train.windows(np.array([5]))[0, :, learnt.plan.names.index("T")]
    at = train.last[5] - np.arange(learnt.plan.grid.timesteps)[::-1] * learnt.plan.grid.step
    np.testing.assert_array_equal(window, learnt.rows.values[at, learnt.plan.names.index("T")])


def test_gaps_break_windows_and_unobserved_truths_stay():
    column = np.sin(np.arange(300.0))
    column[50:60] = np.nan
    learnt = prepare(hourly(T=column), wanted(fill=2))
    last = learnt.windows("train").last
    # Rows 50 and 51 are filled from the past; 52 to 59 are a gap.
    origins = learnt.rows.origins().last
    assert 51 in origins and not set(range(52, 63)) & set(origins) and 63 in origins
    # From steps that were not observed at all nothing can be learnt.
    assert 48 in last and not set(range(49, 63)) & set(last) and 63 in last
    index = np.flatnonzero(last == 48)
    np.testing.assert_array_equal(
        np.isnan(learnt.windows("train").truths(index)[0, :, 0]), [False, True, True]
    )


def test_nothing_is_learnt_from_validation_or_test_rows():
    readings = hourly(T=np.sin(np.arange(300.0)))
    learnt = prepare(readings, wanted())
    for name in ("T", "p"):
        column = readings.column(name).copy()
        column[180:] = 1e6 * np.arange(120)
        other = prepare(
            replace(readings, columns=readings.columns.with_columns(pl.Series(name, column))), wanted()
        )
        assert other.plan.to_dict() == learnt.plan.to_dict()


def test_what_is_read_does_not_depend_on_later_rows():
    readings = hourly(T=np.sin(np.arange(300.0)))
    learnt = prepare(readings, wanted())
    column = readings.column("T").copy()
    column[200:] = np.nan
    later = encode(
        replace(readings, columns=readings.columns.with_columns(pl.Series("T", column))), learnt.plan
    )
    np.testing.assert_array_equal(later.values[:200], learnt.rows.values[:200])


def test_what_is_known_in_advance_is_that_of_the_steps():
    plan_of_rows = np.sin(np.arange(300.0) / 3)
    readings = hourly(T=np.cos(np.arange(300.0)), plan=plan_of_rows)
    learnt = prepare(readings, wanted(known=("plan",)))
    test = learnt.windows("test")
    column = learnt.plan.names.index("plan")
    ahead = test.ahead(np.array([7]))[0, :, 0]
    np.testing.assert_allclose(
        unscaled(learnt.plan, ahead, column), plan_of_rows[test.last[7] + 1 : test.last[7] + 4], rtol=1e-4
    )
    # At the end of a file: an origin only where the plan is known to the horizon.
    assert learnt.rows.origins().last[-1] == 300 - 1 - 3
    assert prepare(readings, wanted()).rows.origins().last[-1] == 299


def test_a_plan_comes_back_from_json():
    readings = hourly(wind=["NW", "SE", "N"] * 100, plan=np.sin(np.arange(300.0)))
    plan = prepare(readings, wanted(known=("plan", "wind"))).plan
    again = WindowPlan.from_dict(plan.to_dict())
    assert again.to_dict() == plan.to_dict() and again.known_features.tolist() == plan.known_features.tolist()
    assert len(plan.known_features) == 4
    for harm in ({"targets": ["no"]}, {"leads": [1, 2]}):
        with pytest.raises(ValueError):
            WindowPlan.from_dict(plan.to_dict() | harm)
    with pytest.raises(KeyError):
        WindowPlan.from_dict({"targets": ["T"]})


@pytest.mark.parametrize(
    ("columns", "how", "said"),
    [
        ({}, {"targets": ()}, "no target is named"),
        ({}, {"targets": ("T", "T")}, "'T' occurs twice"),
        ({}, {"known": ("T",)}, "both a target and known in advance"),
        ({}, {"targets": ("no",)}, "has no data column 'no'"),
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
        prepare(hourly(**columns), wanted(**how))


def test_times_that_have_not_come_yet_are_said():
    readings = hourly()
    later = replace(readings, time=readings.time + np.timedelta64(36525, "D"))
    assert any("rows lie in the future" in note for note in prepare(later, wanted()).notes)
    assert not any("future" in note for note in prepare(readings, wanted()).notes)


def test_columns_of_the_clock_are_left_out_unless_asked_for():
    readings = hourly(T=np.sin(np.arange(300.0)), month=np.repeat([1.0, 2.0], 150))
    learnt = prepare(readings, wanted())
    assert "month" not in learnt.plan.names and any("calendar says the same" in note for note in learnt.notes)


@st.composite
def situations(draw):
    """Rows of several segments, some with gaps or without a target, and a plan for them."""
    step, timesteps = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    leads = tuple(sorted(draw(st.sets(st.integers(1, 6), min_size=1))))
    lengths = draw(st.lists(st.integers(1, 25), min_size=1, max_size=4))
    rows = sum(lengths)
    # Most rows are whole, or hardly a window would be.
    whole, observed = (
        np.array(draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows))) > 0 for _ in range(2)
    )
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.normal(size=(rows, 2)).astype(np.float32)
    values[~whole, 1] = np.nan
    truth = np.where(observed, random.normal(size=rows), np.nan).astype(np.float32)[:, None]
    scale = Scale(np.zeros(2), np.ones(2))
    encoder = Encoder((Number("T"), Number("p")), scale, 0, HOUR)
    plan = WindowPlan(("T",), (), encoder, Grid(step * timesteps, step, leads[-1]), leads)
    series = np.repeat(np.arange(len(lengths)), lengths)
    time = np.zeros(rows, "datetime64[s]")
    return EncodedRows(plan, values, truth, time, series, tuple(map(str, range(len(lengths)))))


@given(situations())
def test_windows_are_those_that_are_whole_and_hold_what_indexing_gives(rows):
    plan, grid, expected = rows.plan, rows.plan.grid, []
    for last in range(len(rows)):
        first, end = last - (grid.timesteps - 1) * grid.step, last + grid.horizon
        if first < 0 or end >= len(rows) or len(set(rows.series[first : end + 1])) > 1:
            continue
        steps = rows.truth[[last + lead for lead in plan.leads], 0]
        if not np.isnan(rows.values[first : last + 1 : grid.step]).any() and not np.isnan(steps).all():
            expected.append(last)
    windows = rows.windows()
    assert windows.last.tolist() == expected
    if not expected:
        return
    index = np.random.default_rng(0).integers(0, len(windows), 7)
    inputs, targets = windows.gather(index)
    assert inputs.shape == (7, *windows.shape) == (7, grid.timesteps, 2)
    assert inputs.flags.c_contiguous and inputs.dtype == targets.dtype == np.float32
    for last, x, y in zip(windows.last[index], inputs, targets, strict=True):
        at = [last - k * grid.step for k in reversed(range(grid.timesteps))]
        np.testing.assert_array_equal(x, rows.values[at])
        np.testing.assert_array_equal(y, [rows.truth[last + lead, 0] for lead in plan.leads])
    np.testing.assert_array_equal(windows.current[:, 0], rows.values[windows.last, 0])
    # A batch is a copy.
    inputs[:] = -1
    assert (windows.windows(index) != -1).all()


@pytest.mark.parametrize(("lead", "back"), [(1, 23), (6, 18), (23, 1), (24, 0), (30, 18), (47, 1)])
def test_the_seasonal_value_is_the_latest_at_the_target_s_hour(lead, back):
    count = np.arange(600.0)
    spec = ForecastSpec(("T",), lookback=24, leads=(lead,), calendar=(), features=("p",))
    prepared = prepare(hourly(rows=600, T=count), spec)
    val = prepared.windows("val")
    seasonal = np.rint(prepared.plan.physical(val.seasonal())[:, 0, 0])
    np.testing.assert_array_equal(seasonal, val.last - back)


def test_before_there_is_a_season_the_last_value_stands_in():
    spec = ForecastSpec(("T",), lookback=2, leads=(6,), calendar=())
    prepared = prepare(hourly(rows=120, series=2, T=np.tile(np.sin(np.arange(120.0)), 2)), spec)
    train, values = prepared.windows("train"), prepared.rows.values[:, 0]
    within = train.last % 120
    expected = values[np.where(within >= 18, train.last - 18, train.last)]
    np.testing.assert_array_equal(train.seasonal()[:, 0, 0], expected)
    assert (within < 18).sum() == 2 * 17


def test_one_lead_is_the_last_of_many():
    readings = hourly(T=np.sin(np.arange(300.0)), plan=np.cos(np.arange(300.0)))
    whole = prepare(readings, wanted(known=("plan",)))
    last = prepare(readings, wanted(known=("plan",), horizon=None, leads=(3,)))
    for part in ("train", "val", "test"):
        one, many = last.windows(part), whole.windows(part)
        np.testing.assert_array_equal(one.last, many.last)
        index = np.arange(len(one))
        np.testing.assert_array_equal(one.windows(index), many.windows(index))
        np.testing.assert_array_equal(one.truths(), many.truths()[:, -1:])
        np.testing.assert_array_equal(one.ahead(index), many.ahead(index)[:, -1:])

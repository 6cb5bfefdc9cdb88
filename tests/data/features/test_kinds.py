"""Each kind of feature: what it learns from training rows alone, and the same numbers in bulk and by row."""

import numpy as np
import pytest

from sunhwan.data.features.kinds import KINDS, MOST_CATEGORIES, Calendar, Category, Mask, Number, of_column
from sunhwan.errors import SunhwanError

NAN = float("nan")
TRAINING = np.arange(40) < 30


def test_a_column_becomes_numbers_or_categories(make_table):
    readings = make_table({"T": np.arange(40.0) % 7, "wind": ["NW", "SE", None, "cv"] * 10})
    assert of_column(readings, "T", TRAINING) == Number("T")
    assert of_column(readings, "wind", TRAINING) == Category("wind", ("NW", "SE", "cv"))
    many = make_table({"T": [f"v{i % (MOST_CATEGORIES + 1)}" for i in range(40)]})
    assert of_column(many, "T", TRAINING, named=True) == "it holds text of 21 different values"


def test_a_counter_is_seen_through_gaps_and_in_every_series(make_table):
    def of(column, rows=(20, 20)):
        return of_column(make_table({"n": column}, rows=list(rows)), "n", np.ones(40, bool))

    counter = np.concatenate([np.arange(20.0), np.arange(100.0, 120.0)])
    counter[[3, 4, 25]] = NAN
    assert of(counter) == of(-counter) == "it counts the rows"
    # One step of two, and it is no longer a counter; nor is what stands still but for one gap.
    assert of(np.where(np.arange(40) > 9, counter + 1, counter)) == Number("n")
    stairs = np.repeat([1.0, 2.0], 20)
    stairs[[19, 20]] = NAN
    assert of(stairs, (40,)) == Number("n")
    # A target, and a column that was named, serve all the same.
    readings = make_table({"n": counter}, rows=[20, 20])
    for how in ({"target": True}, {"named": True}):
        assert of_column(readings, "n", np.ones(40, bool), **how) == Number("n")


def test_a_mask_is_learnt_where_training_rows_were_filled():
    assert Mask.learn("T", np.array([False, True])) == [Mask("T")]
    assert Mask.learn("T", np.array([False, False])) == []


HOURS = np.datetime64("2024-01-01", "s") + np.arange(24 * 400) * np.timedelta64(3600, "s")


@pytest.mark.parametrize(
    ("rows", "periods"),
    [(24, []), (24 * 30, ["hour_of_day", "day_of_week"]), (24 * 400, list(Calendar.PERIODS))],
)
def test_a_period_must_have_recurred_in_training(rows, periods):
    learnt = Calendar.learn(HOURS[:rows], np.timedelta64(3600, "s"))
    assert [item.column for item in learnt] == periods


def test_the_calendar_is_a_point_on_a_circle():
    times = np.array(["2024-01-01T06:00", "2024-01-02T18:00", "2031-07-09T06:00"], "datetime64[s]")
    day, week, year = (Calendar(name).bulk(times) for name in Calendar.PERIODS)
    for values in (day, week, year):
        np.testing.assert_allclose((values**2).sum(axis=1), 1)
    np.testing.assert_allclose(day, [[1, 0], [-1, 0], [1, 0]], atol=1e-12)
    # 2024-01-01 is a Monday, 2031-07-09 a Wednesday: two days on.
    week = np.arctan2(*week.T)
    np.testing.assert_allclose((week[2] - week[0]) % (2 * np.pi), 2 * np.pi * 2 / 7)
    # A day is 1 / 365.2425 of a year's circle.
    year = np.arctan2(*year.T)
    np.testing.assert_allclose(year[1] - year[0], 2 * np.pi * 1.5 / 365.2425)
    with pytest.raises(SunhwanError, match="no calendar feature 'hour'; expected one of hour_of_day, day_of"):
        Calendar("hour")


SAMPLES = {
    "number": lambda table: (Number("T"), table, [{"T": value} for value in table.columns["T"]]),
    "category": lambda table: (
        Category("wind", ["N", "S"]),
        table,
        [{"wind": value} for value in table.columns["wind"]],
    ),
    "filled": lambda table: (Mask("T"), np.array([True, False] * 3), [1.0, 0.0] * 3),
    "calendar": lambda table: (Calendar("day_of_week"), table.time, table.time.astype(int).tolist()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_row_has_the_bits_that_it_has_in_bulk(make_table, kind):
    table = make_table({"T": [1.5, NAN, -0.25, 1e9, 3.0, 0.1], "wind": ["N", "E", None, "S", "N", "S"]})
    feature, bulk, rows = SAMPLES[kind](table)
    assert KINDS[kind] is type(feature)
    values = feature.bulk(bulk)
    assert values.shape == (6, len(feature.names)) and values.dtype == np.float64
    np.testing.assert_array_equal(values, [feature.row(row) for row in rows])


def test_what_a_reading_may_hold_for_a_number():
    feature = Number("T")
    for value, expected in [
        (5, 5),
        ("5.5", 5.5),
        (" NA ", NAN),
        (None, NAN),
        (-9999.0, NAN),
        (float("inf"), NAN),
    ]:
        np.testing.assert_array_equal(feature.row({"T": value}), [expected])
    np.testing.assert_array_equal(feature.row({}), [NAN])
    for value in ("high", [1]):
        with pytest.raises(SunhwanError, match="in the number column 'T'; expected a number"):
            feature.row({"T": value})
    np.testing.assert_array_equal(Category("w", ("N", "5")).row({"w": 5}), [0, 1])

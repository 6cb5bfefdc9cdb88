"""Durations as rows, and which windows there are, against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunhwan.data.grid import Grid, rows_in, rows_within
from sunhwan.errors import SunhwanError

HOUR, TEN_MINUTES = np.timedelta64(3600, "s"), np.timedelta64(600, "s")


@st.composite
def situations(draw):
    """A grid, and rows of several segments, some of them not usable or without a target."""
    step, timesteps, horizon = draw(st.integers(1, 4)), draw(st.integers(1, 5)), draw(st.integers(1, 6))
    lengths = draw(st.lists(st.integers(1, 25), min_size=1, max_size=4))
    rows = sum(lengths)
    # Most rows are usable, or hardly a window would be.
    usable, observed = (
        np.array(draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows))) > 0 for _ in range(2)
    )
    segment = np.repeat(draw(st.permutations(range(len(lengths)))), lengths)
    return Grid(step * timesteps, step, horizon), usable, observed, segment


@given(situations())
def test_windows_are_exactly_those_that_are_whole(situation):
    grid, usable, observed, segment = situation
    expected = []
    for last in range(len(usable)):
        first, target = last - (grid.timesteps - 1) * grid.step, last + grid.horizon
        if first < 0 or target >= len(usable):
            continue
        in_one_segment = len(set(segment[first : target + 1])) == 1
        if in_one_segment and observed[target] and all(usable[first : last + 1 : grid.step]):
            expected.append(last)
    assert grid.whole(usable, observed, segment).tolist() == expected


def test_fewer_rows_than_one_window():
    grid = Grid(48, 1, 24)
    for rows in (0, 1, 47, 71):
        assert len(grid.whole(np.ones(rows, bool), np.ones(rows, bool), np.zeros(rows, int))) == 0
    assert grid.whole(np.ones(72, bool), np.ones(72, bool), np.zeros(72, int)).tolist() == [47]


def test_a_lookback_that_is_no_multiple_of_the_step():
    with pytest.raises(
        SunhwanError, match="a lookback of 1,441 rows is not a multiple of the step of 6 rows"
    ):
        Grid(1441, 6, 144)


@pytest.mark.parametrize(
    ("length", "interval", "rows"),
    [("10d", TEN_MINUTES, 1440), ("24h", TEN_MINUTES, 144), ("1h", TEN_MINUTES, 6), ("90min", HOUR / 2, 3),
     (1440, HOUR, 1440), ("1440", HOUR, 1440), ("1w", HOUR, 168), ("0.1h", np.timedelta64(60, "s"), 6),
     (" 5 d ", HOUR, 120), ("600s", TEN_MINUTES, 1), ("2d", np.timedelta64(1, "D"), 2)],
)  # fmt: skip
def test_durations_in_rows(length, interval, rows):
    assert rows_in(length, interval, "lookback") == rows


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (
            "90min",
            "lookback is 90min, which is 1.5 rows of 1 h; expected a whole number of rows, at least one",
        ),
        (0, "lookback is 0, which is 0 rows of 1 h"),
        ("0h", "lookback is 0h, which is 0 rows"),
        (1.5, "lookback is 1.5, which is 1.5 rows"),
        (
            "10 days",
            "lookback is '10 days'; expected a number of rows or a duration such as 30min, 24h or 10d",
        ),
        (-3, "lookback is -3; expected a number of rows"),
        ("", "lookback is ''"),
        (None, "lookback is None"),
        (True, "lookback is True"),
        ("9" * 400 + "d", r"lookback is 9{40}, which is inf rows of 1 h; expected at most 1,000,000,000"),
        (10**10, r"lookback is 10000000000, which is 1e\+10 rows of 1 h; expected at most"),
        ([24], r"lookback is \[24\]"),
    ],
)
def test_what_is_no_duration(length, message):
    with pytest.raises(SunhwanError, match=f"^{message}"):
        rows_in(length, HOUR, "lookback")


def test_a_gap_may_be_filled_over_no_row_at_all():
    lengths = (0, "0h", "59min", "60min", "6h", 3)
    assert [rows_within(length, HOUR, "fill") for length in lengths] == [0, 0, 0, 1, 6, 3]

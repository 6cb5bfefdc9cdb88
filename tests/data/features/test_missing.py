"""Gaps: how far they are filled, from where, and what is said."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sunhwan.data.features.missing import Latest, account, fill_forward


def filled_row_by_row(values, series, limit):
    """What `fill_forward` does, one row at a time; `Latest` is held to it below."""
    filled, mask = values.copy(), np.zeros(values.shape, bool)
    for column in range(values.shape[1]):
        last, age = np.nan, 0
        for row in range(len(values)):
            if row and series[row] != series[row - 1]:
                last = np.nan
            if np.isnan(values[row, column]):
                age += 1
                if not np.isnan(last) and age <= limit:
                    filled[row, column], mask[row, column] = last, True
            else:
                last, age = values[row, column], 0
    return filled, mask


@given(
    arrays.arrays(
        float, st.tuples(st.integers(1, 30), st.integers(1, 3)), elements=st.sampled_from([1.0, 2.0, np.nan])
    ),
    st.integers(0, 6),
    st.data(),
)
def test_against_one_row_at_a_time(values, limit, data):
    breaks = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    series = np.cumsum(breaks)
    before = values.copy()
    filled, mask = fill_forward(values, series, limit)
    expected, expected_mask = filled_row_by_row(values, series, limit)
    np.testing.assert_array_equal(filled, expected)
    np.testing.assert_array_equal(mask, expected_mask)
    np.testing.assert_array_equal(values, before)
    for row, code in enumerate(series):
        if row == 0 or code != series[row - 1]:
            latest = Latest.of(values.shape[1])
        row_values, row_mask, gap = latest.fill(values[row].tolist(), limit)
        np.testing.assert_array_equal(row_values, expected[row])
        np.testing.assert_array_equal(np.array(row_mask, bool), expected_mask[row])
        assert gap == np.isnan(expected[row]).any()


def test_a_limit_is_exact_and_a_series_never_fills_the_next():
    values = np.array([[5.0], [np.nan], [np.nan], [np.nan], [7.0], [np.nan], [np.nan]])
    filled, mask = fill_forward(values, np.array([0, 0, 0, 0, 0, 1, 1]), limit=2)
    np.testing.assert_array_equal(filled[:, 0], [5, 5, 5, np.nan, 7, np.nan, np.nan])
    assert mask[:, 0].tolist() == [False, True, True, False, False, False, False]


def test_the_account_says_what_was_left_only_if_something_was():
    assert (
        account("T", 3, 3, 10, "6 h") == "T: 3 of 10 values missing; 3 filled from the past (gaps up to 6 h)"
    )

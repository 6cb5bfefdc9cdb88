"""Parts by time, by class and by draw."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunhwan.data.split import chronological, shuffled, stratified
from sunhwan.errors import SunhwanError


@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=4),
    st.tuples(*[st.floats(0.05, 10)] * 3),
)
def test_shares_hold_in_each_series_for_itself(lengths, shares):
    series = np.repeat(np.arange(len(lengths)), lengths)
    part = chronological(series, shares)
    for index, rows in enumerate(lengths):
        own = part[series == index]
        assert (np.diff(own) >= 0).all(), "a part comes after a later one"
        for code, share in enumerate(shares):
            # Two boundaries, each rounded to a row: a part is off by less than a row at either end.
            assert abs((own == code).sum() - rows * share / sum(shares)) <= 1 + 1e-9


def test_row_numbers_are_where_validation_and_test_begin():
    part = chronological(np.repeat([0, 1], [6, 8]), (2, 5))
    assert part.tolist() == [0, 0, 1, 1, 1, 2, 0, 0, 1, 1, 1, 2, 2, 2]


def test_row_numbers_beyond_a_series_are_refused():
    with pytest.raises(SunhwanError, match="the test part begins at row 300,000, but the series has 10 rows"):
        chronological(np.zeros(10, int), (200_000, 300_000))
    with pytest.raises(SunhwanError, match="begins at row 10, but"):
        chronological(np.zeros(10, int), (5, 10))


@pytest.mark.parametrize(
    "split",
    [(40, 30), (60, 20, 0), (60, 20, -20), (1, 2, 3, 4), (), (50,), (0, 5), (0.5, 0.8), (3, 3.5),
     (1, float("nan"), 1), (1, float("inf"), 1), ("a", "b", "c"), "60/20/20", (None, 1, 1), 3],
)  # fmt: skip
def test_what_is_no_split(split):
    with pytest.raises(
        SunhwanError, match="was given; expected three shares such as 60/20/20, or the two rising"
    ):
        chronological(np.zeros(100, int), split)


@given(st.integers(2, 500), st.floats(0.01, 0.99), st.integers(0, 5))
def test_a_draw_parts_all_and_is_repeatable(count, share, seed):
    if not 0 < round(count * share) < count:
        with pytest.raises(SunhwanError, match="cannot be split with a validation share"):
            shuffled(count, share, seed)
        return
    train, val = shuffled(count, share, seed)
    assert sorted([*train, *val]) == list(range(count))
    assert len(val) == round(count * share)
    again = shuffled(count, share, seed)
    np.testing.assert_array_equal(train, again[0])
    np.testing.assert_array_equal(val, again[1])


def test_a_draw_is_no_slice_and_differs_by_seed():
    draws = [shuffled(1000, 0.2, seed)[1] for seed in range(3)]
    assert len({tuple(draw) for draw in draws}) == 3
    for draw in draws:
        # Of 200 drawn from 1,000, 100 lie in the first half; the standard deviation is 6.3.
        assert 70 < (draw < 500).sum() < 130


def test_every_class_is_in_every_part_in_its_share():
    labels = np.array([0] * 900 + [1] * 97 + [2] * 3)
    part = stratified([f"t{i}" for i in range(1000)], labels, (60, 20, 20), seed=0)
    counts = np.stack([np.bincount(labels[part == number], minlength=3) for number in range(3)])
    assert counts.tolist() == [[540, 59, 1], [180, 19, 1], [180, 19, 1]]
    again = stratified([f"t{i}" for i in range(1000)], labels, (60, 20, 20), seed=0)
    assert (part == again).all()
    assert (np.diff(np.flatnonzero(part == 1)) > 1).any(), "shuffled"


def test_equal_texts_are_in_one_part():
    texts = [f"t{i % 50}" for i in range(200)]
    part = stratified(texts, np.arange(200) % 2, (60, 20, 20), seed=1)
    for text in set(texts):
        assert len({part[i] for i in range(200) if texts[i] == text}) == 1
    assert set(part) == {0, 1, 2}

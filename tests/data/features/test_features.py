"""Which columns are forecast from, learnt from training rows alone."""

import numpy as np
import pytest

from sunhwan.data.features.features import MOST_CATEGORIES, Features, affordable, calendar, choose
from sunhwan.data.windows import Grid
from sunhwan.errors import SunhwanError

NAN = float("nan")
ROWS, TRAINING = 40, np.arange(40) < 30


@pytest.fixture
def weather(make_table):
    random = np.random.default_rng(0)
    many = [f"v{i % (MOST_CATEGORIES + 1)}" for i in range(ROWS)]
    return make_table(
        {
            "T": random.normal(size=ROWS),
            "wind": ["NW", "SE", None, "NW"] * 7 + ["NW", "SE", "cv", "NW", None, "cv"] + ["SE"] * 6,
            "No": np.arange(ROWS) * 1.0,
            "fixed": [3.5] * 30 + [1.0] * 10,
            "later": [NAN] * 30 + [1.0, 2.0] * 5,
            "same": ["x"] * 30 + ["y"] * 10,
            "many": many,
            "late text": [None] * 30 + ["a", "b"] * 5,
        }
    )


def test_all_that_can_serve_and_why_others_cannot(weather):
    features = choose(weather, (), ("T",), TRAINING)
    assert features.names == ("T", "wind=NW", "wind=SE")
    assert features.columns == ("T", "wind", "wind")
    assert features.binary.tolist() == [False, True, True]
    assert features.categories == {"wind": ("NW", "SE")}
    assert features.notes == (
        "No: left out of the features, since it counts the rows",
        "fixed: left out of the features, since it has the one value 3.5 in all training rows",
        "later: left out of the features, since it has no value in the training rows",
        "same: left out of the features, since it has the one value x in all training rows",
        "many: left out of the features, since it holds text of 21 different values",
        "late text: left out of the features, since it has no value in the training rows",
        "wind: 2 rows hold values that no training row holds; they are all zero",
    )


def test_text_becomes_zeros_and_ones_and_missing_stays_missing(weather):
    values = choose(weather, ("wind",), ("T",), TRAINING).values
    np.testing.assert_array_equal(values[:4], [[1, 0], [0, 1], [NAN, NAN], [1, 0]])
    np.testing.assert_array_equal(values[28:34], [[1, 0], [0, 1], [0, 0], [1, 0], [NAN, NAN], [0, 0]])


def test_what_is_asked_for_is_taken_in_that_order(weather):
    features = choose(weather, ("same", "No", "fixed", "T"), ("T",), TRAINING)
    assert features.names == ("same=x", "No", "fixed", "T")
    assert features.notes == ("same: 10 rows hold values that no training row holds; they are all zero",)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("many", "it holds text of 21 different values"), ("later", "it has no value in the training rows"),
     ("late text", "it has no value in the training rows")],
)  # fmt: skip
def test_what_is_asked_for_and_cannot_serve(weather, name, reason):
    with pytest.raises(
        SunhwanError, match=f"^column '{name}' of made up was asked for as a feature, but {reason}"
    ):
        choose(weather, ("T", name), ("T",), TRAINING)


def test_a_feature_that_is_not_there(weather):
    said = "there is no column 'TEMP' of readings in made up; it has 'T', 'wind'"
    with pytest.raises(SunhwanError, match=said):
        choose(weather, ("TEMP",), ("T",), TRAINING)


def test_the_target_serves_even_if_it_counts_the_rows(weather):
    assert choose(weather, (), ("No",), TRAINING).names[:3] == ("T", "wind=NW", "wind=SE")
    assert "No" in choose(weather, (), ("No",), TRAINING).names


def test_a_counter_is_seen_through_gaps_and_in_every_series(make_table):
    counter = np.concatenate([np.arange(20.0), np.arange(100.0, 120.0)])
    counter[[3, 4, 25]] = NAN
    readings = make_table({"T": np.random.default_rng(0).normal(size=40), "n": counter}, rows=[20, 20])
    assert choose(readings, (), ("T",), np.ones(40, bool)).names == ("T",)
    countdown = make_table({"T": readings.column("T"), "n": -counter}, rows=[20, 20])
    assert choose(countdown, (), ("T",), np.ones(40, bool)).names == ("T",)
    # One step of two, and it is no longer a counter; nor is what stands still but for one gap.
    readings = make_table(
        {"T": readings.column("T"), "n": np.where(np.arange(40) > 9, counter + 1, counter)}, rows=[20, 20]
    )
    assert choose(readings, (), ("T",), np.ones(40, bool)).names == ("T", "n")
    stairs = np.repeat([1.0, 2.0], 20)
    stairs[[19, 20]] = NAN
    readings = make_table({"T": readings.column("T"), "n": stairs})
    assert choose(readings, (), ("T",), np.ones(40, bool)).names == ("T", "n")


def test_columns_whose_gaps_would_break_many_training_windows_are_left_out(make_table):
    random = np.random.default_rng(0)
    columns = {name: random.normal(size=100) for name in ("T", "one gap", "many gaps", "gaps later")}
    columns["T"][::7] = NAN
    columns["one gap"][50] = NAN
    columns["many gaps"][5:90:10] = NAN
    columns["gaps later"][70:] = NAN
    columns["text"] = ["a", "b", None, "a", "b"] * 20
    readings = make_table(columns)
    training = np.arange(100) < 60
    features = choose(readings, (), "T", training)
    segment, grid = (~training).astype(int), Grid(lookback=3, step=1, horizon=1)
    judge = (features, features.values, training, segment, grid)
    kept, notes = affordable(*judge, ("T",), "6 h")
    assert [features.names[i] for i in kept] == ["T", "one gap", "gaps later"]
    # 57 windows end in training rows 2 .. 58. The six gaps 5, 15, .. 55 break three each (18); the
    # text's gaps 2, 7, .. 57 break those that end there (12), one row later (12) and two rows later (11).
    assert notes == [
        "many gaps: left out of the features, since its gaps longer than 6 h would break 32% of the training "
        "windows; name it among the features to keep it",
        "text: left out of the features, since its gaps longer than 6 h would break 61% of the training "
        "windows; name it among the features to keep it",
    ]
    assert features.keep(kept).categories == {}
    kept, notes = affordable(*judge, ("T", "many gaps", "text"), "6 h")
    assert [features.names[i] for i in kept] == [
        "T",
        "one gap",
        "many gaps",
        "gaps later",
        "text=a",
        "text=b",
    ]
    assert notes == []


def test_the_calendar_is_a_point_on_a_circle():
    times = np.array(["2024-01-01T06:00", "2024-01-02T18:00", "2031-07-09T06:00"], "datetime64[s]")
    values, names = calendar(times, ("hour_of_day", "day_of_week", "day_of_year"))
    assert names == [
        f"{name} {wave}"
        for name in ("hour_of_day", "day_of_week", "day_of_year")
        for wave in ("sine", "cosine")
    ]
    np.testing.assert_allclose((values[:, ::2] ** 2 + values[:, 1::2] ** 2), 1)
    np.testing.assert_allclose(values[:, :2], [[1, 0], [-1, 0], [1, 0]], atol=1e-12)
    # 2024-01-01 is a Monday, 2031-07-09 a Wednesday: two days on.
    week = np.arctan2(values[:, 2], values[:, 3])
    np.testing.assert_allclose((week[2] - week[0]) % (2 * np.pi), 2 * np.pi * 2 / 7)
    # A day is 1 / 365.2425 of a year's circle.
    year = np.arctan2(values[:, 4], values[:, 5])
    np.testing.assert_allclose(year[1] - year[0], 2 * np.pi * 1.5 / 365.2425)
    assert calendar(times, ())[0].shape == (3, 0)


def test_keeping_some_features():
    values = np.arange(6.0).reshape(2, 3)
    binary = np.array([False, True, True])
    features = Features(("a", "b=x", "b=y"), ("a", "b", "b"), values, binary, {"b": ("x", "y")}, ("said",))
    kept = features.keep([0, 2])
    assert kept.names == ("a", "b=y") and kept.columns == ("a", "b") and kept.notes == ("said",)
    np.testing.assert_array_equal(kept.values, values[:, [0, 2]])
    assert kept.binary.tolist() == [False, True]

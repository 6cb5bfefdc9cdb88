"""New rows become just what training rows became, or one sentence says why they cannot."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from sunhwan.data.features.recipe import Recipe
from sunhwan.data.series import Preparation, prepare
from sunhwan.errors import SunhwanError

HOW = Preparation("T", 6, 2, calendar=("hour_of_day", "day_of_year"), split=(60, 20, 20), fill=3)


@pytest.fixture
def readings(make_table):
    """Two stations with gaps short and long, and a text column with a gap."""
    random = np.random.default_rng(0)
    rows = 240
    temperature, pressure = random.normal(10, 4, rows), random.normal(1013, 8, rows)
    for start, length in ((20, 2), (70, 5), (150, 3), (200, 1)):
        temperature[start : start + length] = np.nan
    pressure[[0, 1, 33, 121]] = np.nan
    wind = random.choice(["N", "E", "S"], rows).astype(object)
    wind[[40, 41]] = None
    return make_table({"T": temperature, "p": pressure, "wind": wind.tolist()}, rows=(120, 120))


def values_of(series):
    """(windows, timesteps, features) of all parts, which `prepare` made."""
    parts = [getattr(series, name) for name in ("train", "val", "test")]
    return {
        int(last): x
        for part in parts
        for last, x in zip(part.last, part.inputs(np.arange(len(part))), strict=True)
    }


def test_rows_become_what_prepare_made_of_them(readings):
    series = prepare(readings, HOW)
    assert {item.kind for item in series.recipe.ingredients} == {"number", "category", "filled", "calendar"}
    values, notes = series.recipe.apply(readings)
    assert values.dtype == np.float32
    assert notes == []
    windows = values_of(series)
    assert len(windows) > 100
    for last, inputs in windows.items():
        np.testing.assert_array_equal(values[last - 5 : last + 1], inputs)


def test_a_kept_recipe_does_the_same(readings):
    recipe = prepare(readings, HOW).recipe
    again = Recipe.from_dict(json.loads(json.dumps(recipe.as_dict(), allow_nan=False)))
    np.testing.assert_array_equal(again.apply(readings)[0], recipe.apply(readings)[0])
    assert again.columns == recipe.columns == ("T", "p", "wind")


def test_nothing_is_learnt_from_new_rows(readings):
    """Some rows give what they gave among others, whatever those are; columns may be in any order."""
    recipe = prepare(readings, HOW).recipe
    whole, _ = recipe.apply(readings)
    first = readings.series == 0
    columns = readings.columns.filter(pl.Series(first)).select("wind", pl.lit(1.0).alias("other"), "p", "T")
    part = replace(readings, time=readings.time[first], series=readings.series[first], columns=columns)
    np.testing.assert_array_equal(recipe.apply(part)[0], whole[first])


def test_gaps_that_are_too_long_stay(readings):
    values, _ = prepare(readings, HOW).recipe.apply(readings)
    assert np.isnan(values[73:75, 0]).all()
    assert not np.isnan(values[70:73, 0]).any()


def test_words_that_no_training_row_held_are_told_and_count_as_none(readings):
    recipe = prepare(readings, HOW).recipe
    strange = readings.columns.with_columns(pl.lit("up").alias("wind"))
    values, notes = recipe.apply(replace(readings, columns=strange))
    assert notes == ["wind: 'up' stood in no training row and count as none of 'E', 'N', 'S'"]
    at = [i for i, item in enumerate(recipe.ingredients) if item.kind == "category"]
    assert (values[:, at] == 0).all()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            lambda t: replace(t, columns=t.columns.drop("p")),
            "lacks 'p', from which was learnt; it has 'T', 'wind'",
        ),
        (
            lambda t: replace(t, interval=np.timedelta64(600, "s")),
            "are 10 min apart, but learnt was from rows 1 h apart; give rows of 1 h",
        ),
        (
            lambda t: replace(t, columns=t.columns.with_columns(pl.lit("high").alias("p"))),
            "column 'p' of .* holds text .* where numbers were expected",
        ),
    ],
)
def test_rows_of_another_kind_are_refused(readings, changed, said):
    with pytest.raises(SunhwanError, match=said):
        prepare(readings, HOW).recipe.apply(changed(readings))


@pytest.mark.parametrize(
    "changed",
    [
        lambda kept: kept.pop("fill_rows"),
        lambda kept: kept.update(feature_mean=[0.0]),
        lambda kept: kept.update(feature_std="one"),
        lambda kept: kept["ingredients"][0].update(kind="code"),
        lambda kept: kept["ingredients"][0].update(run="os.system"),
    ],
)
def test_a_recipe_that_was_tampered_with_is_refused(readings, changed):
    kept = prepare(readings, HOW).recipe.as_dict()
    changed(kept)
    with pytest.raises(SunhwanError, match=r"kept preparation (cannot be read|has features)"):
        Recipe.from_dict(kept)

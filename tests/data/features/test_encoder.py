"""New rows are encoded as training rows were, in bulk or one by one; all learning is from training rows."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from sunhwan.data.features.encoder import Encoder, RowEncoder, affordable, bulk, choose, learn
from sunhwan.data.features.kinds import MOST_CATEGORIES, Calendar, Category, Number
from sunhwan.data.features.missing import Latest
from sunhwan.data.grid import Grid
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
    features, notes = choose(weather, TRAINING, targets=("T",))
    assert features == [Number("T"), Category("wind", ("NW", "SE"))]
    assert notes == [
        "No: left out of the features, since it counts the rows",
        "fixed: left out of the features, since it has the one value 3.5 in all training rows",
        "later: left out of the features, since it has no value in the training rows",
        "same: left out of the features, since it has the one value x in all training rows",
        "many: left out of the features, since it holds text of 21 different values",
        "late text: left out of the features, since it has no value in the training rows",
        "wind: 2 rows have values that no training row has; they are all zero",
    ]


def test_text_becomes_zeros_and_ones_and_missing_stays_missing(weather):
    values = bulk(choose(weather, TRAINING, ("wind",))[0], weather)
    np.testing.assert_array_equal(values[:4], [[1, 0], [0, 1], [NAN, NAN], [1, 0]])
    np.testing.assert_array_equal(values[28:34], [[1, 0], [0, 1], [0, 0], [1, 0], [NAN, NAN], [0, 0]])


def test_wanted_columns_serve_in_that_order_and_needed_ones_after_all_others(weather):
    features, notes = choose(weather, TRAINING, ("same", "No", "fixed", "T"), targets=("T",))
    assert [item.column for item in features] == ["same", "No", "fixed", "T"]
    assert notes == ["same: 10 rows have values that no training row has; they are all zero"]
    features, notes = choose(weather, TRAINING, needed=("T", "fixed"))
    assert [item.column for item in features] == ["T", "wind", "fixed"]
    assert not any(note.startswith("fixed") for note in notes)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("many", "it holds text of 21 different values"), ("later", "it has no value in the training rows"),
     ("late text", "it has no value in the training rows")],
)  # fmt: skip
@pytest.mark.parametrize("how", ["wanted", "needed"])
def test_what_is_wanted_and_cannot_serve(weather, name, reason, how):
    with pytest.raises(
        SunhwanError, match=f"^column '{name}' of made up cannot be a feature, since {reason}"
    ):
        choose(weather, TRAINING, **{how: ("T", name)})


def test_a_feature_that_is_not_there(weather):
    message = "made up has no data column 'TEMP'; it has 'T', 'wind'"
    with pytest.raises(SunhwanError, match=message):
        choose(weather, TRAINING, ("TEMP",))


def test_the_target_serves_even_if_it_counts_the_rows(weather):
    features, _ = choose(weather, TRAINING, targets=("No",))
    assert [item.column for item in features] == ["T", "wind", "No"]


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
    features, _ = choose(readings, training, targets=("T",))
    segment, grid = (~training).astype(int), Grid(lookback=3, step=1, horizon=1)
    judge = (features, bulk(features, readings), training, segment, grid)
    chosen, kept, notes = affordable(*judge, ("T",), "6 h")
    assert [item.column for item in chosen] == ["T", "one gap", "gaps later"]
    assert kept == [0, 1, 3]
    # 57 windows end in training rows 2 .. 58. The six gaps 5, 15, .. 55 break three each (18); the
    # text's gaps 2, 7, .. 57 break those that end there (12), one row later (12) and two rows later (11).
    assert notes == [
        "many gaps: left out of the features, since its gaps longer than 6 h would break 32% of the training "
        "windows; name it among the features to keep it",
        "text: left out of the features, since its gaps longer than 6 h would break 61% of the training "
        "windows; name it among the features to keep it",
    ]
    chosen, kept, notes = affordable(*judge, ("T", "many gaps", "text"), "6 h")
    assert [item.column for item in chosen] == ["T", "one gap", "many gaps", "gaps later", "text"]
    assert kept == [0, 1, 2, 3, 4, 5]
    assert notes == []


@pytest.fixture
def readings(make_table):
    """Two stations with gaps short and long, and a text column with a gap."""
    random = np.random.default_rng(0)
    rows = 240
    temperature, pressure = random.normal(10, 4, rows), random.normal(1013, 8, rows)
    for start, length in ((20, 2), (70, 5), (150, 3), (200, 1)):
        temperature[start : start + length] = NAN
    pressure[[0, 1, 33, 121]] = NAN
    wind = random.choice(["N", "E", "S"], rows).astype(object)
    wind[[40, 41]] = None
    return make_table({"T": temperature, "p": pressure, "wind": wind.tolist()}, rows=(120, 120))


def learnt(readings):
    training = np.tile(np.arange(120) < 72, 2)
    features, _ = choose(readings, training)
    segment = readings.series * 2 + ~training
    calendar = [Calendar("hour_of_day"), Calendar("day_of_year")]
    encoder, _ = learn(readings, features, training, segment, Grid(6, 1, 2), ("T",), 3, calendar)
    assert {item.kind for item in encoder.features} == {"number", "category", "filled", "calendar"}
    return encoder


def test_the_scale_is_that_of_filled_training_rows(readings):
    encoder = learnt(readings)
    values, notes = encoder.bulk(readings)
    assert values.dtype == np.float32 and notes == []
    training = np.tile(np.arange(120) < 72, 2)
    np.testing.assert_allclose(np.nanmean(values[training][:, encoder.scaled], axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(np.nanstd(values[training][:, encoder.scaled], axis=0), 1, atol=1e-6)
    assert (encoder.scale.std[~encoder.scaled] == 1).all()


def test_a_saved_encoder_does_the_same(readings):
    encoder = learnt(readings)
    again = Encoder.from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(again.bulk(readings)[0], encoder.bulk(readings)[0])
    assert again.columns == encoder.columns == ("T", "p", "wind")
    assert again.names == encoder.names
    assert again.places("reading", ("p", "wind")).tolist() == [1, 2, 3, 4]
    assert encoder.places("time").tolist() == [len(encoder.names) - 4 + i for i in range(4)]


def test_rows_one_by_one_have_the_bits_of_the_table(readings):
    encoder = learnt(readings)
    # In another order, as no learning makes it.
    order = np.random.default_rng(0).permutation(len(encoder.features))
    starts = np.cumsum([0, *(len(item.names) for item in encoder.features)])
    places = np.concatenate([np.arange(starts[i], starts[i + 1]) for i in order])
    scale = replace(encoder.scale, mean=encoder.scale.mean[places], std=encoder.scale.std[places])
    other = replace(encoder, features=tuple(encoder.features[i] for i in order), scale=scale)
    for each in (encoder, other):
        values, _ = each.bulk(readings)
        rows, latest = RowEncoder(each), {}
        for i, reading in enumerate(readings.columns.to_dicts()):
            before = latest.setdefault(int(readings.series[i]), Latest.of(rows.numbers))
            row = np.empty(len(each.names), np.float32)
            gap = rows.encode(rows.read(reading), before, int(readings.time[i].astype(int)), row)
            np.testing.assert_array_equal(row, values[i])
            assert gap == np.isnan(values[i]).any()


def test_nothing_is_learnt_from_new_rows(readings):
    """Some rows give what they gave among others, whatever those are; columns may be in any order."""
    encoder = learnt(readings)
    whole, _ = encoder.bulk(readings)
    first = readings.series == 0
    columns = readings.columns.filter(pl.Series(first)).select("wind", pl.lit(1.0).alias("other"), "p", "T")
    part = replace(readings, time=readings.time[first], series=readings.series[first], columns=columns)
    np.testing.assert_array_equal(encoder.bulk(part)[0], whole[first])


def test_gaps_that_are_too_long_stay(readings):
    values, _ = learnt(readings).bulk(readings)
    assert np.isnan(values[73:75, 0]).all()
    assert not np.isnan(values[70:73, 0]).any()


def test_words_that_no_training_row_has_are_noted_and_count_as_none(readings):
    encoder = learnt(readings)
    strange = readings.columns.with_columns(pl.lit("up").alias("wind"))
    values, notes = encoder.bulk(replace(readings, columns=strange))
    assert notes == ["wind: 'up' did not occur in the training rows and counts as none of 'E', 'N', 'S'"]
    assert (values[:, encoder.places("reading", ("wind",))] == 0).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            lambda t: replace(t, columns=t.columns.drop("p")),
            "has no column 'p', which the model was trained on; it has 'T', 'wind'",
        ),
        (
            lambda t: replace(t, interval=np.timedelta64(600, "s")),
            "are 10 min apart, but the model was trained on rows 1 h apart; give rows of 1 h",
        ),
        (
            lambda t: replace(t, columns=t.columns.with_columns(pl.lit("high").alias("p"))),
            "column 'p' of .* holds text .* where numbers were expected",
        ),
    ],
)
def test_rows_of_another_kind_are_refused(readings, changed, message):
    with pytest.raises(SunhwanError, match=message):
        learnt(readings).bulk(changed(readings))


@pytest.mark.parametrize(
    "changed",
    [
        lambda saved: saved.pop("fill_rows"),
        lambda saved: saved.update(mean=[0.0]),
        lambda saved: saved.update(std="one"),
        lambda saved: saved["features"].__setitem__(0, ["code", {"column": "T"}]),
        lambda saved: saved["features"][0][1].update(run="os.system"),
    ],
)
def test_an_encoder_that_was_tampered_with_is_refused(readings, changed):
    saved = learnt(readings).to_dict()
    changed(saved)
    with pytest.raises((KeyError, TypeError, ValueError)):
        Encoder.from_dict(saved)

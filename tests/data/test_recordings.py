"""Files of sensor readings as recordings: order, labels, gaps, and what is said of other files."""

import numpy as np
import polars as pl
import pytest

from sunhwan.data.recordings import Columns, encode, learn, load, offsets, taken
from sunhwan.errors import SunhwanError

COLUMNS = Columns("id", "label")


@pytest.fixture
def written(tmp_path):
    def write(content, name="a.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_rows_stand_together_and_in_order(written):
    path = written("id,ms,x,label\nb,2.5,5,v\na,10,2,u\nb,1,4,v\na,9,1,u\na,100,3,\n")
    found = load(path, Columns("id", "label", ("ms",)))
    assert found.table.series_names == ("b", "a") and found.labels.to_list() == ["v", "u"]
    assert found.table.column("x").tolist() == [4, 5, 1, 2, 3], (
        "9 comes before 10 and 100: numbers, not texts"
    )
    assert offsets(found.table).tolist() == [0, 2, 5]
    assert found.notes == ("2 recordings of 2 to 3 rows, ordered by 'ms'",)
    assert load(path, COLUMNS).table.columns.columns == ["ms", "x"]


def test_times_order_as_well_and_are_found_by_their_names(written):
    path = written("id,time,x,label\na,2024-01-01 10:00,2,u\na,2024-01-01 9:00,1,u\nb,2024-01-01 9:00,3,v\n")
    found = load(path, COLUMNS)
    assert found.columns.time == ("time",)
    assert found.table.column("x").tolist() == [1, 2, 3]


def test_parquet_and_semicolons_give_the_same(written, tmp_path):
    frame = pl.DataFrame({"id": [1, 1, 2], "x": [0.5, 1.5, 2.5], "label": ["u", "u", "v"]})
    frame.write_parquet(tmp_path / "a.parquet")
    tables = [
        load(tmp_path / "a.parquet", COLUMNS),
        load(written("id;x;label\n1;0,5;u\n1;1,5;u\n2;2,5;v\n"), COLUMNS),
    ]
    for found in tables:
        assert found.table.column("x").tolist() == [0.5, 1.5, 2.5] and found.labels.to_list() == ["u", "v"]


def test_what_is_left_out_is_said(written):
    found = load(written("id,x,label\n,1,u\na,1,u\nb,2,\nc,3,v\n"), COLUMNS)
    assert found.table.series_names == ("a", "c") and found.table.series.tolist() == [0, 1]
    assert found.notes == (
        "1 rows without a value in 'id' are left out",
        "1 recordings without a label are left out",
        "2 recordings of 1 to 1 rows, in the order of the file; 2 have a single row",
    )
    new = load(written("id,x\na,1\nb,2\n"), COLUMNS, labelled=False)
    assert new.labels.to_list() == [None, None]


@pytest.mark.parametrize(
    ("content", "columns", "said"),
    [
        (
            "id,x,label\na,1,u\nb,1,v\na,1,w\n",
            COLUMNS,
            r"'a' of a.csv has two labels, 'u' \(line 2\) and 'w' \(line 4\)",
        ),
        ("id,x\na,1\n", COLUMNS, "has no column 'label'; it has 'id', 'x': name its columns with --series"),
        ("id,x,label\na,1,u\n", Columns("id", "id"), "'id' was named twice"),
        ("id,x,label\n,1,u\n", COLUMNS, "no row of a.csv has a value in 'id'"),
        ("id,x,label\na,1,\n", COLUMNS, "no recording of a.csv has a label"),
        ("id,label\na,u\n", COLUMNS, "has no columns of readings, only 'id', 'label'"),
        ("id,x,t,label\na,1,1,u\na,1,,u\n", Columns("id", "label", ("t",)), r"line 3 .* has no value in 't'"),
        (
            "id,x,label\na,1,u\na,2,u\na,warm,u\n",
            COLUMNS,
            "line 4 .* has the text 'warm' in the number column 'x'",
        ),
    ],
)
def test_bad_files(written, content, columns, said):
    with pytest.raises(SunhwanError, match=said):
        load(written(content), columns)


def test_a_folder_is_no_file_of_recordings(tmp_path):
    with pytest.raises(SunhwanError, match="is a folder"):
        load(tmp_path, COLUMNS)


def test_equal_recordings_have_equal_keys(written):
    found = load(written("id,x,label\na,1,u\na,2,u\nb,1,v\nb,2,v\nc,2,v\nc,1,v\n"), COLUMNS)
    first, second, third = found.keys
    assert first == second != third


def test_features_are_learnt_from_training_rows_alone(written):
    rows = "a,1,5,on,u\na,,5,off,u\na,3,5,on,u\nb,100,5,on,v\nb,300,6,new,v\n"
    found = load(written("id,x,flat,mode,label\n" + rows), COLUMNS)
    training = found.table.series == 0
    recipe, notes = learn(found.table, (), training)
    assert recipe.names == ("x", "mode=off", "mode=on", "x was filled")
    assert recipe.scale.mean[0] == 2.0
    assert notes[0] == "flat: left out of the features, since it has the one value 5.0 in all training rows"
    assert notes[-1].startswith("x: 1 of 5 values missing; they are replaced by the last value before")
    sequences, met = encode(found.table, recipe)
    assert sequences.values[:3].tolist() == [[-1, 0, 1, 0], [-1, 1, 0, 1], [1, 0, 1, 0]]
    assert sequences.values[3, 0] == 20, "what no sensor says is cut off"
    assert "mode: 'new' did not occur in the training rows" in met[0]
    again, _ = encode(taken(found.table, np.array([False, True])), recipe)
    np.testing.assert_array_equal(again.values, sequences.part(1, 2).values)


def test_a_gap_at_the_beginning_takes_the_mean(written):
    found = load(written("id,x,label\na,,u\na,3,u\nb,1,v\n"), COLUMNS)
    recipe, _ = learn(found.table, (), np.ones(3, bool))
    assert encode(found.table, recipe)[0].values[:, 0].tolist() == [0, 1, -1]


def test_nothing_to_learn_from(written):
    found = load(written("id,x,word,label\n" + "".join(f"{i},5,w{i},u\n" for i in range(30))), COLUMNS)
    with pytest.raises(SunhwanError, match=r"no column .* one value 5.*text of 30 different values"):
        learn(found.table, (), np.ones(30, bool))

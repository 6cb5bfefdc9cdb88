"""From a file to readings on a regular grid: numbers, gaps, several series, order, and what is refused."""

import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sunhwan.data import table
from sunhwan.data.files.records import Records, parse_csv
from sunhwan.errors import SunhwanError


def assembled(text, **options):
    return table.assemble(parse_csv(text.encode(), "f.csv"), **options)


def values(readings, column):
    """A column as a list, None where there is no reading."""
    return readings.columns[column].to_list()


def hourly(*fields, column="T"):
    rows = (f"2024-01-01 {hour:02d}:00,{field}\n" for hour, field in enumerate(fields))
    return f"time,{column}\n" + "".join(rows)


def test_rows_that_the_file_skips_are_there_with_missing_values():
    readings = assembled(
        "time,T,sky\n2024-01-01 00:00,1,blue\n2024-01-01 01:00,2,grey\n2024-01-01 04:00,3,blue\n"
    )
    assert readings.interval == np.timedelta64(1, "h")
    np.testing.assert_array_equal(
        readings.time, np.datetime64("2024-01-01", "s") + np.arange(5) * np.timedelta64(1, "h")
    )
    assert values(readings, "T") == [1, 2, None, None, 3]
    assert values(readings, "sky") == ["blue", "grey", None, None, "blue"]
    np.testing.assert_array_equal(readings.column("T"), [1, 2, np.nan, np.nan, 3])
    assert readings.notes == ("2 time steps of 1 h are not in the file and count as missing",)
    assert readings.series_names == ("",)


def test_interleaved_series_are_put_together_each_on_its_own_grid():
    readings = assembled(
        "time,station,T\n"
        "2024-01-01,b,1\n2024-01-01,a,10\n2024-01-02,b,2\n2024-01-02,c,100\n2024-01-03,a,11\n2024-01-03,c,101\n",
        series="station",
    )
    assert readings.series_names == ("b", "a", "c")
    assert readings.series.tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert values(readings, "T") == [1, 2, 10, None, 11, 100, 101]
    assert readings.columns.columns == ["T"]
    assert [str(time)[8:10] for time in readings.time] == ["01", "02", "01", "02", "03", "02", "03"]


@given(st.lists(st.sampled_from("abc"), min_size=4, max_size=30), st.data())
def test_every_reading_keeps_its_time_and_its_series(stations, data):
    clocks, rows = dict.fromkeys("abc", 0), []
    for number, station in enumerate(stations):
        clocks[station] += data.draw(st.integers(1, 3))
        rows.append((station, clocks[station], float(number)))
    # A step of one hour in every series is there to be the commonest: intervals are not what is tested here.
    for station in set(stations):
        for _ in range(40):
            clocks[station] += 1
            rows.append((station, clocks[station], float(len(rows))))
    start = datetime.datetime(2024, 1, 1)
    frame = pl.DataFrame(
        {
            "station": [row[0] for row in rows],
            "time": [start + datetime.timedelta(hours=row[1]) for row in rows],
            "x": [row[2] for row in rows],
        }
    )
    readings = table.assemble(Records(frame, "f", ""), series="station")
    x = readings.column("x")
    known = ~np.isnan(x)
    found = {
        (readings.series_names[s], int((t - np.datetime64(start)) // np.timedelta64(1, "h")), v)
        for s, t, v in zip(readings.series[known], readings.time[known], x[known], strict=True)
    }
    assert found == set(rows)
    within = readings.series[1:] == readings.series[:-1]
    assert (np.diff(readings.time)[within] == np.timedelta64(1, "h")).all()
    assert (np.diff(readings.series) >= 0).all()


def test_sentinels_infinities_and_blanks_are_missing_and_counted():
    readings = assembled(
        hourly("-9999", "-9999.00", "-999.9", "-9999.9", "inf", " ", " NA ", "-999", " 5 ", "+6")
    )
    assert values(readings, "T") == [None] * 7 + [-999, 5, 6]
    assert readings.notes == ("T: -9999 or the like stands for a missing reading 5 times",)


def test_text_stays_text_without_spaces_around_it():
    assert values(assembled(hourly("NW", " SE", "NA", "1")), "T") == ["NW", "SE", None, "1"]


def test_text_in_a_number_column_is_named_with_its_line():
    with pytest.raises(SunhwanError) as error:
        assembled(
            "time,T\n\n2024-01-01,1\n2024-01-02,2\n2024-01-03,two\n2024-01-04,4\n2024-01-05,five\n2024-01-06,6\n"
        )
    assert str(error.value) == (
        "line 5 of f.csv has the text 'two' in the number column 'T' (2 such rows); write a number, or leave "
        "the field empty where a value is missing"
    )


def test_the_line_is_the_file_s_even_where_series_are_put_together():
    text = "time,s,T\n" + "".join(f"2024-01-0{day},{s},{day}\n" for day in range(1, 4) for s in "ba")
    with pytest.raises(SunhwanError, match=r"^line 6 of f\.csv has the text 'x'"):
        assembled(text.replace("2024-01-03,b,3", "2024-01-03,b,x"), series="s")


def test_a_column_without_any_value_is_a_column_of_missing_numbers():
    readings = assembled(hourly("", "NA", ""))
    assert np.isnan(readings.column("T")).all()


def test_parquet_types_become_numbers_or_text(tmp_path):
    hours = pl.datetime_range(
        datetime.datetime(2024, 1, 1),
        datetime.datetime(2024, 1, 1, 2),
        "1h",
        eager=True,
        time_zone="Europe/Berlin",
    )
    pl.DataFrame(
        {
            "when": hours,
            "whole": pl.Series([1, -9999, 3], dtype=pl.Int16),
            "real": [1.0, float("nan"), None],
            "yes": [True, None, False],
            "none": [None, None, None],
            "kind": pl.Series(["a", None, "b"], dtype=pl.Categorical),
            "other": hours,
            "list": [[1], [2], [3]],
        }
    ).write_parquet(tmp_path / "f.parquet")
    readings = table.load(tmp_path / "f.parquet")
    assert readings.columns.to_dict(as_series=False) == {
        "whole": [1, None, 3],
        "real": [1, None, None],
        "yes": [1, None, 0],
        "none": [None, None, None],
        "kind": ["a", None, "b"],
    }
    assert readings.time[0] == np.datetime64("2023-12-31T23:00")
    assert [note.split(",")[0] for note in readings.notes] == [
        "times have an offset from UTC and are read in UTC",
        "whole: -9999 or the like stands for a missing reading 1 times",
        "other: left out",
        "list: left out",
    ]


def test_load_takes_a_path_and_gives_the_data_its_file_s_name(tmp_path):
    path = tmp_path / "station.csv"
    path.write_bytes("Zeit;T (°C)\n01.01.2024 00:00;1,5\n01.01.2024 00:10;-2,25\n".encode("latin-1"))
    readings = table.load(path, time=["Zeit"])
    assert readings.name == "station.csv"
    assert readings.column("T (°C)").tolist() == [1.5, -2.25]
    assert table.load(path, time=["Zeit"], name="roof").name == "roof"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "time,T\n2024-01-01,1\n2024-01-03,2\n\n2024-01-02,3\n2024-01-01,4\n",
            "time 2024-01-02 00:00 comes after 2024-01-03 00:00 in f.csv (line 3 and line 5; 2 such places); "
            "rising timestamps, to the second, were expected: sort the rows by time, or name the column",
        ),
        (
            "time,T\n2024-01-01,1\n2024-01-02,2\n2024-01-02,3\n2024-01-03,4\n",
            "time 2024-01-02 00:00 occurs twice in f.csv (line 3 and line 4; 1 such places); rising "
            "timestamps, to the second, were expected: remove the repeats, or name the column",
        ),
        (
            "time,T\n2024-10-27 02:00,1\n2024-10-27 02:30,2\n2024-10-27 02:00,3\n2024-10-27 02:30,4\n",
            "time 2024-10-27 02:00 comes after 2024-10-27 02:30 in f.csv (line 3 and line 4; 1 such places); "
            "rising timestamps, to the second, were expected: sort the rows by time, or name the column that "
            "separates several series (--series); where the clock is set back in autumn, write",
        ),
        (
            "time,T\n2024-10-27 01:00,1\n2024-10-27 02:00,2\n2024-10-27 02:00,3\n2024-10-27 03:00,4\n",
            "time 2024-10-27 02:00 occurs twice in f.csv (line 3 and line 4; 1 such places); rising "
            "timestamps, to the second, were expected: remove the repeats, or name the column that "
            "separates several series (--series); where the clock is set back in autumn, write",
        ),
        (
            "time,T\n2024-01-01 00:00,1\n2024-01-01 01:00,2\n2024-01-01 02:00,3\n2024-01-01 02:20,4\n",
            "1 of 3 steps between the timestamps of f.csv are not a multiple of the commonest, 1 h (the "
            "first is from 2024-01-01 02:00 to 2024-01-01 02:20, line 5)",
        ),
        (
            "time,T\n1924-01-01 00:00,1\n2024-01-01 00:00,2\n2024-01-01 00:10,3\n2024-01-01 00:20,4\n",
            "f.csv has 4 rows, but its times span 5,259,603 steps of 10 min; readings at regular times were",
        ),
        ("time,T\n2024-01-01,1\n", "f.csv has one row; readings over time were expected"),
        ("time\n2024-01-01\n2024-01-02\n", "f.csv has no column beside 'time'; a column of readings was"),
        (
            "when,T\n2024-01-01,1\n2024-01-02,1\n",
            "no column of f.csv is named like a time; it has 'when', 'T'",
        ),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(SunhwanError) as error:
        assembled(text)
    assert str(error.value).startswith(message)


def test_what_is_no_column_of_series_is_told_by_their_number():
    hours = {0: "a", 2: "a", 4: "a", 5: "b", 8: "b", 9: "c"}
    text = "time,T,p\n" + "".join(f"2024-01-01 {hour:02}:00,{place},1\n" for hour, place in hours.items())
    with pytest.raises(
        SunhwanError, match=r"between the timestamps of f\.csv in its 3 series are not a multiple"
    ):
        assembled(text, series="T")


SPRING = "2024-03-31 01:00,1\n2024-03-31 {},2\n2024-03-31 04:00,3\n2024-03-31 05:00,3\n"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (
            SPRING.format("03:00"),
            ["the hour from 2024-03-31 02:00 is missing, as where clocks are set forward"],
        ),
        (SPRING.format("03:00").replace("31 ", "29 "), []),
        (
            "2024-03-31T01:00+01:00,1\n2024-03-31T03:00+02:00,2\n2024-03-31T04:00+02:00,3\n",
            ["times have an offset from UTC and are read in UTC"],
        ),
        ("2024-03-31 00:00,1\n2024-03-31 01:00,2\n2024-03-31 02:00,3\n", []),
    ],
)
def test_by_which_clock_times_are_written_is_said(rows, said):
    notes = [note for note in assembled("time,T\n" + rows).notes if "time step" not in note]
    assert len(notes) == len(said)
    for note, words in zip(notes, said, strict=True):
        assert note.startswith(words)


def test_a_day_that_may_be_a_month_is_read_as_in_files_before():
    rows = "time,T\n03/04/2024 00:00,1\n03/04/2024 01:00,2\n03/04/2024 02:00,3\n"
    assert str(assembled(rows).time[0]) == "2024-04-03T00:00:00"
    american = assembled(rows, like={"time": ["01/31/2024 00:00"]})
    assert str(american.time[0]) == "2024-03-04T00:00:00" and american.notes == ()
    other = assembled(rows, like={"time": ["2024-01-31 00:00"]})
    assert other.notes == (
        "times are written in another way (03/04/2024 00:00) than those that were learnt from "
        "(2024-01-31 00:00); the first is read as 2024-04-03 00:00",
    )


def test_repeats_within_a_series_name_the_series_and_its_lines():
    text = "time,s,T\n2024-01-01,a,1\n2024-01-01,b,1\n2024-01-02,a,1\n2024-01-02,b,1\n2024-01-02,b,2\n"
    with pytest.raises(SunhwanError) as error:
        assembled(text, series="s")
    assert str(error.value) == (
        "time 2024-01-02 00:00 of series 'b' occurs twice in f.csv (line 5 and line 6; 1 such places); "
        "rising timestamps, to the second, were expected: remove the repeats"
    )


def test_one_row_in_each_series():
    with pytest.raises(SunhwanError, match=r"^f\.csv has one row in each series"):
        assembled("time,s,T\n2024-01-01,a,1\n2024-01-01,b,1\n", series="s")


@pytest.mark.parametrize("options", [{"time": ["Zeit"]}, {"series": "Zeit"}])
def test_a_column_that_is_not_there(options):
    with pytest.raises(SunhwanError, match=r"^there is no column 'Zeit' in f\.csv; it has 'time', 'T'$"):
        assembled(hourly("1", "2"), **options)


def test_asking_a_table_for_a_column_it_has_not_or_that_is_text():
    readings = assembled(hourly("NW", "SE"))
    with pytest.raises(SunhwanError, match=r"f\.csv has no data column 'TEMP'; it has 'T'"):
        readings.column("TEMP")
    with pytest.raises(
        SunhwanError, match=r"column 'T' of f\.csv holds text \(such as 'NW'\), where numbers were"
    ):
        readings.column("T")
    with pytest.raises(SunhwanError, match=r"such as '1\.010,5'\).*a point as the decimal mark and nothing"):
        assembled(hourly('"1.010,5"', '"1.020,5"')).column("T")


@pytest.mark.real
def test_the_real_beijing(real_file):
    readings = table.load(real_file("beijing_hourly_2010_2014.csv"))
    assert len(readings) == 43_824 == 5 * 365 * 24 + 24
    assert readings.time[0] == np.datetime64("2010-01-01T00:00")
    assert readings.time[-1] == np.datetime64("2014-12-31T23:00")
    assert set(values(readings, "cbwd")) == {"NW", "cv", "NE", "SE"}
    assert np.isnan(readings.column("pm2.5")).sum() == 2_067
    assert readings.notes == ()

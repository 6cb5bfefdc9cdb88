"""Times in the formats that files write, as one column or several; what cannot be read is named."""

import datetime

import numpy as np
import polars as pl
import pytest

from sunhwan.data.files.records import Records
from sunhwan.data.files.timestamps import customary, timestamps
from sunhwan.errors import SunhwanError


def records(columns):
    return Records(pl.DataFrame(columns), "f.csv", "")


def moments(*columns):
    frame = pl.DataFrame({f"c{i}": column for i, column in enumerate(columns)})
    return timestamps(records(frame), frame.columns)


def expected(*texts):
    return np.array(texts, "datetime64[s]")


@pytest.mark.parametrize(
    ("texts", "read_as"),
    [
        (["2024-06-09 11:40:00", "2024-06-09 11:50:00"], ["2024-06-09T11:40", "2024-06-09T11:50"]),
        (["2024-06-09T11:40:00", "2024-06-09T11:50:00"], ["2024-06-09T11:40", "2024-06-09T11:50"]),
        ([" 2024-06-09 11:40", "2024-06-09 11:50 "], ["2024-06-09T11:40", "2024-06-09T11:50"]),
        (["2024-06-09 11:40:00.4", "2024-06-09 11:40:00.6"], ["2024-06-09T11:40:00", "2024-06-09T11:40:01"]),
        (["09.06.2024 11:40:00", "13.06.2024 11:50:00"], ["2024-06-09T11:40", "2024-06-13T11:50"]),
        (["9.6.2024 1:40", "13.6.2024 11:50"], ["2024-06-09T01:40", "2024-06-13T11:50"]),
        (["2024/06/09 11:40", "2024/06/13 11:50"], ["2024-06-09T11:40", "2024-06-13T11:50"]),
        (["2024.06.09 11:40", "2024.06.13 11:50"], ["2024-06-09T11:40", "2024-06-13T11:50"]),
        (["2024-06-09", "2024-06-10"], ["2024-06-09", "2024-06-10"]),
        (["09-06-2024", "13-06-2024"], ["2024-06-09", "2024-06-13"]),
        (["1965-01-01 00:00:30", "1969-12-31 23:59:59"], ["1965-01-01T00:00:30", "1969-12-31T23:59:59"]),
        # An offset is honoured; what is kept is UTC.
        (["2024-06-09T11:40:00Z", "2024-06-09T11:50:00Z"], ["2024-06-09T11:40", "2024-06-09T11:50"]),
        (["2024-06-09 11:40 UTC", "2024-06-09 11:50 UTC"], ["2024-06-09T11:40", "2024-06-09T11:50"]),
        (["2024-10-27T02:30+02:00", "2024-10-27T02:00+01:00"], ["2024-10-27T00:30", "2024-10-27T01:00"]),
        (["2024-01-01 00:00-0530", "2024-01-01 01:00-0530"], ["2024-01-01T05:30", "2024-01-01T06:30"]),
        # A day before a month wherever both fit; a month before a day where only that fits.
        (["03/04/2024 00:00", "03/04/2024 01:00"], ["2024-04-03T00:00", "2024-04-03T01:00"]),
        (["12/31/2023 23:00", "01/01/2024 00:00"], ["2023-12-31T23:00", "2024-01-01T00:00"]),
        (["12/12/2023 23:00", "12/13/2023 00:00"], ["2023-12-12T23:00", "2023-12-13T00:00"]),
        (["12/31/2023 11:00 PM", "1/1/2024 12:00 AM"], ["2023-12-31T23:00", "2024-01-01T00:00"]),
        (["31.12.23 23:00", "01.01.24 00:00"], ["2023-12-31T23:00", "2024-01-01T00:00"]),
        (["1/2/13 0:00", "1/2/13 1:00"], ["2013-02-01T00:00", "2013-02-01T01:00"]),
        # Where a program leaves the clock out at midnight.
        (["2024-06-09", "2024-06-09 01:00:00"], ["2024-06-09T00:00", "2024-06-09T01:00"]),
        (["2024-06-09 23:00", "2024-06-10"], ["2024-06-09T23:00", "2024-06-10T00:00"]),
        # Numbers: since 1970 in seconds or milliseconds, or a date without separators.
        (["1700000000", "1700003600"], ["2023-11-14T22:13:20", "2023-11-14T23:13:20"]),
        (["1700000000.0", "1.7000036e9"], ["2023-11-14T22:13:20", "2023-11-14T23:13:20"]),
        (["1700000000000", "1700003600000"], ["2023-11-14T22:13:20", "2023-11-14T23:13:20"]),
        (["20240609", "20240610"], ["2024-06-09", "2024-06-10"]),
        (["2024060911", "2024060912"], ["2024-06-09T11:00", "2024-06-09T12:00"]),
        (["202406091140", "202406091150"], ["2024-06-09T11:40", "2024-06-09T11:50"]),
    ],
)  # fmt: skip
def test_one_column(texts, read_as):
    found = moments(texts)
    assert found.dtype == "datetime64[s]"
    np.testing.assert_array_equal(found, expected(*read_as))


MIDNIGHTS = [datetime.datetime(2024, 1, 1), datetime.datetime(2024, 7, 1)]


@pytest.mark.parametrize(
    ("column", "read_as"),
    [
        (pl.Series(MIDNIGHTS), ["2024-01-01T00", "2024-07-01T00"]),
        (pl.Series(MIDNIGHTS).dt.cast_time_unit("ns"), ["2024-01-01T00", "2024-07-01T00"]),
        (pl.Series(MIDNIGHTS).dt.cast_time_unit("ms"), ["2024-01-01T00", "2024-07-01T00"]),
        (pl.Series(MIDNIGHTS).dt.replace_time_zone("Europe/Berlin"), ["2023-12-31T23", "2024-06-30T22"]),
        (pl.Series(MIDNIGHTS).dt.offset_by("-1us"), ["2024-01-01T00", "2024-07-01T00"]),
        (pl.Series(MIDNIGHTS).dt.date(), ["2024-01-01T00", "2024-07-01T00"]),
        (pl.Series([1_700_000_000, 1_700_003_600]), ["2023-11-14T22:13:20", "2023-11-14T23:13:20"]),
        (pl.Series([1.7e9, 1.7000036e9]), ["2023-11-14T22:13:20", "2023-11-14T23:13:20"]),
        (pl.Series([20240609, 20240610]), ["2024-06-09", "2024-06-10"]),
    ],
)
def test_a_typed_column(column, read_as):
    np.testing.assert_array_equal(moments(column), expected(*read_as))


@pytest.mark.parametrize(
    ("date", "clock"),
    [
        (["31.12.2023", "01.01.2024"], ["23:00", "00:00"]),
        (["2023-12-31", "2023-12-31"], ["23", "24"]),
        (["2023-12-31", "2024-01-01"], [23, 0]),
        (["31/12/2023", "01/01/2024"], ["23:00:00", "00:00:00"]),
        ([datetime.date(2023, 12, 31), datetime.date(2024, 1, 1)], [datetime.time(23), datetime.time(0)]),
        ([datetime.datetime(2023, 12, 31), datetime.datetime(2024, 1, 1)], [23, 0]),
    ],
)
def test_a_date_beside_a_time_of_day(date, clock):
    np.testing.assert_array_equal(moments(date, clock), expected("2023-12-31T23:00", "2024-01-01T00:00"))


def test_year_month_day_and_more():
    np.testing.assert_array_equal(
        moments(["2023", "2024"], ["12", "2"], ["31", "29"], ["24", "5"]),
        expected("2024-01-01", "2024-02-29T05"),
    )
    np.testing.assert_array_equal(moments([2024], [2], [29], [5], [6], [7]), expected("2024-02-29T05:06:07"))
    np.testing.assert_array_equal(moments([1969], [12], [31]), expected("1969-12-31"))
    by_name = records({"Day": [31], "hour": [7], "MONTH": [12], "year": [2023]})
    np.testing.assert_array_equal(timestamps(by_name, by_name.frame.columns), expected("2023-12-31T07"))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            [["2024-01-01 00:00", "soon", "now"]],
            "row 2 of f.csv has no readable time: 'c0' has 'soon' (2 such",
        ),
        (
            [["2024-01-01 00:00", "2024-02-30 00:00"]],
            "row 2 of f.csv has no readable time: 'c0' has '2024-02",
        ),
        ([["2024-01-01 00:00", None]], "row 2 of f.csv has no readable time: 'c0' has nothing (1 such"),
        (
            [pl.Series([None, None], dtype=pl.String)],
            "row 1 of f.csv has no readable time: 'c0' has nothing",
        ),
        ([pl.Series([MIDNIGHTS[0], None])], "row 2 of f.csv has no readable time: 'c0' has nothing"),
        ([["12", "13"]], "row 1 of f.csv has no readable time: 'c0' has '12' (2 such rows)"),
        ([["12:00", "13:00"]], "row 1 of f.csv has no readable time"),
        (
            [["2024-01-01"], [None]],
            "row 1 of f.csv has no readable time: 'c0', 'c1' has '2024-01-01', nothing",
        ),
        (
            [["2023"], ["2"], ["29"]],
            "row 1 of f.csv has no readable time: 'c0', 'c1', 'c2' has '2023', '2', '29'",
        ),
        ([["24"], ["1"], ["1"]], "row 1 of f.csv has no readable time"),
        ([["2024"], ["1"], ["1"], ["25"]], "row 1 of f.csv has no readable time"),
        ([["2024"], ["1"], ["1"], [None]], "row 1 of f.csv has no readable time"),
        ([["1"]] * 7, "the time of f.csv cannot be read from 'c0', 'c1'"),
    ],
)
def test_what_cannot_be_read_is_named(columns, message):
    with pytest.raises(SunhwanError) as error:
        moments(*columns)
    assert str(error.value).startswith(message)


def test_parts_by_name_without_a_year():
    by_name = records({"month": [12], "day": [1], "hour": [7]})
    with pytest.raises(SunhwanError, match=r"name one column, a date and a time of day, or year, month, day"):
        timestamps(by_name, by_name.frame.columns)


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["No", "year", "month", "day", "hour", "T"], ["year", "month", "day", "hour"]),
        (["T", "hour", "Day", "Month", "Year"], ["Year", "Month", "Day", "hour"]),
        (["Time", "Date", "T"], ["Date", "Time"]),
        (["Hour", "Date", "T"], ["Date", "Hour"]),
        (["T", "date", "Date Time"], ["Date Time"]),
        (["T", "timestamp"], ["timestamp"]),
        (["column 1", "T"], ["column 1"]),
    ],
)
def test_customary_names(names, chosen):
    assert customary(records({name: ["1"] for name in names})) == chosen


def test_without_a_customary_name_a_type_tells():
    assert customary(records({"T": [1.0], "when": [MIDNIGHTS[0]]})) == ["when"]
    with pytest.raises(SunhwanError, match=r"no column of f\.csv is named like a time; it has 'when', 'T'"):
        customary(records({"when": ["x"], "T": ["1"]}))


def test_a_time_with_its_offset_goes_before_the_parts_of_a_local_time():
    # On the day on which clocks are set back, the hour of the parts stands twice; the time in UTC does not.
    parts = {"year": ["2013", "2013"], "month": ["11", "11"], "day": ["3", "3"], "hour": ["1", "1"]}
    utc = records({**parts, "time_hour": ["2013-11-03T05:00:00Z", "2013-11-03T06:00:00Z"]})
    assert customary(utc) == ["time_hour"]
    local = records({**parts, "time_hour": ["2013-11-03 01:00:00", "2013-11-03 01:00:00"]})
    assert customary(local) == ["year", "month", "day", "hour"]

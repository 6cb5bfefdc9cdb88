"""From one or several columns of any usual format to a time for each row."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from sunhwan.data.files.records import Records, listed
from sunhwan.errors import SunhwanError

NAMES = ("date time", "datetime", "date_time", "timestamp", "time", "date", "time_hour")
"""Names of columns that are the time if none is chosen, in order of preference."""

PARTS = ("year", "month", "day", "hour", "minute", "second")

DATES = ("%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%Y.%m.%d", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y")
"""Tried in order; the first that reads every row wins. Days come before months, as in most of the world."""

LIMITS = {
    "year": (1000, 9999),
    "month": (1, 12),
    "day": (1, 31),
    "hour": (0, 24),  # in some files 24 is midnight of the next day
    "minute": (0, 59),
    "second": (0, 59),
}

ZONE = r"(Z|UTC|GMT|[+-]\d\d:?\d\d)$"
"""The end of a time that has an offset from UTC."""

CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S%.f", "%I:%M:%S %p", "%I:%M %p")


def customary(records: Records) -> list[str]:
    """The columns of the time, by their names or types.

    Raises:
        SunhwanError: no column has such a name or type.
    """
    frame = records.frame
    by_name = {column.lower(): column for column in frame.columns}
    for name in NAMES:
        # A time with its offset from UTC goes before year, month, day and hour, which repeat in autumn.
        if name in by_name and zoned(frame[by_name[name]]):
            return [by_name[name]]
    if {"year", "month", "day"} <= by_name.keys():
        return [by_name[part] for part in PARTS if part in by_name]
    for pair in (("date", "time"), ("date", "hour")):
        if by_name.keys() >= set(pair):
            return [by_name[name] for name in pair]
    for name in NAMES:
        if name in by_name:
            return [by_name[name]]
    typed = [column for column in frame.columns if frame[column].dtype in (pl.Datetime, pl.Date)]
    if typed:
        return typed[:1]
    if frame.columns[0] == "column 1":
        # A first column without a name is the index of the data frame that was written.
        return ["column 1"]
    raise SunhwanError(
        f"no column of {records.name} is named like a time; it has {listed(frame.columns)}: "
        "name the column of the time with --time"
    )


def zoned(column: pl.Series) -> bool:
    """Whether the times of a column have an offset from UTC or a time zone."""
    if column.dtype == pl.Datetime:
        return column.dtype.time_zone is not None
    sample = column.drop_nulls().first() if column.dtype == pl.String else None
    return sample is not None and ":" in sample and bool(re.search(ZONE, sample.strip()))


def timestamps(records: Records, time: Sequence[str]) -> np.ndarray:
    """The time of each row: (rows,) datetime64[s], in UTC where the file gives an offset or a time zone.

    Args:
        records: the rows.
        time: one column of dates, dates and times, or seconds or milliseconds since 1970; or two, a date and
            a time of day (a clock time, or the hour as a number); or three to six: year, month, day and then
            hour, minute and second if there are any, by these names or in this order.

    If both readings fit all rows, 03/04/2024 is the 3rd of April.

    Raises:
        SunhwanError: the time of a row cannot be read.

    Example:
        >>> frame = pl.DataFrame({"Date": ["31.12.2023", "01.01.2024"], "Hour": ["24", "1"]})
        >>> timestamps(Records(frame, "station.csv", ""), ["Date", "Hour"])
        array(['2024-01-01T00:00:00', '2024-01-01T01:00:00'],
              dtype='datetime64[s]')
    """
    columns = [records.frame[name] for name in time]
    if len(columns) >= 3:
        moments = from_parts(columns, records.name)
    elif len(columns) == 2:
        moments = from_date_and_clock(*columns)
    else:
        moments = from_column(columns[0])
    unread = np.flatnonzero(np.isnat(moments))
    if len(unread):
        row = int(unread[0])
        fields = [column[row] for column in columns]
        received = ", ".join("nothing" if field is None else repr(str(field)) for field in fields)
        expected = "one format in all rows, such as 2024-06-09 11:40:00 or 09.06.2024 11:40"
        if len(columns) >= 3:
            expected = "year, month, day, hour, ... as numbers, by these names or in this order"
        raise SunhwanError(
            f"{records.where(row)} of {records.name} has no readable time: {listed(time)} has {received} "
            f"({len(unread):,} such rows); expected {expected}"
        )
    return moments


def whole_seconds(moments: pl.Series) -> np.ndarray:
    """A Date or Datetime column to the nearest second, (rows,) datetime64[s]; NaT where it is null."""
    if isinstance(moments.dtype, pl.Datetime) and moments.dtype.time_zone:
        moments = moments.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    exact = moments.cast(pl.Datetime("us")).to_numpy()
    return (exact + np.timedelta64(500_000, "us")).astype("datetime64[s]")


def from_column(column: pl.Series) -> np.ndarray:
    """A column of dates, texts, or numbers since 1970; NaT where a row cannot be read."""
    if column.dtype in (pl.Datetime, pl.Date):
        return whole_seconds(column)
    texts = column.cast(pl.String, strict=False).str.strip_chars()
    sample = texts.drop_nulls().first()
    if sample is None:
        return np.full(len(texts), np.datetime64("NaT", "s"))
    if re.fullmatch(r"-?\d+(\.\d*)?([eE][-+]?\d+)?", sample):
        return from_digits(texts, sample)
    return from_texts(texts)


def from_digits(texts: pl.Series, sample: str) -> np.ndarray:
    """Dates without separators (20240609, 2024060911, ...), or seconds or milliseconds since 1970."""
    if re.fullmatch(r"(19|20)\d{6}(\d\d){0,3}", sample):
        moments = texts.str.pad_end(14, "0").str.to_datetime("%Y%m%d%H%M%S", strict=False, time_unit="us")
        # As seconds since 1970, ten digits that begin with 19 or 20 would be after 2030.
        if moments.null_count() == 0:
            return whole_seconds(moments)
    numbers = texts.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy()
    size = abs(float(sample))
    scale = 1.0 if 1e8 <= size < 1e10 else 1e-3 if 1e11 <= size < 1e13 else float("nan")
    seconds = np.rint(numbers * scale)
    moments = np.full(len(texts), np.datetime64("NaT", "s"))
    known = np.isfinite(seconds)
    moments[known] = seconds[known].astype(np.int64).astype("datetime64[s]")
    return moments


def from_texts(texts: pl.Series) -> np.ndarray:
    """Dates with or without a time of day, in the format that reads most rows; NaT in the others."""
    clocked = texts.str.contains(":", literal=True)
    row = int((clocked if clocked.any() else texts.is_not_null()).arg_max())
    sample = texts[row]
    if clocked.any() and not clocked.all():
        # Some programs omit the time of day in the rows of midnight only.
        midnight = " 00:00:00" if sample.count(":") > 1 else " 00:00"
        texts = pl.select(pl.when(clocked).then(texts).otherwise(texts + midnight)).to_series()
    zone = ""
    if clocked.any() and re.search(ZONE, sample):
        texts, zone = texts.str.replace(r"\s*(Z|UTC|GMT)$", "+00:00"), "%z"
    between = "T" if "T" in sample[:11] else " "
    # A year of two digits is always last.
    short = not re.search(r"\d{4}", sample.split(between)[0])
    dates = [date.replace("%Y", "%y") for date in DATES if date.endswith("%Y")] if short else DATES
    clocks = [between + clock + zone for clock in CLOCKS] if clocked.any() else [""]
    best = pl.Series([None] * len(texts), dtype=pl.Datetime("us"))
    for pattern in map("".join, itertools.product(dates, clocks)):
        # Most formats fail on one row, so one is tried before the whole column is read.
        if read(texts[row : row + 1], pattern).null_count():
            continue
        moments = read(texts, pattern)
        if moments.null_count() < best.null_count():
            best = moments
        if moments.null_count() == 0:
            break
    return whole_seconds(best)


def read(texts: pl.Series, pattern: str) -> pl.Series:
    """Texts as Datetime in one format, null where they are in another; in UTC where they have an offset."""
    if "%M" in pattern:
        moments = texts.str.to_datetime(pattern, strict=False, time_unit="us").dt.replace_time_zone(None)
    else:
        moments = texts.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
    # "%Y" reads the 24 of 1.2.24 as the year 24 after Christ.
    return moments.set((moments.dt.year() < 1000).fill_null(False), None)


def from_date_and_clock(date: pl.Series, clock: pl.Series) -> np.ndarray:
    """A date beside a time of day, which is a clock time or the hour as a number (24 being midnight)."""
    if date.dtype == pl.Datetime:
        date = date.dt.date()
    if clock.dtype != pl.Time:
        hours = clock.cast(pl.Float64, strict=False)
        if hours.null_count() == clock.null_count() and hours.is_between(0, 24).all():
            milliseconds = (hours * 3_600_000).round().cast(pl.Int64).cast(pl.Duration("ms"))
            return from_column(date) + milliseconds.to_numpy().astype("timedelta64[s]")
    date, clock = (column.cast(pl.String).str.strip_chars() for column in (date, clock))
    return from_column(date + " " + clock)


def from_parts(columns: Sequence[pl.Series], name: str) -> np.ndarray:
    """Year, month, day and the parts of the time of day that there are; NaT if they are not a date."""
    names = [column.name.lower() for column in columns]
    if not set(names) <= set(PARTS):
        names = PARTS[: len(columns)]
    if len(columns) > len(PARTS) or not {"year", "month", "day"} <= set(names):
        raise SunhwanError(
            f"the time of {name} cannot be read from {listed([column.name for column in columns])}; name one "
            "column, a date and a time of day, or year, month, day and then hour, minute, second"
        )
    numbers = [column.cast(pl.Float64, strict=False).fill_null(float("nan")).to_numpy() for column in columns]
    valid = np.ones(len(columns[0]), bool)
    for part, values in zip(names, numbers, strict=True):
        low, high = LIMITS[part]
        valid &= (values >= low) & (values <= high) & (values == np.floor(values))
    whole = {
        part: np.where(valid, values, 1).astype(np.int64) for part, values in zip(names, numbers, strict=True)
    }
    month = ((whole["year"] - 1970) * 12 + whole["month"] - 1).astype("datetime64[M]")
    day = month.astype("datetime64[D]") + (whole["day"] - 1)
    valid &= day.astype("datetime64[M]") == month
    moments = day.astype("datetime64[s]")
    for part, seconds in (("hour", 3600), ("minute", 60), ("second", 1)):
        if part in whole:
            moments += whole[part] * np.timedelta64(seconds, "s")
    return np.where(valid, moments, np.datetime64("NaT", "s"))

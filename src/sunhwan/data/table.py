"""A CSV or Parquet file, verified and laid out on a regular grid of time.

A table goes through three steps, each of which says what it met: `records.read` (bytes to columns),
`timestamps.timestamps` (one or several columns to one time) and `assemble` (numbers made numbers, order
checked, and rows that are not there made rows of missing values, so that from here on a row is an interval
of time).

Try it: `sunhwan study run table_temperature --data FILE.csv --time "Date Time" --target "T (degC)"`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from sunhwan.data.files.records import MISSING_TEXTS, Records, listed, read
from sunhwan.data.files.timestamps import customary, timestamps, zoned
from sunhwan.errors import SunhwanError
from sunhwan.units import duration, human

SENTINELS = (-9999.0, -999.9, -9999.9)
"""Numbers that loggers write for "no value"; a temperature, pressure or wind is never one of them."""

SPARSEST = 20
"""A table may span at most so many times its rows: what is emptier has a wrong date in it, or no interval."""


@dataclass(frozen=True)
class Table:
    """Readings of one or several series on a regular grid of time.

    Attributes:
        time: (rows,) datetime64[s]; within a series each row is one `interval` after the row before.
        series: (rows,) int32, the index of each row's series; the rows of a series are adjacent.
        series_names: the name of each series; `("",)` where the file holds one unnamed series.
        columns: the readings, one column each, (rows,) float64 or text; null where a value is missing.
        interval: the time from row to row.
        name: what the data is called, for people.
        fingerprint: SHA-256 of the bytes that the data was read from.
        notes: what was met and done on the way, one sentence each, with counts.
    """

    time: np.ndarray
    series: np.ndarray
    series_names: tuple[str, ...]
    columns: pl.DataFrame
    interval: np.timedelta64
    name: str
    fingerprint: str
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.time)

    def column(self, name: str) -> np.ndarray:
        """The numeric column `name`: (rows,) float64, NaN where there is no reading."""
        if name not in self.columns.columns:
            raise SunhwanError(
                f"{self.name} has no data column {name!r}; it has {listed(self.columns.columns)}"
            )
        column = self.columns[name]
        if not column.dtype.is_numeric():
            example = (column.drop_nulls().head(1).to_list() or [None])[0]
            mend = "name a numeric column"
            if example and re.fullmatch(r"[-+]?\d[\d.,' \xa0]*", example):
                mend += ", or write these with a point as the decimal mark and nothing between thousands"
            raise SunhwanError(
                f"column {name!r} of {self.name} holds text (such as {example!r}), where numbers were "
                f"expected; {mend}"
            )
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()

    def take(self, rows: np.ndarray) -> Table:
        """The rows where `rows` (rows,) is true; of each series those up to some time."""
        return replace(
            self, time=self.time[rows], series=self.series[rows], columns=self.columns.filter(pl.Series(rows))
        )

    def note(self, *sentences: str) -> Table:
        """The same table with further notes."""
        return replace(self, notes=(*self.notes, *sentences))


def load(
    path: Path,
    *,
    time: Sequence[str] = (),
    series: str | None = None,
    name: str | None = None,
) -> Table:
    """Read a CSV or Parquet file of readings as a `Table`.

    Args:
        path: the file. CSV may be separated by comma, semicolon or tab, in UTF-8 or Latin-1.
        time: the column that holds the time, or several (year, month, day, hour; or a date and a time of
            day); see `timestamps.timestamps`. Without it a column with a customary name is taken.
        series: the column that separates several series, or none.
        name: what to call the data; by default the file's name.

    Returns:
        The table on a regular grid: rows that the file skips are there, with missing values.

    Raises:
        SunhwanError: the file is missing, ragged or empty, a column is not there, a time cannot be read,
            timestamps repeat, run backwards or are not on a grid, or a number column has text.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "station.csv"
        >>> _ = file.write_text("when,T (degC)\\n2024-01-01,1.5\\n2024-01-02,NA\\n2024-01-04,2.5\\n")
        >>> table = load(file, time=["when"])
        >>> table.column("T (degC)"), table.notes
        (array([1.5, nan, nan, 2.5]), ('1 time step of 1 d is not in the file and counts as missing',))
    """
    records = read(path)
    return assemble(replace(records, name=name or records.name), time=time, series=series)


def assemble(
    records: Records,
    *,
    time: Sequence[str] = (),
    series: str | None = None,
    interval: np.timedelta64 | None = None,
    like: Mapping[str, Sequence[str]] | None = None,
) -> Table:
    """The table that `records` hold: times parsed, order checked, numbers made numbers, gaps made rows.

    Args:
        records: a file's rows, by whose name the table goes.
        time, series: as for `load`.
        interval: the time from row to row where it is known; by default the commonest one.
        like: by column, a few times as files before wrote them, whose format these have too if they can:
            03/04/2024 does not tell day from month.

    Raises:
        SunhwanError: as for `load`.
    """
    name = records.name
    time = list(time) or customary(records)
    keys = [*time, *([series] if series else [])]
    for column in keys:
        if column not in records.frame.columns:
            raise SunhwanError(
                f"there is no column {column!r} in {name}; it has {listed(records.frame.columns)}"
            )
    moments, how = read_alike(records, time, like or {})
    if series:
        # Series may be interleaved in the file (each hour, every station); put each one's rows together.
        labels = records.frame[series].cast(pl.String).fill_null("").str.strip_chars()
        series_names = tuple(labels.unique(maintain_order=True))
        codes = labels.replace_strict(
            series_names, range(len(series_names)), return_dtype=pl.Int32
        ).to_numpy()
        order = np.argsort(codes, kind="stable")
        records, moments, codes = records.take(order), moments[order], codes[order]
    else:
        series_names, codes = ("",), np.zeros(len(moments), np.int32)
    interval = checked_interval(records, moments, codes, series_names, interval)
    zone = zone_notes(moments, codes, interval, any(zoned(records.frame[name]) for name in time))
    readings, notes = numbers(replace(records, frame=records.frame.drop(keys)))
    if not readings.columns:
        raise SunhwanError(f"{name} has no column beside {listed(keys)}; a column of readings was expected")
    return on_grid(
        Table(
            moments,
            codes,
            series_names,
            readings,
            interval,
            name,
            records.fingerprint,
            (*records.notes, *how, *zone, *notes),
        )
    )


def read_alike(
    records: Records, time: Sequence[str], like: Mapping[str, Sequence[str]]
) -> tuple[np.ndarray, list[str]]:
    """The time of each row, in the format of earlier times where that reads all; notes."""
    texts = records.frame.select(time)
    if not set(time) <= set(like) or any(kind != pl.String for kind in texts.dtypes):
        return timestamps(records, time), []
    earlier = pl.DataFrame({name: like[name] for name in time}, schema=dict.fromkeys(time, pl.String))
    both = Records(pl.concat([texts, earlier]), records.name, records.fingerprint)
    try:
        return timestamps(both, time)[: len(texts)], []
    except SunhwanError:
        moments = timestamps(records, time)
    now, before = (", ".join(frame.row(0)) for frame in (texts, earlier))
    return moments, [
        f"times are written in another way ({now}) than those that were learnt from ({before}); the first is "
        f"read as {human(moments[0])}"
    ]


def checked_interval(
    records: Records,
    moments: np.ndarray,
    codes: np.ndarray,
    series_names: Sequence[str],
    known: np.timedelta64 | None = None,
) -> np.timedelta64:
    """The interval of the grid, the commonest where none is known; times that repeat, run backwards
    or keep to no grid are refused."""
    name = records.name
    within = codes[1:] == codes[:-1]
    steps = np.diff(moments).astype("int64")
    wrong = np.flatnonzero(within & (steps <= 0))
    if len(wrong):
        row, step = int(wrong[0]), int(steps[wrong[0]])
        owner = f" of series {series_names[codes[row]]!r}" if len(series_names) > 1 else ""
        what = "occurs twice" if step == 0 else f"comes after {human(moments[row])}"
        mend = "remove the repeats" if step == 0 else "sort the rows by time"
        if len(series_names) == 1:
            mend += ", or name the column that separates several series (--series)"
        if -3600 <= step < 0 or (step == 0 and clock_changes(moments[row])):
            mend += "; where the clock is set back in autumn, write times in UTC or in standard time"
        raise SunhwanError(
            f"time {human(moments[row + 1])}{owner} {what} in {name} ({records.where(row)} and "
            f"{records.where(row + 1)}; {len(wrong):,} such places); rising timestamps, to the second, were "
            f"expected: {mend}"
        )
    steps = steps[within]
    if len(steps) == 0 and known is None:
        per = " in each series" if len(series_names) > 1 else ""
        raise SunhwanError(f"{name} has one row{per}; readings over time were expected: give more rows")
    values, counts = np.unique(steps, return_counts=True)
    interval = int(values[np.argmax(counts)]) if known is None else int(known.astype("int64"))
    off = int(counts[values % interval != 0].sum())
    if off:
        row = int(np.flatnonzero(within & (np.diff(moments).astype("int64") % interval != 0))[0])
        per = f" in its {len(series_names):,} series" if len(series_names) > 1 else ""
        which = "the commonest" if known is None else "the one that is known"
        raise SunhwanError(
            f"{off:,} of {len(steps):,} steps between the timestamps of {name}{per} are not a multiple of "
            f"{which}, {duration(interval)} (the first is from {human(moments[row])} to "
            f"{human(moments[row + 1])}, {records.where(row + 1)}); readings at regular times were expected: "
            "average them to a regular interval"
        )
    return np.timedelta64(interval, "s")


def clock_changes(moment: np.datetime64) -> bool:
    """Whether clocks are set back or forward at such a time: on a Sunday of spring or autumn, in its first
    hours.

    Example:
        >>> clock_changes(np.datetime64("2024-10-27T02:00")), clock_changes(np.datetime64("2024-10-28T02:00"))
        (True, False)
    """
    day = moment.astype("datetime64[D]")
    month = int(day.astype("datetime64[M]").astype(int)) % 12 + 1
    sunday = int(day.astype(int)) % 7 == 3
    return sunday and month in (3, 4, 9, 10, 11) and bool(moment - day <= np.timedelta64(3, "h"))


def zone_notes(moments: np.ndarray, codes: np.ndarray, interval: np.timedelta64, in_utc: bool) -> list[str]:
    """Notes about the clock by which times were written."""
    if in_utc:
        return ["times have an offset from UTC and are read in UTC, as forecasts will be"]
    hour = np.timedelta64(3600, "s")
    jumps = np.flatnonzero((np.diff(moments) == interval + hour) & (codes[1:] == codes[:-1]))
    jumps = [row for row in jumps if clock_changes(moments[row] + interval)]
    if not jumps:
        return []
    return [
        f"the hour from {human(moments[jumps[0]] + interval)} is missing, as where clocks are set forward: "
        "if these are local times, each hour of the day means another one after it; times in UTC or standard "
        "time would not jump"
    ]


def numbers(records: Records) -> tuple[pl.DataFrame, list[str]]:
    """Text columns that hold numbers, as numbers; sentinels as missing; and what was done, in sentences.

    A column counts as numeric if more than half of its values are numbers; then any other text in it is an
    error that names the line, since the alternative is to lose readings in silence.
    """
    columns, notes = [], []
    for column in records.frame:
        if column.dtype == pl.String:
            column = from_text(column, records)
        elif column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null):
            column = column.cast(pl.Float64)
        elif column.dtype in (pl.Categorical, pl.Enum):
            column = column.cast(pl.String)
        else:
            notes.append(f"{column.name}: left out, since it holds neither numbers nor text ({column.dtype})")
            continue
        if column.dtype.is_numeric():
            column = column.fill_nan(None)
            sentinel = (column.is_infinite() | column.is_in(SENTINELS)).fill_null(False)
            if sentinel.any():
                times = int(sentinel.sum())
                notes.append(f"{column.name}: -9999 or the like stands for a missing reading {times:,} times")
                column = column.set(sentinel, None)
        columns.append(column)
    return pl.DataFrame(columns), notes


def from_text(column: pl.Series, records: Records) -> pl.Series:
    """A text column as numbers if more than half of its values are, else as text without spaces around it."""
    parsed = column.cast(pl.Float64, strict=False)
    if parsed.null_count() == column.null_count():
        return parsed
    column = column.str.strip_chars()
    column = column.set(column.is_in(MISSING_TEXTS).fill_null(False), None)
    parsed = column.cast(pl.Float64, strict=False)
    words = parsed.is_null() & column.is_not_null()
    if words.any() and parsed.count() <= words.sum():
        return column
    if words.any():
        row = int(words.arg_max())
        raise SunhwanError(
            f"{records.where(row)} of {records.name} has the text {column[row]!r} in the number column "
            f"{column.name!r} ({words.sum():,} such rows); write a number, or leave the field empty where "
            "a value is missing"
        )
    return parsed


def on_grid(table: Table) -> Table:
    """The table with a row for every interval from each series' first time to its last."""
    starts = np.flatnonzero(np.diff(table.series, prepend=-1))
    ends = np.append(starts[1:], len(table))
    offsets = (table.time - np.repeat(table.time[starts], ends - starts)) // table.interval
    lengths = offsets[ends - 1] + 1
    rows, added = int(lengths.sum()), int(lengths.sum()) - len(table)
    step = duration(int(table.interval.astype(int)))
    if added == 0:
        return table
    if rows > SPARSEST * len(table) + 1000:
        raise SunhwanError(
            f"{table.name} has {len(table):,} rows, but its times span {rows:,} steps of {step}; readings at "
            "regular times were expected: look for a wrong date, or average to a longer interval"
        )
    firsts = np.cumsum(lengths) - lengths
    take = np.full(rows, -1)
    take[np.repeat(firsts, ends - starts) + offsets] = np.arange(len(table))
    within = np.arange(rows) - np.repeat(firsts, lengths)
    verb = "is not in the file and counts" if added == 1 else "are not in the file and count"
    return replace(
        table,
        time=np.repeat(table.time[starts], lengths) + within * table.interval,
        series=np.repeat(table.series[starts], lengths),
        columns=table.columns.select(pl.all().gather(pl.Series(take).replace(-1, None))),
    ).note(f"{added:,} time step{'s' * (added > 1)} of {step} {verb} as missing")

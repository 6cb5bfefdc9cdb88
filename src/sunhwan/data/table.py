"""Anyone's CSV or Parquet file, verified and laid on a regular grid of time.

A table goes through three steps, each of which says what it met: `read` (bytes to columns), `timestamps`
(one or several columns to one time) and `Table.on_grid` (rows that are not there become rows of missing
values, so that from here on a row is an interval of time).

Try it: `sunhwan study run table_temperature --data FILE.csv --time "Date Time" --target "T (degC)"`.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from sunhwan.errors import SunhwanError

MISSING_TEXTS = ("", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "-")
"""Field contents that mean "no value", whatever the column."""

SENTINELS = (-9999.0, -999.9, -9999.9)
"""Numbers that loggers write for "no value"; a temperature, pressure or wind is never one of them."""

TIME_NAMES = ("date time", "datetime", "date_time", "timestamp", "time", "date", "time_hour")
TIME_PARTS = ("year", "month", "day", "hour", "minute", "second")
TIME_FORMATS = (
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
)
"""Tried in order; the first that reads every row wins. A day before a month, since most of the world does."""
DATE_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y")


@dataclass(frozen=True)
class Table:
    """Readings of one or several series on a regular grid of time.

    Attributes:
        time: (rows,) datetime64[s]; within a series each row is one `interval` after the row before.
        series: (rows,) int32, the index of each row's series; the rows of a series stand together.
        series_names: the name of each series; `("",)` where the file holds one unnamed series.
        columns: the readings, one column each, (rows,) float64 or text; null where there is none.
        interval: the time from row to row.
        name: what the data is called, for people.
        fingerprint: SHA-256 of the file's bytes.
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
            raise SunhwanError(f"there is no column {name!r} in {self.name}; it has {listed(self.columns.columns)}")
        column = self.columns[name]
        if not column.dtype.is_numeric():
            example = column.drop_nulls().head(1).to_list()
            raise SunhwanError(
                f"column {name!r} of {self.name} holds text (such as {example[0] if example else None!r}), "
                "where numbers were expected; name a numeric column"
            )
        return column.cast(pl.Float64).fill_null(float("nan")).to_numpy()

    def note(self, *sentences: str) -> Table:
        """The same table with further notes."""
        return replace(self, notes=(*self.notes, *sentences))


def listed(names: Sequence[str]) -> str:
    """Names for an error message, quoted, at most twenty."""
    shown = ", ".join(repr(name) for name in names[:20])
    return shown + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def unit_of(name: str) -> str:
    """The unit in a column's name, or `""`.

    Example:
        >>> unit_of("T (degC)"), unit_of("max. wv (m/s)"), unit_of("speed [km/h]"), unit_of("TEMP")
        ('degC', 'm/s', 'km/h', '')
    """
    match = re.search(r"[(\[]([^()\[\]]+)[)\]]\s*$", name)
    return match.group(1).strip() if match else ""


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
            day). Without it a column with a customary name is taken.
        series: the column that tells several series apart, or none.
        name: what to call the data; by default the file's name.

    Returns:
        The table on a regular grid: rows that the file skips are there, with missing values.

    Raises:
        SunhwanError: the file is missing, ragged or empty, a column is not there, a time cannot be read,
            timestamps stand twice, run backwards or keep to no grid, or a number column holds text.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "station.csv"
        >>> _ = file.write_text("when,T (degC)\\n2024-01-01 00:00,1.5\\n2024-01-01 01:00,NA\\n2024-01-01 03:00,2.5\\n")
        >>> table = load(file, time=["when"])
        >>> table.column("T (degC)"), table.notes
        (array([1.5, nan, nan, 2.5]), ('1 time steps of 1 h are not in the file and count as missing',))
    """
    frame, fingerprint = read(path)
    return assemble(frame, time=time, series=series, name=name or path.name, fingerprint=fingerprint)


def assemble(
    frame: pl.DataFrame, *, time: Sequence[str], series: str | None, name: str, fingerprint: str
) -> Table:
    """The table that `frame` holds: times parsed, order checked, numbers made numbers, gaps made rows.

    Args:
        frame: columns as `read` returns them.
        time, series, name: as for `load`.
        fingerprint: SHA-256 of the source.
    """
    time = list(time) or customary_time(frame, name)
    for column in [*time, *([series] if series else [])]:
        if column not in frame.columns:
            raise SunhwanError(f"there is no column {column!r} in {name}; it has {listed(frame.columns)}")
    moments = timestamps(frame, time, name)
    if series:
        # Series may be interleaved in the file (each hour, every station); put each one's rows together.
        labels = frame[series].cast(pl.String).fill_null("")
        series_names = tuple(labels.unique(maintain_order=True))
        codes = labels.replace_strict(series_names, range(len(series_names)), return_dtype=pl.Int32).to_numpy()
        order = np.argsort(codes, kind="stable")
        frame, moments, codes = frame[order], moments[order], codes[order]
    else:
        series_names, codes = ("",), np.zeros(len(frame), np.int32)
        order = np.arange(len(frame))
    interval = check_order(moments, codes, order, series_names, name)
    readings, notes = numbers(frame.drop([*time, *([series] if series else [])]), name)
    table = Table(moments, codes, series_names, readings, interval, name, fingerprint, tuple(notes))
    return on_grid(table)


def read(path: Path) -> tuple[pl.DataFrame, str]:
    """The columns of a CSV file (all text) or Parquet file (typed), and the SHA-256 of its bytes.

    Raises:
        SunhwanError: the file is not there, is empty, or has rows of differing numbers of fields.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise SunhwanError(f"there is no file {str(path)!r}; give the path of a CSV or Parquet file") from None
    except IsADirectoryError:
        raise SunhwanError(f"{str(path)!r} is a folder; give the path of a CSV or Parquet file") from None
    fingerprint = hashlib.sha256(raw).hexdigest()
    if raw[:4] == b"PAR1":
        try:
            return pl.read_parquet(io.BytesIO(raw)), fingerprint
        except pl.exceptions.PolarsError as error:
            raise SunhwanError(f"{str(path)!r} starts like a Parquet file but cannot be read as one ({error})") from None
    return parse_csv(raw, str(path)), fingerprint


def parse_csv(raw: bytes, name: str) -> pl.DataFrame:
    """The text columns of a CSV file's bytes.

    Every field is kept as text here: what is a number is decided with all rows in sight (`numbers`), so a
    stray word in row 300,000 is named with its row instead of turning the column into text.
    """
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        # Loggers write Latin-1 for the degree sign and superscripts; every byte string is valid Latin-1.
        raw = raw.decode("latin-1").encode("utf-8")
    if b"\0" in raw[:4096]:
        raise SunhwanError(f"{name} is not a text file (it holds zero bytes); give a CSV or Parquet file")
    header = raw.split(b"\n", 1)[0].decode("utf-8").strip("\r")
    separator = max(",;\t", key=header.count)
    fields = next(csv.reader([header], delimiter=separator), [])
    if not header.strip() or raw.count(b"\n", 0, -1) == 0:
        raise SunhwanError(f"{name} holds no rows; a line of column names and rows of values below it were expected")
    doubled = sorted({field for field in fields if fields.count(field) > 1})
    if doubled:
        raise SunhwanError(f"{name} has two columns named {doubled[0]!r}; give each column a name of its own")
    check_ragged(raw, separator, len(fields), name)
    try:
        frame = pl.read_csv(io.BytesIO(raw), separator=separator, infer_schema=False, null_values=list(MISSING_TEXTS))
    except pl.exceptions.PolarsError as error:
        raise SunhwanError(f"{name} cannot be read as CSV ({str(error).splitlines()[0]})") from None
    if separator == ";":
        # Where a semicolon separates fields, the comma is the decimal mark (1,5).
        frame = frame.with_columns(pl.all().str.replace(r"^\s*([-+]?\d+),(\d+)\s*$", "$1.$2"))
    return frame.rename({column: column.strip() for column in frame.columns})


def check_ragged(raw: bytes, separator: str, fields: int, name: str) -> None:
    """Refuse rows with more or fewer fields than the header, which CSV readers fill up in silence."""
    if b'"' in raw.split(b"\n", 1)[-1]:
        # Quoted fields may hold separators and line ends: count as a CSV reader does.
        lengths = [len(row) for row in csv.reader(io.StringIO(raw.decode("utf-8")), delimiter=separator)]
        counts = np.array([length for length in lengths if length], dtype=np.int64)
    else:
        data = np.frombuffer(raw if raw.endswith(b"\n") else raw + b"\n", dtype=np.uint8)
        ends = np.flatnonzero(data == ord("\n"))
        separators = np.searchsorted(np.flatnonzero(data == ord(separator)), ends)
        counts = np.diff(separators, prepend=0) + 1
        lengths = np.diff(ends, prepend=-1)
        blank = lengths <= 1 + (data[np.maximum(ends - 1, 0)] == ord("\r"))
        counts = counts[~blank]
    wrong = np.flatnonzero(counts != fields)
    if len(wrong):
        line = wrong[0] + 1
        raise SunhwanError(
            f"line {line} of {name} has {counts[wrong[0]]} fields where the header has {fields} "
            f"({len(wrong)} such lines in all); mend or remove them"
        )


def customary_time(frame: pl.DataFrame, name: str) -> list[str]:
    """The columns whose names say that they hold the time."""
    by_name = {column.strip().lower(): column for column in frame.columns}
    parts = [by_name[part] for part in TIME_PARTS if part in by_name]
    if {"year", "month", "day"} <= by_name.keys():
        return parts
    for candidate in TIME_NAMES:
        if candidate in by_name:
            return [by_name[candidate]]
    typed = [column for column in frame.columns if frame[column].dtype.is_temporal()]
    if typed:
        return typed[:1]
    raise SunhwanError(
        f"no column of {name} is named like a time; name it with --time (columns: {listed(frame.columns)})"
    )


def timestamps(frame: pl.DataFrame, time: Sequence[str], name: str) -> np.ndarray:
    """The time of each row: (rows,) datetime64[s].

    One column is read in the first of `TIME_FORMATS` that fits every row (a trailing Z or UTC offset is
    honoured); several are either year, month, day, ... or a date and a time of day.
    """
    columns = [frame[column] for column in time]
    if len(columns) == 1 and columns[0].dtype.is_temporal():
        return columns[0].cast(pl.Datetime("us")).dt.replace_time_zone(None).to_numpy().astype("datetime64[s]")
    if len(columns) >= 3:
        moments = from_parts(columns, name)
    else:
        texts = columns[0].cast(pl.String).str.strip_chars()
        for column in columns[1:]:
            texts = texts + " " + column.cast(pl.String).str.strip_chars()
        moments = from_texts(texts)
    unread = np.flatnonzero(np.isnat(moments))
    if len(unread):
        row = int(unread[0])
        received = ", ".join(str(column[row]) for column in columns)
        raise SunhwanError(
            f"row {row + 1} of {name} has no readable time: {listed(time)} holds {received!r} ({len(unread)} such rows); "
            "expected one format in all rows, such as 2024-06-09 11:40:00 or 09.06.2024 11:40:00"
        )
    return moments


def from_parts(columns: Sequence[pl.Series], name: str) -> np.ndarray:
    """Year, month, day and as much of the time of day as there is, to datetime64[s]."""
    parts = {}
    for part, column in zip(TIME_PARTS, columns, strict=False):
        parts[part] = column.cast(pl.Float64, strict=False).cast(pl.Int32, strict=False)
    frame = pl.DataFrame(parts)
    # Hour 24 stands for midnight of the next day in some files.
    hours = pl.duration(hours=pl.col("hour")) if "hour" in parts else pl.duration(hours=0)
    rest = [pl.col(part) for part in ("minute", "second") if part in parts]
    minutes = pl.duration(minutes=rest[0]) if rest else pl.duration(minutes=0)
    seconds = pl.duration(seconds=rest[1]) if len(rest) > 1 else pl.duration(seconds=0)
    try:
        moments = frame.select(pl.datetime("year", "month", "day") + hours + minutes + seconds).to_series()
    except pl.exceptions.PolarsError as error:
        raise SunhwanError(
            f"the time columns of {name} hold no valid dates ({str(error).splitlines()[0]}); expected year, month, day, hour"
        ) from None
    return moments.to_numpy().astype("datetime64[s]")


def from_texts(texts: pl.Series) -> np.ndarray:
    """Times as text to datetime64[s] in UTC where an offset is given; NaT in rows that the best format misses."""
    seconds = texts.cast(pl.Float64, strict=False)
    if seconds.null_count() == 0 and len(seconds) and 1e8 < abs(seconds[0]) < 1e10:
        return seconds.to_numpy().astype("int64").astype("datetime64[s]")
    has_offset = bool(texts.head(1).str.contains(r"(Z|[+-]\d{2}:?\d{2})$").any())
    if has_offset:
        aware = texts.str.replace("Z$", "+0000").str.replace(r"([+-]\d{2}):(\d{2})$", "$1$2")
        for separator in ("T", " "):
            for clock in ("%H:%M:%S%.f", "%H:%M"):
                read = aware.str.to_datetime(f"%Y-%m-%d{separator}{clock}%z", strict=False, time_unit="us")
                if read.null_count() == 0:
                    return read.dt.replace_time_zone(None).to_numpy().astype("datetime64[s]")
    best = None
    for pattern in TIME_FORMATS:
        # Most formats fail on the first row: do not read a whole column to learn that.
        if texts.head(1).str.to_datetime(pattern, strict=False, time_unit="us").null_count():
            continue
        read = texts.str.to_datetime(pattern, strict=False, time_unit="us")
        if best is None or read.null_count() < best.null_count():
            best = read
        if read.null_count() == 0:
            break
    if best is None:
        for pattern in DATE_FORMATS:
            read = texts.str.to_date(pattern, strict=False).cast(pl.Datetime("us"))
            if best is None or read.null_count() < best.null_count():
                best = read
            if read.null_count() == 0:
                break
    return best.to_numpy().astype("datetime64[s]")


def check_order(
    moments: np.ndarray, codes: np.ndarray, order: np.ndarray, series_names: Sequence[str], name: str
) -> np.timedelta64:
    """The interval of the grid, after refusing times that repeat, run backwards or keep to no grid."""
    within = codes[1:] == codes[:-1]
    steps = np.diff(moments).astype("int64")
    wrong = np.flatnonzero(within & (steps <= 0))
    if len(wrong):
        row = int(wrong[0])
        earlier, later = order[row] + 1, order[row + 1] + 1
        owner = f" of series {series_names[codes[row]]!r}" if len(series_names) > 1 else ""
        what = "stands twice" if steps[row] == 0 else f"comes after {human(moments[row])}"
        mend = (
            "remove the repeats, or name the column that tells several series apart (--series)"
            if steps[row] == 0
            else "sort the file by time"
        )
        raise SunhwanError(
            f"time {human(moments[row + 1])}{owner} {what} in {name} (rows {earlier} and {later}; {len(wrong)} such places); "
            f"each series needs rising timestamps: {mend}"
        )
    steps = steps[within]
    if len(steps) == 0:
        raise SunhwanError(f"{name} has one row a series; a series of readings over time was expected")
    values, counts = np.unique(steps, return_counts=True)
    interval = int(values[np.argmax(counts)])
    off = int(counts[values % interval != 0].sum())
    if off:
        raise SunhwanError(
            f"{off} of {len(steps)} steps between the timestamps of {name} are no multiple of the commonest, "
            f"{duration(interval)}; readings at regular times were expected: average them to a regular interval first"
        )
    return np.timedelta64(interval, "s")


def human(moment: np.datetime64) -> str:
    """A time as people write it: `2024-06-09 11:40`."""
    return str(moment.astype("datetime64[s]")).replace("T", " ").removesuffix(":00")


def duration(seconds: int) -> str:
    """Seconds as people write them.

    Example:
        >>> duration(600), duration(3600), duration(864000), duration(7)
        ('10 min', '1 h', '10 d', '7 s')
    """
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds % size == 0 and seconds:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def numbers(frame: pl.DataFrame, name: str) -> tuple[pl.DataFrame, list[str]]:
    """Text columns that hold numbers, as numbers; sentinels as missing; and what was done, in sentences.

    A column counts as numeric if more than half of its values are numbers; then any other text in it is an
    error that names the row, since the alternative is to lose readings in silence.
    """
    columns, notes = [], []
    for column in frame.get_columns():
        if column.dtype == pl.String:
            parsed = column.str.strip_chars().cast(pl.Float64, strict=False)
            words = parsed.is_null() & column.is_not_null()
            if words.any() and parsed.count() <= words.sum():
                columns.append(column)
                continue
            if words.any():
                row = int(words.arg_max())
                raise SunhwanError(
                    f"row {row + 1} of {name} has the text {column[row]!r} in the number column {column.name!r} "
                    f"({words.sum()} such rows); write a number, or leave the field empty where there is none"
                )
            column = parsed
        elif column.dtype.is_temporal():
            continue
        elif column.dtype == pl.Boolean or column.dtype.is_numeric():
            column = column.cast(pl.Float64)
        if column.dtype.is_numeric():
            broken = column.is_infinite() | column.is_nan() | column.is_in(list(SENTINELS))
            if broken.any():
                notes.append(f"{column.name}: {broken.sum():,} readings of -9999 or the like count as missing")
                column = column.set(broken, None)
        columns.append(column)
    return pl.DataFrame(columns), notes


def on_grid(table: Table) -> Table:
    """The table with a row for every interval from each series' first time to its last."""
    seconds = int(table.interval.astype("int64"))
    starts = np.flatnonzero(np.diff(table.series, prepend=-1))
    ends = np.append(starts[1:], len(table))
    grid, owner, place, filled = [], [], np.empty(len(table), np.int64), 0
    for start, end in zip(starts, ends, strict=True):
        offsets = (table.time[start:end] - table.time[start]).astype("int64") // seconds
        place[start:end] = filled + offsets
        length = int(offsets[-1]) + 1
        grid.append(table.time[start] + np.arange(length) * table.interval)
        owner.append(np.full(length, table.series[start], np.int32))
        filled += length
    added = filled - len(table)
    if added == 0:
        return table
    if filled > 20 * len(table) + 1000:
        raise SunhwanError(
            f"{table.name} has {len(table):,} rows, but its times span {filled:,} steps of {duration(seconds)}; "
            "readings at regular times were expected: look for a wrong date, or average to a longer interval"
        )
    take = np.full(filled, -1, np.int64)
    take[place] = np.arange(len(table))
    rows = pl.Series(take).replace(-1, None)
    columns = table.columns.select(pl.all().gather(rows))
    note = f"{added:,} time steps of {duration(seconds)} are not in the file and count as missing"
    return replace(
        table, time=np.concatenate(grid), series=np.concatenate(owner), columns=columns, notes=(*table.notes, note)
    )

"""Windows of sensor readings, each with one label: a file's rows -> recordings of any length.

A file has a row for each reading, a column with the ID of its recording, and a column with the recording's
label. Within each recording rows are ordered by time; only that order counts.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from sunhwan.data import table
from sunhwan.data.features import missing
from sunhwan.data.features.encoder import Encoder, bulk, choose, scaled, starts
from sunhwan.data.features.kinds import of_filled
from sunhwan.data.features.scale import Scale
from sunhwan.data.files.records import Records, listed, read
from sunhwan.data.files.timestamps import customary, timestamps
from sunhwan.data.ragged import Ragged
from sunhwan.data.table import Table
from sunhwan.data.texts.labelled import as_labels
from sunhwan.errors import SunhwanError

ANY = 10**9
"""Rows of a gap that are filled from the past: all of them, since a mask marks what is filled."""

LARGEST = 20.0
"""Readings are clipped at so many standard deviations from the mean: beyond, a sensor has failed."""

ROW = np.timedelta64(1, "s")
"""The interval of a table whose times are only an order."""


@dataclass(frozen=True)
class Columns:
    """The names of the columns of a file of recordings.

    Attributes:
        series: the ID of the recording.
        label: its label.
        time: columns that order the rows of each; none for the order of the file.
        features: columns that are read; none for every usable one.
    """

    series: str
    label: str
    time: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    def to_dict(self) -> dict:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, saved: dict) -> Columns:
        """What `to_dict` gave."""
        return cls(saved["series"], saved["label"], tuple(saved["time"]), tuple(saved["features"]))


@dataclass(frozen=True, eq=False)
class Recordings:
    """Recordings, as read from a file.

    Attributes:
        table: their rows, each recording a series.
        labels: (n,) strings; null where a new recording has none.
        columns: that they were read from, with the columns of time if they were found by name.
        fingerprint: SHA-256 of what was read.
        notes: what was found and left out.
    """

    table: Table
    labels: pl.Series
    columns: Columns
    fingerprint: str
    notes: tuple[str, ...] = ()

    noun = "recordings"
    """What people call several of them."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def name(self) -> str:
        """What messages call the file."""
        return self.table.name

    @property
    def keys(self) -> pl.Series:
        """(n,) strings: equal for recordings that are equal."""
        hashes, ends = self.table.columns.hash_rows().to_numpy(), offsets(self.table)
        return pl.Series(
            [
                hashlib.sha256(hashes[start:end].tobytes()).hexdigest()
                for start, end in itertools.pairwise(ends)
            ],
            dtype=pl.String,
        )

    def take(self, chosen: np.ndarray) -> Table:
        """The rows of the recordings where `chosen`, (n,) bool."""
        return taken(self.table, chosen)


def load(path: Path, columns: Columns, *, labelled: bool = True) -> Recordings:
    """The recordings of a CSV or Parquet file.

    Args:
        path: the file.
        columns: their names.
        labelled: whether recordings without a label are left out.

    Raises:
        SunhwanError: the file cannot be read, lacks a column, or a recording has two labels.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "strokes.csv"
        >>> _ = path.write_text("id,x,letter\\na,0.5,u\\na,1.5,u\\nb,2.5,v\\n")
        >>> found = load(path, Columns("id", "letter"))
        >>> found.labels.to_list(), found.table.series, found.table.column("x")
        (['u', 'v'], array([0, 0, 1], dtype=int32), array([0.5, 1.5, 2.5]))
    """
    if path.is_dir():
        raise SunhwanError(f"{str(path)!r} is a folder; expected a CSV or Parquet file of recordings")
    return of(read(path), columns, labelled=labelled)


def of(records: Records, columns: Columns, *, labelled: bool = True) -> Recordings:
    """Like `load`, from the rows of a file or a frame."""
    columns = found_in(records, columns, labelled)
    notes = [*records.notes]
    ids = records.frame[columns.series].cast(pl.String).str.strip_chars()
    missing_id = (ids.is_null() | (ids == "")).to_numpy()
    if missing_id.all():
        raise SunhwanError(f"no row of {records.name} has a value in {columns.series!r}; fill it in")
    if missing_id.any():
        notes.append(f"{missing_id.sum():,} rows without a value in {columns.series!r} are left out")
        records, ids = records.take(np.flatnonzero(~missing_id)), ids.filter(~missing_id)
    names = tuple(ids.unique(maintain_order=True))
    codes = ids.replace_strict(names, range(len(names)), return_dtype=pl.Int32).to_numpy()
    order = np.lexsort((moments(records, columns.time), codes))
    records, codes = records.take(order), codes[order]
    labels = labels_of(records, columns.label, codes, names)
    keys = {columns.series, columns.label, *columns.time}
    wanted = columns.features or [name for name in records.frame.columns if name not in keys]
    readings, more = table.numbers(replace(records, frame=records.frame.select(wanted)))
    if not readings.columns:
        raise SunhwanError(f"{records.name} has no columns of readings, only {listed(sorted(keys))}")
    rows = Table(
        np.zeros(len(codes), "datetime64[s]"), codes, names, readings, ROW, records.name, records.fingerprint
    )
    unlabelled = labels.is_null().to_numpy()
    if labelled and unlabelled.any():
        if unlabelled.all():
            raise SunhwanError(
                f"no recording of {records.name} has a label; name another column with --label"
            )
        notes.append(f"{unlabelled.sum():,} recordings without a label are left out")
        rows, labels = taken(rows, ~unlabelled), labels.filter(~unlabelled)
    lengths = np.diff(offsets(rows))
    ordered = f"ordered by {listed(columns.time)}" if columns.time else "in the order of the file"
    notes.append(
        f"{len(lengths):,} recordings of {lengths.min():,} to {lengths.max():,} rows, {ordered}"
        + (f"; {(lengths == 1).sum():,} have a single row" if (lengths == 1).any() else "")
    )
    return Recordings(rows, labels, columns, records.fingerprint, (*notes, *more))


def found_in(records: Records, columns: Columns, labelled: bool) -> Columns:
    """The columns, with those of the time found by name, once the file is known to have them."""
    frame, names = records.frame, [columns.series, *columns.time, *columns.features]
    if labelled:
        names.append(columns.label)
    lacking = [name for name in names if name not in frame.columns]
    if lacking:
        raise SunhwanError(
            f"{records.name} has no column {listed(lacking)}; it has {listed(frame.columns)}: name "
            "its columns with --series, --label, --time and --features"
        )
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise SunhwanError(
            f"the column {twice[0]!r} was named twice; expected different columns for --series, --label, "
            "--time and --features"
        )
    if columns.time or not labelled:
        return columns
    try:
        time = tuple(customary(records))
    except SunhwanError:
        return columns
    return columns if set(time) & set(names) else replace(columns, time=time)


def moments(records: Records, time: Sequence[str]) -> np.ndarray:
    """(rows,) numbers that order the rows of a recording, from numbers or times; zeros for the file's order.

    Raises:
        SunhwanError: a row has none.
    """
    if not time:
        return np.zeros(len(records.frame))
    if len(time) == 1:
        column = records.frame[time[0]]
        numbers = column.cast(pl.Float64, strict=False) if column.dtype == pl.String else column
        if numbers.dtype.is_numeric() and numbers.null_count() == column.null_count():
            lacking = (numbers.is_null() | numbers.cast(pl.Float64).is_nan()).to_numpy()
            if lacking.any():
                row = int(lacking.argmax())
                raise SunhwanError(
                    f"{records.where(row)} of {records.name} has no value in {time[0]!r}, which orders "
                    f"rows ({lacking.sum():,} such rows); fill it in, or leave those rows out"
                )
            return numbers.cast(pl.Float64).to_numpy()
        if column.dtype in (pl.Datetime, pl.Date, pl.Duration, pl.Time) and not column.null_count():
            return column.to_physical().to_numpy()
    return timestamps(records, time).astype(np.int64)


def labels_of(records: Records, label: str, codes: np.ndarray, names: Sequence[str]) -> pl.Series:
    """(recordings,) the label of each, null where none of its rows has one.

    Raises:
        SunhwanError: the rows of a recording have two.
    """
    if label not in records.frame.columns:
        return pl.Series([None] * len(names), dtype=pl.String)
    labels = as_labels(records.frame[label])
    there = np.flatnonzero(labels.is_not_null().to_numpy())
    first = np.full(len(names), -1)
    first[codes[there[::-1]]] = there[::-1]
    places = pl.Series(first[codes[there]])
    other = np.flatnonzero((labels.gather(there) != labels.gather(places)).to_numpy())
    if len(other):
        row = int(there[other[0]])
        before = int(first[codes[row]])
        raise SunhwanError(
            f"the recording {names[codes[row]]!r} of {records.name} has two labels, {labels[before]!r} "
            f"({records.where(before)}) and {labels[row]!r} ({records.where(row)}); expected one: correct "
            "them, or start a new ID where the label changes"
        )
    return labels.gather(pl.Series(first).replace(-1, None))


def offsets(rows: Table) -> np.ndarray:
    """(recordings + 1,) where each recording begins, and the end of the last."""
    return np.searchsorted(rows.series, np.arange(len(rows.series_names) + 1))


def taken(rows: Table, chosen: np.ndarray) -> Table:
    """The rows of the recordings where `chosen`, (recordings,) bool."""
    mine = chosen[rows.series]
    return replace(
        rows,
        time=rows.time[mine],
        series=(np.cumsum(chosen) - 1).astype(np.int32)[rows.series[mine]],
        series_names=tuple(itertools.compress(rows.series_names, chosen)),
        columns=rows.columns.filter(mine),
    )


def learn(rows: Table, wanted: Sequence[str], training: np.ndarray) -> tuple[Encoder, list[str]]:
    """How rows become what a model reads, and notes on the columns.

    Args:
        rows: of all recordings.
        wanted: columns; none for every usable one.
        training: (rows,) bool: the rows to learn from.

    Raises:
        SunhwanError: no column is usable, or a wanted one is not.
    """
    features, notes = choose(rows, training, wanted)
    if not features:
        raise SunhwanError(
            f"no column of {rows.name} is usable ({'; '.join(notes)}); expected numbers that vary"
        )
    raw, masks = bulk(features, rows), []
    _, mask = missing.fill_forward(raw, rows.series, ANY)
    # The values of one text column are missing together: they need only one note and one mask.
    for item, first in zip(features, starts(features), strict=True):
        absent = np.isnan(raw[:, first])
        if absent.any():
            notes.append(
                f"{item.column}: {absent.sum():,} of {len(absent):,} values missing; they are replaced by "
                "the last value before, or by the mean if none comes before"
            )
        masks += of_filled(item.column, mask[training, first])
    scale = Scale.fit(raw[training], ~scaled(features)).extended(len(masks))
    return Encoder((*features, *masks), scale, ANY, ROW), notes


def encode(rows: Table, recipe: Encoder) -> tuple[Ragged, list[str]]:
    """The readings of each recording as a model reads them, scaled, without gaps; and notes on what was done.

    Raises:
        SunhwanError: a column is missing, or has text where training had numbers.
    """
    values, notes = recipe.bulk(rows)
    return Ragged(np.clip(np.nan_to_num(values, nan=0.0), -LARGEST, LARGEST), offsets(rows)), notes

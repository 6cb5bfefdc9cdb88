"""Windows of sensor readings, each with one label: a file's rows -> recordings of any length.

A file has a row for each reading, a column that tells which recording it is of, and a column with the
recording's label. Rows stand in the order of their time within each recording; only that order counts.
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
from sunhwan.data.table import Table
from sunhwan.data.texts.labelled import as_labels
from sunhwan.errors import SunhwanError

ANY = 10**9
"""Rows of a gap that are filled from the past: all of them, since a mask stands beside what is filled."""

LARGEST = 20.0
"""Readings lie at most so many standard deviations from the mean: beyond, a sensor says that it failed."""

ROW = np.timedelta64(1, "s")
"""The interval of a table whose times are no more than an order."""


@dataclass(frozen=True)
class Columns:
    """What the columns of a file of recordings are called.

    Attributes:
        series: tells the recordings apart.
        label: their labels.
        time: order the rows of each; none for the order of the file.
        features: that are read; none for all that can serve.
    """

    series: str
    label: str
    time: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    def as_dict(self) -> dict:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: dict) -> Columns:
        """What `as_dict` gave."""
        return cls(kept["series"], kept["label"], tuple(kept["time"]), tuple(kept["features"]))


@dataclass(frozen=True, eq=False)
class Recordings:
    """Recordings, as they stand in a file.

    Attributes:
        table: their rows, each recording a series.
        labels: (n,) strings; null where there is none, which only new recordings have.
        columns: by which they were read, those of the time found by their names, too.
        fingerprint: SHA-256 of what was read.
        notes: what was met and left out.
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

    def take(self, kept: np.ndarray) -> Table:
        """The rows of the recordings where `kept`, (n,) bool."""
        return taken(self.table, kept)


def load(path: Path, columns: Columns, *, labelled: bool = True) -> Recordings:
    """The recordings of a CSV or Parquet file.

    Args:
        path: the file.
        columns: what they are called.
        labelled: whether each must have a label, and be left out else.

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
        raise SunhwanError(f"{str(path)!r} is a folder; recordings are read from a CSV or Parquet file")
    return of(read(path), columns, labelled=labelled)


def of(records: Records, columns: Columns, *, labelled: bool = True) -> Recordings:
    """`load`, of the rows of a file or a frame."""
    columns = found_in(records, columns, labelled)
    notes = [*records.notes]
    ids = records.frame[columns.series].cast(pl.String).str.strip_chars()
    nobody = (ids.is_null() | (ids == "")).to_numpy()
    if nobody.all():
        raise SunhwanError(f"no row of {records.name} has a value in {columns.series!r}; fill it in")
    if nobody.any():
        notes.append(f"{nobody.sum():,} rows without a value in {columns.series!r} are left out")
        records, ids = records.take(np.flatnonzero(~nobody)), ids.filter(~nobody)
    names = tuple(ids.unique(maintain_order=True))
    codes = ids.replace_strict(names, range(len(names)), return_dtype=pl.Int32).to_numpy()
    order = np.lexsort((moments(records, columns.time), codes))
    records, codes = records.take(order), codes[order]
    labels = labels_of(records, columns.label, codes, names)
    keys = {columns.series, columns.label, *columns.time}
    wanted = columns.features or [name for name in records.frame.columns if name not in keys]
    readings, more = table.numbers(replace(records, frame=records.frame.select(wanted)))
    if not readings.columns:
        raise SunhwanError(f"{records.name} has no column beside {listed(sorted(keys))}; expected readings")
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
    """The columns, those of the time found by their names, after refusing what the file has not."""
    frame, names = records.frame, [columns.series, *columns.time, *columns.features]
    if labelled:
        names.append(columns.label)
    lacking = [name for name in names if name not in frame.columns]
    if lacking:
        raise SunhwanError(
            f"{records.name} has no column {listed(lacking)}; it has {listed(frame.columns)}: name "
            "others with --series, --label, --time and --features"
        )
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise SunhwanError(
            f"the column {twice[0]!r} was named for two things; expected columns of their own for --series, "
            "--label, --time and --features"
        )
    if columns.time or not labelled:
        return columns
    try:
        time = tuple(customary(records))
    except SunhwanError:
        return columns
    return columns if set(time) & set(names) else replace(columns, time=time)


def moments(records: Records, time: Sequence[str]) -> np.ndarray:
    """(rows,) what orders the rows of a recording: a number, or a time; zeros for the order of the file.

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
                    f"{records.where(row)} of {records.name} has no value in {time[0]!r}, by which rows are "
                    f"ordered ({lacking.sum():,} such rows); fill it in, or leave those rows out"
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
            f"({records.where(before)}) and {labels[row]!r} ({records.where(row)}); expected one: mend "
            "them, or give what lies between two changes of the label an ID of its own"
        )
    return labels.gather(pl.Series(first).replace(-1, None))


def offsets(rows: Table) -> np.ndarray:
    """(recordings + 1,) where each recording begins, and the end of the last."""
    return np.searchsorted(rows.series, np.arange(len(rows.series_names) + 1))


def taken(rows: Table, kept: np.ndarray) -> Table:
    """The rows of the recordings where `kept`, (recordings,) bool."""
    mine = kept[rows.series]
    return replace(
        rows,
        time=rows.time[mine],
        series=(np.cumsum(kept) - 1).astype(np.int32)[rows.series[mine]],
        series_names=tuple(name for name, keep in zip(rows.series_names, kept, strict=True) if keep),
        columns=rows.columns.filter(mine),
    )


def learn(rows: Table, wanted: Sequence[str], training: np.ndarray) -> tuple[Encoder, list[str]]:
    """How rows become what a model reads, and what was met on the way.

    Args:
        rows: of all recordings.
        wanted: columns; none for all that can serve.
        training: (rows,) bool: the rows to learn from.

    Raises:
        SunhwanError: no column can serve, or a wanted one cannot.
    """
    features, notes = choose(rows, training, wanted)
    if not features:
        raise SunhwanError(
            f"no column of {rows.name} can be classified from ({'; '.join(notes)}); expected numbers that "
            "vary"
        )
    raw, masks = bulk(features, rows), []
    _, mask = missing.fill_forward(raw, rows.series, ANY)
    # The values of one text column are missing together: one note and one mask serve them all.
    for item, first in zip(features, starts(features), strict=True):
        absent = np.isnan(raw[:, first])
        if absent.any():
            notes.append(
                f"{item.column}: {absent.sum():,} of {len(absent):,} values missing; the last one before, or "
                "the mean where there is none, stands for them"
            )
        masks += of_filled(item.column, mask[training, first])
    scale = Scale.fit(raw[training], ~scaled(features)).extended(len(masks))
    return Encoder((*features, *masks), scale, ANY, ROW), notes


@dataclass(frozen=True, eq=False)
class Sequences:
    """Recordings as a model reads them.

    Attributes:
        values: (rows, features) float32, scaled, without gaps.
        offsets: (recordings + 1,) where each begins, and the end of the last.
    """

    values: np.ndarray
    offsets: np.ndarray

    @classmethod
    def of(cls, rows: Table, recipe: Encoder) -> tuple[Sequences, list[str]]:
        """The rows of recordings by a recipe, and what was met.

        Raises:
            SunhwanError: a column is missing, or holds text where numbers were learnt.
        """
        values, notes = recipe.bulk(rows)
        return cls(np.clip(np.nan_to_num(values, nan=0.0), -LARGEST, LARGEST), offsets(rows)), notes

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """(recordings,) rows of each."""
        return np.diff(self.offsets)

    def part(self, start: int, end: int) -> Sequences:
        """The recordings from number `start` to before `end`."""
        ends = self.offsets[start : end + 1]
        return Sequences(self.values[ends[0] : ends[-1]], ends - ends[0])

    def thinned(self, step: int) -> Sequences:
        """Each `step` rows of a recording, and what is left at its end, as their mean.

        Example:
            >>> some = Sequences(np.array([[1.0], [3.0], [5.0], [9.0]]), np.array([0, 3, 4]))
            >>> some.thinned(2).values.ravel(), some.thinned(2).offsets
            (array([2., 5., 9.]), array([0, 2, 3]))
        """
        if step == 1:
            return self
        place = np.arange(len(self.values)) - np.repeat(self.offsets[:-1], self.lengths)
        starts = np.flatnonzero(place % step == 0)
        counts = np.diff(starts, append=len(self.values))
        values = np.add.reduceat(self.values, starts, axis=0) / counts[:, None].astype(self.values.dtype)
        return Sequences(values, np.append(0, np.cumsum(-(-self.lengths // step))))

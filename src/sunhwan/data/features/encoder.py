"""From a table's rows to the numbers that a model reads: features, filled gaps, scaling.

What is learnt comes from training rows alone: which columns serve, categories, masks, mean and spread. An
`Encoder` is what was learnt. It encodes a whole table (`bulk`) or, compiled into a `RowEncoder`, one reading
of a stream after the other, with the same bits.

    Table   --features' bulk--> fill_forward --> masks, calendar --> scale --> (rows, features) float32
    reading --features' row---> Latest.fill  --> masks, calendar --> scale --> (features,) float32
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np

from sunhwan.data.features import missing
from sunhwan.data.features.kinds import KINDS, MOST_CATEGORIES, Feature, of_column, of_filled
from sunhwan.data.features.missing import Latest
from sunhwan.data.features.scale import Scale
from sunhwan.data.files.records import listed
from sunhwan.data.grid import Grid, seconds_of
from sunhwan.data.table import Table
from sunhwan.errors import SunhwanError
from sunhwan.units import duration

MOST_WINDOWS_LOST = 0.2
"""A column that the user did not name is left out if its gaps alone break more of the training windows."""


@dataclass(frozen=True)
class Encoder:
    """What was learnt of training rows.

    Attributes:
        features: in order; each makes one column of numbers or several.
        scale: of those columns.
        fill: rows of a gap that are filled from the past.
        interval: the time from row to row.
    """

    features: tuple[Feature, ...]
    scale: Scale
    fill: int
    interval: np.timedelta64

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that a table must have, each once."""
        return tuple(dict.fromkeys(item.column for item in self.features if item.source == "reading"))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What the columns of numbers are called."""
        return tuple(name for item in self.features for name in item.names)

    @cached_property
    def scaled(self) -> np.ndarray:
        """(features,) bool: which are numbers with a unit, and not zeros and ones, sines or cosines."""
        return scaled(self.features)

    def places(self, source: str, columns: Sequence[str] | None = None) -> np.ndarray:
        """Where the numbers of features with this source, and of these columns, stand: ascending int64."""
        chosen = [
            np.arange(start, start + len(item.names))
            for item, start in zip(self.features, starts(self.features), strict=True)
            if item.source == source and (columns is None or item.column in columns)
        ]
        return np.concatenate([np.empty(0, np.int64), *chosen])

    def bulk(self, readings: Table) -> tuple[np.ndarray, list[str]]:
        """Encode a table's rows.

        Args:
            readings: rows of the same interval with the same columns, in any order and among others.

        Returns:
            (rows, features) float32, scaled, NaN where a gap is longer than what is filled; and notes on what
            was met on the way.

        Raises:
            SunhwanError: a column is missing or has text where numbers were learnt, or the rows are another
                interval apart.
        """
        self.check(readings)
        read = [item for item in self.features if item.source == "reading"]
        values, mask = missing.fill_forward(bulk(read, readings), readings.series, self.fill)
        begin = dict(zip((item.column for item in read), starts(read), strict=True))
        parts = []
        for item in self.features:
            if item.source == "reading":
                parts.append(values[:, begin[item.column] : begin[item.column] + len(item.names)])
            elif item.source == "filled":
                parts.append(item.bulk(mask[:, begin[item.column]]))
            else:
                parts.append(item.bulk(readings.time))
        unseen = [item.unseen(readings) for item in read]
        notes = [note for count, note in unseen if count]
        return self.scale.apply(np.concatenate(parts, axis=1)), notes

    def check(self, readings: Table) -> None:
        """Refuse a table unlike the one that the encoder was learnt from."""
        lacking = [name for name in self.columns if name not in readings.columns.columns]
        if lacking:
            raise SunhwanError(
                f"{readings.name} has no column {listed(lacking)}, which the model was trained on; it has "
                f"{listed(readings.columns.columns)}"
            )
        if readings.interval != self.interval:
            ours, theirs = (duration(seconds_of(each)) for each in (self.interval, readings.interval))
            raise SunhwanError(
                f"the rows of {readings.name} are {theirs} apart, but the model was trained on rows {ours} "
                f"apart; give rows of {ours}"
            )

    def to_dict(self) -> dict:
        """For JSON."""
        return {
            "features": [[item.kind, asdict(item)] for item in self.features],
            "mean": self.scale.mean.tolist(),
            "std": self.scale.std.tolist(),
            "fill_rows": self.fill,
            "interval_seconds": seconds_of(self.interval),
        }

    @classmethod
    def from_dict(cls, saved: Mapping) -> Encoder:
        """What `to_dict` returned.

        Raises:
            KeyError, TypeError, ValueError: something is missing or of another form than `to_dict` writes.
        """
        encoder = cls(
            tuple(KINDS[kind](**fields) for kind, fields in saved["features"]),
            Scale(np.array(saved["mean"], float), np.array(saved["std"], float)),
            int(saved["fill_rows"]),
            np.timedelta64(int(saved["interval_seconds"]), "s"),
        )
        shapes = {encoder.scale.mean.shape, encoder.scale.std.shape}
        if shapes != {(len(encoder.names),)}:
            raise ValueError(f"{len(encoder.names)} features have scales of the shapes {shapes}")
        return encoder


class RowEncoder:
    """An encoder of one reading at a time, compiled into plain numbers.

    A reading is encoded in two steps, since the first may fail and the second changes state: `read` and then
    `encode`.
    """

    def __init__(self, encoder: Encoder):
        read, masks, times = (
            [item for item in encoder.features if item.source == source]
            for source in ("reading", "filled", "time")
        )
        self.fill, self.mean, self.std = encoder.fill, encoder.scale.mean, encoder.scale.std
        self.rows = [item.row for item in read]
        self.numbers = sum(len(item.names) for item in read)
        begin = dict(zip((item.column for item in read), starts(read), strict=True))
        self.masks = [(item.row, begin[item.column]) for item in masks]
        self.times = [item.row for item in times]
        # A row's numbers are made source by source; this is their order in the row.
        places = [encoder.places(source) for source in ("reading", "filled", "time")]
        self.order = np.argsort(np.concatenate(places))

    def read(self, reading: Mapping) -> list[float]:
        """The numbers that a reading has by itself, NaN where they are missing.

        Raises:
            SunhwanError: it has something else where a number was expected.
        """
        values: list[float] = []
        for row in self.rows:
            values += row(reading)
        return values

    def nothing(self) -> list[float]:
        """The same of a row that is missing."""
        return [math.nan] * self.numbers

    def encode(self, values: list[float], latest: Latest, time: int, into: np.ndarray) -> bool:
        """Encode a row, and return whether it has a gap that is not filled.

        Args:
            values: from `read`.
            latest: the series before this row; it moves on.
            time: of the row, in seconds since 1970.
            into: (features,) float32 to write to.
        """
        values, filled, gap = latest.fill(values, self.fill)
        made = list(values)
        for row, place in self.masks:
            made += row(filled[place])
        for row in self.times:
            made += row(time)
        into[:] = (np.array(made)[self.order] - self.mean) / self.std
        return gap


def bulk(features: Sequence[Feature], readings: Table) -> np.ndarray:
    """(rows, features) float64: what features of readings are made of, NaN where missing."""
    parts = [item.bulk(readings) for item in features]
    return np.concatenate(parts, axis=1) if parts else np.empty((len(readings), 0))


def starts(features: Sequence[Feature]) -> list[int]:
    """Where the numbers of each feature begin."""
    return np.cumsum([0, *(len(item.names) for item in features)])[:-1].tolist()


def scaled(features: Sequence[Feature]) -> np.ndarray:
    """(features,) bool: which of their numbers are scaled."""
    return np.array([item.scaled for item in features for _ in item.names], bool)


def choose(
    readings: Table,
    training: np.ndarray,
    wanted: Sequence[str] = (),
    needed: Sequence[str] = (),
    targets: Sequence[str] = (),
) -> tuple[list[Feature], list[str]]:
    """The features that a table's columns make, and notes.

    Args:
        readings: the table.
        training: (rows,) bool: the rows to learn from.
        wanted: names of columns; empty for all but those that have one value, count the rows or are text of
            too many values.
        needed: columns that serve in any case.
        targets: the columns to forecast, which may count the rows.

    Raises:
        SunhwanError: a wanted or needed column is not there or cannot serve.
    """
    features, notes = {}, []
    for name in wanted or readings.columns.columns:
        item = of_column(readings, name, training, bool(wanted), name in targets)
        if not isinstance(item, str):
            features[name] = item
        elif wanted:
            refuse(readings, name, item)
        elif name not in needed:
            notes.append(f"{name}: left out of the features, since {item}")
    for name in needed:
        if name not in features:
            item = of_column(readings, name, training, named=True)
            if isinstance(item, str):
                refuse(readings, name, item)
            features[name] = item
    for item in features.values():
        if unseen := item.unseen(readings)[0]:
            notes.append(
                f"{item.column}: {unseen:,} rows have values that no training row has; they are all zero"
            )
    return list(features.values()), notes


def refuse(readings: Table, name: str, reason: str) -> None:
    raise SunhwanError(
        f"column {name!r} of {readings.name} cannot be a feature, since {reason}; expected numbers, or text "
        f"of at most {MOST_CATEGORIES} values: leave it out of the features"
    )


def learn(
    readings: Table,
    features: Sequence[Feature],
    training: np.ndarray,
    segment: np.ndarray,
    grid: Grid,
    needed: Sequence[str],
    fill: int,
    calendar: Sequence[Feature],
) -> tuple[Encoder, list[str]]:
    """An encoder from training rows, and notes.

    A column is left out if the gaps that stay in it cost too many training windows (see `affordable`).

    Args:
        readings: the table.
        features: from `choose`.
        training, segment, grid, needed: see `affordable`.
        fill: rows of a gap that are filled.
        calendar: the calendar's features.
    """
    raw = bulk(features, readings)
    values, mask = missing.fill_forward(raw, readings.series, fill)
    longest = duration(fill * seconds_of(readings.interval))
    features, kept, notes = affordable(features, values, training, segment, grid, needed, longest)
    raw, values, mask = raw[:, kept], values[:, kept], mask[:, kept]
    # The values of one text column are missing together: one note and one mask serve them all.
    masks, columns = [], [values]
    for item, first in zip(features, starts(features), strict=True):
        absent, filled = np.isnan(raw[:, first]), mask[:, first]
        if absent.any():
            counts = int(absent.sum()), int(filled.sum()), len(filled)
            notes.append(missing.account(item.column, *counts, longest))
        for beside in of_filled(item.column, filled[training]):
            masks.append(beside)
            columns.append(beside.bulk(filled))
    features = (*features, *masks)
    scale = Scale.fit(np.concatenate(columns, axis=1)[training], ~scaled(features))
    scale = scale.extended(sum(len(item.names) for item in calendar))
    return Encoder((*features, *calendar), scale, fill, readings.interval), notes


def affordable(
    features: Sequence[Feature],
    filled: np.ndarray,
    training: np.ndarray,
    segment: np.ndarray,
    grid: Grid,
    needed: Sequence[str],
    longest: str,
) -> tuple[list[Feature], list[int], list[str]]:
    """The features whose gaps cost few training windows, each by itself; and which were left out and why.

    Args:
        features: what there is.
        filled: (rows, features) float, NaN in the gaps that remain.
        training, segment, grid: how rows and windows belong to parts; see `Grid.whole`.
        needed: columns that stay whatever they cost.
        longest: the longest gap that was filled, for people.

    Returns:
        Features, where their numbers stand in `filled`, and notes.
    """
    everything = np.ones(len(filled), bool)
    possible = max(int(training[grid.whole(everything, everything, segment)].sum()), 1)
    chosen, kept, notes = [], [], []
    for item, first in zip(features, starts(features), strict=True):
        known = ~np.isnan(filled[:, first])
        lost = 0.0
        if item.column not in needed and not known[training].all():
            lost = 1 - training[grid.whole(known, everything, segment)].sum() / possible
        if lost > MOST_WINDOWS_LOST:
            notes.append(
                f"{item.column}: left out of the features, since its gaps longer than {longest} would break "
                f"{lost:.0%} of the training windows; name it among the features to keep it"
            )
        else:
            chosen.append(item)
            kept += range(first, first + len(item.names))
    return chosen, kept, notes

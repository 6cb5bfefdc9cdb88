"""The kinds of features: how each is learnt from training rows, made for a whole table, and for one row.

A feature is made of one of three sources, which says what `bulk` and `row` take:

| source    | bulk                                             | row                              |
|-----------|--------------------------------------------------|----------------------------------|
| "reading" | the `Table`                                      | the reading, a dictionary        |
| "filled"  | (rows,) bool: where its column's gap was filled  | the same of one row, 0.0 or 1.0  |
| "time"    | (rows,) datetime64[s]                            | seconds since 1970               |

`bulk` returns (rows, features) float64 and `row` as many floats, in their units, NaN where there is no
reading. Gaps are filled and units scaled away by the `Encoder`.

To add a kind, write its class here, with its place in `Feature` and `KINDS`, and have `of_column`,
`of_filled` or `of_time` learn it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from sunhwan.data.files.records import MISSING_TEXTS, listed
from sunhwan.data.grid import seconds_of
from sunhwan.data.table import SENTINELS, Table
from sunhwan.errors import SunhwanError

MOST_CATEGORIES = 20
"""A text column with more different values than this in the training rows is left out."""

MISSING = frozenset(MISSING_TEXTS)


@dataclass(frozen=True)
class Number:
    """A column of numbers, which is scaled."""

    column: str

    kind: ClassVar = "number"
    source: ClassVar = "reading"
    scaled: ClassVar = True

    @property
    def names(self) -> tuple[str, ...]:
        return (self.column,)

    @classmethod
    def learn(
        cls, readings: Table, column: str, training: np.ndarray, named: bool = False, target: bool = False
    ) -> Number | str:
        """The feature of a column, or why the column cannot serve.

        Args:
            readings: the table.
            column: its name.
            training: (rows,) bool: the rows to learn from.
            named: whether the user named the column, so that it serves if it can at all.
            target: whether it is a column to forecast, which serves even if it counts the rows.
        """
        values = readings.column(column)
        known = values[training & ~np.isnan(values)]
        if len(known) == 0:
            return "it has no value in the training rows"
        if not named and known.min() == known.max():
            return f"it has the one value {float(known[0])} in all training rows"
        if not named and not target and row_number(values, readings.series, training):
            return "it counts the rows"
        return cls(column)

    def bulk(self, readings: Table) -> np.ndarray:
        return readings.column(self.column)[:, None]

    def row(self, reading: Mapping) -> tuple[float]:
        return (number(reading.get(self.column), self.column),)

    def unseen(self, readings: Table) -> tuple[int, str]:
        """In how many rows there is a text that no training row has, and a note about it."""
        return 0, ""


@dataclass(frozen=True)
class Category:
    """A column of text: a feature for each of its `values`, 1 where the column has that value, else 0."""

    column: str
    values: tuple[str, ...]

    kind: ClassVar = "category"
    source: ClassVar = "reading"
    scaled: ClassVar = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", tuple(self.values))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{self.column}={value}" for value in self.values)

    @classmethod
    def learn(
        cls, readings: Table, column: str, training: np.ndarray, named: bool = False, target: bool = False
    ) -> Category | str:
        """As for `Number`."""
        values = readings.columns[column].filter(pl.Series(training)).drop_nulls().unique().sort().to_list()
        if not values:
            return "it has no value in the training rows"
        if len(values) > MOST_CATEGORIES:
            return f"it holds text of {len(values):,} different values"
        if not named and len(values) == 1:
            return f"it has the one value {values[0]} in all training rows"
        return cls(column, tuple(values))

    def bulk(self, readings: Table) -> np.ndarray:
        text = self._text(readings)
        parts = [(text == value).cast(pl.Float64).fill_null(float("nan")).to_numpy() for value in self.values]
        return np.stack(parts, axis=1)

    def row(self, reading: Mapping) -> list[float]:
        value = reading.get(self.column)
        text = None if value is None else str(value).strip()
        if text is None or text in MISSING:
            return [math.nan] * len(self.values)
        return [float(text == value) for value in self.values]

    def unseen(self, readings: Table) -> tuple[int, str]:
        """As for `Number`."""
        text = self._text(readings)
        others = text.filter(~text.is_in(list(self.values))).drop_nulls()
        return len(others), (
            f"{self.column}: {listed(others.unique().sort().to_list())} did not occur in the training rows "
            f"and counts as none of {listed(self.values)}"
        )

    def _text(self, readings: Table) -> pl.Series:
        """The column as text, even in a table that has numbers alone where words were learnt."""
        if self.column in readings.columns and readings.columns[self.column].dtype == pl.String:
            return readings.columns[self.column]
        return pl.Series(readings.column(self.column)).fill_nan(None).cast(pl.String)


@dataclass(frozen=True)
class Mask:
    """1 where a gap of a column was filled, else 0."""

    column: str

    kind: ClassVar = "filled"
    source: ClassVar = "filled"
    scaled: ClassVar = False

    @property
    def names(self) -> tuple[str, ...]:
        return (f"{self.column} was filled",)

    @classmethod
    def learn(cls, column: str, filled: np.ndarray) -> list[Mask]:
        """The mask of a column with filled values in training, (training rows,) bool; else it is constant."""
        return [cls(column)] if filled.any() else []

    def bulk(self, filled: np.ndarray) -> np.ndarray:
        return filled[:, None].astype(np.float64)

    def row(self, filled: float) -> tuple[float]:
        return (filled,)


@dataclass(frozen=True)
class Calendar:
    """Sine and cosine of the time's phase in a period of `PERIODS`.

    Example:
        >>> Calendar("hour_of_day").bulk(np.array(["2024-01-01T03:00"], "datetime64[s]"))
        array([[0.70710678, 0.70710678]])
    """

    column: str

    kind: ClassVar = "calendar"
    source: ClassVar = "time"
    scaled: ClassVar = False

    PERIODS: ClassVar = {
        "hour_of_day": 86400.0,
        "day_of_week": 7 * 86400.0,
        "day_of_year": 365.2425 * 86400.0,
    }
    """Seconds of each period, by name."""

    TURNS: ClassVar = {"hour_of_day": 2, "day_of_week": 3, "day_of_year": 1}
    """How often a period must recur in the training rows before anything can be learnt of it."""

    def __post_init__(self) -> None:
        if self.column not in self.PERIODS:
            raise SunhwanError(
                f"there is no calendar feature {self.column!r}; expected one of {', '.join(self.PERIODS)}"
            )

    @property
    def names(self) -> tuple[str, ...]:
        return (f"{self.column} sine", f"{self.column} cosine")

    @classmethod
    def learn(cls, time: np.ndarray, interval: np.timedelta64) -> list[Calendar]:
        """The periods that recur in training rows at these times, (rows,), an interval apart."""
        span = (time.max() - time.min()).astype("timedelta64[s]").astype(int)
        return [
            cls(name)
            for name, period in cls.PERIODS.items()
            if seconds_of(interval) * 2 <= period and span >= cls.TURNS[name] * period
        ]

    def bulk(self, time: np.ndarray) -> np.ndarray:
        period = self.PERIODS[self.column]
        phase = 2 * np.pi * (time.astype("datetime64[s]").astype(np.int64) % period) / period
        return np.stack([np.sin(phase), np.cos(phase)], axis=1)

    def row(self, time: int) -> tuple[float, float]:
        period = self.PERIODS[self.column]
        phase = 2 * math.pi * (time % period) / period
        return math.sin(phase), math.cos(phase)


Feature = Number | Category | Mask | Calendar

KINDS: Mapping[str, type[Feature]] = {kind.kind: kind for kind in (Number, Category, Mask, Calendar)}


def of_column(
    readings: Table, column: str, training: np.ndarray, named: bool = False, target: bool = False
) -> Feature | str:
    """The feature that a table's column makes, or why it cannot serve; arguments as for `Number.learn`."""
    text = column in readings.columns.columns and readings.columns[column].dtype == pl.String
    return (Category if text else Number).learn(readings, column, training, named, target)


def of_filled(column: str, filled: np.ndarray) -> list[Feature]:
    """The features that a column's filled gaps make, (training rows,) bool."""
    return Mask.learn(column, filled)


def of_time(time: np.ndarray, interval: np.timedelta64) -> list[Feature]:
    """The features of time alone that training rows at these times, (rows,), can teach."""
    return Calendar.learn(time, interval)


def row_number(column: np.ndarray, series: np.ndarray, training: np.ndarray) -> bool:
    """Whether a column changes by the same amount at each training row: a counter, not a reading."""
    steps = np.diff(column)[(series[1:] == series[:-1]) & training[1:] & training[:-1]]
    steps = steps[~np.isnan(steps)]
    return len(steps) > 1 and steps[0] != 0 and bool((steps == steps[0]).all())


def number(value: object, column: str) -> float:
    """The number that a reading has in a column; NaN where it is missing, as in files.

    Raises:
        SunhwanError: it is something else.
    """
    if type(value) is float or type(value) is int:
        value = float(value)
    elif value is None:
        return math.nan
    elif isinstance(value, str):
        text = value.strip()
        if text in MISSING:
            return math.nan
        try:
            value = float(text)
        except ValueError:
            raise SunhwanError(
                f"the reading has the text {value!r} in the number column {column!r}; expected a number"
            ) from None
    elif not isinstance(value, int | float):
        raise SunhwanError(f"the reading has {value!r} in the number column {column!r}; expected a number")
    value = float(value)
    return math.nan if math.isinf(value) or value in SENTINELS else value

"""The columns of a table that are forecast from, as numbers: all that is learnt comes from training rows.

Number columns stay as they are, a text column becomes one column of zeros and ones for each of its values,
and the calendar becomes sines and cosines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from sunhwan.data.features import missing
from sunhwan.data.table import Table
from sunhwan.data.windows import Grid
from sunhwan.errors import SunhwanError

CALENDAR = {"hour_of_day": 86400.0, "day_of_week": 7 * 86400.0, "day_of_year": 365.2425 * 86400.0}
"""Calendar features by name and period in seconds; each becomes a sine and a cosine of the phase."""

MOST_CATEGORIES = 20
"""A text column of more different values than this in the training rows is left out."""

MOST_WINDOWS_LOST = 0.2
"""A column that nobody asked for is left out if its gaps alone would break more of the training windows."""


@dataclass(frozen=True)
class Features:
    """The columns to forecast from, before gaps are filled and units scaled away.

    Attributes:
        names: each feature's name; a text column's are `column=value`.
        columns: the table's column that each feature was made of.
        values: (rows, features) float64, NaN where there is no reading.
        binary: (features,) bool: whether a feature is not scaled: zeros and ones, sines and cosines.
        categories: the values of each text column that have a feature.
        notes: what was left out and why, in sentences.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    values: np.ndarray
    binary: np.ndarray
    categories: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]

    def keep(self, kept: Sequence[int]) -> Features:
        """The features numbered `kept`."""
        columns = tuple(self.columns[i] for i in kept)
        return replace(
            self,
            names=tuple(self.names[i] for i in kept),
            columns=columns,
            values=self.values[:, kept],
            binary=self.binary[kept],
            categories={column: values for column, values in self.categories.items() if column in columns},
        )

    def add(self, names: Sequence[str], columns: Sequence[str], values: np.ndarray) -> Features:
        """These features and, after them, others that are not scaled."""
        return replace(
            self,
            names=(*self.names, *names),
            columns=(*self.columns, *columns),
            values=np.concatenate([self.values, values], axis=1),
            binary=np.append(self.binary, np.ones(len(names), bool)),
        )

    def note(self, *sentences: str) -> Features:
        """The same features with further notes."""
        return replace(self, notes=(*self.notes, *sentences))


def choose(readings: Table, wanted: Sequence[str], targets: Sequence[str], training: np.ndarray) -> Features:
    """The features that a table offers: those wanted, or all that can serve.

    Args:
        readings: the table.
        wanted: names of columns; empty for all but those that hold one value, count the rows or are text of
            too many values.
        targets: the columns to forecast, which always serve if they are not left out of `wanted`.
        training: (rows,) bool: the rows to learn from.

    Raises:
        SunhwanError: a wanted column is not there or cannot serve.
    """
    columns, notes = {}, []
    for name in wanted or readings.columns.columns:
        column = column_of(readings, name)
        reason = unfit(column, readings.series, training, asked=bool(wanted), is_target=name in targets)
        if not reason:
            columns[name] = column
        elif wanted:
            raise SunhwanError(
                f"column {name!r} of {readings.name} was asked for as a feature, but {reason}; expected "
                f"numbers, or text of at most {MOST_CATEGORIES} values: leave it out of the features"
            )
        else:
            notes.append(f"{name}: left out of the features, since {reason}")
    return expanded(columns, training, notes)


def unfit(
    column: np.ndarray | pl.Series, series: np.ndarray, training: np.ndarray, asked: bool, is_target: bool
) -> str:
    """Why a column cannot be a feature, or, if nobody asked for it, had better not be; `""` if it can."""
    values = distinct(column, training)
    if len(values) == 0:
        return "it has no value in the training rows"
    if isinstance(column, pl.Series) and len(values) > MOST_CATEGORIES:
        return f"it holds text of {len(values):,} different values"
    if asked:
        return ""
    if len(values) == 1:
        return f"it has the one value {values[0]} in all training rows"
    if isinstance(column, np.ndarray) and not is_target and row_number(column, series, training):
        return "it counts the rows"
    return ""


def column_of(readings: Table, name: str) -> np.ndarray | pl.Series:
    """A number column as (rows,) float64 with NaN, a text column as it is."""
    text = name in readings.columns.columns and readings.columns[name].dtype == pl.String
    return readings.columns[name] if text else readings.column(name)


def varying(readings: Table, target: str, training: np.ndarray) -> np.ndarray:
    """The target's values in the training rows, (known,) float64.

    Raises:
        SunhwanError: there are none, or they are all the same.
    """
    column = readings.column(target)
    known = column[training & ~np.isnan(column)]
    if len(known) == 0:
        raise SunhwanError(
            f"the target {target!r} has no value in the {int(training.sum()):,} training rows of "
            f"{readings.name}; expected numbers there"
        )
    if known.min() == known.max():
        raise SunhwanError(
            f"the target {target!r} has the one value {known[0]:g} in all training rows; expected it to vary"
        )
    return known


def distinct(column: np.ndarray | pl.Series, training: np.ndarray) -> list:
    """The different values in the training rows; of numbers, no more than two."""
    if isinstance(column, pl.Series):
        return column.filter(pl.Series(training)).drop_nulls().unique().sort().to_list()
    known = column[training & ~np.isnan(column)]
    return [] if len(known) == 0 else sorted({float(known.min()), float(known.max())})


def row_number(column: np.ndarray, series: np.ndarray, training: np.ndarray) -> bool:
    """Whether a column changes by the same amount at each training row: a counter, no reading."""
    steps = np.diff(column)[(series[1:] == series[:-1]) & training[1:] & training[:-1]]
    steps = steps[~np.isnan(steps)]
    return len(steps) > 1 and steps[0] != 0 and bool((steps == steps[0]).all())


def expanded(columns: dict[str, np.ndarray | pl.Series], training: np.ndarray, notes: list[str]) -> Features:
    """Each text column as one 0/1 column per value that the training rows hold; missing stays missing."""
    names, made_of, values, categories = [], [], [], {}
    for name, column in columns.items():
        if isinstance(column, np.ndarray):
            names.append(name)
            made_of.append(name)
            values.append(column)
            continue
        categories[name] = tuple(distinct(column, training))
        for value in categories[name]:
            names.append(category_name(name, value))
            made_of.append(name)
            values.append(indicator(column, value))
        unseen = len(column) - column.is_in(categories[name]).sum() - column.null_count()
        if unseen:
            notes.append(f"{name}: {unseen:,} rows hold values that no training row holds; they are all zero")
    matrix = np.stack(values, axis=1) if values else np.empty((len(training), 0))
    binary = np.array([column in categories for column in made_of], bool)
    return Features(tuple(names), tuple(made_of), matrix, binary, categories, tuple(notes))


def category_name(column: str, value: str) -> str:
    """What the feature for one value of a text column is called."""
    return f"{column}={value}"


def filled_name(column: str) -> str:
    """What the feature is called that says where a column's gaps were filled."""
    return f"{column} was filled"


def indicator(column: pl.Series, value: str) -> np.ndarray:
    """(rows,) float64: one where a text column holds `value`, zero where another, NaN where none."""
    return (column == value).cast(pl.Float64).fill_null(float("nan")).to_numpy()


def filled(
    features: Features,
    series: np.ndarray,
    training: np.ndarray,
    segment: np.ndarray,
    grid: Grid,
    limit: int,
    longest: str,
    needed: Sequence[str],
) -> Features:
    """The features with gaps filled from the past, and masks that say where.

    A column whose remaining gaps would cost too many windows is left out (see `affordable`). A mask stands
    beside each column that has filled values in training; elsewhere it would be constant there.

    Args:
        features: what was chosen.
        series: (rows,) the series of each row.
        training, segment, grid, needed: see `affordable`.
        limit, longest: rows of a gap that are filled, as a number and for people.
    """
    values, mask = missing.fill_forward(features.values, series, limit)
    kept, notes = affordable(features, values, training, segment, grid, needed, longest)
    absent, mask = np.isnan(features.values[:, kept]), mask[:, kept]
    features = replace(features, values=values).keep(kept)
    # The values of one text column are missing together: one account and one mask serve them all.
    firsts = [i for i, column in enumerate(features.columns) if column not in features.columns[:i]]
    for i in firsts:
        if absent[:, i].any():
            counts = int(absent[:, i].sum()), int(mask[:, i].sum()), len(mask)
            notes.append(missing.account(features.columns[i], *counts, longest))
    masked = [i for i in firsts if mask[training, i].any()]
    columns = [features.columns[i] for i in masked]
    return features.add([filled_name(column) for column in columns], columns, mask[:, masked]).note(*notes)


def affordable(
    features: Features,
    filled: np.ndarray,
    training: np.ndarray,
    segment: np.ndarray,
    grid: Grid,
    needed: Sequence[str],
    longest: str,
) -> tuple[list[int], list[str]]:
    """The features whose gaps cost few training windows, each for itself; and which were left out and why.

    Args:
        features: what there is.
        filled: (rows, features) float, NaN in the gaps that remain.
        training, segment, grid: how rows and windows belong to parts; see `Grid.whole`.
        needed: columns that stay whatever they cost.
        longest: the longest gap that was filled, for people.

    Returns:
        The indices of features to keep, and sentences.
    """
    everything = np.ones(len(filled), bool)
    possible = max(int(training[grid.whole(everything, everything, segment)].sum()), 1)
    lost, notes = {}, []
    for i, column in enumerate(features.columns):
        known = ~np.isnan(filled[:, i])
        if column in lost or column in needed or known[training].all():
            continue
        lost[column] = 1 - training[grid.whole(known, everything, segment)].sum() / possible
        if lost[column] > MOST_WINDOWS_LOST:
            notes.append(
                f"{column}: left out of the features, since its gaps longer than {longest} would break "
                f"{lost[column]:.0%} of the training windows; name it among the features to keep it"
            )
    kept = [i for i, column in enumerate(features.columns) if lost.get(column, 0) <= MOST_WINDOWS_LOST]
    return kept, notes


def calendar(time: np.ndarray, wanted: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Sine and cosine of the time's phase in each period of `CALENDAR`: (rows, 2 per period), and names.

    Example:
        >>> calendar(np.array(["2024-01-01T03:00"], "datetime64[s]"), ["hour_of_day"])
        (array([[0.70710678, 0.70710678]]), ['hour_of_day sine', 'hour_of_day cosine'])
    """
    columns, names = [], []
    for name in wanted:
        phase = 2 * np.pi * (time.astype("datetime64[s]").astype(np.int64) % CALENDAR[name]) / CALENDAR[name]
        columns += [np.sin(phase), np.cos(phase)]
        names += [f"{name} sine", f"{name} cosine"]
    return np.stack(columns, axis=1) if columns else np.empty((len(time), 0)), names

"""From a table of readings to scaled windows: the way every forecasting study takes.

    Table -> columns (numbers, one-hot texts, calendar) -> parts -> gaps filled from the past, with masks
          -> scaled by training rows -> windows of train, val and test

Everything that is learnt from data on this way (which columns stay, categories, masks, mean and standard
deviation) is learnt from training rows alone; a test holds that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from sunhwan.data import missing, split, table
from sunhwan.data.scale import Scale
from sunhwan.data.windows import Grid, Windows, rows_in
from sunhwan.errors import SunhwanError

CALENDAR = {"hour_of_day": 86400.0, "day_of_week": 7 * 86400.0, "day_of_year": 365.2425 * 86400.0}
"""Calendar features by name and period in seconds; each becomes a sine and a cosine of the phase."""

MOST_CATEGORIES = 20
"""A text column of more different values than this in the training rows is left out."""

MOST_WINDOWS_LOST = 0.2
"""A column that was not asked for by name is left out where its gaps alone would break more of the training windows."""


@dataclass(frozen=True)
class Preparation:
    """How a table becomes windows: what a study's `[prepare]` says.

    Attributes:
        target: the column to forecast.
        features: the columns to forecast from; empty for all that can serve.
        calendar: names out of `CALENDAR`.
        lookback, step, horizon: rows (int) or durations (`"5d"`); the horizon counts from the last
            observed row.
        split: three shares of each series by time, or two row numbers.
        fill: the longest gap that features are filled over, a duration.
        indexing: `"last_row"`, or `"tutorial"`: samples row - lookback to row - step, target row + horizon,
            so that the target lies horizon + step after the last observed row.
    """

    target: str
    lookback: int | str
    horizon: int | str
    features: tuple[str, ...] = ()
    calendar: tuple[str, ...] = ()
    step: int | str = 1
    split: tuple[float, ...] = (60, 20, 20)
    fill: str = "6h"
    indexing: str = "last_row"


@dataclass(frozen=True)
class Series:
    """Windows ready for training, and what brings forecasts back to physical units.

    Attributes:
        train, val, test: the windows of each part.
        features: the name of each input feature.
        calendar_features: how many of the last features are calendar features.
        target: the target's name.
        target_mean, target_std: of the training rows, in the target's unit.
        scale: of the features.
        grid: how windows lie over the rows.
        categories: each one-hot text column's values.
        time: (rows,) datetime64[s].
        series, series_names: as in `Table`.
        values: (rows,) the target in its unit, NaN where not observed.
        edges: datetime64[s] at which validation and test begin, in the first series.
        season: rows of a day, or 0 where the interval is a day or longer.
        interval: the time from row to row.
        notes: what was done, with counts.
    """

    train: Windows
    val: Windows
    test: Windows
    features: tuple[str, ...]
    calendar_features: int
    target: str
    target_mean: float
    target_std: float
    scale: Scale
    grid: Grid
    categories: dict[str, tuple[str, ...]]
    preparation: Preparation
    time: np.ndarray
    series: np.ndarray
    series_names: tuple[str, ...]
    values: np.ndarray
    edges: np.ndarray
    season: int
    interval: np.timedelta64
    notes: tuple[str, ...]

    def physical(self, scaled: np.ndarray) -> np.ndarray:
        """Scaled targets or forecasts in the target's unit, float64."""
        return scaled.astype(np.float64) * self.target_std + self.target_mean

    def recipe(self) -> dict:
        """What prediction on new rows needs, as JSON: columns, categories, scaling, windows."""
        return {
            "preparation": asdict(self.preparation),
            "interval_seconds": int(self.interval.astype(int)),
            "features": list(self.features),
            "categories": {column: list(values) for column, values in self.categories.items()},
            "feature_mean": self.scale.mean.tolist(),
            "feature_std": self.scale.std.tolist(),
            "target": self.target,
            "target_mean": self.target_mean,
            "target_std": self.target_std,
        }


def prepare(readings: table.Table, how: Preparation) -> Series:
    """Windows of training, validation and test from a table.

    Raises:
        SunhwanError: a column is not there, the target has no values or is constant in the training rows,
            or a part holds no whole window.
    """
    interval = readings.interval
    step = rows_in(how.step, interval, "step")
    horizon = rows_in(how.horizon, interval, "horizon") + (step if how.indexing == "tutorial" else 0)
    grid = Grid(rows_in(how.lookback, interval, "lookback"), step, horizon)
    seconds = int(interval.astype(int))
    limit = int(rows_in(how.fill, np.timedelta64(1, "s"), "fill")) // seconds

    part = split.chronological(readings.series, how.split)
    training = part == 0
    segment = readings.series.astype(np.int64) * len(split.PARTS) + part
    target = target_column(readings, how.target, training)
    observed = ~np.isnan(target)

    columns, notes = choose(readings, how.features, how.target, training)
    columns, categories, more = one_hot(columns, training)
    notes += more
    names = list(columns)
    raw = np.stack([columns[name] for name in names], axis=1)
    filled, mask = missing.fill_forward(raw, readings.series, limit)

    keep, more = affordable(names, filled, training, segment, grid, bool(how.features), limit, how.target)
    notes += more
    notes += [
        missing.account(names[i], int(np.isnan(raw[:, i]).sum()), int(mask[:, i].sum()), len(raw), limit * seconds / 3600)
        for i in keep
        if np.isnan(raw[:, i]).any()
    ]
    # A mask column beside each column that has filled values in training; elsewhere it would be constant there.
    masked = [i for i in keep if mask[training, i].any()]
    phases, phase_names = calendar(readings.time, how.calendar)
    values = np.concatenate([filled[:, keep], mask[:, masked], phases], axis=1)
    features = [*(names[i] for i in keep), *(f"{names[i]} was filled" for i in masked), *phase_names]
    one_hot_names = {f"{column}={value}" for column, options in categories.items() for value in options}
    binary = np.array([name in one_hot_names or index >= len(keep) for index, name in enumerate(features)])

    scale = Scale.fit(values[training], binary)
    mean, std = float(np.mean(target[training & observed])), float(np.std(target[training & observed]))
    if std == 0:
        raise SunhwanError(
            f"the target {how.target!r} has the one value {mean:g} in all training rows; expected one that varies"
        )
    # The last known value of the target, however long ago: what persistence forecasts, and ridge adds to.
    current, _ = missing.fill_forward(target[:, None], readings.series, len(target))
    scaled, current = ((column - mean) / std for column in (target, current[:, 0]))
    scaled, current = scaled.astype(np.float32), current.astype(np.float32)
    values = scale.apply(values)
    usable = ~np.isnan(values).any(axis=1) & ~np.isnan(current)
    last = grid.whole(usable, observed, segment)
    possible = len(grid.whole(np.ones_like(usable), np.ones_like(observed), segment))
    if possible > len(last):
        notes.append(f"{possible - len(last):,} of {possible:,} windows are left out, since a value in them is missing")
    windows = {}
    for code, name in enumerate(split.PARTS):
        ends = last[part[last] == code]
        if len(ends) == 0:
            raise SunhwanError(no_window(name, int((part == code).sum()), grid, how, interval, readings.series_names))
        windows[name] = grid.windows(values, scaled, current, ends)
    first = readings.series == readings.series[0]
    return Series(
        **windows,
        features=tuple(features),
        calendar_features=len(phase_names),
        target=how.target,
        target_mean=mean,
        target_std=std,
        scale=scale,
        grid=grid,
        categories=categories,
        preparation=how,
        time=readings.time,
        series=readings.series,
        series_names=readings.series_names,
        values=target,
        edges=np.array([readings.time[first & (part == code)][0] for code in (1, 2)]),
        season=86400 // seconds if seconds < 86400 and 86400 % seconds == 0 else 0,
        interval=interval,
        notes=(*readings.notes, *notes),
    )


def target_column(readings: table.Table, name: str, training: np.ndarray) -> np.ndarray:
    """(rows,) the target in its unit, refused where training has nothing to learn from."""
    target = readings.column(name)
    if np.isnan(target[training]).all():
        raise SunhwanError(
            f"the target {name!r} has no value in the {int(training.sum()):,} training rows of {readings.name}; expected numbers there"
        )
    return target


def choose(
    readings: table.Table, wanted: Sequence[str], target: str, training: np.ndarray
) -> tuple[dict[str, np.ndarray | pl.Series], list[str]]:
    """The columns to forecast from, the target first among its equals, and which were left out and why."""
    if wanted:
        for name in wanted:
            if name not in readings.columns.columns:
                readings.column(name)
        return {name: usable_column(readings, name) for name in wanted}, []
    columns, notes = {}, []
    for name in readings.columns.columns:
        column = usable_column(readings, name)
        known = column.drop_nulls() if isinstance(column, pl.Series) else column[training & ~np.isnan(column)]
        if len(known) == 0:
            reason = "it has no value in the training rows"
        elif isinstance(column, np.ndarray) and (known == known[0]).all():
            reason = f"it has the one value {known[0]:g} in all training rows"
        elif isinstance(column, np.ndarray) and len(known) > 2 and row_number(column, readings.series) and name != target:
            reason = "it counts the rows"
        elif isinstance(column, pl.Series) and column.filter(pl.Series(training)).n_unique() > MOST_CATEGORIES:
            reason = f"it holds text of more than {MOST_CATEGORIES} different values"
        else:
            columns[name] = column
            continue
        notes.append(f"{name}: left out of the features, since {reason}")
    return columns, notes


def usable_column(readings: table.Table, name: str) -> np.ndarray | pl.Series:
    """A number column as an array with NaN, a text column as it is."""
    numeric = readings.columns[name].dtype.is_numeric()
    return readings.column(name) if numeric else readings.columns[name].cast(pl.String)


def row_number(column: np.ndarray, series: np.ndarray) -> bool:
    """Whether the column rises by the same amount from each row to the next: a counter, not a reading."""
    steps = np.diff(column)[series[1:] == series[:-1]]
    steps = steps[~np.isnan(steps)]
    return len(steps) > 0 and steps[0] > 0 and bool((steps == steps[0]).all())


def one_hot(
    columns: dict[str, np.ndarray | pl.Series], training: np.ndarray
) -> tuple[dict[str, np.ndarray], dict[str, tuple[str, ...]], list[str]]:
    """Each text column as one 0/1 column per value that the training rows hold; missing stays missing."""
    expanded, categories, notes = {}, {}, []
    for name, column in columns.items():
        if isinstance(column, np.ndarray):
            expanded[name] = column
            continue
        values = tuple(column.filter(pl.Series(training)).drop_nulls().unique().sort())
        if len(values) > MOST_CATEGORIES:
            raise SunhwanError(
                f"column {name!r} holds text of {len(values)} different values, too many for a feature; "
                f"expected numbers, or text of at most {MOST_CATEGORIES} values"
            )
        categories[name] = values
        absent = column.is_null().to_numpy()
        for value in values:
            expanded[f"{name}={value}"] = np.where(absent, np.nan, (column == value).fill_null(False).to_numpy())
        new = column.filter(~column.is_in(list(values)) & column.is_not_null())
        if len(new):
            notes.append(f"{name}: {len(new):,} rows after training hold values that training never saw; they are all zero")
    return expanded, categories, notes


def affordable(
    names: list[str],
    filled: np.ndarray,
    training: np.ndarray,
    segment: np.ndarray,
    grid: Grid,
    asked: bool,
    limit: int,
    target: str,
) -> tuple[list[int], list[str]]:
    """The columns whose gaps cost few windows; all of them if they were asked for by name."""
    if asked:
        return list(range(len(names))), []
    everything = np.ones(len(filled), bool)
    possible = grid.whole(everything, everything, segment)
    possible = int(training[possible].sum())
    keep, notes = [], []
    for i, name in enumerate(names):
        if name == target or not np.isnan(filled[training, i]).any():
            keep.append(i)
            continue
        whole = grid.whole(~np.isnan(filled[:, i]), everything, segment)
        lost = 1 - training[whole].sum() / max(possible, 1)
        if lost <= MOST_WINDOWS_LOST:
            keep.append(i)
        else:
            notes.append(
                f"{name}: left out of the features, since its gaps longer than {limit} rows would break {lost:.0%} of the "
                "training windows; name it among the features to keep it"
            )
    return keep, notes


def calendar(time: np.ndarray, wanted: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Sine and cosine of the time's phase in each period: (rows, 2 per period), and their names."""
    columns, names = [], []
    for name in wanted:
        if name not in CALENDAR:
            raise SunhwanError(f"there is no calendar feature {name!r}; there are {', '.join(CALENDAR)}")
        phase = 2 * np.pi * (time.astype("datetime64[s]").astype(np.int64) % CALENDAR[name]) / CALENDAR[name]
        columns += [np.sin(phase), np.cos(phase)]
        names += [f"{name} sine", f"{name} cosine"]
    return np.stack(columns, axis=1) if columns else np.empty((len(time), 0)), names


def no_window(
    part: str, rows: int, grid: Grid, how: Preparation, interval: np.timedelta64, series_names: Sequence[str]
) -> str:
    """Why a part has no window, and what to do."""
    needed = grid.span + 1 + grid.horizon
    what = {"train": "training", "val": "validation", "test": "test"}[part]
    row = table.duration(int(interval.astype(int)))
    if rows < needed * len(series_names):
        return (
            f"the {what} part has {rows:,} rows of {row}, but one window needs {needed:,} (lookback {how.lookback}, "
            f"horizon {how.horizon}); give more data, a shorter lookback or another split"
        )
    return (
        f"no window of the {what} part ({rows:,} rows of {row}) is without gaps; one needs {needed:,} rows with all features "
        "known: fill longer gaps (fill), leave out the columns with gaps (features), or shorten the lookback"
    )

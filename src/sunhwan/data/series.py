"""From a table of readings to scaled windows: the way every forecasting study takes.

    Table -> columns (numbers, one-hot texts, calendar) -> parts -> gaps filled from the past, with masks
          -> scaled by training rows -> windows of train, val and test

Everything that is learnt from data on this way (which columns stay, categories, masks, mean and standard
deviation) is learnt from training rows alone; a test holds that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np

from sunhwan.data import split, table
from sunhwan.data.features import encoder, missing
from sunhwan.data.features.encoder import Encoder
from sunhwan.data.features.kinds import Calendar
from sunhwan.data.features.scale import Scale
from sunhwan.data.grid import Grid, Windows, rows_in, rows_within, seconds_of
from sunhwan.data.paths import check_target
from sunhwan.errors import SunhwanError
from sunhwan.units import duration

INDEXINGS = ("last_row", "tutorial")


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
        fill: the longest gap that features are filled over, rows or a duration; 0 for none.
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
    fill: int | str = "6h"
    indexing: str = "last_row"

    def __post_init__(self) -> None:
        for key in ("features", "calendar"):
            names = getattr(self, key)
            if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
                raise SunhwanError(f"{key} is {names!r}; expected a list of names")
        for name in self.calendar:
            Calendar(name)
        if self.indexing not in INDEXINGS:
            raise SunhwanError(f"indexing is {self.indexing!r}; expected one of {', '.join(INDEXINGS)}")


@dataclass(frozen=True)
class Series:
    """Windows ready for training, and what brings forecasts back to physical units.

    Attributes:
        train, val, test: the windows of each part.
        recipe: what the features are made of, and their scale.
        calendar_features: how many of the last features are calendar features.
        target: the target's name.
        target_mean, target_std: of the training rows, in the target's unit.
        grid: how windows lie over the rows.
        time: (rows,) datetime64[s].
        series, series_names: as in `Table`.
        values: (rows,) the target in its unit, NaN where not observed.
        edges: (2,) datetime64[s] at which validation and test begin, in the first series that has them.
        season: rows of a day, or 0 where the interval is a day or longer.
        interval: the time from row to row.
        notes: what was done, with counts.
    """

    train: Windows
    val: Windows
    test: Windows
    recipe: Encoder
    calendar_features: int
    target: str
    target_mean: float
    target_std: float
    grid: Grid
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

    @property
    def features(self) -> tuple[str, ...]:
        """The name of each input feature."""
        return self.recipe.names

    @property
    def scale(self) -> Scale:
        """Of the features."""
        return self.recipe.scale

    def kept(self) -> dict:
        """What prediction on new rows needs, as JSON: the recipe, the target's scale, windows."""
        return {
            "preparation": asdict(self.preparation),
            **self.recipe.to_dict(),
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
    grid = grid_of(how, interval)
    part = split.chronological(readings.series, how.split)
    training = part == 0
    segment = readings.series.astype(np.int64) * len(split.PARTS) + part
    target, mean, std = target_column(readings, how.target, training)
    chosen, notes = encoder.choose(readings, training, how.features, targets=(how.target,))
    calendar = [Calendar(name) for name in how.calendar]
    limit = rows_within(how.fill, interval, "fill")
    needed = how.features or (how.target,)
    recipe, more = encoder.learn(readings, chosen, training, segment, grid, needed, limit, calendar)
    values, _ = recipe.bulk(readings)
    notes += more

    # The last known value of the target, however long ago: what persistence forecasts, and ridge adds to.
    current, _ = missing.fill_forward(target[:, None], readings.series, len(target))
    scaled, current = (((column - mean) / std).astype(np.float32) for column in (target, current[:, 0]))
    everything = np.ones(len(part), bool)
    possible = grid.whole(everything, everything, segment)
    last = grid.whole(~np.isnan(values).any(axis=1), ~np.isnan(target), segment)
    last = last[~np.isnan(current[last])]
    left_out = len(possible) - len(last)
    if left_out:
        notes.append(
            f"{left_out:,} of {len(possible):,} windows are left out, since a value in them is missing"
        )
    ends = {name: last[part[last] == code] for code, name in enumerate(split.PARTS)}
    for code, name in enumerate(split.PARTS):
        if len(ends[name]) == 0:
            raise SunhwanError(no_window(name, segment[part == code], grid, how, interval))
    every = grid.windows(values, scaled, current, last)
    return Series(
        **{name: replace(every, last=ends[name]) for name in split.PARTS},
        recipe=recipe,
        calendar_features=len(recipe.places("time")),
        target=how.target,
        target_mean=mean,
        target_std=std,
        grid=grid,
        preparation=how,
        time=readings.time,
        series=readings.series,
        series_names=readings.series_names,
        values=target,
        edges=np.array([readings.time[part == code][0] for code in (1, 2)]),
        season=season_of(interval),
        interval=interval,
        notes=(*readings.notes, *notes),
    )


def grid_of(how: Preparation, interval: np.timedelta64) -> Grid:
    """How windows lie over rows of `interval`; the tutorial's indexing is a horizon one step longer."""
    step = rows_in(how.step, interval, "step")
    horizon = rows_in(how.horizon, interval, "horizon") + (step if how.indexing == "tutorial" else 0)
    return Grid(rows_in(how.lookback, interval, "lookback"), step, horizon)


def season_of(interval: np.timedelta64) -> int:
    """Rows of a day, or 0 where a day is not a whole number of rows, at least two."""
    seconds = seconds_of(interval)
    return 86400 // seconds if seconds < 86400 and 86400 % seconds == 0 else 0


def target_column(readings: table.Table, name: str, training: np.ndarray) -> tuple[np.ndarray, float, float]:
    """(rows,) the target in its unit, and its mean and standard deviation in the training rows."""
    target = readings.column(name)
    check_target(readings, name, training)
    known = target[training & ~np.isnan(target)]
    return target, float(known.mean()), float(known.std())


def no_window(name: str, segment: np.ndarray, grid: Grid, how: Preparation, interval: np.timedelta64) -> str:
    """Why a part has no window, and what to do.

    Args:
        name: the part.
        segment: the segment of each of its rows; one is the part of one series.
        grid, how, interval: how windows were to lie.
    """
    needed = grid.span + 1 + grid.horizon
    rows = int(np.bincount(segment).max(initial=0))
    row = duration(seconds_of(interval))
    part = {"train": "training", "val": "validation", "test": "test"}[name] + " part"
    if rows < needed:
        return (
            f"the {part} has {rows:,} rows of {row} (in its longest series), but a window needs "
            f"{needed:,} (lookback {how.lookback}, horizon {how.horizon}): give more data, a shorter "
            "lookback or another split"
        )
    return (
        f"no window of the {part} ({rows:,} rows of {row}) is without gaps; each needs {needed:,} rows with "
        "all features known: fill longer gaps (fill), leave out the columns with gaps (features), or shorten "
        "the lookback"
    )

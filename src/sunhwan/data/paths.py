"""From a table to windows whose targets are whole paths: each step from the last observed row to the horizon.

    rows      ... r-3  r-2  r-1   r   r+1  r+2  r+3
    lookback 4:  [r-3            r]                     what is read: (timesteps, features)
    horizon 3:                       [r+1       r+3]    the path: (steps, targets)
                                     [r+1       r+3]    what is known in advance of it: (steps, known)

`learn` draws a `Plan` from training rows; `lay` lays a table out by a plan, learning nothing, so that
training, test and prediction years later take one way. A row r from which a forecast is made is an *origin*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property

import numpy as np

from sunhwan.data import split
from sunhwan.data.features import encoder as encoders
from sunhwan.data.features.encoder import Encoder
from sunhwan.data.features.kinds import Calendar
from sunhwan.data.features.scale import Scale
from sunhwan.data.files.records import listed
from sunhwan.data.files.timestamps import PARTS
from sunhwan.data.grid import Grid, rows_in, rows_within, seconds_of
from sunhwan.data.table import Table
from sunhwan.errors import SunhwanError
from sunhwan.units import duration, human

DAY = 86400

MOST_TIMESTEPS = 128
"""A window has no more timesteps: of more rows every n-th is read, counted back from the last."""


LARGEST = 1e30
"""Targets beyond this would overflow where they are squared in single precision."""


@dataclass(frozen=True)
class Wanted:
    """What a forecast is to be of; what is None or empty is drawn from the data.

    Attributes:
        targets: the columns to forecast.
        horizon, lookback: rows or durations; by default a day ahead (of daily rows a week, else 12 rows),
            from a window of two days (of daily rows four weeks), at least twice the horizon.
        known: columns whose values are known in advance, such as a plan or a holiday.
        features: the columns to forecast from, beside targets and known; by default all that can serve.
        split: three shares of each series by time, or two row numbers; two shares where the test part is
            a file of its own.
        fill: the longest gap that features are filled over.
    """

    targets: tuple[str, ...]
    horizon: int | str | None = None
    lookback: int | str | None = None
    known: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    split: tuple[float, ...] = (60, 20, 20)
    fill: int | str | None = None

    def __post_init__(self) -> None:
        if not self.targets:
            raise SunhwanError("no target is named; name the column to forecast (--target)")
        for key in ("targets", "known", "features"):
            names = getattr(self, key)
            twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
            if twice:
                raise SunhwanError(f"{twice[0]!r} stands twice among the {key}; name each column once")
        both = [name for name in self.targets if name in self.known]
        if both:
            raise SunhwanError(
                f"{both[0]!r} is a target and is said to be known in advance; what is known need not be "
                "forecast: leave it out of one of the two"
            )


@dataclass(frozen=True)
class Plan:
    """What was learnt of training rows, and how windows lie.

    Attributes:
        targets: the names of the targets, each of which is a feature too.
        known: the names of the columns that are known in advance.
        encoder: makes the features.
        grid: windows over rows; the horizon is the number of steps.
        season: rows of a day (of daily rows, of a week), or 0.
    """

    targets: tuple[str, ...]
    known: tuple[str, ...]
    encoder: Encoder
    grid: Grid
    season: int

    @property
    def steps(self) -> int:
        return self.grid.horizon

    @property
    def outputs(self) -> int:
        """Numbers in one path."""
        return self.steps * len(self.targets)

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names."""
        return self.encoder.names

    @cached_property
    def target_features(self) -> np.ndarray:
        """(targets,) which feature each target is."""
        return np.concatenate([self.encoder.places("reading", (name,)) for name in self.targets])

    @cached_property
    def known_features(self) -> np.ndarray:
        """(known,) which features are known in advance; several of a text column."""
        return self.encoder.places("reading", self.known)

    @cached_property
    def calendar_features(self) -> np.ndarray:
        """Which features are of the calendar."""
        return self.encoder.places("time")

    @cached_property
    def target_scale(self) -> Scale:
        """Of the targets."""
        scale = self.encoder.scale
        return Scale(scale.mean[self.target_features], scale.std[self.target_features])

    @property
    def interval(self) -> np.timedelta64:
        return self.encoder.interval

    def physical(self, scaled: np.ndarray) -> np.ndarray:
        """Scaled targets (..., targets) in their units, float64."""
        return scaled.astype(np.float64) * self.target_scale.std + self.target_scale.mean

    def to_dict(self) -> dict:
        """For JSON."""
        return {
            "targets": list(self.targets),
            "known": list(self.known),
            "encoder": self.encoder.to_dict(),
            "grid": asdict(self.grid),
            "season": self.season,
        }

    @classmethod
    def from_dict(cls, saved: dict) -> Plan:
        """What `to_dict` returned.

        Raises:
            KeyError, TypeError, ValueError: something is missing or of another form than `to_dict` writes.
        """
        plan = cls(
            tuple(saved["targets"]),
            tuple(saved["known"]),
            Encoder.from_dict(saved["encoder"]),
            Grid(**{key: int(value) for key, value in saved["grid"].items()}),
            int(saved["season"]),
        )
        if len(plan.target_features) != len(plan.targets):
            raise ValueError(f"the targets {listed(plan.targets)} are not all among the features")
        return plan


@dataclass(frozen=True)
class Rows:
    """A table laid out by a plan.

    Attributes:
        plan: how.
        values: (rows, features) float32, scaled; NaN where a gap is longer than what is filled.
        truth: (rows, targets) float32, scaled; NaN where not observed, and never filled.
        time: (rows,) datetime64[s].
        series: (rows,) int, whose rows stand together.
        series_names: the name of each series.
        notes: what was met.
    """

    plan: Plan
    values: np.ndarray
    truth: np.ndarray
    time: np.ndarray
    series: np.ndarray
    series_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def _laid(self) -> tuple[np.ndarray, np.ndarray]:
        grid = self.plan.grid
        if grid.step == 1:
            position, laid = np.arange(len(self)), self.values
        else:
            order, position = grid.place(len(self))
            laid = self.values[order]
        blocks = np.lib.stride_tricks.sliding_window_view(laid, grid.timesteps, axis=0).transpose(0, 2, 1)
        return blocks, position - grid.timesteps + 1

    def readable(self, series: np.ndarray | None = None) -> np.ndarray:
        """The origins whose window is whole, and of whose path all is known that must be: ascending rows.

        Args:
            series: (rows,) what may not lie in one window or path together; by default the series.
        """
        grid, rows = self.plan.grid, len(self)
        series = self.series if series is None else series
        last = np.arange(grid.span, rows)
        last = last[series[last - grid.span] == series[last]]
        if not len(last):
            return last
        # A window is whole where none of its rows has a gap; rows of a window are `step` apart.
        broken = np.isnan(self.values).any(axis=1)
        order, position = grid.place(rows)
        before = np.concatenate([[0], np.cumsum(broken[order])])
        at = position[last]
        last = last[before[at + 1] == before[at + 1 - grid.timesteps]]
        if len(self.plan.known_features):
            last = last[last + grid.horizon < rows]
            last = last[series[last] == series[last + grid.horizon]]
            gap = np.isnan(self.values[:, self.plan.known_features]).any(axis=1)
            before = np.concatenate([[0], np.cumsum(gap)])
            last = last[before[last + 1 + grid.horizon] == before[last + 1]]
        return last

    def paths(self, segment: np.ndarray | None = None) -> Paths:
        """The windows with their paths, of which something was observed.

        Args:
            segment: (rows,) int: what may not lie in one window or path together; by default the series.
        """
        horizon = self.plan.grid.horizon
        segment = self.series if segment is None else segment
        last = self.readable(segment)
        last = last[last + horizon < len(self)]
        last = last[segment[last] == segment[last + horizon]]
        seen = np.concatenate([[0], np.cumsum(~np.isnan(self.truth).all(axis=1))])
        return Paths(self, last[seen[last + 1 + horizon] > seen[last + 1]])

    def origins(self) -> Paths:
        """Every window from which can be forecast, whether or not its path came true already."""
        return Paths(self, self.readable())


@dataclass(frozen=True)
class Paths:
    """Windows and their paths, numbered; `gather` makes a batch.

    Attributes:
        rows: what they lie over.
        last: (windows,) the origin of each: its last observed row.
    """

    rows: Rows
    last: np.ndarray

    def __len__(self) -> int:
        return len(self.last)

    @property
    def plan(self) -> Plan:
        return self.rows.plan

    def take(self, index: np.ndarray) -> Paths:
        """The windows numbered `index`."""
        return replace(self, last=self.last[index])

    def observed(self) -> Paths:
        """Those at whose origin a target was observed."""
        return self.take(np.flatnonzero(~np.isnan(self.rows.truth[self.last]).all(axis=1)))

    def thinned(self, most: int) -> Paths:
        """All, or `most` of them, evenly spaced: neighbours share nearly all rows."""
        if len(self) <= most:
            return self
        return self.take(np.linspace(0, len(self) - 1, most).astype(np.int64))

    def windows(self, index: np.ndarray) -> np.ndarray:
        """(batch, timesteps, features) float32, contiguous."""
        blocks, place = self.rows._laid
        return np.ascontiguousarray(blocks[place[self.last[index]]])

    def ahead(self, index: np.ndarray) -> np.ndarray:
        """(batch, steps, known) float32: what is known in advance of each step."""
        at = self.last[index, None] + np.arange(1, self.plan.steps + 1)
        known = self.plan.known_features
        if not len(known):
            return np.empty((*at.shape, 0), np.float32)
        return self.rows.values[at][:, :, known]

    def truths(self, index: np.ndarray | None = None) -> np.ndarray:
        """(batch, steps, targets) float32, scaled; NaN where not observed, or beyond the rows."""
        last = self.last if index is None else self.last[index]
        at = last[:, None] + np.arange(1, self.plan.steps + 1)
        inside = np.minimum(at, len(self.rows) - 1)
        truth = self.rows.truth[inside]
        beyond = (at >= len(self.rows)) | (self.rows.series[inside] != self.rows.series[last][:, None])
        if beyond.any():
            truth[beyond] = np.nan
        return truth

    def gather(self, index: np.ndarray) -> tuple[object, np.ndarray]:
        """Inputs and targets (batch, steps * targets) of a training batch.

        Inputs are the windows, with columns known in advance a pair: windows and what is ahead.
        """
        window, truth = self.windows(index), self.truths(index)
        inputs = (window, self.ahead(index)) if len(self.plan.known_features) else window
        return inputs, truth.reshape(len(truth), -1)

    @property
    def current(self) -> np.ndarray:
        """(windows, targets) float32, scaled: the targets' last known values."""
        return self.rows.values[self.last][:, self.plan.target_features]


@dataclass(frozen=True)
class Learnt:
    """What `learn` gives.

    Attributes:
        plan: how windows lie, and what they are made of.
        rows: the table by that plan.
        part: (rows,) 0 train, 1 validation, 2 test.
        readings: the table, without columns that were left out because the calendar has them.
        notes: what was met, left out, filled and drawn from the data.
    """

    plan: Plan
    rows: Rows
    part: np.ndarray
    readings: Table
    notes: tuple[str, ...] = field(default=())

    def paths(self, part: str) -> Paths:
        """The windows of `train`, `val` or `test`, which hold rows of that part alone."""
        code = split.PARTS.index(part)
        return self._every.take(np.flatnonzero(self.part[self._every.last] == code))

    @cached_property
    def _every(self) -> Paths:
        return self.rows.paths(self.rows.series.astype(np.int64) * len(split.PARTS) + self.part)


def learn(readings: Table, wanted: Wanted, part: np.ndarray | None = None) -> Learnt:
    """A plan from training rows, and the table laid out by it.

    Args:
        readings: the table.
        wanted: the targets, the horizon, ...
        part: (rows,) 0 train, 1 validation, 2 test; by default as the split has it.

    Raises:
        SunhwanError: a column is not there, a target has no values or one value alone in the training rows,
            a column known in advance is a gap too often, or the parts hold no whole window.
    """
    interval = readings.interval
    part = parts(readings.series, wanted.split) if part is None else part
    training = part == 0
    for target in wanted.targets:
        check_target(readings, target, training)
    grid = default_grid(wanted, interval, longest_run(readings.series, training))
    segment = readings.series.astype(np.int64) * len(split.PARTS) + part
    asked = tuple(dict.fromkeys((*wanted.targets, *wanted.known, *wanted.features)))
    readings = without_clock(readings, asked)
    needed = (*wanted.known, *wanted.targets)
    chosen, notes = encoders.choose(
        readings, training, asked if wanted.features else (), needed, wanted.targets
    )
    fill = rows_within(wanted.fill if wanted.fill is not None else default_fill(interval), interval, "fill")
    encoder, more = encoders.learn(
        readings,
        chosen,
        training,
        segment,
        grid,
        asked,
        fill,
        Calendar.learn(readings.time[training], interval),
    )
    plan = Plan(wanted.targets, wanted.known, encoder, grid, season_of(interval))
    rows = lay(readings, plan)
    learnt = Learnt(
        plan,
        rows,
        part,
        readings,
        (*readings.notes, *notes, *more, *ahead_of_now(readings), described(plan)),
    )
    for name in split.PARTS[: int(part.max()) + 1]:
        if len(learnt.paths(name)) == 0:
            raise SunhwanError(no_window(name, learnt, interval))
    return learnt


def lay(readings: Table, plan: Plan) -> Rows:
    """A table laid out by a plan; nothing is learnt from it.

    Raises:
        SunhwanError: a column is missing or holds something else, or the rows are another interval apart.
    """
    values, notes = plan.encoder.bulk(readings)
    truth = np.stack([readings.column(name) for name in plan.targets], axis=1)
    return Rows(
        plan,
        values,
        plan.target_scale.apply(truth),
        readings.time,
        readings.series,
        readings.series_names,
        (*readings.notes, *notes),
    )


def ahead_of_now(readings: Table) -> list[str]:
    """What is to be said of times that have not come yet, by more than a day."""
    late = readings.time > np.datetime64("now", "s") + np.timedelta64(DAY, "s")
    if not late.any():
        return []
    return [
        f"{int(late.sum()):,} rows lie in the future, the last at {human(readings.time.max())}; if that is "
        "not meant, look at how the time is read (--time)"
    ]


def parts(series: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """(rows,) the part of each row; of two shares there is no test part, since it is a file of its own."""
    if len(shares) == 2 and min(shares) > 0 and max(shares) <= 100 and sum(shares) <= 100:
        part = split.chronological(series, (*shares, 1e-9 * sum(shares)))
        return np.minimum(part, 1).astype(np.int8)
    return split.chronological(series, shares)


def check_target(readings: Table, name: str, training: np.ndarray) -> None:
    """Refuse a target that has no values, one alone, or too large ones in the training rows."""
    column = readings.column(name)
    known = column[training & ~np.isnan(column)]
    if len(known) == 0:
        raise SunhwanError(
            f"the target {name!r} has no value in the {int(training.sum()):,} training rows of "
            f"{readings.name}; expected numbers there"
        )
    if known.min() == known.max():
        raise SunhwanError(
            f"the target {name!r} has the one value {known[0]:g} in all training rows; expected it to vary"
        )
    if np.abs(known).max() > LARGEST:
        raise SunhwanError(
            f"the target {name!r} has numbers as large as {np.abs(known).max():g}; expected none above "
            f"{LARGEST:g}: give it in another unit, or its logarithm"
        )


def without_clock(readings: Table, asked: Sequence[str]) -> Table:
    """The table without year, month, day, hour, ...: the calendar says the same, and does not jump."""
    parts = [name for name in readings.columns.columns if name.lower() in PARTS and name not in asked]
    if not parts or len(parts) == len(readings.columns.columns):
        return readings
    note = f"{listed(parts)}: left out of the features, since the calendar says the same"
    return replace(readings, columns=readings.columns.drop(parts)).note(note)


def longest_run(series: np.ndarray, training: np.ndarray) -> int:
    """Training rows of the longest series."""
    return int(np.bincount(series[training]).max(initial=0))


def default_grid(wanted: Wanted, interval: np.timedelta64, rows: int) -> Grid:
    """How windows lie: as wanted, or as rows of that interval suggest.

    Args:
        wanted: what the user said.
        interval: from row to row.
        rows: training rows of the longest series; a default window takes at most an eighth of them.
    """
    seconds = seconds_of(interval)
    if wanted.horizon is not None:
        horizon = rows_in(wanted.horizon, interval, "horizon")
    elif seconds < DAY:
        horizon = max(DAY // seconds, 1)
    else:
        horizon = 7 if seconds == DAY else 12
        horizon = min(horizon, max(rows // 16, 1))
    if wanted.lookback is not None:
        lookback = rows_in(wanted.lookback, interval, "lookback")
    else:
        days = 2 * DAY // seconds if seconds < DAY else 28
        lookback = max(min(max(days, 2 * horizon), rows // 8), 1)
    step = -(-lookback // MOST_TIMESTEPS)
    lookback = -(-lookback // step) * step
    return Grid(lookback, step, horizon)


def default_fill(interval: np.timedelta64) -> int:
    """Rows of a gap that are filled: six hours, at least three rows."""
    return max(6 * 3600 // seconds_of(interval), 3)


def season_of(interval: np.timedelta64) -> int:
    """Rows of a day, of daily rows a week; 0 where that is not a whole number of rows, at least two."""
    seconds = seconds_of(interval)
    period = DAY if seconds < DAY else 7 * DAY
    return period // seconds if period % seconds == 0 and period // seconds >= 2 else 0


def described(plan: Plan) -> str:
    """How windows lie, in a sentence."""
    grid, seconds = plan.grid, seconds_of(plan.interval)
    rows = "every row" if grid.step == 1 else f"one row in {grid.step}"
    return (
        f"each forecast reads {duration(grid.lookback * seconds)} ({grid.timesteps} timesteps, {rows}, of "
        f"{len(plan.names)} features) and says {duration(grid.horizon * seconds)} ({grid.horizon} steps)"
    )


def no_window(name: str, learnt: Learnt, interval: np.timedelta64) -> str:
    """Why a part has no window, and what to do."""
    grid, seconds = learnt.plan.grid, seconds_of(interval)
    here = learnt.part == split.PARTS.index(name)
    rows = int(np.bincount(learnt.rows.series[here]).max(initial=0))
    needed = grid.span + 1 + grid.horizon
    part = {"train": "training", "val": "validation", "test": "test"}[name] + " part"
    if rows < needed:
        return (
            f"the {part} has {rows:,} rows of {duration(seconds)} (in its longest series), but a window "
            f"needs {needed:,} (lookback {duration(grid.lookback * seconds)}, horizon "
            f"{duration(grid.horizon * seconds)}): give more data, a shorter --lookback or --horizon, or "
            "another --split"
        )
    broken = np.isnan(learnt.rows.values[here]).mean(axis=0)
    worst = [learnt.plan.names[i] for i in np.argsort(-broken)[:3] if broken[i]]
    return (
        f"no window of the {part} ({rows:,} rows of {duration(seconds)}) is without gaps; each needs "
        f"{needed:,} rows with all features known"
        + (f", and {listed(worst)} lack most" if worst else "")
        + ": leave those columns out, or shorten the --lookback"
    )

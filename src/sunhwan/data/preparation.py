"""From a table to windows of training, validation and test: the way that every forecast and study takes.

    Table -> columns that serve -> parts -> gaps filled from the past, with masks -> scaled by training rows
          -> windows, each within one part

Everything that is learnt on this way (which columns stay, categories, masks, mean and spread) is learnt from
training rows alone. *A window belongs to the part that has all its rows and steps*, so no row of one part is
ever an input or a target of another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from sunhwan.data import split
from sunhwan.data.features import encoder, kinds
from sunhwan.data.files.records import listed
from sunhwan.data.files.timestamps import PARTS
from sunhwan.data.grid import DAY, Grid, rows_in, rows_within, seconds_of
from sunhwan.data.table import Table
from sunhwan.data.windows import EncodedRows, ForecastWindows, WindowPlan, encode
from sunhwan.errors import SunhwanError
from sunhwan.units import duration, human

MOST_TIMESTEPS = 128
"""A window has no more timesteps by default: of more rows every n-th is read, counted back from the last."""

LARGEST = 1e30
"""Targets beyond this would overflow where they are squared in single precision."""

INDEXINGS = ("last_row", "tutorial")


@dataclass(frozen=True)
class ForecastSpec:
    """What to forecast, and from what; whatever is None or empty follows from the data.

    Attributes:
        targets: the columns to forecast.
        horizon: rows or a duration: every step up to there is forecast. By default a day (of daily rows a
            week, else 12 rows).
        lookback: rows or a duration; by default two days (of daily rows four weeks), at least twice the
            horizon.
        known: columns whose values are known in advance, such as a plan or a holiday.
        features: the columns to forecast from; targets and known ones always serve, in front of these if they
            are not among them. By default all that can serve.
        split: three shares of each series by time, or two row numbers; two shares where the test part is
            a file of its own.
        fill: the longest gap that is filled in features, rows or a duration; 0 for none.
        leads: instead of a horizon, single steps to forecast, rising: rows or durations.
        step: rows or a duration between the timesteps of a window.
        calendar: names out of `Calendar.PERIODS`; by default those that recur in training.
        indexing: what leads count from: `"last_row"`, or `"tutorial"`: one step before the last row, so that
            the target lies horizon + step after the last observed row.
    """

    targets: tuple[str, ...]
    horizon: int | str | None = None
    lookback: int | str | None = None
    known: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    split: tuple[float, ...] = (60, 20, 20)
    fill: int | str | None = None
    leads: tuple[int | str, ...] = ()
    step: int | str | None = None
    calendar: tuple[str, ...] | None = None
    indexing: str = "last_row"

    def __post_init__(self) -> None:
        if not self.targets:
            raise SunhwanError("no target is named; name the column to forecast (--target)")
        for key in ("targets", "known", "features", "calendar"):
            names = getattr(self, key)
            if names is None:
                continue
            if not isinstance(names, tuple) or not all(isinstance(name, str) for name in names):
                raise SunhwanError(f"{key} is {names!r}; expected a list of names")
            repeated = [name for name in dict.fromkeys(names) if names.count(name) > 1]
            if repeated:
                raise SunhwanError(f"{repeated[0]!r} occurs twice among the {key}; name each column once")
        both = [name for name in self.targets if name in self.known]
        if both:
            raise SunhwanError(
                f"{both[0]!r} is both a target and known in advance; what is known need not be forecast: "
                "remove it from one of the two"
            )
        for name in self.calendar or ():
            kinds.Calendar(name)
        if self.indexing not in INDEXINGS:
            raise SunhwanError(f"indexing is {self.indexing!r}; expected one of {', '.join(INDEXINGS)}")

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named, in the order of features."""
        first = [name for name in (*self.targets, *self.known) if name not in self.features]
        return (*first, *self.features)


@dataclass(frozen=True)
class Prepared:
    """What `prepare` returns.

    Attributes:
        plan: how windows lie, and what they are made of.
        rows: the table, encoded by that plan.
        part: (rows,) 0 train, 1 validation, 2 test.
        readings: the table, without columns that were left out because the calendar has them.
        notes: what was met, left out, filled and derived from the data.
    """

    plan: WindowPlan
    rows: EncodedRows
    part: np.ndarray
    readings: Table
    notes: tuple[str, ...] = field(default=())

    def windows(self, part: str) -> ForecastWindows:
        """The windows of `train`, `val` or `test`, all of whose rows are of that part."""
        code = split.PARTS.index(part)
        return self.every.take(np.flatnonzero(self.part[self.every.last] == code))

    @property
    def segment(self) -> np.ndarray:
        """(rows,) int: a number for each part of each series."""
        return self.rows.series.astype(np.int64) * len(split.PARTS) + self.part

    @cached_property
    def every(self) -> ForecastWindows:
        """The windows of all parts."""
        return self.rows.windows(self.segment)


def prepare(readings: Table, spec: ForecastSpec, part: np.ndarray | None = None) -> Prepared:
    """Learn a plan from training rows, and encode the table by it.

    Args:
        readings: the table.
        spec: the targets, the horizon, ...
        part: (rows,) 0 train, 1 validation, 2 test; by default by the split.

    Raises:
        SunhwanError: a column is missing, a target has no values or only one in the training rows, a column
            known in advance is a gap too often, or a part has no whole window.
    """
    interval = readings.interval
    part = parts_of(readings.series, spec.split) if part is None else part
    training = part == 0
    for target in spec.targets:
        check_target(readings, target, training)
    grid, leads = layout(spec, interval, longest_run(readings.series, training))
    segment = readings.series.astype(np.int64) * len(split.PARTS) + part
    if spec.calendar is None:
        readings = without_clock(readings, spec.columns)
        calendar = kinds.of_time(readings.time[training], interval)
    else:
        calendar = [kinds.Calendar(name) for name in spec.calendar]
    wanted = spec.columns if spec.features else ()
    chosen, notes = encoder.choose(readings, training, wanted, (*spec.known, *spec.targets), spec.targets)
    fill = rows_within(default_fill(interval) if spec.fill is None else spec.fill, interval, "fill")
    learnt, more = encoder.learn(readings, chosen, training, segment, grid, spec.columns, fill, calendar)
    plan = WindowPlan(spec.targets, spec.known, learnt, grid, leads)
    notes = (*readings.notes, *notes, *more, *future(readings), described(plan))
    prepared = Prepared(plan, encode(readings, plan), part, readings, notes)
    for name in split.PARTS[: int(part.max()) + 1]:
        if len(prepared.windows(name)) == 0:
            raise SunhwanError(no_window(name, prepared))
    return replace(prepared, notes=(*notes, *left_out(prepared)))


def parts_of(series: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """(rows,) the part of each row; two shares leave no test part, since it is a file of its own."""
    if len(shares) == 2 and min(shares) > 0 and max(shares) <= 100 and sum(shares) <= 100:
        part = split.chronological(series, (*shares, 1e-9 * sum(shares)))
        return np.minimum(part, 1).astype(np.int8)
    return split.chronological(series, shares)


def check_target(readings: Table, name: str, training: np.ndarray) -> None:
    """Refuse a target whose training rows have no values, only one, or too large ones."""
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


def without_clock(readings: Table, named: Sequence[str]) -> Table:
    """The table without year, month, day, hour, ...: the calendar has the same facts, and does not jump."""
    clock = [name for name in readings.columns.columns if name.lower() in PARTS and name not in named]
    if not clock or len(clock) == len(readings.columns.columns):
        return readings
    note = f"{listed(clock)}: left out of the features, since the calendar says the same"
    return replace(readings, columns=readings.columns.drop(clock)).note(note)


def longest_run(series: np.ndarray, training: np.ndarray) -> int:
    """Training rows of the longest series."""
    return int(np.bincount(series[training]).max(initial=0))


def layout(spec: ForecastSpec, interval: np.timedelta64, rows: int) -> tuple[Grid, tuple[int, ...]]:
    """How windows lie, and their leads: as wanted, or as rows of that interval suggest.

    Args:
        spec: what the user wants.
        interval: from row to row.
        rows: training rows of the longest series; a default window takes at most an eighth of them.
    """
    seconds = seconds_of(interval)
    step = None if spec.step is None else rows_in(spec.step, interval, "step")
    if spec.leads:
        leads = tuple(rows_in(lead, interval, "horizon") for lead in spec.leads)
        if list(leads) != sorted(set(leads)):
            raise SunhwanError(f"the steps to forecast are {listed(spec.leads)}; expected them to rise")
    else:
        leads = tuple(range(1, default_horizon(spec, interval, rows) + 1))
    horizon = leads[-1]
    if spec.lookback is not None:
        lookback = rows_in(spec.lookback, interval, "lookback")
    else:
        days = 2 * DAY // seconds if seconds < DAY else 28
        lookback = max(min(max(days, 2 * horizon), rows // 8), 1)
    if step is None:
        step = -(-lookback // MOST_TIMESTEPS)
        lookback = -(-lookback // step) * step
    if spec.indexing == "tutorial":
        leads = tuple(lead + step for lead in leads)
    return Grid(lookback, step, leads[-1]), leads


def default_horizon(spec: ForecastSpec, interval: np.timedelta64, rows: int) -> int:
    """Rows up to the horizon."""
    seconds = seconds_of(interval)
    if spec.horizon is not None:
        return rows_in(spec.horizon, interval, "horizon")
    if seconds < DAY:
        return max(DAY // seconds, 1)
    return min(7 if seconds == DAY else 12, max(rows // 16, 1))


def default_fill(interval: np.timedelta64) -> int:
    """Rows of a gap that are filled: six hours, at least three rows."""
    return max(6 * 3600 // seconds_of(interval), 3)


def future(readings: Table) -> list[str]:
    """A note about times that lie more than a day ahead of now."""
    late = readings.time > np.datetime64("now", "s") + np.timedelta64(DAY, "s")
    if not late.any():
        return []
    return [
        f"{int(late.sum()):,} rows lie in the future, the last at {human(readings.time.max())}; if this is "
        "not intended, check how the time is read (--time)"
    ]


def described(plan: WindowPlan) -> str:
    """How windows lie, in a sentence."""
    grid, seconds = plan.grid, seconds_of(plan.interval)
    rows = "every row" if grid.step == 1 else f"one row in {grid.step}"
    end = duration(grid.horizon * seconds)
    predicted = end if plan.leads == tuple(range(1, plan.steps + 1)) else f"the value {end} later"
    steps = f"{plan.steps} step{'s' * (plan.steps > 1)}"
    return (
        f"each forecast reads {duration(grid.lookback * seconds)} ({grid.timesteps} timesteps, {rows}, of "
        f"{len(plan.names)} features) and predicts {predicted} ({steps})"
    )


def left_out(prepared: Prepared) -> list[str]:
    """A note about windows with gaps."""
    everything = np.ones(len(prepared.rows), bool)
    possible = len(prepared.plan.grid.whole(everything, everything, prepared.segment))
    missing = possible - len(prepared.every)
    if not missing:
        return []
    return [f"{missing:,} of {possible:,} windows are left out, since a value in them is missing"]


def no_window(name: str, prepared: Prepared) -> str:
    """Why a part has no window, and what to do."""
    plan, grid, seconds = prepared.plan, prepared.plan.grid, seconds_of(prepared.plan.interval)
    here = prepared.part == split.PARTS.index(name)
    rows = int(np.bincount(prepared.rows.series[here]).max(initial=0))
    needed = grid.span + 1 + grid.horizon
    part = {"train": "training", "val": "validation", "test": "test"}[name] + " part"
    if rows < needed:
        return (
            f"the {part} has {rows:,} rows of {duration(seconds)} (in its longest series), but a window "
            f"needs {needed:,} (lookback {duration(grid.lookback * seconds)}, horizon "
            f"{duration(grid.horizon * seconds)}): give more data, a shorter lookback or horizon, or another "
            "split"
        )
    broken = np.isnan(prepared.rows.values[here]).mean(axis=0)
    worst = [plan.names[i] for i in np.argsort(-broken)[:3] if broken[i]]
    return (
        f"no window of the {part} ({rows:,} rows of {duration(seconds)}) is without gaps; each needs "
        f"{needed:,} rows with all features known"
        + (f", and {listed(worst)} have the most gaps" if worst else "")
        + ": leave those columns out, or shorten the lookback"
    )

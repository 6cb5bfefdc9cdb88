"""Windows over a table's rows: what was observed up to a row, and the values of the steps that follow it.

    rows      ... r-3  r-2  r-1   r   r+1  r+2  r+3
    lookback 4:  [r-3            r]                     the inputs: (timesteps, features)
    leads 1, 2, 3:                   [r+1       r+3]    the targets: (steps, targets)
                                     [r+1       r+3]    what is known of them in advance: (steps, known)

A row r from which a forecast is made is an *origin*, and a *lead* is the number of rows from there to a value
that is forecast. *Leads count from the last observed row.* A window is an index; its values are gathered when
a batch is wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np

from sunhwan.data.features.encoder import Encoder
from sunhwan.data.features.scale import Scale
from sunhwan.data.files.records import listed
from sunhwan.data.grid import DAY, Grid, seconds_of
from sunhwan.data.table import Table


@dataclass(frozen=True)
class WindowPlan:
    """What was learnt of training rows, and how windows lie.

    Attributes:
        targets: the names of the targets, each of which is a feature as well.
        known: the names of the columns that are known in advance.
        encoder: makes the features.
        grid: how windows lie over rows; its horizon is the last lead.
        leads: rows from the origin to each step, rising.
    """

    targets: tuple[str, ...]
    known: tuple[str, ...]
    encoder: Encoder
    grid: Grid
    leads: tuple[int, ...]

    @property
    def steps(self) -> int:
        """How many values are forecast for each target."""
        return len(self.leads)

    @property
    def outputs(self) -> int:
        """How many numbers one forecast has."""
        return self.steps * len(self.targets)

    @property
    def interval(self) -> np.timedelta64:
        return self.encoder.interval

    @property
    def season(self) -> int:
        return season_of(self.interval)

    @property
    def past(self) -> int:
        """Rows up to the origin that predictions may depend on: a window's, or those of a season."""
        return max(self.grid.span + 1, self.season)

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
        """(known,) which features are known in advance; several for a text column."""
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
            "leads": list(self.leads),
        }

    @classmethod
    def from_dict(cls, saved: Mapping) -> WindowPlan:
        """What `to_dict` returned.

        Raises:
            KeyError, TypeError, ValueError: something is missing or of another form than `to_dict` writes.
        """
        plan = cls(
            tuple(saved["targets"]),
            tuple(saved["known"]),
            Encoder.from_dict(saved["encoder"]),
            Grid(**{key: int(value) for key, value in saved["grid"].items()}),
            tuple(int(lead) for lead in saved["leads"]),
        )
        if len(plan.target_features) != len(plan.targets):
            raise ValueError(f"the targets {listed(plan.targets)} are not all among the features")
        if not plan.leads or plan.leads[-1] != plan.grid.horizon:
            raise ValueError(f"the leads {plan.leads} do not end at the horizon, {plan.grid.horizon}")
        return plan


def season_of(interval: np.timedelta64) -> int:
    """Rows of a day, of daily rows a week; 0 where that is not a whole number of rows, at least two."""
    seconds = seconds_of(interval)
    period = DAY if seconds < DAY else 7 * DAY
    return period // seconds if period % seconds == 0 and period // seconds >= 2 else 0


def encode(readings: Table, plan: WindowPlan) -> EncodedRows:
    """A table's rows encoded by a plan; nothing is learnt from them.

    Raises:
        SunhwanError: a column is missing or of another kind, or the rows are another interval apart.
    """
    values, notes = plan.encoder.bulk(readings)
    truth = np.stack([readings.column(name) for name in plan.targets], axis=1)
    return EncodedRows(
        plan,
        values,
        plan.target_scale.apply(truth),
        readings.time,
        readings.series,
        readings.series_names,
        (*readings.notes, *notes),
    )


@dataclass(frozen=True)
class EncodedRows:
    """A table's rows, encoded by a plan.

    Attributes:
        plan: how.
        values: (rows, features) float32, scaled; NaN where a gap is longer than what is filled.
        truth: (rows, targets) float32, scaled actual values; NaN where missing, and never filled.
        time: (rows,) datetime64[s].
        series: (rows,) int; the rows of a series are adjacent.
        series_names: the name of each series.
        notes: what was met.
    """

    plan: WindowPlan
    values: np.ndarray
    truth: np.ndarray
    time: np.ndarray
    series: np.ndarray
    series_names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    @cached_property
    def _blocks(self) -> tuple[np.ndarray, np.ndarray]:
        """A view (.., timesteps, features) in which a window is one contiguous block; and by row, (rows,),
        the block of the window that ends there."""
        grid = self.plan.grid
        if grid.step == 1:
            position, ordered = np.arange(len(self)), self.values
        else:
            order, position = grid.place(len(self))
            ordered = self.values[order]
        blocks = np.lib.stride_tricks.sliding_window_view(ordered, grid.timesteps, axis=0)
        return blocks.transpose(0, 2, 1), position - grid.timesteps + 1

    def readable(self, segment: np.ndarray | None = None) -> np.ndarray:
        """The origins whose window is whole, with all values that must be known in advance: ascending rows.

        Args:
            segment: (rows,) what may not be mixed in one window and its steps; by default the series.
        """
        plan, grid, rows = self.plan, self.plan.grid, len(self)
        segment = self.series if segment is None else segment
        last = np.arange(grid.span, rows)
        last = last[segment[last - grid.span] == segment[last]]
        if not len(last):
            return last
        # A window is whole where none of its rows has a gap; rows of a window are `step` apart.
        broken = np.isnan(self.values).any(axis=1)
        order, position = grid.place(rows)
        before = np.concatenate([[0], np.cumsum(broken[order])])
        at = position[last]
        last = last[before[at + 1] == before[at + 1 - grid.timesteps]]
        if len(plan.known_features):
            last = self._followed(last, segment)
            gap = np.isnan(self.values[:, plan.known_features]).any(axis=1)
            for lead in plan.leads:
                last = last[~gap[last + lead]]
        return last

    def windows(self, segment: np.ndarray | None = None) -> ForecastWindows:
        """The windows of whose steps something was observed.

        Args:
            segment: as for `readable`.
        """
        segment = self.series if segment is None else segment
        last = self._followed(self.readable(segment), segment)
        observed, some = ~np.isnan(self.truth).all(axis=1), np.zeros(len(last), bool)
        for lead in self.plan.leads:
            some |= observed[last + lead]
        return ForecastWindows(self, last[some])

    def origins(self) -> ForecastWindows:
        """Every window from which can be forecast, whether or not its steps have been observed."""
        return ForecastWindows(self, self.readable())

    def _followed(self, last: np.ndarray, segment: np.ndarray) -> np.ndarray:
        """The origins whose last step is a row of the same segment."""
        last = last[last + self.plan.grid.horizon < len(self)]
        return last[segment[last] == segment[last + self.plan.grid.horizon]]


@dataclass(frozen=True)
class ForecastWindows:
    """Windows and their steps, numbered; `gather` makes a batch.

    Attributes:
        rows: that they lie over.
        last: (windows,) the origin of each: its last observed row.
    """

    rows: EncodedRows
    last: np.ndarray

    def __len__(self) -> int:
        return len(self.last)

    @property
    def plan(self) -> WindowPlan:
        return self.rows.plan

    @property
    def shape(self) -> tuple[int, int]:
        """(timesteps, features) of one window."""
        return self.plan.grid.timesteps, len(self.plan.names)

    def take(self, index: np.ndarray) -> ForecastWindows:
        """The windows numbered `index`."""
        return replace(self, last=self.last[index])

    def observed(self) -> ForecastWindows:
        """Those at whose origin a target was observed."""
        return self.take(np.flatnonzero(~np.isnan(self.rows.truth[self.last]).all(axis=1)))

    def thinned(self, most: int) -> ForecastWindows:
        """All, or `most` of them, evenly spaced: neighbours share nearly all rows."""
        if len(self) <= most:
            return self
        return self.take(np.linspace(0, len(self) - 1, most).astype(np.int64))

    def windows(self, index: np.ndarray) -> np.ndarray:
        """(batch, timesteps, features) float32, contiguous."""
        blocks, place = self.rows._blocks
        return np.ascontiguousarray(blocks[place[self.last[index]]])

    def ahead(self, index: np.ndarray) -> np.ndarray:
        """(batch, steps, known) float32: what is known in advance of each step."""
        at = self.last[index, None] + np.array(self.plan.leads)
        known = self.plan.known_features
        if not len(known):
            return np.empty((*at.shape, 0), np.float32)
        return self.rows.values[at][:, :, known]

    def truths(self, index: np.ndarray | None = None) -> np.ndarray:
        """(batch, steps, targets) float32 actual values, scaled; NaN where missing, or beyond the rows."""
        last = self.last if index is None else self.last[index]
        at = last[:, None] + np.array(self.plan.leads)
        inside = np.minimum(at, len(self.rows) - 1)
        truth = self.rows.truth[inside]
        beyond = (at >= len(self.rows)) | (self.rows.series[inside] != self.rows.series[last][:, None])
        if beyond.any():
            truth[beyond] = np.nan
        return truth

    def gather(self, index: np.ndarray) -> tuple[object, np.ndarray]:
        """Inputs and targets (batch, steps * targets) of a training batch.

        Inputs are the windows; with columns known in advance a pair: the windows, and what is known.
        """
        window, truth = self.windows(index), self.truths(index)
        inputs = (window, self.ahead(index)) if len(self.plan.known_features) else window
        return inputs, truth.reshape(len(truth), -1)

    @property
    def current(self) -> np.ndarray:
        """(windows, targets) float32, scaled: the targets' last known values."""
        return self.rows.values[self.last][:, self.plan.target_features]

    def seasonal(self) -> np.ndarray:
        """(windows, steps, targets) float32, scaled: the latest value a whole number of seasons before each
        step.

        Where it is missing, or before the series begins, the last value stands in for it.
        """
        plan, rows, leads = self.plan, self.rows, np.array(self.plan.leads)
        at = self.last[:, None] + leads - -(-leads // plan.season) * plan.season
        inside = np.maximum(at, 0)
        earlier = rows.values[inside][:, :, plan.target_features]
        known = (at >= 0) & (rows.series[inside] == rows.series[self.last][:, None])
        return np.where(known[:, :, None] & ~np.isnan(earlier), earlier, self.current[:, None])

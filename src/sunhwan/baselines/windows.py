"""What baselines predict from: windows of past timesteps, and the values of the steps that follow them.

`data.windows.ForecastWindows` is one kind of windows; `ArrayWindows` is the same view of plain arrays.
Baselines read either through the attributes of `Windows` and `Plan` alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import numpy as np

from sunhwan.data.features.scale import Scale
from sunhwan.data.grid import Grid

BATCH = 1024
"""Windows gathered at a time, so that memory use does not grow with the data."""

MOST_WINDOWS = 40_000
"""Baselines train on at most this many windows, evenly spaced, and choose on a quarter as many."""

MOST_NUMBERS = 2_000_000
"""Windows times outputs that are predicted to score a part; the windows are evenly spaced."""


class Plan(Protocol):
    """How windows are laid out; `data.WindowPlan` is one.

    Attributes:
        names: of the features.
        targets: their names.
        steps: predicted for each target.
        grid: timesteps, and rows between them.
        season: rows of a season, or 0.
        interval: from row to row; None where rows have no times.
        target_features: (targets,) the feature that each target continues; empty if none does.
        known_features: features whose future values are known.
        calendar_features: features of the calendar.
    """

    names: tuple[str, ...]
    targets: tuple[str, ...]
    steps: int
    grid: Grid
    season: int
    interval: np.timedelta64 | None
    target_features: np.ndarray
    known_features: np.ndarray
    calendar_features: np.ndarray

    @property
    def outputs(self) -> int:
        """Steps times targets."""
        ...


class Windows(Protocol):
    """Windows by number, all scaled; `data.windows.ForecastWindows` is one kind."""

    plan: Plan

    def __len__(self) -> int: ...

    def take(self, index: np.ndarray) -> Self:
        """The windows numbered `index`."""
        ...

    def thinned(self, most: int) -> Self:
        """All, or `most` of them, evenly spaced."""
        ...

    def windows(self, index: np.ndarray) -> np.ndarray:
        """(batch, timesteps, features) float32."""
        ...

    def ahead(self, index: np.ndarray) -> np.ndarray:
        """(batch, steps, known) float32: the known future values."""
        ...

    def truths(self) -> np.ndarray:
        """(windows, steps, targets) float32 actual values, NaN where missing."""
        ...

    @property
    def current(self) -> np.ndarray:
        """(windows, targets) float32: the last value of each target."""
        ...

    def seasonal(self) -> np.ndarray:
        """(windows, steps, targets) float32: the latest value a whole number of seasons before each step."""
        ...


def batches(windows: Windows, size: int = BATCH) -> Iterator[np.ndarray]:
    """The numbers of all windows in order, `size` at a time."""
    for start in range(0, len(windows), size):
        yield np.arange(start, min(start + size, len(windows)))


def scored(windows: Windows) -> Windows:
    """All windows of a part, or as many, evenly spaced, as make `MOST_NUMBERS` outputs."""
    return windows.thinned(max(MOST_NUMBERS // windows.plan.outputs, 200))


@dataclass(frozen=True)
class ArrayPlan:
    """The layout of plain arrays: one target, whose steps are the columns of y."""

    names: tuple[str, ...]
    grid: Grid
    season: int
    target_features: np.ndarray
    targets: tuple[str, ...] = ("y",)
    interval: None = None
    known_features: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    calendar_features: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    @property
    def steps(self) -> int:
        return self.grid.horizon

    @property
    def outputs(self) -> int:
        return self.steps


@dataclass(frozen=True)
class ArrayWindows:
    """Windows that lie in plain arrays.

    Attributes:
        plan: the layout.
        x: (windows, timesteps, features) float32, scaled.
        y: (windows, steps) float32, scaled.
        cell: the (timestep, feature) that holds the value a season before, or None.
        scale: of the features, and last of y.

    Example: y is the next value of the only feature.
        >>> from sunhwan.baselines.ridge import Ridge
        >>> wave = np.sin(np.arange(300) / 5)
        >>> x = np.lib.stride_tricks.sliding_window_view(wave[:-1], 12)[:, :, None]
        >>> train = ArrayWindows.of(x[:200], wave[12:212, None], feature=0)
        >>> validation, test = train.like(x[200:250], wave[212:262, None]), train.like(x[250:])
        >>> prediction = test.physical(Ridge.fit(train, validation).predict(test))
        >>> bool(np.abs(prediction[:, 0] - wave[262:]).max() < 0.01)
        True
    """

    plan: ArrayPlan
    x: np.ndarray
    y: np.ndarray
    cell: tuple[int, int] | None
    scale: Scale

    @classmethod
    def of(
        cls,
        x: np.ndarray,
        y: np.ndarray,
        feature: int | None = None,
        cell: tuple[int, int] | None = None,
    ) -> ArrayWindows:
        """Training windows, from whose values all are scaled.

        Args:
            x: (windows, timesteps, features).
            y: (windows, steps) the values to predict.
            feature: the feature that y continues, so that the change from its last value is predicted; None
                where y is in other units.
            cell: the (timestep, feature) that holds the value a season before, if there is one.
        """
        timesteps, features = x.shape[1:]
        scale = Scale.fit(x.reshape(-1, features), np.zeros(features, bool))
        own = Scale.fit(y.reshape(-1, 1), np.zeros(1, bool))
        if feature is not None:
            own = Scale(scale.mean[[feature]], scale.std[[feature]])
        plan = ArrayPlan(
            tuple(map(str, range(features))),
            Grid(timesteps, 1, y.shape[1]),
            0 if cell is None else timesteps - cell[0],
            np.array([] if feature is None else [feature], np.int64),
        )
        scale = Scale(np.append(scale.mean, own.mean), np.append(scale.std, own.std))
        return cls(plan, x[:0], y[:0], cell, scale).like(x, y)

    def like(self, x: np.ndarray, y: np.ndarray | None = None) -> ArrayWindows:
        """Other windows, scaled like these; without y they can be predicted alone."""
        y = np.full((len(x), self.plan.steps), np.nan) if y is None else y
        mean, std = self.scale.mean, self.scale.std
        return replace(
            self,
            x=Scale(mean[:-1], std[:-1]).apply(x),
            y=Scale(mean[-1:], std[-1:]).apply(y),
        )

    def physical(self, prediction: np.ndarray) -> np.ndarray:
        """(windows, steps) float64 in the units of y, of a prediction (windows, steps, 1)."""
        return prediction[:, :, 0].astype(np.float64) * self.scale.std[-1] + self.scale.mean[-1]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: np.ndarray) -> ArrayWindows:
        return replace(self, x=self.x[index], y=self.y[index])

    def thinned(self, most: int) -> ArrayWindows:
        if len(self) <= most:
            return self
        return self.take(np.linspace(0, len(self) - 1, most).astype(np.int64))

    def windows(self, index: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(self.x[index])

    def ahead(self, index: np.ndarray) -> np.ndarray:
        return np.empty((len(index), self.plan.steps, 0), np.float32)

    def truths(self) -> np.ndarray:
        return self.y[:, :, None]

    @property
    def current(self) -> np.ndarray:
        if not len(self.plan.target_features):
            return np.zeros((len(self), 1), np.float32)
        return self.x[:, -1, self.plan.target_features]

    def seasonal(self) -> np.ndarray:
        step, feature = self.cell
        physical = self.x[:, step, feature] * self.scale.std[feature] + self.scale.mean[feature]
        earlier = ((physical - self.scale.mean[-1]) / self.scale.std[-1]).astype(np.float32)
        return np.repeat(earlier[:, None, None], self.plan.steps, axis=1)

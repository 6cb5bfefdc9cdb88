"""The calibrations of all series of a forecast: margins learnt on validation, and kept up to date."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sunhwan.data.windows import ForecastWindows
from sunhwan.evaluation.intervals import RECENT, Calibration

States = tuple[Calibration, ...]
"""A calibration for each target."""


@dataclass(frozen=True)
class Calibrations:
    """A calibration for each series and target.

    Attributes:
        series: of the series in training, by name.
        pooled: of all series together, for those that were not in training.
    """

    series: Mapping[str, States]
    pooled: States

    @classmethod
    def fit(cls, validation: ForecastWindows, bounds: np.ndarray, level: float) -> Calibrations:
        """Margins from validation.

        Args:
            validation: the windows.
            bounds: (windows, steps, targets, 2) uncalibrated, in the targets' units; a point twice where
                there are no quantiles.
            level: the share of actual values to cover.
        """
        actual = validation.plan.physical(validation.truths())
        names = np.array(validation.rows.series_names, object)[
            validation.rows.series[validation.last]
        ].tolist()
        evenly = np.linspace(0, len(validation) - 1, min(len(validation), RECENT)).astype(int)
        series: dict[str, list[Calibration]] = {name: [] for name in dict.fromkeys(names)}
        pooled = []
        for target in range(actual.shape[2]):
            lower, upper, true = bounds[:, :, target, 0], bounds[:, :, target, 1], actual[:, :, target]
            own = Calibration.fit_series(lower, upper, true, names, level=level)
            for name, states in series.items():
                states.append(own[name])
            pooled.append(Calibration.fit(lower[evenly], upper[evenly], true[evenly], level=level))
        return cls({name: tuple(states) for name, states in series.items()}, tuple(pooled))

    def of(self, name: str) -> States:
        """A fresh copy of the calibrations of a series."""
        return tuple(state.rested() for state in self.series.get(name, self.pooled))

    def _by_series(self, paths: ForecastWindows) -> Iterator[tuple[str, np.ndarray, States]]:
        """The name of each series, the numbers of its windows, and a fresh copy of its calibrations."""
        codes = paths.rows.series[paths.last]
        for code in np.unique(codes):
            name = paths.rows.series_names[code]
            yield name, np.flatnonzero(codes == code), self.of(name)

    def now(self, paths: ForecastWindows, bounds: np.ndarray) -> np.ndarray:
        """Bounds (windows, steps, targets, 2) by the margins of now, from which nothing is learnt."""
        calibrated = np.empty_like(bounds)
        for _, windows, states in self._by_series(paths):
            for target, state in enumerate(states):
                adjusted = state.adjust(*np.moveaxis(bounds[windows, :, target], -1, 0))
                calibrated[windows, :, target] = np.stack(adjusted, axis=-1)
        return calibrated

    def run(self, paths: ForecastWindows, bounds: np.ndarray) -> tuple[np.ndarray, dict[str, States]]:
        """Bounds of windows in time order, each calibrated by what had come true before it.

        Returns:
            (windows, steps, targets, 2); and the calibrations of each series as they are at its last window,
            with no forecast outstanding.
        """
        actual = paths.plan.physical(paths.truths())
        calibrated, after = np.empty_like(bounds), {}
        for name, windows, states in self._by_series(paths):
            for target, state in enumerate(states):
                lower, upper = np.moveaxis(bounds[windows, :, target], -1, 0)
                learnt = state.run(lower, upper, actual[windows, :, target], paths.last[windows])
                calibrated[windows, :, target] = np.stack(learnt, axis=-1)
            after[name] = tuple(state.rested() for state in states)
        return calibrated, after

    def updated(self, after: Mapping[str, States]) -> Calibrations:
        """With the calibrations of some series in place of those before."""
        return replace(self, series={**self.series, **after})

    def to_dict(self) -> dict:
        """For JSON."""
        return {
            "series": {name: [state.to_dict() for state in states] for name, states in self.series.items()},
            "pooled": [state.to_dict() for state in self.pooled],
        }

    @classmethod
    def from_dict(cls, saved: Mapping) -> Calibrations:
        """From what `to_dict` returned.

        Raises:
            KeyError, SunhwanError: something is missing or malformed.
        """
        return cls(
            {name: tuple(map(Calibration.from_dict, states)) for name, states in saved["series"].items()},
            tuple(map(Calibration.from_dict, saved["pooled"])),
        )

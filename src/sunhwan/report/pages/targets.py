"""What a run of `forecast` predicted for the test part, target by target, and the actual values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sunhwan.report.groups import row_means
from sunhwan.report.words import label, quantity, symbol
from sunhwan.rundir import Run
from sunhwan.units import digits, human


@dataclass(frozen=True)
class Target:
    """The forecasts of one target on the test part, and the actual values.

    Attributes:
        figures: of the target, in metrics.json.
        metrics: metrics.json.
        origin: (windows,) datetime64[s], the times at which forecasts were made.
        series: (windows,) integers; `names` has each one's name.
        interval: from step to step.
        actual: (windows, steps).
        model: (windows, steps, 3): median, lower, upper.
        baselines: by key, (windows, steps), the best first.
    """

    figures: dict
    metrics: dict
    origin: np.ndarray
    series: np.ndarray
    names: Sequence[str]
    interval: np.timedelta64
    actual: np.ndarray
    model: np.ndarray
    baselines: dict[str, np.ndarray]

    @property
    def steps(self) -> int:
        return self.actual.shape[1]

    @property
    def label(self) -> str:
        """The target with its unit, as an axis label."""
        return quantity(self.figures["target"], self.figures["unit"])

    @property
    def error_label(self) -> str:
        return quantity("mean absolute error", self.figures["unit"])

    @property
    def best(self) -> str:
        """The key of the best baseline."""
        return self.figures["best_baseline"]

    @property
    def best_label(self) -> str:
        """How people call the best baseline."""
        return label(self.metrics, self.best)

    @property
    def times(self) -> np.ndarray:
        """(windows, steps) the time that each forecast is for."""
        return self.origin[:, None] + np.arange(1, self.steps + 1) * self.interval

    @property
    def lead(self) -> tuple[str, np.ndarray]:
        """How far ahead each step lies: a unit, and (steps,) as many of it."""
        unit, each = ("hours", 3600) if self.interval < np.timedelta64(1, "D") else ("days", 86400)
        return unit, np.arange(1, self.steps + 1) * (self.interval / np.timedelta64(each, "s"))

    @property
    def error(self) -> np.ndarray:
        """(windows, steps) absolute error of the model; NaN where there is no actual value."""
        return np.abs(self.model[..., 0] - self.actual)

    @property
    def covered(self) -> np.ndarray:
        """(windows, steps) 1 where the interval covers the actual value, 0 where not; NaN without one."""
        inside = (self.actual >= self.model[..., 1]) & (self.actual <= self.model[..., 2])
        return np.where(np.isnan(self.actual), np.nan, inside)

    @property
    def error_by_step(self) -> np.ndarray:
        """(steps,) the mean absolute error of the model."""
        return row_means(self.error.T)

    def amount(self, value: float) -> str:
        """A number of the target with its unit: "2.24 °C"."""
        return f"{digits(value)}\u00a0{symbol(self.figures['unit'])}".rstrip()

    def where(self, window: int) -> str:
        """When, and for which of several series, a forecast was made."""
        time = human(self.origin[window])
        return f"{self.names[self.series[window]]}, {time}" if len(self.names) > 1 else time

    def groupings(self) -> list[tuple[str, np.ndarray, list[str]]]:
        """How forecasts are grouped: a name, the group of each (windows, steps), and the groups' names."""
        times = self.times
        day = times.astype("datetime64[D]")
        groupings = []
        if self.interval < np.timedelta64(1, "D"):
            hour = (times - day).astype("timedelta64[h]").astype(int)
            groupings.append(("hour of the day", hour, [str(hour) for hour in range(24)]))
        weekday = (day.astype(int) + 3) % 7
        groupings.append(("day of the week", weekday, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]))
        months, month = np.unique(times.astype("datetime64[M]"), return_inverse=True)
        if len(months) > 1:
            groupings.append(("month", month.reshape(times.shape), [str(month) for month in months]))
        if len(self.names) > 1:
            groupings.append(("series", np.broadcast_to(self.series[:, None], times.shape), list(self.names)))
        return groupings


def read(run: Run) -> list[Target]:
    """The forecasts of a run, target by target.

    Raises:
        SunhwanError: predictions.npz is missing or cannot be read.
    """
    arrays = run.read("predictions", ["origin", "series", "series_names", "truth", "model"])
    targets = []
    for i, figures in enumerate(run.metrics["targets"]):
        baselines = {
            name.removeprefix("baseline:"): values[..., i]
            for name, values in arrays.items()
            if name.startswith("baseline:")
        }
        ranked = sorted(baselines, key=lambda name: figures["test"][name]["mae"])
        targets.append(
            Target(
                figures,
                run.metrics,
                arrays["origin"].astype("datetime64[s]"),
                arrays["series"],
                [str(name) for name in arrays["series_names"]],
                np.timedelta64(int(run.metrics["interval_seconds"]), "s"),
                arrays["truth"][..., i],
                arrays["model"][:, :, i],
                {name: baselines[name] for name in ranked},
            )
        )
    return targets

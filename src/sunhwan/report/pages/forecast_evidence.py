"""What a run of `forecast` said of the test part, target by target, and what came."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sunhwan.errors import SunhwanError
from sunhwan.report.pictures.evidence import arrays, group_means
from sunhwan.report.words import quantity, symbol
from sunhwan.units import digits, human


@dataclass(frozen=True)
class Told:
    """What a run forecast of one target on the test part, and what came.

    Attributes:
        figures: of the target, out of metrics.json.
        origin: (windows,) datetime64[s], the times from which forecasts were made.
        series: (windows,) integers; `names` has each one's name.
        interval: from step to step.
        truth: (windows, steps).
        model: (windows, steps, 3): median, lower, upper.
        rivals: by name, (windows, steps), the best first.
    """

    figures: dict
    origin: np.ndarray
    series: np.ndarray
    names: Sequence[str]
    interval: np.timedelta64
    truth: np.ndarray
    model: np.ndarray
    rivals: dict[str, np.ndarray]

    @property
    def steps(self) -> int:
        return self.truth.shape[1]

    @property
    def label(self) -> str:
        """The target with its unit, as an axis label."""
        return quantity(self.figures["target"], self.figures["unit"])

    @property
    def error_label(self) -> str:
        return quantity("mean absolute error", self.figures["unit"])

    @property
    def best(self) -> str:
        return self.figures["best_baseline"]

    @property
    def times(self) -> np.ndarray:
        """(windows, steps) when each forecast was to come true."""
        return self.origin[:, None] + np.arange(1, self.steps + 1) * self.interval

    @property
    def ahead(self) -> tuple[str, np.ndarray]:
        """How far ahead each step lies: a unit, and (steps,) as many of it."""
        unit, each = ("hours", 3600) if self.interval < np.timedelta64(1, "D") else ("days", 86400)
        return unit, np.arange(1, self.steps + 1) * (self.interval / np.timedelta64(each, "s"))

    @property
    def error(self) -> np.ndarray:
        """(windows, steps) absolute error of the model; NaN where nothing is known to have come."""
        return np.abs(self.model[..., 0] - self.truth)

    @property
    def held(self) -> np.ndarray:
        """(windows, steps) 1 where the interval held what came, 0 where not, NaN where nothing is known."""
        inside = (self.truth >= self.model[..., 1]) & (self.truth <= self.model[..., 2])
        return np.where(np.isnan(self.truth), np.nan, inside)

    def amount(self, value: float) -> str:
        """A number of the target with its unit: "2.24 °C"."""
        return f"{digits(value)}\u00a0{symbol(self.figures['unit'])}".rstrip()

    def where(self, window: int) -> str:
        """From when, and in which of several series, a forecast was made."""
        said = human(self.origin[window])
        return f"{self.names[self.series[window]]}, {said}" if len(self.names) > 1 else said


def read(folder: Path, metrics: dict) -> list[Told]:
    """What a run forecast, target by target.

    Raises:
        SunhwanError: predictions.npz is missing or cannot be read.
    """
    kept = arrays(folder / "predictions.npz", ["origin", "series", "series_names", "truth", "model"])
    if not kept:
        raise SunhwanError(
            f"{str(folder)!r} lacks predictions.npz; copy the whole run directory, or make it anew"
        )
    found = []
    for i, figures in enumerate(metrics["targets"]):
        rivals = {
            name.removeprefix("baseline:"): said[..., i]
            for name, said in kept.items()
            if name.startswith("baseline:")
        }
        ranked = sorted(rivals, key=lambda name: figures["test"][name]["mae"])
        found.append(
            Told(
                figures,
                kept["origin"].astype("datetime64[s]"),
                kept["series"],
                [str(name) for name in kept["series_names"]],
                np.timedelta64(int(metrics["interval_seconds"]), "s"),
                kept["truth"][..., i],
                kept["model"][:, :, i],
                {name: rivals[name] for name in ranked},
            )
        )
    return found


def groupings(told: Told) -> list[tuple[str, np.ndarray, list[str]]]:
    """What forecasts are told apart by: a name, the group of each (windows, steps), and the groups' names."""
    times = told.times
    day = times.astype("datetime64[D]")
    found = []
    if told.interval < np.timedelta64(1, "D"):
        hour = (times - day).astype("timedelta64[h]").astype(int)
        found.append(("hour of the day", hour, [str(one) for one in range(24)]))
    weekday = (day.astype(int) + 3) % 7
    found.append(("day of the week", weekday, ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]))
    months, month = np.unique(times.astype("datetime64[M]"), return_inverse=True)
    if len(months) > 1:
        found.append(("month", month.reshape(times.shape), [str(one) for one in months]))
    if len(told.names) > 1:
        found.append(("series", np.broadcast_to(told.series[:, None], times.shape), told.names))
    return found


def means(value: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """(groups,) the mean of the known values in each group; NaN for a group without any."""
    known = np.isfinite(value)
    return group_means(np.asarray(group)[known], value[known].astype(np.float64), groups)


def mean_of_rows(value: np.ndarray) -> np.ndarray:
    """The mean of each row's known values; NaN for a row without any."""
    row = np.broadcast_to(np.arange(len(value))[:, None], value.shape)
    return means(value, row, len(value))

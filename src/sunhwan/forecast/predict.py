"""Forecasts of new rows by a run: after the last of them, or after each.

new file --Source.read--> Table --encode, by the run's plan--> origins --ForecastModel.run--> a row for
each step
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sunhwan import rundir
from sunhwan.baselines.windows import MOST_NUMBERS
from sunhwan.data.files.records import listed
from sunhwan.data.grid import rows_in, seconds_of
from sunhwan.data.table import Table
from sunhwan.data.windows import EncodedRows, ForecastWindows, encode
from sunhwan.errors import SunhwanError
from sunhwan.evaluation.intervals import RECENT
from sunhwan.forecast.model import ForecastModel
from sunhwan.forecast.source import Source
from sunhwan.units import duration, human

FAR = 5
"""Training standard deviations from the training mean beyond which the median of new values is remarkable."""

MOST_ORIGINS = 40_000
"""Past origins of a series from which intervals learn, where only its last row is forecast."""


@dataclass(frozen=True)
class Prediction:
    """Forecasts as columns, and what to tell the user about them.

    Attributes:
        columns: by name, a row for each origin and step: `series` (of several), `made_at`, `time`, `step`,
            and each target with its bounds.
        bounds: the names of the columns of bounds.
        notes: values unlike those in training, gaps, rows that cannot be read.
        warnings: what could be done less well than asked, or not at all: series that were not in training, or
            that have too few rows.
    """

    columns: dict[str, np.ndarray]
    bounds: tuple[str, ...]
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def load(folder: Path) -> tuple[ForecastModel, Source]:
    """The model in a run directory, and how its file was read (where that file was is not saved).

    Raises:
        SunhwanError: it is not a run of `forecast`, or a file is missing or altered.
    """
    saved, arrays = rundir.read(folder, "forecast")
    return ForecastModel.from_saved(saved, arrays), Source.from_dict(saved.get("source", {}))


def predict(run: Path, file: Path, every: str | None = None) -> Prediction:
    """The forecasts of a run after the last row of each series of a file, or after every so many rows.

    Args:
        run: the run directory.
        file: CSV or Parquet with the columns that training had, in any order.
        every: None for the last row alone; rows or a duration, such as `1` or `24h`, for many.

    Raises:
        SunhwanError: the run or the file cannot be used, or no window of the file is complete.
    """
    model, source = load(run)
    readings, _ = replace(source, path=file).read(model.plan.encoder.columns)
    return predict_table(model, readings, every)


def predict_table(
    model: ForecastModel, readings: Table, every: str | None = None, followed: bool = False
) -> Prediction:
    """The same for a table that was read already.

    Args:
        model, readings, every: as for `predict`.
        followed: whether intervals have learnt from these rows already, so that they learn nothing more.
    """
    rows = encode(readings, model.plan)
    origins = observed(rows)
    notes = [*rows.notes, *unlike(rows)]
    warnings = strangers(model, rows, origins)
    if every is None:
        # Intervals learn from earlier errors; of a very long past the latest are enough.
        recent = max(min(MOST_NUMBERS // model.plan.outputs, MOST_ORIGINS), RECENT + model.plan.steps)
        series = rows.series[origins.last]
        counts = np.bincount(series, minlength=len(rows.series_names))
        from_end = np.repeat(np.cumsum(counts), counts) - np.arange(len(series))
        origins = origins.take(np.flatnonzero(from_end <= recent))
        chosen = np.flatnonzero(np.diff(rows.series[origins.last], append=-1))
        notes += stale(rows, origins.take(chosen))
    else:
        apart = rows_in(every, model.plan.interval, "--every")
        starts = np.flatnonzero(np.diff(rows.series, prepend=-1))
        place = origins.last - starts[np.searchsorted(starts, origins.last, side="right") - 1]
        chosen = np.flatnonzero(place % apart == 0)
        if not len(chosen):
            raise SunhwanError(f"no origin lies on every {every}; give a shorter --every")
    selected = origins.take(chosen)
    predictions = model.now(selected) if followed else model.run(origins)[0][chosen]
    columns = as_columns(model, selected, predictions)
    bounds = [name for target in model.plan.targets for name in bound_names(target, model.level)]
    return Prediction(columns, tuple(bounds), tuple(notes), tuple(warnings))


KEYS = ("series", "made_at", "time", "step")
"""The columns of forecasts before those of the targets."""


def bound_names(target: str, level: float) -> tuple[str, str]:
    """The columns of a target's lower and upper bound."""
    return f"{target} lower {100 * level:g}%", f"{target} upper {100 * level:g}%"


def check_names(targets: Sequence[str], level: float) -> None:
    """Refuse targets whose name another column of the forecasts has."""
    names = [*KEYS, *(name for target in targets for name in bound_names(target, level))]
    for target in targets:
        if target in names:
            raise SunhwanError(
                f"the target {target!r} has the name of another column of the forecasts; rename it"
            )


def as_columns(
    model: ForecastModel, origins: ForecastWindows, predictions: np.ndarray
) -> dict[str, np.ndarray]:
    """Forecasts as columns, a row for each origin and step.

    Args:
        model: that predicted.
        origins: the windows, (windows,).
        predictions: (windows, steps, targets, 3) in the targets' units.
    """
    plan, rows = model.plan, origins.rows
    step = np.arange(1, plan.steps + 1)
    made_at = rows.time[origins.last].astype("datetime64[ms]")
    columns: dict[str, np.ndarray] = {}
    if rows.series_names != ("",):
        names = np.array(rows.series_names, object)
        columns["series"] = np.repeat(names[rows.series[origins.last]], plan.steps)
    columns["made_at"] = np.repeat(made_at, plan.steps)
    columns["time"] = (made_at[:, None] + step * plan.interval).ravel()
    columns["step"] = np.tile(step, len(origins))
    for i, target in enumerate(plan.targets):
        median, lower, upper = predictions[:, :, i].reshape(-1, 3).T
        columns[target] = median
        columns |= dict(zip(bound_names(target, model.level), (lower, upper), strict=True))
    return columns


def observed(rows: EncodedRows) -> ForecastWindows:
    """The origins at which a target was observed; with gaps at the end, the last of them.

    Raises:
        SunhwanError: there are none.
    """
    origins = rows.origins().observed()
    if len(origins):
        return origins
    plan = rows.plan
    needed = plan.grid.span + 1
    longest = int(np.bincount(rows.series).max(initial=0))
    seconds = seconds_of(plan.interval)
    beyond = f", and {plan.steps:,} rows after it with {listed(plan.known)}" if plan.known else ""
    if longest < needed:
        raise SunhwanError(
            f"a forecast reads {needed:,} rows of {duration(seconds)}{beyond}, but the longest series has "
            f"{longest:,}; give the earlier rows as well"
        )
    broken = np.isnan(rows.values).mean(axis=0)
    worst = [plan.names[i] for i in np.argsort(-broken)[:3] if broken[i]]
    raise SunhwanError(
        f"no {needed:,} consecutive rows are complete{beyond}"
        + (f"; most values are missing in {listed(worst)}" if worst else "")
        + ": fill in what is missing"
    )


def strangers(model: ForecastModel, rows: EncodedRows, origins: ForecastWindows) -> list[str]:
    """Warnings about series that were not in training, and about those that cannot be forecast."""
    names = [rows.series_names[code] for code in np.unique(rows.series[origins.last])]
    unseen = [name for name in names if name not in model.calibrations.series]
    silent = [name for name in rows.series_names if name not in names]
    warnings = []
    if unseen:
        warnings.append(
            f"the series {listed(unseen)} were not in the training data; they are forecast as if they were "
            "like the others, with intervals of all series together"
        )
    if silent:
        warnings.append(f"the series {listed(silent)} have no complete window and are not forecast")
    return warnings


def unlike(rows: EncodedRows) -> list[str]:
    """Notes about columns far from their training values, as in another unit."""
    encoder, notes = rows.plan.encoder, []
    for i in np.flatnonzero(encoder.scaled):
        known = rows.values[:, i][~np.isnan(rows.values[:, i])]
        if not len(known):
            continue
        middle, mean, std = float(np.median(known)), encoder.scale.mean[i], encoder.scale.std[i]
        if abs(middle) > FAR:
            notes.append(
                f"{encoder.names[i]}: its median is {middle * std + mean:.4g}, but in training it was "
                f"{mean:.4g} on average, with a standard deviation of {std:.4g}; forecasts from it are "
                "unreliable: is it in another unit?"
            )
    return notes


def stale(rows: EncodedRows, last: ForecastWindows) -> list[str]:
    """Notes about series whose forecast is not made at their last observed row."""
    notes = []
    for row in last.last:
        own = np.flatnonzero((rows.series == rows.series[row]) & ~np.isnan(rows.truth).all(axis=1))
        if own[-1] > row:
            name = rows.series_names[rows.series[row]]
            notes.append(
                f"{f'{name}: ' if name else ''}the forecast is made at {human(rows.time[row])}, since the "
                f"rows up to {human(rows.time[own[-1]])} have gaps that are not filled"
            )
    return notes

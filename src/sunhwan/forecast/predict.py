"""Forecasts of new rows by a run: what comes after the last of them, or after each.

new file --table.load--> Table --encode, by the run's plan--> origins --Forecast.run--> a row for each step
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sunhwan.baselines.paths import MOST_NUMBERS
from sunhwan.data.files.records import listed
from sunhwan.data.grid import rows_in, seconds_of
from sunhwan.data.table import Table
from sunhwan.data.windows import EncodedRows, ForecastWindows, encode
from sunhwan.errors import SunhwanError
from sunhwan.evaluation.intervals import RECENT
from sunhwan.forecast.model import Forecast
from sunhwan.forecast.run import coming, load
from sunhwan.units import duration, human

FAR = 5
"""Training standard deviations from the training mean beyond which the median of new values is remarkable."""

MOST_ORIGINS = 40_000
"""Past origins of a series from which intervals learn, where only its last row is forecast."""


@dataclass(frozen=True)
class Prediction:
    """Forecasts as columns, and what is to be said of them.

    Attributes:
        columns: by name, a row for each origin and step, as `forecast.coming` makes them.
        notes: what was met: values that training never saw, gaps, rows that cannot be read.
        warnings: what was asked for and could not be done as well, or at all: series that training never saw,
            or that have too few rows.
    """

    columns: dict[str, np.ndarray]
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def predict(run: Path, file: Path, every: str | None = None) -> Prediction:
    """What a run forecasts after the last row of each series of a file, or after every so many rows.

    Args:
        run: the run directory.
        file: CSV or Parquet with the columns that training had, in any order.
        every: None for the last row alone; rows or a duration, such as `1` or `24h`, for many.

    Raises:
        SunhwanError: the run or the file cannot be used, or no window of the file is whole.
    """
    forecast, source = load(run)
    readings, _ = replace(source, path=file).read(forecast.plan.encoder.columns)
    return ahead(forecast, readings, every)


def ahead(
    forecast: Forecast, readings: Table, every: str | None = None, followed: bool = False
) -> Prediction:
    """The same for a table that was read already.

    Args:
        forecast, readings, every: as for `predict`.
        followed: whether intervals have learnt from these rows already, so that they learn nothing more.
    """
    rows = encode(readings, forecast.plan)
    origins = observed(rows)
    notes = [*rows.notes, *unlike(rows)]
    warnings = strangers(forecast, rows, origins)
    if every is None:
        # Intervals learn from what came true before; of a very long past the latest is enough.
        recent = max(min(MOST_NUMBERS // forecast.plan.outputs, MOST_ORIGINS), RECENT + forecast.plan.steps)
        series = rows.series[origins.last]
        counts = np.bincount(series, minlength=len(rows.series_names))
        from_end = np.repeat(np.cumsum(counts), counts) - np.arange(len(series))
        origins = origins.take(np.flatnonzero(from_end <= recent))
        chosen = np.flatnonzero(np.diff(rows.series[origins.last], append=-1))
        notes += stale(rows, origins.take(chosen))
    else:
        apart = rows_in(every, forecast.plan.interval, "--every")
        starts = np.flatnonzero(np.diff(rows.series, prepend=-1))
        place = origins.last - starts[np.searchsorted(starts, origins.last, side="right") - 1]
        chosen = np.flatnonzero(place % apart == 0)
        if not len(chosen):
            raise SunhwanError(f"no forecast can be made every {every}; give a shorter --every")
    said = forecast.now(origins.take(chosen)) if followed else forecast.run(origins, exact=True)[0][chosen]
    return Prediction(coming(forecast, origins.take(chosen), said), tuple(notes), tuple(warnings))


def observed(rows: EncodedRows) -> ForecastWindows:
    """The origins at which a target was observed; with gaps at the end, the last of them.

    Raises:
        SunhwanError: there is none.
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
            f"{longest:,}; give the rows before as well"
        )
    broken = np.isnan(rows.values).mean(axis=0)
    worst = [plan.names[i] for i in np.argsort(-broken)[:3] if broken[i]]
    raise SunhwanError(
        f"no {needed:,} rows in a row are whole{beyond}"
        + (f"; {listed(worst)} lack most" if worst else "")
        + ": fill in what is missing"
    )


def strangers(forecast: Forecast, rows: EncodedRows, origins: ForecastWindows) -> list[str]:
    """What is to be said of series that training never saw, and of those that cannot be forecast."""
    names = [rows.series_names[code] for code in np.unique(rows.series[origins.last])]
    unseen = [name for name in names if name not in forecast.calibrations]
    silent = [name for name in rows.series_names if name not in names]
    notes = []
    if unseen:
        notes.append(
            f"training never saw the series {listed(unseen)}; they are forecast as if they were like the "
            "others, with intervals of all series together"
        )
    if silent:
        notes.append(f"the series {listed(silent)} have no whole window and are not forecast")
    return notes


def unlike(rows: EncodedRows) -> list[str]:
    """What is to be said of columns that lie far from all that training held, as in another unit."""
    encoder, notes = rows.plan.encoder, []
    scale = encoder.scale
    for i in np.flatnonzero(encoder.scaled):
        known = rows.values[:, i][~np.isnan(rows.values[:, i])]
        if not len(known):
            continue
        middle, mean, std = float(np.median(known)), scale.mean[i], scale.std[i]
        if abs(middle) > FAR:
            notes.append(
                f"{encoder.names[i]}: its median is {middle * std + mean:.4g}, but training held "
                f"{mean:.4g} on average, with a standard deviation of {std:.4g}; forecasts "
                "from it are worth little: is it in another unit?"
            )
    return notes


def stale(rows: EncodedRows, last: ForecastWindows) -> list[str]:
    """What is to be said where a forecast is not made at its series' last observed row."""
    notes = []
    for row in last.last:
        mine = np.flatnonzero((rows.series == rows.series[row]) & ~np.isnan(rows.truth).all(axis=1))
        if mine[-1] > row:
            name = rows.series_names[rows.series[row]]
            notes.append(
                f"{f'{name}: ' if name else ''}the forecast is made at {human(rows.time[row])}, since the "
                f"rows up to {human(rows.time[mine[-1]])} have gaps that are not filled"
            )
    return notes

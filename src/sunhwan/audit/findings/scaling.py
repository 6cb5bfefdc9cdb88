"""Whether scaling saw the rows of a part: by what observed scalers learnt from, or by the arrays alone."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from sunhwan.audit.findings.overlap import DIFFERENT, hashes, runs
from sunhwan.audit.observe.watch import Scaling
from sunhwan.units import digits

RUN = 6
"""Values of one column in a row that must agree in every bit."""

MOST_COLUMNS = 32
"""Columns of a scaler, and features of a window, that are compared."""

ENDS = 5
"""Spreads by which the values that no window holds may move a sum."""

ROUNDED = 1e-6
"""By so much a scaler's 0 and 1 may be missed."""

STANDARD = 0.15
"""A mean this near to 0, with a spread this near to 1, is that of a scaler, over other rows maybe."""

SAMPLED = 3_000
"""Windows of a part that are looked for."""


@dataclass(frozen=True)
class Seen:
    """How much of a part stood among the rows that a scaler learnt from.

    Attributes:
        windows: how many windows end with rows that it learnt from.
        count: of how many.
        feature: of the window, or -1 for the target.
        column: of the scaler.
    """

    windows: int
    count: int
    feature: int
    column: int

    @property
    def share(self) -> float:
        return self.windows / max(self.count, 1)


def seen(scaling: Scaling, x: np.ndarray, y: np.ndarray | None) -> Seen:
    """Looks for the ends of windows, and for their targets, among what a scaler learnt from.

    Args:
        x: (windows, timesteps, features) as the network was given them.
        y: (windows, numbers) or None.
    """
    learnt = scaled(scaling, scaling.rows)[:, :MOST_COLUMNS]
    best = Seen(0, len(x), -1, -1)
    if len(learnt) < RUN or len(x) < RUN:
        return best
    known = [_varied_runs(learnt[:, column]) for column in range(learnt.shape[1])]
    index = np.linspace(0, len(x) - 1, min(len(x), SAMPLED)).astype(np.int64)
    ends = {feature: x[:, -1, feature] for feature in range(min(x.shape[2], MOST_COLUMNS))}
    if y is not None:
        ends[-1] = y[:, 0]
    for feature, series in ends.items():
        # Windows one row apart make a series of their last values; others have it within.
        chained = _hashed(series)
        within = (
            runs(_values(x[index][:, -RUN:, feature]), RUN)[:, 0]
            if feature >= 0 and x.shape[1] >= RUN
            else None
        )
        for column, of_scaler in enumerate(known):
            found = np.zeros(len(x), bool)
            found[RUN - 1 :] = np.isin(chained, of_scaler)
            found[RUN - 1 :] &= _varies(series)
            hits, count = int(found.sum()), len(x)
            if within is not None:
                there = np.isin(within, of_scaler) & _varies_within(x[index][:, -RUN:, feature])
                if there.mean() > hits / count:
                    hits, count = int(there.sum()), len(there)
            if hits / count > best.share:
                best = Seen(hits, count, feature, column)
    return best


def scaled(scaling: Scaling, rows: np.ndarray) -> np.ndarray:
    """Rows as the scaler leaves them."""
    if scaling.scaler is None:  # Keras's Normalization is given rows as they are
        return rows
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return np.asarray(scaling.scaler.transform(rows))


def scaler_of(targets: np.ndarray, scalings: Iterable[Scaling]) -> tuple[Scaling, int] | None:
    """The scaler of scikit-learn, and its column, that made nearly all of the targets (rows,) float32."""
    for each in reversed(list(scalings)):
        if each.kind == "fit" and each.scaler is not None:
            rows = scaled(each, each.rows)
            for column in range(rows.shape[1]):
                if np.isin(targets, rows[:, column].astype(np.float32)).mean() > 0.95:
                    return each, column
    return None


def units(scaler: Any, column: int) -> tuple[float, float]:
    """What 0 and 1 of a column are in its own units: where it begins, and how much a step of 1 is."""
    ends = np.zeros((2, scaler.n_features_in_))
    ends[1, column] = 1
    low, high = scaler.inverse_transform(ends)[:, column]
    return low, high - low


LINEAR = ("MinMaxScaler", "StandardScaler", "RobustScaler", "MaxAbsScaler")
"""Scalers of which a step of 1 is as much everywhere."""


def told_units(targets: np.ndarray, metric: str, network: float | None, scalings: Iterable[Scaling]) -> str:
    """What an error means where the targets are scaled, or it is squared; "" where that is plain.

    Args:
        targets: (rows,) of training, finite.
        metric: "mae", "mse" or "rmse".

    Example:
        >>> told_units(np.linspace(0, 1, 50), "mse", 0.04, [])
        'MSE in squared units that look scaled: the targets of training lie from 0 to 1'
    """
    squared = "squared " if metric == "mse" else ""
    found = scaler_of(targets.astype(np.float32), scalings)
    name, step = (found[0].name, units(found[0].scaler, found[1])[1]) if found else ("", 1.0)
    if name in LINEAR and step not in (0, 1):
        text = (
            f"{metric.upper()} in {squared}units of a {name}, of which 1 is {digits(step)} in the data's own"
        )
        if network is not None and np.isfinite(network):
            error = network**0.5 if squared else network
            text += f"; the network's {'RMSE' if squared else metric.upper()} is {digits(error * step)} there"
        return text
    low, high = float(targets.min()), float(targets.max())
    mean, spread = float(targets.mean()), float(targets.std())
    if any(abs(low - bottom) < ROUNDED and abs(high - 1) < ROUNDED for bottom in (0, -1)):
        seen = f"lie from {low:.0f} to {high:.0f}"
    elif abs(mean) < STANDARD and abs(spread - 1) < STANDARD:
        seen = f"have mean {mean:.2f} and spread {spread:.2f}"
    else:
        return "MSE in the targets' units, squared" if squared else ""
    return f"{metric.upper()} in {squared}units that look scaled: the targets of training {seen}"


def _values(array):
    """uint64 hashes of single numbers, in an array of the same shape."""
    return hashes(np.asarray(array, np.float32).reshape(-1, 1)).reshape(np.shape(array))


def _hashed(series):
    return runs(_values(series), RUN)


def _varied_runs(series):
    return np.unique(_hashed(series)[_varies(series)])


def _varies(series):
    return _varies_within(np.lib.stride_tricks.sliding_window_view(np.asarray(series), RUN))


def _varies_within(rows):
    """(rows,) bool: which have enough different values to be told from others."""
    return (np.diff(np.sort(rows, axis=1), axis=1) != 0).sum(axis=1) >= DIFFERENT - 1


@dataclass(frozen=True)
class Range:
    """A feature whose values fill the range of a scaler over all rows, but not over those of training.

    Attributes:
        feature: of the window.
        kind: "range" (all values lie in, and reach, [0, 1] or [-1, 1]) or "mean" (mean 0 and spread 1).
        training, all_rows: (low, high), or (mean, spread), over training rows and over all.
    """

    feature: int
    kind: str
    training: tuple[float, float]
    all_rows: tuple[float, float]


def revealed(training: np.ndarray, others: list[np.ndarray]) -> Range | None:
    """A feature whose statistics tell that it was scaled over all rows.

    Args:
        training: (windows, timesteps, features).
        others: of the parts that it was judged on.
    """
    for feature in range(min(training.shape[2], MOST_COLUMNS)):
        mine, rest = training[:, :, feature], [part[:, :, feature] for part in others]
        if len(np.unique(mine[:, -1])) < 50:
            continue
        low, high = float(mine.min()), float(mine.max())
        lowest, highest = (
            min(low, *(float(part.min()) for part in rest)),
            max(high, *(float(part.max()) for part in rest)),
        )
        for bottom in (0.0, -1.0):
            filled = abs(lowest - bottom) < ROUNDED and abs(highest - 1) < ROUNDED
            if filled and (low > bottom + 1e-3 or high < 1 - 1e-3):
                return Range(feature, "range", (low, high), (lowest, highest))
        series, whole = _series(mine), _series(np.concatenate([mine, *rest]))
        if series is None or whole is None:
            continue
        alone, together = _moments(series), _moments(whole)
        off = [max(abs(mean), abs(spread - 1)) for mean, spread in (alone, together)]
        # The last rows are in no window, so a mean of 0 is not met exactly.
        if off[1] < max(1e-3, ENDS / len(whole)) and off[0] > max(0.02, 10 * off[1]):
            return Range(feature, "mean", alone, together)
    return None


def _moments(values):
    return float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))


def _series(windows):
    """The values from which windows were cut that follow each other, each once; None where they do not."""
    timesteps = windows.shape[1]
    moved = np.full(len(windows), timesteps)  # rows from one window's beginning to the next one's
    waiting = np.arange(1, len(windows))
    for by in range(1, timesteps):
        follows = (windows[waiting, : timesteps - by] == windows[waiting - 1, by:]).all(axis=1)
        moved[waiting[follows]] = by
        waiting = waiting[~follows]
        if len(waiting) > 0.05 * (len(windows) - 1):
            return None  # before windows of many timesteps are compared at every distance
    return np.concatenate([window[timesteps - by :] for window, by in zip(windows, moved, strict=True)])

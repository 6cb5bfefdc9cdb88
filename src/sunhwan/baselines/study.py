"""What a network has to beat: forecasts and classifiers that a spreadsheet or a minute could make.

Every baseline sees exactly the windows or texts that the networks see, learns from the training part, makes
its choices (penalty, window, when to stop adding trees) on validation, and is scored once on test.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from sunhwan.data.grid import Windows
from sunhwan.data.series import Series

PENALTIES = 10.0 ** np.arange(-1, 7)
"""Ridge penalties that validation chooses from, for sums of squares over scaled features."""

BATCH = 1024
"""Windows gathered at a time: what is held in memory does not grow with the data."""

MOST_TRAINING_WINDOWS = 60_000
"""Ridge and boosting learn from at most so many windows, evenly spaced: neighbours share nearly all rows."""

MOST_WEIGHTS = 6_000
"""Ridge looks no further back than this many weights reach; every pair of them takes 8 bytes of memory."""


@dataclass(frozen=True)
class Ridge:
    """A linear forecast of the change from the last value, from the most recent timesteps of a window.

    Attributes:
        weights: (timesteps, features), oldest timestep first; zero before the chosen window.
        bias: the intercept.
        timesteps: how many of the latest timesteps are used.
        penalty: the penalty on the sum of squared weights.
    """

    weights: np.ndarray
    bias: float
    timesteps: int
    penalty: float

    def predict(self, windows: Windows) -> np.ndarray:
        """(windows,) scaled forecasts."""
        change = np.concatenate([x.reshape(len(x), -1) @ self.weights.ravel() for x in batches(windows)])
        return windows.persistence + change + np.float32(self.bias)


def batches(windows: Windows):
    """The inputs of all windows in order, `BATCH` at a time: (batch, timesteps, features)."""
    for start in range(0, len(windows), BATCH):
        yield windows.inputs(np.arange(start, min(start + BATCH, len(windows))))


def training_index(windows: Windows) -> np.ndarray:
    """All training windows, or `MOST_TRAINING_WINDOWS` of them, evenly spaced."""
    count = min(len(windows), MOST_TRAINING_WINDOWS)
    return np.linspace(0, len(windows) - 1, count).astype(np.int64)


def fit_ridge(train: Windows, val: Windows, season: int = 0) -> Ridge:
    """Ridge regression whose window and penalty do best on validation (by mean absolute error).

    The normal equations are summed over batches of the longest window; shorter windows are blocks of the
    same matrix, since the latest timesteps stand first in it. So one pass over the data serves all choices,
    where `sklearn.linear_model.Ridge` would want the whole matrix in memory once for each.

    Args:
        train, val: windows of (timesteps, features).
        season: a window length, in timesteps, to try beside the whole, its half, its quarter, ...

    Source: Hoerl and Kennard, "Ridge regression", Technometrics 12 (1970).
    """
    timesteps, features = train.shape
    longest = min(timesteps, max(MOST_WEIGHTS // features, 1))
    lengths = {longest, *(timesteps >> k for k in range(1, 6)), season}
    lengths = sorted(length for length in lengths if 0 < length <= longest)
    size = longest * features
    index = training_index(train)
    gram, moment, total, total_change = np.zeros((size, size)), np.zeros(size), np.zeros(size), 0.0
    change = (train.truth - train.persistence)[index].astype(np.float64)
    for start in range(0, len(index), BATCH):
        chosen = index[start : start + BATCH]
        x = latest_first(train.inputs(chosen), longest).astype(np.float64)
        y = change[start : start + BATCH]
        gram += x.T @ x
        moment += x.T @ y
        total += x.sum(axis=0)
        total_change += y.sum()
    count = len(index)
    mean, mean_change = total / count, total_change / count
    gram -= count * np.outer(mean, mean)
    moment -= count * mean * mean_change

    choices = [(length, float(penalty)) for length in lengths for penalty in PENALTIES]
    weights = np.zeros((size, len(choices)), np.float32)
    for column, (length, penalty) in enumerate(choices):
        used = length * features
        damped = gram[:used, :used].copy()
        damped[np.diag_indices(used)] += penalty
        weights[:used, column] = scipy.linalg.solve(damped, moment[:used], assume_a="pos", overwrite_a=True)
    bias = mean_change - mean @ weights
    change = np.concatenate([latest_first(x, longest) @ weights for x in batches(val)]) + bias
    errors = np.abs(change + (val.persistence - val.truth)[:, None]).mean(axis=0)
    best = int(np.argmin(errors))
    whole = np.zeros((timesteps, features), np.float32)
    whole[timesteps - longest :] = weights[:, best].reshape(longest, features)[::-1]
    return Ridge(whole, float(bias[best]), *choices[best])


def latest_first(x: np.ndarray, timesteps: int) -> np.ndarray:
    """The latest timesteps of windows, the last one first: (batch, timesteps * features)."""
    return x[:, ::-1][:, :timesteps].reshape(len(x), -1)


def seasonal(series: Series, windows: Windows) -> np.ndarray | None:
    """The value one season (a day) before the target, scaled, or None where that is the last value itself.

    Where the horizon is longer than a season, it is the latest value at the same time of day that is known
    when the forecast is made.
    """
    season, horizon = series.season, windows.horizon
    if not season or horizon % season == 0:
        return None
    seasons = -(-horizon // season)
    rows = windows.last + horizon - seasons * season
    # Before its series begins there is no such row; the last value stands in for it.
    known = series.series[np.maximum(rows, 0)] == series.series[windows.last]
    earlier = windows.current[np.maximum(rows, 0)]
    return np.where((rows >= 0) & known & ~np.isnan(earlier), earlier, windows.persistence)


def lags(timesteps: int, step: int, season: int, horizon: int) -> list[int]:
    """The timesteps of a window that boosting sees, counted back from the last: recent ones densely, older
    ones thinly, and every one at the target's time of day.

    Args:
        timesteps, step, horizon: of the windows; the last two in rows.
        season: rows of a day, or 0.

    Example:
        >>> lags(timesteps=50, step=1, season=24, horizon=30)
        [0, 1, 2, 3, 5, 8, 16, 18, 32, 42]
    """
    thinning = {0, 1, 2, 3, 5, *(2**k for k in range(3, 12))}
    return [k for k in range(timesteps) if k in thinning or (season and (k * step + horizon) % season == 0)]


def lagged(windows: Windows, index: np.ndarray, lags: list[int], calendar: int) -> np.ndarray:
    """What boosting sees of a window.

    Args:
        windows, index: which windows.
        lags: timesteps, counted back from the last.
        calendar: how many of the last features are calendar features, read at the last timestep alone.

    Returns:
        (windows, lags * features and calendar features) float32.
    """
    timesteps, features = windows.shape
    at, parts = timesteps - 1 - np.array(lags), []
    for start in range(0, len(index), BATCH):
        x = windows.inputs(index[start : start + BATCH])
        recent = x[:, at, : features - calendar].reshape(len(x), -1)
        parts.append(np.concatenate([recent, x[:, -1, features - calendar :]], axis=1))
    return np.concatenate(parts)


def boosting(series: Series) -> dict[str, np.ndarray]:
    """Histogram gradient boosting of the change from the last value; trees are added while validation gains.

    Returns:
        Scaled forecasts of the validation and test windows by part.

    Source: `sklearn.ensemble.HistGradientBoostingRegressor`, after Ke et al., "LightGBM", NeurIPS 2017.
    """
    # Here, since prediction by a run loads this file, and has no need of scikit-learn.
    from sklearn.ensemble import HistGradientBoostingRegressor

    grid = series.grid
    seen = lags(grid.timesteps, grid.step, series.season, grid.horizon)

    def view(windows: Windows, index: np.ndarray) -> np.ndarray:
        return lagged(windows, index, seen, series.calendar_features)

    index = training_index(series.train)
    val = view(series.val, np.arange(len(series.val)))
    test = view(series.test, np.arange(len(series.test)))
    model = HistGradientBoostingRegressor(
        loss="absolute_error",
        learning_rate=0.08,
        max_iter=300,
        early_stopping=True,
        n_iter_no_change=15,
        random_state=0,
    )
    model.fit(
        view(series.train, index),
        (series.train.truth - series.train.persistence)[index],
        X_val=val,
        y_val=series.val.truth - series.val.persistence,
    )
    return {
        "val": series.val.persistence + model.predict(val),
        "test": series.test.persistence + model.predict(test),
    }

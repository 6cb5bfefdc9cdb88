"""Baselines of forecasts: what a network has to beat.

All predictions are (windows, steps, targets), scaled like the targets. A baseline learns from training
windows and makes its choices on validation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg

from sunhwan.data.windows import ForecastWindows, WindowPlan
from sunhwan.errors import SunhwanError

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

PENALTIES = 10.0 ** np.arange(-1, 8)
"""Ridge penalties that validation chooses from, for sums of squares over scaled features."""

BATCH = 1024
"""Windows gathered at a time: what is held in memory does not grow with the data."""

MOST_WINDOWS = 40_000
"""Baselines learn from, and choose on, at most so many windows, evenly spaced."""

MOST_WEIGHTS = 2_000
"""Ridge looks no further back than this many weights an output reach."""

MOST_NUMBERS = 2_000_000
"""Windows times steps that are forecast to judge and compare; the windows are evenly spaced."""

MOST_PAIRS = 150_000
"""Boosting learns from at most so many pairs of a window and a step."""


def batches(paths: ForecastWindows, size: int = BATCH) -> Iterator[np.ndarray]:
    """The numbers of all windows in order, `size` at a time."""
    for start in range(0, len(paths), size):
        yield np.arange(start, min(start + size, len(paths)))


def judged(paths: ForecastWindows) -> ForecastWindows:
    """All windows of a part, or as many, evenly spaced, as make `MOST_NUMBERS` numbers."""
    return paths.thinned(max(MOST_NUMBERS // paths.plan.outputs, 200))


def last_value(paths: ForecastWindows) -> np.ndarray:
    """The last known value at every step."""
    return np.repeat(paths.current[:, None], paths.plan.steps, axis=1)


def seasonal(paths: ForecastWindows) -> np.ndarray | None:
    """The latest known value at the same time of day (of daily rows, of week); None without a season."""
    return paths.seasonal() if paths.plan.season else None


@dataclass(frozen=True)
class Linear:
    """A straight line from the latest timesteps, and what is known in advance, to the whole path.

    Attributes:
        weights: (used timesteps * features, outputs) float32, the oldest timestep first.
        ahead: (steps * known, outputs) float32.
        bias: (outputs,) float32.
        timesteps: how many of the latest are used.
        penalty: on the sum of squared weights.
    """

    weights: np.ndarray
    ahead: np.ndarray
    bias: np.ndarray
    timesteps: int
    penalty: float

    def __call__(self, window: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """(batch, outputs) of windows (batch, timesteps, features) and ahead (batch, steps, known)."""
        recent = window[:, window.shape[1] - self.timesteps :].reshape(len(window), -1)
        said = recent @ self.weights + self.bias
        return said + ahead.reshape(len(ahead), -1) @ self.ahead if self.ahead.size else said

    def predict(self, paths: ForecastWindows) -> np.ndarray:
        """(windows, steps, targets)."""
        said = [self(paths.windows(index), paths.ahead(index)) for index in batches(paths)]
        plan = paths.plan
        return np.concatenate(said).reshape(-1, plan.steps, len(plan.targets))


def fit_linear(train: ForecastWindows, val: ForecastWindows) -> Linear:
    """Ridge regression of the change from the last value, whose window and penalty do best on validation.

    The normal equations are summed over batches of the longest window. The latest timesteps stand first, so
    that shorter windows are blocks of the same matrix, and one pass over the data serves all choices, where
    `sklearn.linear_model.Ridge` would want the whole matrix in memory once for each. What is known in advance
    stands before them.

    Raises:
        SunhwanError: no training path was observed from end to end.

    Source: Hoerl and Kennard, "Ridge regression", Technometrics 12 (1970).
    """
    plan = train.plan
    features, known = len(plan.names), plan.steps * len(plan.known_features)
    longest = min(plan.grid.timesteps, max((MOST_WEIGHTS - known) // features, 1))
    lengths = {longest, *(plan.grid.timesteps >> k for k in range(1, 6)), plan.season // plan.grid.step}
    lengths = sorted(length for length in lengths if 0 < length <= longest)
    size = known + longest * features

    gram, moment = np.zeros((size, size)), np.zeros((size, plan.outputs))
    total, total_change, count = np.zeros(size), np.zeros(plan.outputs), 0
    train = train.thinned(MOST_WINDOWS)
    for index in batches(train):
        x, change = regression(train.take(index), longest)
        whole = ~np.isnan(change).any(axis=1)
        x, change = x[whole].astype(np.float64), change[whole].astype(np.float64)
        gram += x.T @ x
        moment += x.T @ change
        total += x.sum(axis=0)
        total_change += change.sum(axis=0)
        count += len(x)
    if count == 0:
        raise SunhwanError(
            "no training path of the target was observed from end to end, so no straight line can be fitted; "
            "give more data, or a shorter --horizon"
        )
    mean, mean_change = total / count, total_change / count
    gram -= count * np.outer(mean, mean)
    moment -= count * np.outer(mean, mean_change)

    found = []
    for length in lengths:
        used = known + length * features
        for penalty in PENALTIES:
            damped = gram[:used, :used].copy()
            damped[np.diag_indices(used)] += penalty
            weights = scipy.linalg.solve(damped, moment[:used], assume_a="pos", overwrite_a=True)
            found.append((length, float(penalty), weights.astype(np.float32)))
    few = max(MOST_NUMBERS // (4 * plan.outputs), 200)
    errors, val = np.zeros(len(found)), val.thinned(min(MOST_WINDOWS // 4, few))
    biases = [(mean_change - mean[: len(w)] @ w).astype(np.float32) for _, _, w in found]
    for index in batches(val):
        x, change = regression(val.take(index), longest)
        for i, (_, _, weights) in enumerate(found):
            errors[i] += np.nansum(np.abs(x[:, : len(weights)] @ weights + biases[i] - change))
    best = int(np.argmin(errors))
    length, penalty, weights = found[best]
    window = weights[known:].reshape(length, features, plan.outputs)[::-1].copy()
    # The change is added to the last value, which is the target's own feature in the last timestep.
    for i, feature in enumerate(plan.target_features):
        window[-1, feature, i :: len(plan.targets)] += 1
    return Linear(window.reshape(-1, plan.outputs), weights[:known], biases[best], length, penalty)


def regression(paths: ForecastWindows, timesteps: int) -> tuple[np.ndarray, np.ndarray]:
    """What is known in advance and then the latest timesteps, the last one first: (windows, weights) float32;
    and the change from the last value, (windows, outputs)."""
    index = np.arange(len(paths))
    recent = paths.windows(index)[:, ::-1][:, :timesteps].reshape(len(paths), -1)
    change = paths.truths() - paths.current[:, None]
    ahead = paths.ahead(index).reshape(len(paths), -1)
    return np.concatenate([ahead, recent], axis=1), change.reshape(len(paths), -1)


def boosting(train: ForecastWindows, val: ForecastWindows, seed: int = 0) -> Boosted:
    """Histogram gradient boosting of the change from the last value, one model a target for all steps: the
    step is a feature beside the lags, the value a season before the step, and what is known of the step.

    Trees are added while validation gains.

    Source: `sklearn.ensemble.HistGradientBoostingRegressor`, after Ke et al., "LightGBM", NeurIPS 2017.
    """
    from sklearn.ensemble import HistGradientBoostingRegressor

    plan, random = train.plan, np.random.default_rng(seed)
    train, val = (paths.thinned(most) for paths, most in ((train, MOST_WINDOWS), (val, MOST_WINDOWS // 4)))
    models = []
    for target in range(len(plan.targets)):
        sets = []
        for paths, most in ((train, MOST_PAIRS), (val, MOST_PAIRS // 3)):
            each = max(min(plan.steps, round(most / len(paths))), 1)
            steps = random.permuted(np.tile(np.arange(plan.steps), (len(paths), 1)), axis=1)[:, :each]
            x = np.concatenate([pairs(paths.take(i), steps[i], target) for i in batches(paths)])
            change = (paths.truths() - paths.current[:, None])[:, :, target]
            y = np.take_along_axis(change, steps, axis=1).ravel()
            sets.append((x[~np.isnan(y)], y[~np.isnan(y)]))
        model = HistGradientBoostingRegressor(
            loss="absolute_error",
            learning_rate=0.08,
            max_iter=300,
            early_stopping=True,
            n_iter_no_change=15,
            random_state=seed,
        )
        (x, y), (x_val, y_val) = sets
        models.append(model.fit(x, y, X_val=x_val, y_val=y_val))
    return Boosted(plan, tuple(models))


@dataclass(frozen=True)
class Boosted:
    """Boosted trees, one model for each target."""

    plan: WindowPlan
    models: tuple[HistGradientBoostingRegressor, ...]

    def predict(self, paths: ForecastWindows) -> np.ndarray:
        """(windows, steps, targets)."""
        steps = self.plan.steps
        said = np.empty((len(paths), steps, len(self.models)), np.float32)
        for index in batches(paths, max(BATCH * 24 // steps, 16)):
            part = paths.take(index)
            every = np.tile(np.arange(steps), (len(part), 1))
            for i, model in enumerate(self.models):
                change = model.predict(pairs(part, every, i)).reshape(len(part), steps)
                said[index, :, i] = part.current[:, None, i] + change
        return said


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


def pairs(paths: ForecastWindows, steps: np.ndarray, target: int) -> np.ndarray:
    """What boosting sees of a window and a step.

    Args:
        paths: windows.
        steps: (windows, n) steps of each, from 0.
        target: which target.

    Returns:
        (windows * n, features) float32: the step; the season before it, less the last value; the lags that
        `lags` chooses, of every feature but the calendar's; the calendar at the origin; what is
        known of the step.
    """
    plan = paths.plan
    grid, n = plan.grid, steps.shape[1]
    seen = lags(grid.timesteps, grid.step, plan.season, grid.horizon)
    seen = [lag for lag in seen if lag in (0, 1, 2, 3, 6, 12, 24, 48) or lag * grid.step == plan.season]
    index = np.arange(len(paths))
    window = paths.windows(index)
    changing = np.setdiff1d(np.arange(len(plan.names)), plan.calendar_features)
    recent = window[:, grid.timesteps - 1 - np.array(seen)][:, :, changing].reshape(len(paths), -1)
    origin = np.concatenate([recent, window[:, -1, plan.calendar_features]], axis=1)
    columns = [steps.reshape(-1, 1).astype(np.float32)]
    earlier = seasonal(paths)
    if earlier is not None:
        change = (earlier - paths.current[:, None])[:, :, target]
        columns.append(np.take_along_axis(change, steps, axis=1).reshape(-1, 1))
    columns.append(np.repeat(origin, n, axis=0))
    known = len(plan.known_features)
    if known:
        columns.append(np.take_along_axis(paths.ahead(index), steps[:, :, None], axis=1).reshape(-1, known))
    return np.concatenate(columns, axis=1)

"""Ridge regression from the latest timesteps of a window, and the known future values, to all steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from sunhwan.baselines.names import NAMES
from sunhwan.baselines.windows import MOST_NUMBERS, MOST_WINDOWS, Plan, Windows, batches
from sunhwan.errors import SunhwanError

PENALTIES = 10.0 ** np.arange(-1, 8)
"""Penalties that validation chooses from, for sums of squares over scaled features."""

MOST_WEIGHTS = 2_000
"""Weights of one output, which limit how far back the regression looks."""


@dataclass(frozen=True)
class Ridge:
    """A straight line from windows to all outputs.

    Attributes:
        plan: the layout of the windows.
        weights: (used timesteps * features, outputs) float32, the oldest timestep first.
        ahead: (steps * known, outputs) float32.
        bias: (outputs,) float32.
        timesteps: how many of the latest are used.
        penalty: on the sum of squared weights.
        exact: whether each window has a product of its own, (1, ..) @ (.., outputs), so that it has the same
            bits alone and in a batch; right after training one product of many windows is faster.
    """

    plan: Plan
    weights: np.ndarray
    ahead: np.ndarray
    bias: np.ndarray
    timesteps: int
    penalty: float
    exact: bool = True

    words = NAMES["ridge"]
    worth = 0.0

    @classmethod
    def fit(cls, train: Windows, validation: Windows, most_weights: int = MOST_WEIGHTS) -> Ridge:
        """Regression of the change from the last value; validation chooses timesteps and penalty.

        One pass over the data serves all choices: the latest timesteps come first, so that shorter windows
        are blocks of the same matrix of sums. The known future values come before them.

        Args:
            train, validation: the windows.
            most_weights: of one output; fewer timesteps are used where they would have more.

        Raises:
            SunhwanError: no training window has all its steps observed.

        Source: Hoerl and Kennard, "Ridge regression", Technometrics 12 (1970).
        """
        plan = train.plan
        features, known = len(plan.names), plan.steps * len(plan.known_features)
        longest = min(plan.grid.timesteps, max((most_weights - known) // features, 1))
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
                "ridge regression needs training windows whose target was observed at every step up to the "
                "horizon, and there are none; give more data, or a shorter --horizon"
            )
        mean, mean_change = total / count, total_change / count
        gram -= count * np.outer(mean, mean)
        moment -= count * np.outer(mean, mean_change)

        candidates = []
        for length in lengths:
            used = known + length * features
            for penalty in PENALTIES:
                damped = gram[:used, :used].copy()
                damped[np.diag_indices(used)] += penalty
                weights = scipy.linalg.solve(damped, moment[:used], assume_a="pos", overwrite_a=True)
                candidates.append((length, float(penalty), weights.astype(np.float32)))
        few = max(MOST_NUMBERS // (4 * plan.outputs), 200)
        errors, validation = np.zeros(len(candidates)), validation.thinned(min(MOST_WINDOWS // 4, few))
        biases = [(mean_change - mean[: len(w)] @ w).astype(np.float32) for _, _, w in candidates]
        for index in batches(validation):
            x, change = regression(validation.take(index), longest)
            for i, (_, _, weights) in enumerate(candidates):
                errors[i] += np.nansum(np.abs(x[:, : len(weights)] @ weights + biases[i] - change))
        best = int(np.argmin(errors))
        length, penalty, weights = candidates[best]
        window = weights[known:].reshape(length, features, plan.outputs)[::-1].copy()
        # The change is added to the last value, which is the target's own feature in the last timestep.
        for i, feature in enumerate(plan.target_features):
            window[-1, feature, i :: len(plan.targets)] += 1
        return cls(
            plan,
            window.reshape(-1, plan.outputs),
            weights[:known],
            biases[best],
            length,
            penalty,
            exact=False,
        )

    def __call__(self, window: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        """(batch, outputs) of windows (batch, timesteps, features) and ahead (batch, steps, known)."""
        rows = (len(window), 1, -1) if self.exact else (len(window), -1)
        prediction = window[:, window.shape[1] - self.timesteps :].reshape(rows) @ self.weights
        prediction += self.bias
        if self.ahead.size:
            prediction += ahead.reshape(rows) @ self.ahead
        return prediction.reshape(len(window), -1)

    def predict(self, windows: Windows) -> np.ndarray:
        """(windows, steps, targets)."""
        predictions = [self(windows.windows(index), windows.ahead(index)) for index in batches(windows)]
        return np.concatenate(predictions).reshape(-1, self.plan.steps, len(self.plan.targets))

    def to_dict(self) -> dict:
        """For JSON; `to_arrays` has the rest."""
        return {"timesteps": self.timesteps, "penalty": self.penalty}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For an .npz file."""
        return {"weights": self.weights, "ahead": self.ahead, "bias": self.bias}

    @classmethod
    def from_saved(cls, plan: Plan, saved: Mapping, arrays: Mapping[str, np.ndarray]) -> Ridge:
        """From what `to_dict` and `to_arrays` returned.

        Raises:
            KeyError, TypeError, ValueError: something is missing, of another shape, or not finite.
        """
        ridge = cls(plan, **arrays, **saved)
        window, ahead = (plan.grid.timesteps, len(plan.names)), (plan.steps, len(plan.known_features))
        prediction = ridge(*(np.zeros((1, *shape), np.float32) for shape in (window, ahead)))
        if prediction.shape != (1, plan.outputs) or not np.isfinite(prediction).all():
            raise ValueError(f"ridge predicts {prediction.shape}, expected {plan.outputs} finite numbers")
        return ridge


def regression(windows: Windows, timesteps: int) -> tuple[np.ndarray, np.ndarray]:
    """The known future values, then the latest timesteps, the last one first: (windows, weights) float32;
    and the change from the last value, (windows, outputs)."""
    index = np.arange(len(windows))
    recent = windows.windows(index)[:, ::-1][:, :timesteps].reshape(len(windows), -1)
    change = windows.truths() - windows.current[:, None]
    ahead = windows.ahead(index).reshape(len(windows), -1)
    return np.concatenate([ahead, recent], axis=1), change.reshape(len(windows), -1)

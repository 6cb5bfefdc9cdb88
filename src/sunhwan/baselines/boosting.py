"""Gradient boosting, whose trees are saved as plain arrays: a run directory needs no pickle.

scikit-learn keeps the nodes of `HistGradientBoostingRegressor` in arrays, which are read once, after
training. They are not public, so a test compares what is read with scikit-learn's own predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING

import numpy as np

from sunhwan.baselines.names import NAMES
from sunhwan.baselines.windows import BATCH, MOST_WINDOWS, Plan, Windows, batches

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

MOST_PAIRS = 150_000
"""Training uses at most this many pairs of a window and a step."""

LAGS = (0, 1, 2, 3, 6, 12, 24, 48)
"""Timesteps, counted back from the last, that trees may see; besides them, the one a season before."""


@dataclass(frozen=True)
class Boosting:
    """Histogram gradient boosting of the change from the last value, one model a target for all steps.

    The step is a feature beside the lags, the value a season before the step, and the known values of the
    step.

    Attributes:
        plan: the layout of the windows.
        lags: timesteps that the trees see, counted back from the last.
        forests: the trees of each target.
        models: scikit-learn's own, right after training: their compiled loop is four times as fast, and
            agrees to rounding.
    """

    plan: Plan
    lags: tuple[int, ...]
    forests: tuple[Forest, ...]
    models: tuple[HistGradientBoostingRegressor, ...] = field(default=(), compare=False)

    words = NAMES["boosting"]
    worth = 0.02

    @classmethod
    def fit(
        cls,
        train: Windows,
        validation: Windows,
        lags: Sequence[int] | None = None,
        loss: str = "absolute_error",
        seed: int = 0,
    ) -> Boosting:
        """Add trees while the validation error falls.

        Args:
            train, validation: the windows.
            lags: timesteps that the trees see, counted back from the last; by default a few recent ones, and
                the one a season before.
            loss: scikit-learn's.
            seed: of the steps that are drawn for each window.

        Source: `sklearn.ensemble.HistGradientBoostingRegressor`, after Ke et al., "LightGBM", NeurIPS 2017.
        """
        from sklearn.ensemble import HistGradientBoostingRegressor

        plan, random = train.plan, np.random.default_rng(seed)
        seen = usual_lags(plan) if lags is None else tuple(lags)
        train, validation = train.thinned(MOST_WINDOWS), validation.thinned(MOST_WINDOWS // 4)
        models = []
        for target in range(len(plan.targets)):
            parts = []
            for windows, most in ((train, MOST_PAIRS), (validation, MOST_PAIRS // 3)):
                count = max(min(plan.steps, round(most / len(windows))), 1)
                steps = random.permuted(np.tile(np.arange(plan.steps), (len(windows), 1)), axis=1)[:, :count]
                x = np.concatenate(
                    [pairs(windows.take(index), steps[index], target, seen) for index in batches(windows)]
                )
                change = (windows.truths() - windows.current[:, None])[:, :, target]
                y = np.take_along_axis(change, steps, axis=1).ravel()
                parts.append((x[~np.isnan(y)], y[~np.isnan(y)]))
            (x, y), (x_validation, y_validation) = parts
            model = HistGradientBoostingRegressor(
                loss=loss,
                learning_rate=0.08,
                max_iter=300,
                early_stopping=True,
                n_iter_no_change=15,
                random_state=seed,
            )
            models.append(model.fit(x, y, X_val=x_validation, y_val=y_validation))
        return cls(plan, seen, tuple(map(Forest.of, models)), tuple(models))

    def predict(self, windows: Windows) -> np.ndarray:
        """(windows, steps, targets) float32."""
        steps = self.plan.steps
        prediction = np.empty((len(windows), steps, len(self.forests)), np.float32)
        for index in batches(windows, max(BATCH * (24 if self.models else 1) // steps, 1)):
            part = windows.take(index)
            every = np.tile(np.arange(steps), (len(part), 1))
            for i, model in enumerate(self.models or self.forests):
                change = model.predict(pairs(part, every, i, self.lags)).reshape(len(part), steps)
                prediction[index, :, i] = part.current[:, None, i] + change
        return prediction

    def to_dict(self) -> dict:
        """For JSON; `to_arrays` has the rest."""
        return {"lags": list(self.lags)}

    def to_arrays(self) -> dict[str, np.ndarray]:
        """For an .npz file."""
        return {
            f"{i}:{item.name}": getattr(forest, item.name)
            for i, forest in enumerate(self.forests)
            for item in fields(Forest)
        }

    @classmethod
    def from_saved(cls, plan: Plan, saved: Mapping, arrays: Mapping[str, np.ndarray]) -> Boosting:
        """From what `to_dict` and `to_arrays` returned.

        Raises:
            KeyError: something is missing.
            ValueError: nodes refer to nodes or features that do not exist, or lags to other timesteps.
        """
        lags = tuple(int(lag) for lag in saved["lags"])
        if not lags or min(lags) < 0 or max(lags) >= plan.grid.timesteps:
            raise ValueError(f"the trees see the timesteps {lags}, expected some of {plan.grid.timesteps}")
        forests = []
        for i in range(len(plan.targets)):
            forest = Forest(**{item.name: arrays[f"{i}:{item.name}"] for item in fields(Forest)})
            for name in ("left", "right", "feature"):
                index = getattr(forest, name)
                if index.shape != forest.value.shape or index.min() < 0:
                    raise ValueError(f"trees have an array {name} of shape {index.shape}")
            if max(forest.left.max(), forest.right.max()) >= forest.value.shape[1]:
                raise ValueError("trees have children that do not exist")
            forests.append(forest)
        return cls(plan, lags, tuple(forests))


@dataclass(frozen=True)
class Forest:
    """The trees of one target, each padded to the nodes of the largest.

    Attributes:
        feature, left, right: (trees, nodes) int32; a leaf's children are itself.
        threshold: (trees, nodes) float64: values up to it go left, and so does NaN where `missing_left`.
        missing_left: (trees, nodes) bool.
        value: (trees, nodes) float64, of leaves.
        baseline: (1,) float64, to which the trees add.
    """

    feature: np.ndarray
    left: np.ndarray
    right: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray
    baseline: np.ndarray

    @classmethod
    def of(cls, model: HistGradientBoostingRegressor) -> Forest:
        """The nodes of a trained model."""
        nodes = [trees[0].nodes for trees in model._predictors]
        most = max(map(len, nodes))

        def padded(name: str, kind: type) -> np.ndarray:
            table = np.zeros((len(nodes), most), kind)
            for row, tree in zip(table, nodes, strict=True):
                row[: len(tree)] = tree[name]
            return table

        leaf, itself = padded("is_leaf", bool), np.arange(most, dtype=np.int32)
        return cls(
            np.where(leaf, 0, padded("feature_idx", np.int32)).astype(np.int32),
            np.where(leaf, itself, padded("left", np.int32)).astype(np.int32),
            np.where(leaf, itself, padded("right", np.int32)).astype(np.int32),
            padded("num_threshold", np.float64),
            padded("missing_go_to_left", bool),
            padded("value", np.float64),
            np.array([float(np.ravel(model._baseline_prediction)[0])]),
        )

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(rows,) float64 of x (rows, features)."""
        rows, trees = np.arange(len(x))[:, None], np.arange(len(self.value))
        node = np.zeros((len(x), len(trees)), np.int32)
        while True:
            value = x[rows, self.feature[trees, node]]
            left = (value <= self.threshold[trees, node]) | (np.isnan(value) & self.missing_left[trees, node])
            below = np.where(left, self.left[trees, node], self.right[trees, node])
            if (below == node).all():
                return self.value[trees, node].sum(axis=1) + self.baseline[0]
            node = below


def lags(timesteps: int, step: int, season: int, horizon: int) -> list[int]:
    """Timesteps of a window, counted back from the last: recent ones densely, older ones thinly, and every
    one at the target's time of day.

    Args:
        timesteps, step, horizon: of the windows; the last two in rows.
        season: rows of a day, or 0.

    Example:
        >>> lags(timesteps=50, step=1, season=24, horizon=30)
        [0, 1, 2, 3, 5, 8, 16, 18, 32, 42]
    """
    thinning = {0, 1, 2, 3, 5, *(2**k for k in range(3, 12))}
    return [k for k in range(timesteps) if k in thinning or (season and (k * step + horizon) % season == 0)]


def usual_lags(plan: Plan) -> tuple[int, ...]:
    """The timesteps that trees see by default."""
    grid = plan.grid
    possible = lags(grid.timesteps, grid.step, plan.season, grid.horizon)
    return tuple(lag for lag in possible if lag in LAGS or lag * grid.step == plan.season)


def pairs(windows: Windows, steps: np.ndarray, target: int, lags: Sequence[int]) -> np.ndarray:
    """The features of pairs of a window and a step.

    Args:
        windows: the windows.
        steps: (windows, n) steps of each, from 0.
        target: which target.
        lags: timesteps, counted back from the last.

    Returns:
        (windows * n, features) float32: the step; the value a season before it, less the last value; the lags
        of every feature but the calendar's; the calendar at the last timestep; the known values of the step.
    """
    plan = windows.plan
    index, n = np.arange(len(windows)), steps.shape[1]
    window = windows.windows(index)
    changing = np.setdiff1d(np.arange(len(plan.names)), plan.calendar_features)
    recent = window[:, plan.grid.timesteps - 1 - np.array(lags)][:, :, changing].reshape(len(windows), -1)
    origin = np.concatenate([recent, window[:, -1, plan.calendar_features]], axis=1)
    columns = [steps.reshape(-1, 1).astype(np.float32)]
    if plan.season:
        change = (windows.seasonal() - windows.current[:, None])[:, :, target]
        columns.append(np.take_along_axis(change, steps, axis=1).reshape(-1, 1))
    columns.append(np.repeat(origin, n, axis=0))
    known = len(plan.known_features)
    if known:
        columns.append(np.take_along_axis(windows.ahead(index), steps[:, :, None], axis=1).reshape(-1, known))
    return np.concatenate(columns, axis=1)

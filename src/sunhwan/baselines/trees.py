"""Boosted trees as plain arrays, run by NumPy: what a run directory can hold without a pickle.

scikit-learn keeps the nodes of `HistGradientBoostingRegressor` in arrays; these are read once, after training
(they are no public interface, so a test holds what is read to what scikit-learn itself says).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from sunhwan.baselines.paths import BATCH, Boosted, batches, pairs
from sunhwan.data.windows import ForecastWindows, WindowPlan


@dataclass(frozen=True)
class Forest:
    """The trees of one target, each padded to the nodes of the largest.

    Attributes:
        feature, left, right: (trees, nodes) int32; a leaf's children are itself.
        threshold: (trees, nodes) float64: at most goes left, and so does NaN where `missing_left` says so.
        missing_left: (trees, nodes) bool.
        value: (trees, nodes) float64, of leaves.
        baseline: (1,) float64, what the trees add to.
    """

    feature: np.ndarray
    left: np.ndarray
    right: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    value: np.ndarray
    baseline: np.ndarray

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(rows,) float64 of x (rows, features)."""
        rows, trees = np.arange(len(x))[:, None], np.arange(len(self.value))
        node = np.zeros((len(x), len(trees)), np.int32)
        while True:
            value = x[rows, self.feature[trees, node]]
            left = (value <= self.threshold[trees, node]) | (np.isnan(value) & self.missing_left[trees, node])
            further = np.where(left, self.left[trees, node], self.right[trees, node])
            if (further == node).all():
                return self.value[trees, node].sum(axis=1) + self.baseline[0]
            node = further


@dataclass(frozen=True)
class Trees:
    """What `path_baselines.Boosted` learnt, without scikit-learn.

    Attributes:
        plan: of the windows.
        forests: one for each target.
    """

    plan: WindowPlan
    forests: tuple[Forest, ...]

    @classmethod
    def of(cls, boosted: Boosted) -> Trees:
        """The nodes of trained models."""
        return cls(boosted.plan, tuple(forest(model) for model in boosted.models))

    def predict(self, paths: ForecastWindows) -> np.ndarray:
        """(windows, steps, targets) float32, scaled: what `Boosted.predict` says, to rounding."""
        steps = self.plan.steps
        said = np.empty((len(paths), steps, len(self.forests)), np.float32)
        for index in batches(paths, max(BATCH // steps, 1)):
            part = paths.take(index)
            every = np.tile(np.arange(steps), (len(part), 1))
            for i, one in enumerate(self.forests):
                change = one.predict(pairs(part, every, i)).reshape(len(part), steps)
                said[index, :, i] = part.current[:, None, i] + change
        return said

    def arrays(self) -> dict[str, np.ndarray]:
        """For an .npz file."""
        return {
            f"{i}:{item.name}": getattr(one, item.name)
            for i, one in enumerate(self.forests)
            for item in fields(Forest)
        }

    @classmethod
    def from_arrays(cls, plan: WindowPlan, arrays: Mapping[str, np.ndarray]) -> Trees:
        """What `arrays` gave.

        Raises:
            KeyError: an array is missing.
            ValueError: nodes point to nodes that are not there, or to features that are not there.
        """
        forests = []
        for i in range(len(plan.targets)):
            one = Forest(**{item.name: arrays[f"{i}:{item.name}"] for item in fields(Forest)})
            nodes = one.value.shape[1]
            for name in ("left", "right", "feature"):
                index = getattr(one, name)
                if index.shape != one.value.shape or index.min() < 0:
                    raise ValueError(f"trees have an array {name} of shape {index.shape}")
            if max(one.left.max(), one.right.max()) >= nodes:
                raise ValueError("trees have children that are not there")
            forests.append(one)
        return cls(plan, tuple(forests))


def forest(model) -> Forest:
    """The nodes of a trained `HistGradientBoostingRegressor`."""
    nodes = [trees[0].nodes for trees in model._predictors]
    most = max(map(len, nodes))

    def padded(name: str, kind: type) -> np.ndarray:
        table = np.zeros((len(nodes), most), kind)
        for row, tree in zip(table, nodes, strict=True):
            row[: len(tree)] = tree[name]
        return table

    leaf, itself = padded("is_leaf", bool), np.arange(most, dtype=np.int32)
    return Forest(
        np.where(leaf, 0, padded("feature_idx", np.int32)).astype(np.int32),
        np.where(leaf, itself, padded("left", np.int32)).astype(np.int32),
        np.where(leaf, itself, padded("right", np.int32)).astype(np.int32),
        padded("num_threshold", np.float64),
        padded("missing_go_to_left", bool),
        padded("value", np.float64),
        np.array([float(np.ravel(model._baseline_prediction)[0])]),
    )

"""Logistic regression on summary statistics of recordings, which hardly depend on the order of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sunhwan.baselines.classifiers import STRENGTHS, Baseline, most_accurate, two_columns
from sunhwan.data.ragged import Ragged

STATISTICS = ("mean", "deviation", "least", "largest", "first", "last", "change", "deviation of changes")
"""Of each feature of a recording; a change is from row to row. The logarithm of the length is the last."""


def statistics(recordings: Ragged) -> np.ndarray:
    """(recordings, statistics) float64: `STATISTICS` of each feature, one after the other, and the length.

    Args:
        recordings: readings (rows, features) of each.

    Example:
        >>> statistics(Ragged.of([[[1.0], [3.0]], [[2.0]]], float)).round(2).tolist()
        [[2.0, 1.0, 1.0, 3.0, 1.0, 3.0, 2.0, 0.0, 0.69], [2.0, 0.0, 2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0]]
    """
    values, offsets = recordings.values.astype(np.float64), recordings.offsets
    starts = offsets[:-1]
    lengths = np.diff(offsets)[:, None]
    steps = np.diff(values, axis=0, prepend=values[:1])
    steps[starts] = 0
    changes = np.maximum(lengths - 1, 1)

    def mean(of: np.ndarray, count: np.ndarray) -> np.ndarray:
        return np.add.reduceat(of, starts, axis=0) / count

    middle, change = mean(values, lengths), mean(np.abs(steps), changes)
    columns = [
        middle,
        np.sqrt(np.maximum(mean(values**2, lengths) - middle**2, 0)),
        np.minimum.reduceat(values, starts, axis=0),
        np.maximum.reduceat(values, starts, axis=0),
        values[starts],
        values[offsets[1:] - 1],
        change,
        np.sqrt(np.maximum(mean(steps**2, changes) - change**2, 0)),
        np.log(lengths),
    ]
    return np.concatenate(columns, axis=1)


@dataclass(frozen=True, eq=False)
class Summary(Baseline):
    """A logistic regression on statistics.

    Attributes:
        mean, std: (statistics,) by which they are scaled.
        weights: (statistics, columns); one column for two classes, else one per class.
        bias: (columns,).
        strength: the inverse penalty.
    """

    mean: np.ndarray
    std: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    strength: float

    @classmethod
    def train(cls, inputs: np.ndarray, labels: np.ndarray, strength: float) -> Summary:
        """The model of one penalty.

        Args:
            inputs: from `statistics`.
            labels: (recordings,) of the classes 0, 1, ...
            strength: the inverse penalty.
        """
        from sklearn.linear_model import LogisticRegression

        mean, std = inputs.mean(axis=0), inputs.std(axis=0)
        std = np.where(std > 1e-9, std, 1.0)
        model = LogisticRegression(C=strength, max_iter=5_000, tol=1e-3).fit((inputs - mean) / std, labels)
        return cls(mean, std, model.coef_.T, model.intercept_, strength)

    def scores(self, inputs: np.ndarray) -> np.ndarray:
        """(recordings, classes) float64 logits of what `statistics` gave."""
        return two_columns((inputs - self.mean) / self.std @ self.weights + self.bias)

    @classmethod
    def fit(cls, inputs, labels, classes, validation):
        train, validation_inputs = statistics(inputs), statistics(validation[0])
        models = (cls.train(train, labels, strength) for strength in STRENGTHS)
        return most_accurate(models, lambda model: model.scores(validation_inputs), validation[1])

    def refit(self, inputs, labels, classes):
        return self.train(statistics(inputs), labels, self.strength)

    def logits(self, inputs):
        return self.scores(statistics(inputs))

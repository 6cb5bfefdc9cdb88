"""Logistic regression on summary statistics of recordings, for which the order of rows hardly counts.

It predicts by NumPy from plain arrays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sunhwan.baselines.ngrams import two_columns

STATISTICS = ("mean", "deviation", "least", "largest", "first", "last", "change", "deviation of changes")
"""Of each feature of a recording; a change is from row to row. The logarithm of the length stands last."""


def statistics(values: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """(recordings, statistics) float64: `STATISTICS` of each feature, one after the other, and the length.

    Args:
        values: (rows, features).
        offsets: (recordings + 1,) where each recording begins, and the end of the last.

    Example:
        >>> statistics(np.array([[1.0], [3.0], [2.0]]), np.array([0, 2, 3])).round(2).tolist()
        [[2.0, 1.0, 1.0, 3.0, 1.0, 3.0, 2.0, 0.0, 0.69], [2.0, 0.0, 2.0, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0]]
    """
    values, starts = values.astype(np.float64), offsets[:-1]
    lengths = np.diff(offsets)[:, None]
    steps = np.diff(values, axis=0, prepend=values[:1])
    steps[starts] = 0
    changes = np.maximum(lengths - 1, 1)

    def mean(of: np.ndarray, count: np.ndarray) -> np.ndarray:
        return np.add.reduceat(of, starts, axis=0) / count

    middle, change = mean(values, lengths), mean(np.abs(steps), changes)
    found = [
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
    return np.concatenate(found, axis=1)


@dataclass(frozen=True, eq=False)
class Summaries:
    """A logistic regression on statistics.

    Attributes:
        mean, std: (statistics,) by which they are scaled.
        weights: (statistics, columns); one column for two classes, else one a class.
        bias: (columns,).
        strength: the inverse penalty.
    """

    mean: np.ndarray
    std: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    strength: float

    def logits(self, found: np.ndarray) -> np.ndarray:
        """(recordings, classes) float64: their softmax are probabilities.

        Args:
            found: from `statistics`.
        """
        return two_columns((found - self.mean) / self.std @ self.weights + self.bias)


def fit(found: np.ndarray, labels: np.ndarray, classes: int, strength: float) -> Summaries:
    """The logistic regression of one penalty.

    Args:
        found: from `statistics`.
        labels: (recordings,) 0 to classes - 1.
        classes: how many there are.
        strength: the inverse penalty.
    """
    from sklearn.linear_model import LogisticRegression

    mean, std = found.mean(axis=0), found.std(axis=0)
    std = np.where(std > 1e-9, std, 1.0)
    model = LogisticRegression(C=strength, max_iter=5_000, tol=1e-3).fit((found - mean) / std, labels)
    return Summaries(mean, std, model.coef_.T, model.intercept_, strength)

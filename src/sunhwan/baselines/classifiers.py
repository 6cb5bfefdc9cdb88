"""What the baselines of classifiers share: how they are fitted, selected by validation and saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Self, TypeVar

import numpy as np

from sunhwan.data.ragged import Ragged

STRENGTHS = (0.1, 1.0, 10.0)
"""Inverse penalties that validation chooses from."""

Model = TypeVar("Model")


class Baseline:
    """A simple classifier of texts or recordings: a dataclass whose fields, arrays and numbers, are saved.

    It is trained by scikit-learn or others, and predicts by NumPy and SciPy alone.
    """

    @classmethod
    def missing(cls) -> str:
        """Why it cannot be trained here, as a note; "" where it can."""
        return ""

    @classmethod
    def fit(
        cls, inputs: Ragged, labels: np.ndarray, classes: int, validation: tuple[Ragged, np.ndarray]
    ) -> Self:
        """Train it.

        Args:
            inputs: n encoded examples.
            labels: (n,) 0 to classes - 1.
            classes: how many there are.
            validation: examples and labels that choose the penalty.
        """
        raise NotImplementedError

    def refit(self, inputs: Ragged, labels: np.ndarray, classes: int) -> Self:
        """Train it once more, on other examples, with the penalty that validation chose."""
        raise NotImplementedError

    def logits(self, inputs: Ragged) -> np.ndarray:
        """(examples, classes): their softmax are probabilities."""
        raise NotImplementedError

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What `from_arrays` takes."""
        return {field.name: np.asarray(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> Self:
        """What `to_arrays` gave."""
        saved = {field.name: arrays[field.name] for field in fields(cls)}
        return cls(**{name: array if array.ndim else array.item() for name, array in saved.items()})


def most_accurate(
    models: Iterable[Model], logits: Callable[[Model], np.ndarray], labels: np.ndarray
) -> Model:
    """The model that is most accurate on validation, the first of equals; only one is in memory besides it.

    Args:
        models: the simplest first.
        logits: a model's predictions of the validation examples, (examples, classes).
        labels: (examples,) of validation.
    """
    return max(models, key=lambda model: (logits(model).argmax(axis=1) == labels).mean())


def majority(labels: np.ndarray, classes: int, count: int) -> np.ndarray:
    """(count, classes) float32: the training share of each class, for every example.

    Example:
        >>> majority(np.array([0, 1, 1, 1]), classes=2, count=1).tolist()
        [[0.25, 0.75]]
    """
    share = np.bincount(labels, minlength=classes) / len(labels)
    return np.tile(share.astype(np.float32), (count, 1))


def two_columns(scores: np.ndarray) -> np.ndarray:
    """Scores (n, 1) of class 1 as logits (n, 2); scores of three or more classes as they are.

    Example:
        >>> two_columns(np.array([[1.5]])).tolist()
        [[0.0, 1.5]]
    """
    if scores.shape[1] > 1:
        return scores
    return np.concatenate([np.zeros_like(scores), scores], axis=1)

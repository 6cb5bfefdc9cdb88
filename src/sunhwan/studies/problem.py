"""What a study of any kind trains on: three parts, a loss, a metric, a shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from sunhwan.training.part import Part


@dataclass(frozen=True)
class Examples:
    """A part that is in memory.

    Attributes:
        inputs: (examples, ...), such as padded token ids (examples, tokens).
        truth: (examples,) the targets.
    """

    inputs: np.ndarray
    truth: np.ndarray

    def __len__(self) -> int:
        return len(self.truth)

    def gather(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.inputs[index], self.truth[index]


@dataclass(frozen=True)
class Metric:
    """How predictions are scored.

    Attributes:
        name: `mae`, `accuracy` or `mse`.
        unit: of the score, such as `degC`, or `""` if it is not known; for an accuracy its own name.
        loss: the Keras loss that is trained, also reported as `val_loss`.
        higher_is_better: whether a higher score is better.
        factor: by which the metric on scaled targets is multiplied to be in the unit.
    """

    name: str
    unit: str
    loss: str
    higher_is_better: bool = False
    factor: float = 1.0


def mean_absolute_error(forecast: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """`loss` of forecasts (n,) against targets (n,), in the targets' unit."""
    return {"loss": float(np.abs(forecast.astype(np.float64) - truth).mean())}


def mean_squared_error(forecast: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """`loss` of forecasts (n,) against targets (n,), in the square of the targets' unit."""
    return {"loss": float(np.square(forecast.astype(np.float64) - truth).mean())}


def binary_crossentropy(probability: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """`loss` (nats) and `accuracy` of probabilities (n,) of class 1 against labels (n,) 0 or 1, or NaN."""
    p = np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7)
    loss = -np.where(truth == 1, np.log(p), np.log1p(-p)).mean()
    # NaN > 0.5 is False: without a look at the loss, a network that diverged would predict class 0.
    accuracy = ((probability > 0.5) == (truth == 1)).mean() if np.isfinite(loss) else np.nan
    return {"loss": float(loss), "accuracy": float(accuracy)}


SCORES: Mapping[str, Callable[[np.ndarray, np.ndarray], dict[str, float]]] = {
    "mae": mean_absolute_error,
    "mse": mean_squared_error,
    "binary_crossentropy": binary_crossentropy,
}
"""Each Keras loss that a study may train, computed over a whole part at once, with what else is scored."""


@dataclass(frozen=True)
class Problem:
    """A prepared study: what models are built for, trained on and scored by.

    Attributes:
        train, val, test: the parts.
        input_shape: of one example: (timesteps, features), or (tokens,) for token ids.
        metric: how predictions are scored.
        baselines: predictions of validation and test by baseline and part, scaled like the targets.
        context: what some model builders need besides (`vocabulary` size, the fitted `ridge`).
        files: arrays that the run directory has for the report, by the names in `rundir.FILES`.
        notes: on the data and its preparation.
        fingerprint: SHA-256 of the data, or of what it was generated from.
        physical: brings predictions (n,) to the unit of `predictions.npz`.
    """

    train: Part
    val: Part
    test: Part
    input_shape: tuple[int, ...]
    metric: Metric
    baselines: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    context: dict[str, object] = field(default_factory=dict)
    files: dict[str, dict] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    fingerprint: str = ""
    physical: Callable[[np.ndarray], np.ndarray] = np.asarray

    def score(self, forecast: np.ndarray, part: str) -> dict[str, float]:
        """`loss`, `accuracy` where there is one, and `value`: the metric in its unit."""
        scores = SCORES[self.metric.loss](forecast, getattr(self, part).truth)
        figure = scores.get(self.metric.name, scores["loss"])
        return {**scores, "value": figure * self.metric.factor}

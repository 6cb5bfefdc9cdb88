"""The network of a classifier of recordings: recurrent layers both ways over means of a few rows.

rows --> means of a few rows --> LSTM or GRU, forward and backward, stacked --> maximum and mean --> logits
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sunhwan.classify import training
from sunhwan.classify.network import Network, recurrent_scores
from sunhwan.data.ragged import Ragged

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class Settings(training.Settings):
    """What a network of recordings is, and how it is trained.

    Attributes:
        layers: recurrent layers.
        steps: that it reads of a recording at most; of longer ones each step is the mean of several rows.
        noise: the standard deviation of what is added to the readings in training, which have one of 1.
    """

    units: int = 48
    dropout: float = 0.3
    learning_rate: float = 2e-3
    averaging: float = 0.5
    batch: int = 32
    epochs: int = 40
    patience: int = 6
    layers: int = 2
    steps: int = 200
    noise: float = 0.1


@dataclass(frozen=True, eq=False)
class RecordingNetwork(Network):
    """A trained network of recordings as arrays.

    Attributes:
        step: rows that are averaged into one step.
    """

    step: int

    steps_at_once = 50_000
    examples_at_once = 500

    def read(self, examples: Ragged) -> Ragged:
        return examples.thinned(self.step)

    def scores(self, values, mask):
        return self.recurrent_scores(values, mask)


class RecordingTrainer(training.Trainer):
    """Trains networks of recordings."""

    least_batches = 4

    def __init__(self, examples: Ragged, settings: Settings):
        step = rows_per_step(examples.lengths, settings.steps)
        length = training.reach(-(-examples.lengths // step), settings.steps)
        super().__init__(RecordingNetwork(settings.cell, length, {}, step), examples, settings)

    def build(self, prior: np.ndarray) -> keras.Model:
        return build(self.steps.values.shape[1], prior, self.settings)

    def batch(self, index, width, random) -> tuple[np.ndarray, np.ndarray]:
        values, mask = self.steps.padded(index, width)
        noise = random.standard_normal(values.shape, np.float32)
        values += self.settings.noise * noise * mask[..., None]
        return values, mask


def rows_per_step(lengths: np.ndarray, most: int) -> int:
    """How many rows are averaged into a step, so that 98 of 100 recordings have no more than `most`.

    Example:
        >>> rows_per_step(np.array([30, 400]), most=300), rows_per_step(np.array([30, 40]), most=300)
        (2, 1)
    """
    return -(-int(np.quantile(lengths, 0.98, method="higher")) // most)


def build(features: int, prior: np.ndarray, settings: Settings) -> keras.Model:
    """The network for training: readings and mask to scores (batch, columns), which begin at the prior."""
    import keras

    values, mask = keras.Input((None, features)), keras.Input((None,), dtype="bool")
    return keras.Model([values, mask], recurrent_scores(values, mask, prior, settings, settings.layers))

"""Which examples each batch of each epoch contains, and how they are passed to Keras."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import keras
import numpy as np

from sunhwan.training.part import Part
from sunhwan.training.progress import Watcher


@dataclass(frozen=True)
class Schedule:
    """How long a model is trained, and on which batches.

    Attributes:
        epochs: passes, or blocks of `steps_per_epoch` batches.
        batch_size: examples per batch.
        steps_per_epoch: batches per epoch; None for all training examples.
        seed: of initial weights, dropout and the order of batches.
    """

    epochs: int
    batch_size: int
    steps_per_epoch: int | None
    seed: int

    def batches(self, examples: int) -> int:
        """Batches per epoch, all of `batch_size`: a smaller last batch would be compiled once more."""
        return self.steps_per_epoch or max(examples // self.batch_size, 1)

    def order(self, examples: int, epoch: int) -> np.ndarray:
        """(batches, batch_size) numbers of the examples that epoch `epoch` (from 0) trains on.

        Each example occurs once before any occurs twice, within an epoch and over the epochs that one shuffle
        of all examples lasts.
        """
        needed = self.batches(examples) * self.batch_size
        lasts = max(examples // needed, 1)
        random = np.random.default_rng([self.seed, epoch // lasts])
        rounds = [random.permutation(examples) for _ in range(-(-needed // examples))]
        start = epoch % lasts * needed
        return np.concatenate(rounds)[start : start + needed].reshape(-1, self.batch_size)


class Batches(keras.utils.PyDataset):
    """The batches of one epoch, gathered when Keras requests them."""

    def __init__(self, part: Part, order: np.ndarray):
        super().__init__()
        self.part, self.order = part, order

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        inputs, targets = self.part.gather(self.order[number])
        return inputs, targets.reshape(len(targets), -1)


class Prepared(keras.utils.PyDataset):
    """Batches that are in memory: pairs of inputs and targets."""

    def __init__(self, batches: list[tuple[object, np.ndarray]]):
        super().__init__()
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int) -> tuple[object, np.ndarray]:
        return self.batches[number]


class Ticker(keras.callbacks.Callback):
    """Reports to a watcher how many batches of an epoch are finished."""

    # Without this Keras fetches the loss of every batch from the device before it starts the next. With it
    # Keras calls from several threads, so batches are counted: their own numbers come out of order.
    async_safe = True

    def __init__(self, watcher: Watcher, epoch: int):
        super().__init__()
        self.watcher, self.current = watcher, epoch
        self.finished, self.one_at_a_time = 0, threading.Lock()

    def on_train_batch_end(self, batch, logs=None):
        with self.one_at_a_time:
            self.finished += 1
            self.watcher.batch(self.current, self.finished)


def fit(model: keras.Model, batches: keras.utils.PyDataset, ticker: Ticker) -> dict[str, float]:
    """Train on each batch once, in order; returns `loss` and metrics by name, averaged over the batches."""
    history = model.fit(batches, shuffle=False, verbose=0, callbacks=[ticker]).history
    return {name: float(values[0]) for name, values in history.items()}

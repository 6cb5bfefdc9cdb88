"""One network of a classifier trained by Keras; validation chooses the epoch.

What is scored and kept is an average of the weights along the way (Izmailov et al., "Averaging weights leads
to wider optima", UAI 2018): single steps swing by a point of accuracy and more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.special import log_softmax

if TYPE_CHECKING:
    import keras

LEAST_STEPS, MOST_STEPS = 40, 1_500
"""Training steps of an epoch: of few examples it holds several rounds, of many each epoch sees others."""

SNAPSHOT = 32
"""Training steps between two weights that are averaged; an epoch has one at its end in any case."""

GAIN = 1e-3
"""Of validation loss, in nats: epochs that gain less are waited for as if they gained nothing."""

POOL = 32
"""Batches that are made at once of examples in random order, so that each is of about one length."""


class Network(Protocol):
    """What was trained, as plain arrays."""

    def logits(self, examples: object) -> np.ndarray:
        """(examples, classes) float32: their softmax are probabilities."""
        ...


@dataclass(frozen=True)
class Trained:
    """What training gave.

    Attributes:
        network: of the best epoch, or of the last where there was no validation.
        epochs: the best epoch, counted from 1.
        history: a row for each epoch.
    """

    network: Network
    epochs: int
    history: tuple[dict, ...]


@dataclass(frozen=True)
class Routine:
    """How a network is trained, whatever it reads.

    Attributes:
        learning_rate: of Adam.
        averaging: the weight of the past in the average of weights, at each snapshot.
        epochs: at most.
        patience: epochs without a gain after which training ends.
    """

    learning_rate: float
    averaging: float
    epochs: int
    patience: int


def train(
    model: keras.Model,
    feed: Feed,
    classes: int,
    routine: Routine,
    taken: Callable[[keras.Model], dict[str, np.ndarray]],
    made: Callable[[Mapping[str, np.ndarray]], Network],
    watcher,
    held: tuple[object, np.ndarray] | None,
) -> Trained:
    """Train a model; validation chooses the epoch, or all are trained.

    Args:
        model: built, not compiled; for two classes it says one number, else one for each class.
        feed: the batches of each epoch.
        classes: how many there are.
        routine: how it is trained.
        taken: the model's weights by name.
        made: the network of such weights.
        watcher: told of each batch and epoch.
        held: what the network's `logits` takes, and the labels of validation.
    """
    import keras

    from sunhwan.training.batches import Ticker

    best, average, history, lowest, waited = None, None, [], np.inf, 0
    loss = (
        keras.losses.BinaryCrossentropy(from_logits=True)
        if classes == 2
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model.compile(keras.optimizers.Adam(routine.learning_rate), loss=loss)
    for epoch in range(routine.epochs):
        began = time.perf_counter()
        batches, losses = feed.epoch(epoch), []
        ticker = Ticker(watcher, epoch + 1)
        for start in range(0, len(batches), SNAPSHOT):
            some = batches[start : start + SNAPSHOT]
            fitted = model.fit(sequence(some), epochs=1, shuffle=False, verbose=0, callbacks=[ticker])
            losses += [fitted.history["loss"][0]] * len(some)
            average = averaged(average, taken(model), routine.averaging)
        network = made(average)
        row = {"epoch": epoch + 1, "loss": float(np.mean(losses))}
        if held is None:
            row["seconds"] = round(time.perf_counter() - began, 3)
            history.append(row)
            best = Trained(network, epoch + 1, ())
            continue
        said = log_softmax(network.logits(held[0]), axis=1)
        row["val_loss"] = float(-said[np.arange(len(said)), held[1]].mean())
        row["val_accuracy"] = float((said.argmax(axis=1) == held[1]).mean())
        row["seconds"] = round(time.perf_counter() - began, 3)
        history.append(row)
        watcher.epoch(row)
        waited = 0 if row["val_loss"] < lowest - GAIN else waited + 1
        if row["val_loss"] < lowest:
            best, lowest = Trained(network, epoch + 1, ()), row["val_loss"]
        if waited >= routine.patience:
            break
    return replace(best, history=tuple(history))


def averaged(
    before: Mapping[str, np.ndarray] | None, now: Mapping[str, np.ndarray], past: float
) -> dict[str, np.ndarray]:
    """The running average of weights; the first are taken as they are."""
    if before is None:
        return dict(now)
    return {name: past * before[name] + np.float32(1 - past) * array for name, array in now.items()}


def prior(labels: np.ndarray, classes: int) -> np.ndarray:
    """(columns,) float32: the scores of the classes' shares, at which a network begins.

    Example:
        >>> prior(np.array([0, 1, 1, 1]), classes=2).round(3)
        array([1.099], dtype=float32)
    """
    share = np.maximum(np.bincount(labels, minlength=classes), 1) / len(labels)
    return np.log(share[1:] / share[0] if classes == 2 else share).astype(np.float32)


def reach(lengths: np.ndarray, most: int) -> int:
    """Steps that a network reads of an example: what holds 98 of 100 whole, rounded up to 8, at most `most`.

    Example:
        >>> reach(np.array([3, 20, 9]), 400), reach(np.array([3, 2_000]), 400)
        (24, 400)
    """
    wanted = int(np.quantile(np.maximum(lengths, 1), 0.98, method="higher"))
    return min(-(-wanted // 8) * 8, most)


def widths(length: int) -> list[int]:
    """To which batches are padded: few widths, since each is compiled; a batch's examples are about as long.

    Example:
        >>> widths(400), widths(8)
        ([100, 200, 400], [8])
    """
    return sorted({length} | {part for part in (length // 4, length // 2) if part >= 16})


@dataclass(frozen=True)
class Feed:
    """The batches of each epoch, by seed and epoch, of examples of about one length.

    Args:
        lengths: (examples,) their steps.
        labels: (examples,) integers.
        size: examples of a training step.
        seed: of their order.
        to: the widths to which they are padded, ascending.
        made: numbers of examples, a width and a generator -> what the network reads, an array or several.
    """

    lengths: np.ndarray
    labels: np.ndarray
    size: int
    seed: int
    to: Sequence[int]
    made: Callable[[np.ndarray, int, np.random.Generator], object]

    def __len__(self) -> int:
        return int(np.clip(len(self.lengths) // self.size, LEAST_STEPS, MOST_STEPS))

    def epoch(self, number: int) -> list[tuple[object, np.ndarray]]:
        """`len(self)` pairs of what is read and labels (batch, 1)."""
        from sunhwan.training.batches import Schedule

        schedule = Schedule(number + 1, self.size, len(self), self.seed)
        order = schedule.order(len(self.lengths), number).ravel()
        random = np.random.default_rng([self.seed, number, 1])
        batches = []
        for start in range(0, len(order), POOL * self.size):
            some = order[start : start + POOL * self.size]
            batches += list(some[np.argsort(self.lengths[some], kind="stable")].reshape(-1, self.size))
        random.shuffle(batches)
        made = []
        for index in batches:
            width = next(width for width in self.to if width >= self.lengths[index].max())
            made.append((self.made(index, width, random), self.labels[index][:, None]))
        return made


def sequence(batches: list[tuple[object, np.ndarray]]) -> keras.utils.PyDataset:
    """Batches as Keras takes them."""
    import keras

    class Given(keras.utils.PyDataset):
        def __len__(self):
            return len(batches)

        def __getitem__(self, number):
            return batches[number]

    return Given()

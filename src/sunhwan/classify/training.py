"""One network of a classifier trained by Keras; validation chooses the epoch.

What is scored and saved is an average of the weights along the way (Izmailov et al., "Averaging weights leads
to wider optima", UAI 2018): single steps vary by a point of accuracy and more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import log_softmax

from sunhwan.classify.network import Network, weights_of
from sunhwan.data.ragged import Ragged
from sunhwan.training import loop
from sunhwan.training.cells import check_cell

if TYPE_CHECKING:
    import keras

    from sunhwan.training.progress import Watcher

LEAST_STEPS, MOST_STEPS = 40, 1_500
"""Training steps of an epoch: with few examples it repeats them, with many each epoch sees others."""

SNAPSHOT = 32
"""Training steps between two weights that are averaged; an epoch has one at its end in any case."""

GAIN = 1e-3
"""Of validation loss, in nats: patience counts epochs that gain less."""

POOL = 32
"""Batches that are made at once of examples in random order, so that each has examples of similar length."""


@dataclass(frozen=True)
class Settings:
    """What a network is, and how it is trained; texts and recordings have their own defaults.

    Attributes:
        cell: out of `cells.CELLS`.
        units: of each direction of a recurrent layer.
        dropout: of the recurrent layers' inputs, and of their pooled outputs.
        learning_rate: of Adam.
        averaging: the weight of the past in the average of weights, at each snapshot.
        batch: examples of a training step, fewer where examples are few.
        epochs: at most.
        patience: epochs without a gain after which training ends.
    """

    cell: str = "lstm"
    units: int = 32
    dropout: float = 0.5
    learning_rate: float = 1e-3
    averaging: float = 0.85
    batch: int = 64
    epochs: int = 12
    patience: int = 2

    def __post_init__(self) -> None:
        check_cell(self.cell)


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


class Trainer:
    """Trains networks on some examples; a subclass says what they read and how they are built.

    Attributes:
        settings: of the networks.
        outline: a network without weights.
        steps: what it reads of each example.
    """

    least_batches: ClassVar[int]
    """Batches are as small as it takes for so many to have different examples."""

    def __init__(self, outline: Network, examples: Ragged, settings: Settings):
        self.settings, self.outline, self.steps = settings, outline, outline.read(examples)

    def build(self, prior: np.ndarray) -> keras.Model:
        """The network for training: from `batch` to scores (batch, columns), which begin at the prior."""
        raise NotImplementedError

    def batch(self, index: np.ndarray, width: int, random: np.random.Generator) -> object:
        """What a model reads of the examples numbered `index`, padded to `width`, with random noise."""
        raise NotImplementedError

    def feed(self, labels: np.ndarray, seed: int) -> Feed:
        """The batches of each epoch."""
        size = max(1, min(self.settings.batch, len(self.steps) // self.least_batches))
        length = self.outline.length
        lengths = np.minimum(self.steps.lengths, length)
        return Feed(lengths, labels, size, seed, widths(length), self.batch)

    def train(
        self,
        labels: np.ndarray,
        classes: int,
        seed: int,
        watcher: Watcher,
        validation: tuple[Ragged, np.ndarray] | None = None,
        name: str = "network",
        epochs: int | None = None,
    ) -> Trained:
        """Train one network; validation chooses the epoch, or all epochs are trained.

        Args:
            labels: (examples,) 0 to classes - 1.
            classes: how many there are.
            seed: of weights, dropout and order.
            watcher: notified of each batch and epoch.
            validation: examples and labels.
            name: of the network, for the watcher.
            epochs: at most; by default those of the settings.
        """
        import keras

        from sunhwan.recurrence.keras.accelerate import accelerated

        keras.utils.set_random_seed(seed)
        settings, feed = self.settings, self.feed(labels, seed)
        epochs = epochs or settings.epochs
        watcher.begin(name, epochs, len(feed))
        with accelerated():
            model = self.build(prior(labels, classes))
            loss = (
                keras.losses.BinaryCrossentropy(from_logits=True)
                if classes == 2
                else keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            )
            model.compile(keras.optimizers.Adam(settings.learning_rate), loss=loss)
            fitting = Fitting(self, model, feed, watcher, validation)
            progress = loop.run(fitting, epochs, watcher, patience=settings.patience, gain=GAIN)
        best = fitting.best or fitting.network
        return Trained(best, progress.best_epoch or progress.epoch, tuple(progress.rows))


class Fitting(loop.Fitting):
    """A compiled model in training; its weights are averaged."""

    best: Network | None = None

    def __init__(self, trainer: Trainer, model, feed: Feed, watcher: Watcher, validation):
        self.trainer, self.model, self.feed = trainer, model, feed
        self.watcher, self.validation, self.average = watcher, validation, None

    def train(self, epoch: int) -> dict[str, float]:
        from sunhwan.training.batches import Prepared, Ticker, fit

        batches, losses = self.feed.epoch(epoch), []
        ticker = Ticker(self.watcher, epoch + 1)
        for start in range(0, len(batches), SNAPSHOT):
            some = batches[start : start + SNAPSHOT]
            losses += [fit(self.model, Prepared(some), ticker)["loss"]] * len(some)
            self.average = averaged(self.average, weights_of(self.model), self.trainer.settings.averaging)
        self.network = replace(self.trainer.outline, weights=self.average)
        return {"loss": float(np.mean(losses))}

    def validate(self) -> dict[str, float]:
        if self.validation is None:
            return {}
        examples, labels = self.validation
        log_p = log_softmax(self.network.logits(examples), axis=1)
        return {
            "val_loss": float(-log_p[np.arange(len(log_p)), labels].mean()),
            "val_accuracy": float((log_p.argmax(axis=1) == labels).mean()),
        }

    def improved(self) -> None:
        self.best = self.network


def averaged(
    before: Mapping[str, np.ndarray] | None, now: Mapping[str, np.ndarray], past: float
) -> dict[str, np.ndarray]:
    """The running average of weights; it begins with the first."""
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
    """Steps that a network reads of an example: all of 98 in 100 examples, rounded up to 8, at most `most`.

    Example:
        >>> reach(np.array([3, 20, 9]), 400), reach(np.array([3, 2_000]), 400)
        (24, 400)
    """
    wanted = int(np.quantile(np.maximum(lengths, 1), 0.98, method="higher"))
    return min(-(-wanted // 8) * 8, most)


def widths(length: int) -> list[int]:
    """The widths that batches are padded to: few, since each is compiled.

    Example:
        >>> widths(400), widths(8)
        ([100, 200, 400], [8])
    """
    return sorted({length} | {part for part in (length // 4, length // 2) if part >= 16})


@dataclass(frozen=True)
class Feed:
    """The batches of each epoch, by seed and epoch, with examples of similar length in each.

    Args:
        lengths: (examples,) their steps.
        labels: (examples,) integers.
        size: examples of a training step.
        seed: of their order.
        to: the widths that they are padded to, ascending.
        batch: numbers of examples, a width and a generator -> what the network reads, one array or several.
    """

    lengths: np.ndarray
    labels: np.ndarray
    size: int
    seed: int
    to: Sequence[int]
    batch: Callable[[np.ndarray, int, np.random.Generator], object]

    def __len__(self) -> int:
        return int(np.clip(len(self.lengths) // self.size, LEAST_STEPS, MOST_STEPS))

    def epoch(self, number: int) -> list[tuple[object, np.ndarray]]:
        """`len(self)` pairs of what is read and labels (batch, 1)."""
        from sunhwan.training.batches import Schedule

        schedule = Schedule(number + 1, self.size, len(self), self.seed)
        order = schedule.order(len(self.lengths), number).ravel()
        random = np.random.default_rng([self.seed, number, 1])
        indices = []
        for start in range(0, len(order), POOL * self.size):
            some = order[start : start + POOL * self.size]
            indices += list(some[np.argsort(self.lengths[some], kind="stable")].reshape(-1, self.size))
        random.shuffle(indices)
        batches = []
        for index in indices:
            width = next(width for width in self.to if width >= self.lengths[index].max())
            batches.append((self.batch(index, width, random), self.labels[index][:, None]))
        return batches

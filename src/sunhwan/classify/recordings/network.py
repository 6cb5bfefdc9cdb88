"""The network of a classifier of recordings: recurrent layers both ways, pooled over time; run by NumPy.

    rows --> means of a few rows --> LSTM or GRU, forward and backward, one on the other --.
                                                                                           v
                        logits <-- dense layer <-- strongest and mean of the steps that are there

Keras is needed to train. `RecordingNetwork` is what was trained, as plain arrays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from sunhwan import rundir
from sunhwan.baselines.ngrams import two_columns
from sunhwan.classify import pooling as pooled
from sunhwan.classify import training
from sunhwan.classify.training import Feed, Routine, Trained
from sunhwan.data.recordings import Sequences
from sunhwan.training.cells import check_cell, recurrent_layer, refuse_unknown_cell

if TYPE_CHECKING:
    import keras

PREDICTION_STEPS = 50_000
"""Steps, padding included, that are run at once."""


@dataclass(frozen=True)
class Settings:
    """What a network is, and how it is trained.

    Attributes:
        cell: out of `cells.CELLS`.
        units: of each direction of each layer; there are `layers` of them.
        steps: that it reads of a recording at most; of longer ones each step is the mean of several rows.
        dropout: between layers, and of what they said in the end.
        noise: the standard deviation of what is added to the readings in training, which have one of 1.
        learning_rate: of Adam.
        averaging: the weight of the past in the average of weights, at each snapshot.
        batch: recordings of a training step, fewer where recordings are few.
        epochs: at most.
        patience: epochs without a gain after which training ends.
    """

    cell: str = "lstm"
    units: int = 48
    layers: int = 2
    steps: int = 200
    dropout: float = 0.3
    noise: float = 0.1
    learning_rate: float = 2e-3
    averaging: float = 0.5
    batch: int = 32
    epochs: int = 40
    patience: int = 6

    def __post_init__(self) -> None:
        check_cell(self.cell)


@dataclass(frozen=True, eq=False)
class RecordingNetwork:
    """A trained network as arrays.

    Attributes:
        cell: of the recurrent layers.
        step: rows that are averaged into one.
        length: steps that it reads of a recording, from its beginning.
        weights: of each layer `forward_0_kernel`, `.._recurrent_kernel`, `.._bias`, and the same of
            `backward`; `dense_kernel` (4 * units, columns), `dense_bias`; one column for two classes, else
            one a class.
    """

    cell: str
    step: int
    length: int
    weights: Mapping[str, np.ndarray]

    @cached_property
    def _layers(self) -> list[list[list[np.ndarray]]]:
        count = sum(name.startswith("forward") and name.endswith("_bias") for name in self.weights)
        return [pooled.sides_of(self.weights, str(i)) for i in range(count)]

    def logits(self, recordings: Sequences) -> np.ndarray:
        """(recordings, classes) float32: their softmax are probabilities."""
        steps = recordings.thinned(self.step)
        lengths = np.minimum(steps.lengths, self.length)
        said = np.empty((len(steps), self.weights["dense_kernel"].shape[1]), np.float32)
        for index in pooled.groups(lengths, PREDICTION_STEPS, 500):
            said[index] = self._run(*padded(steps, index, int(lengths[index[-1]])))
        return two_columns(said)

    def _run(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Readings (batch, time, features), and where they are (batch, time), to scores (batch, columns)."""
        there = mask[..., None].astype(np.float32)
        for layer in self._layers:
            x = pooled.read(self.cell, layer, x, mask)
        return pooled.pooled(x, there) @ self.weights["dense_kernel"] + self.weights["dense_bias"]

    def as_dict(self) -> dict:
        """For JSON: all but the arrays."""
        return {"cell": self.cell, "step": self.step, "length": self.length}

    @classmethod
    def from_kept(cls, kept: Mapping, arrays: Mapping[str, np.ndarray], features: int) -> RecordingNetwork:
        """What `as_dict` and `weights` gave.

        Raises:
            SunhwanError: something is missing, or of another shape.
        """
        with rundir.reading("network"):
            refuse_unknown_cell(kept)
            network = cls(
                kept["cell"],
                int(kept["step"]),
                int(kept["length"]),
                {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
            )
            network.logits(Sequences(np.zeros((2, features), np.float32), np.array([0, 2])))
        return network


def padded(steps: Sequences, index: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Some recordings as (len(index), width, features) float32, and which steps are there, (.., width)."""
    columns = np.arange(width)
    mask = columns < steps.lengths[index][:, None]
    out = np.zeros((*mask.shape, steps.values.shape[1]), np.float32)
    out[mask] = steps.values[(steps.offsets[index][:, None] + columns)[mask]]
    return out, mask


def train(
    recordings: Sequences,
    labels: np.ndarray,
    classes: int,
    settings: Settings,
    seed: int,
    watcher,
    held: tuple[Sequences, np.ndarray] | None = None,
    name: str = "network",
) -> Trained:
    """Train one network; validation chooses the epoch, or all of `settings.epochs` are trained.

    Args:
        recordings: to learn from.
        labels: (recordings,) 0 to classes - 1.
        classes: how many there are.
        settings, seed: what network.
        watcher: told of each batch and epoch.
        held: recordings and labels of validation.
        name: what the watcher calls it.
    """
    import keras

    from sunhwan.recurrence.keras.accelerate import accelerated

    keras.utils.set_random_seed(seed)
    step = rows_a_step(recordings.lengths, settings.steps)
    steps = recordings.thinned(step)
    length = training.reach(steps.lengths, settings.steps)
    feed = fed(steps, labels, settings, seed, training.widths(length))
    watcher.begin(name, settings.epochs, len(feed))
    routine = Routine(settings.learning_rate, settings.averaging, settings.epochs, settings.patience)
    with accelerated():
        model = build(steps.values.shape[1], training.prior(labels, classes), settings)
        network = partial(RecordingNetwork, settings.cell, step, length)
        return training.train(
            model, feed, classes, routine, partial(taken, settings=settings), network, watcher, held
        )


def rows_a_step(lengths: np.ndarray, most: int) -> int:
    """How many rows are averaged into a step, so that 98 of 100 recordings have no more than `most`.

    Example:
        >>> rows_a_step(np.array([30, 400]), most=300), rows_a_step(np.array([30, 40]), most=300)
        (2, 1)
    """
    return -(-int(np.quantile(lengths, 0.98, method="higher")) // most)


def fed(steps: Sequences, labels: np.ndarray, settings: Settings, seed: int, to: Sequence[int]) -> Feed:
    """The batches of each epoch: noisy readings (batch, width, features), and which are there (.., width)."""

    def made(index: np.ndarray, width: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        values, mask = padded(steps, index, width)
        values += settings.noise * random.standard_normal(values.shape, np.float32) * mask[..., None]
        return values, mask

    size = max(1, min(settings.batch, len(steps) // 4))
    return Feed(np.minimum(steps.lengths, to[-1]), labels, size, seed, to, made)


def build(features: int, prior: np.ndarray, settings: Settings) -> keras.Model:
    """The network for training: readings and mask to scores (batch, columns), which begin at the prior."""
    import keras
    from keras import layers, ops

    cell = recurrent_layer(settings.cell)
    values, mask = keras.Input((None, features)), keras.Input((None,), dtype="bool")
    there = ops.expand_dims(ops.cast(mask, "float32"), -1)
    x = values
    for i in range(settings.layers):
        x = layers.Dropout(settings.dropout)(x) if i else x
        x = layers.Bidirectional(cell(settings.units, return_sequences=True), name=f"read_{i}")(x, mask=mask)
    return keras.Model([values, mask], pooled.scores(x, there, prior, settings.dropout))


def taken(model: keras.Model, settings: Settings) -> dict[str, np.ndarray]:
    """A Keras model's weights as `RecordingNetwork` names them."""
    found = {}
    for i in range(settings.layers):
        found |= pooled.of_bidirectional(model.get_layer(f"read_{i}"), str(i))
    found["dense_kernel"], found["dense_bias"] = model.get_layer("dense").get_weights()
    return {name: np.array(array, np.float32) for name, array in found.items()}

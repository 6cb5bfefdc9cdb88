"""The network of classifiers: recurrent layers both ways, pooled over time; built by Keras, run by NumPy.

    examples --> LSTM or GRU, forward and backward, stacked --> maximum and mean of steps --> dense --> logits

Networks of texts (`texts/network.py`) and of recordings (`recordings/network.py`) differ in what they read.
Keras is needed to train. A trained network is plain arrays; it needs the kernels and NumPy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Self

import numpy as np

from sunhwan.baselines.classifiers import two_columns
from sunhwan.data.ragged import Ragged
from sunhwan.recurrence.ops.numpy import Options, forward
from sunhwan.training.cells import recurrent_layer, refuse_unknown_cell

if TYPE_CHECKING:
    import keras

SIDES = ("forward", "backward")
PARTS = ("kernel", "recurrent_kernel", "bias")


@dataclass(frozen=True, eq=False)
class Network:
    """A trained network as arrays.

    Attributes:
        cell: of the recurrent layers.
        length: steps that it reads of an example.
        weights: of each recurrent layer `forward_0_kernel`, `forward_0_recurrent_kernel`, `forward_0_bias`
            and the same of `backward`; `dense_kernel` (4 * units, columns), `dense_bias`. There is one column
            for two classes, else one per class.
    """

    cell: str
    length: int
    weights: Mapping[str, np.ndarray]

    steps_at_once: ClassVar[int]
    """Steps, padding included, that are run at once."""
    examples_at_once: ClassVar[int]

    @cached_property
    def layers(self) -> list[list[list[np.ndarray]]]:
        """Kernel, recurrent kernel and bias of both sides of each recurrent layer."""
        count = sum(name.startswith("forward") and name.endswith("_bias") for name in self.weights)
        return [
            [[self.weights[f"{side}_{i}_{part}"] for part in PARTS] for side in SIDES] for i in range(count)
        ]

    def read(self, examples: Ragged) -> Ragged:
        """The steps of each example, in order; of longer ones it runs the first `length`."""
        raise NotImplementedError

    def scores(self, values: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Steps (batch, time, ...) and which are no padding (batch, time), to scores (batch, columns)."""
        raise NotImplementedError

    def logits(self, examples: Ragged) -> np.ndarray:
        """(examples, classes) float32: their softmax are probabilities."""
        steps = self.read(examples)
        lengths = np.minimum(steps.lengths, self.length)
        scores = np.empty((len(steps), self.weights["dense_kernel"].shape[1]), np.float32)
        for index in groups(lengths, self.steps_at_once, self.examples_at_once):
            scores[index] = self.scores(*steps.padded(index, int(lengths[index[-1]])))
        return two_columns(scores)

    def recurrent_scores(self, x: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """(batch, time, features) float32 through all layers to scores (batch, columns)."""
        for layer in self.layers:
            x = both_ways(self.cell, layer, x, mask)
        return pooled(x, mask) @ self.weights["dense_kernel"] + self.weights["dense_bias"]

    def to_dict(self) -> dict:
        """For JSON: all but the arrays."""
        return {field.name: getattr(self, field.name) for field in fields(self) if field.name != "weights"}

    @classmethod
    def from_dict(cls, saved: Mapping, arrays: Mapping[str, np.ndarray]) -> Self:
        """What `to_dict` and `weights` gave; a KeyError or the like if something is missing."""
        refuse_unknown_cell(saved)
        saved = {field.name: saved[field.name] for field in fields(cls) if field.name != "weights"}
        weights = {name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()}
        return cls(**saved, weights=weights)


def groups(lengths: np.ndarray, steps: int, most: int) -> Iterator[np.ndarray]:
    """Indices of examples that run together: of similar length, so that there is little padding.

    Args:
        lengths: (examples,) of each.
        steps: that run at once, padding included; as many examples as fit by the longest that may be there.
        most: examples that run at once.

    Example:
        >>> [index.tolist() for index in groups(np.array([3, 1, 2]), steps=6, most=10)]
        [[1, 2], [0]]
    """
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        count = max(1, steps // int(lengths[order[min(start + most, len(order) - 1)]]))
        index = order[start : start + min(count, most)]
        yield index
        start += len(index)


def both_ways(
    cell: str, sides: Sequence[Sequence[np.ndarray]], x: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """A bidirectional layer: (batch, time, features) to (batch, time, 2 * units), zero where the mask is.

    Args:
        cell: out of `cells.CELLS`.
        sides: kernel, recurrent kernel and bias of the forward layer, and of the backward one.
        x: (batch, time, features) float32.
        mask: (batch, time), which steps are no padding.
    """
    outputs = []
    for backward, weights in enumerate(sides):
        options = Options(cell, return_sequences=True, go_backwards=bool(backward), zero_output_for_mask=True)
        output = forward(options, x, *weights, mask=mask, save=False).output
        outputs.append(output[:, ::-1] if backward else output)
    return np.concatenate(outputs, axis=2)


def pooled(x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """(batch, time, features) to (batch, 2 * features): maximum and mean of the steps that are no padding.

    Args:
        x: outputs of `both_ways`.
        mask: (batch, time).
    """
    # Outputs are above -1, so that padding is never the maximum.
    present = mask[..., None].astype(np.float32)
    maximum = (x * present - (1 - present)).max(axis=1)
    mean = (x * present).sum(axis=1) / present.sum(axis=1)
    return np.concatenate([maximum, mean], axis=1)


def recurrent_scores(
    x: keras.KerasTensor, mask: keras.KerasTensor, prior: np.ndarray, settings, depth: int
) -> keras.KerasTensor:
    """`Network.recurrent_scores` in Keras, with dropout; the scores begin at the prior.

    Args:
        x: (batch, time, features).
        mask: (batch, time) bool.
        prior: (columns,).
        settings: a `training.Settings`.
        depth: recurrent layers.
    """
    from keras import layers, ops

    cell = recurrent_layer(settings.cell)
    for i in range(depth):
        x = layers.Dropout(settings.dropout)(x) if i else x
        both = layers.Bidirectional(cell(settings.units, return_sequences=True), name=f"recurrent_{i}")
        x = both(x, mask=mask)
    present = ops.expand_dims(ops.cast(mask, "float32"), -1)
    maximum = ops.max(x * present - (1 - present), axis=1)
    mean = ops.sum(x * present, axis=1) / ops.sum(present, axis=1)
    both = layers.Dropout(settings.dropout)(layers.Concatenate()([maximum, mean]))
    return layers.Dense(
        len(prior),
        bias_initializer=lambda shape, dtype=None: ops.convert_to_tensor(prior, dtype),
        name="dense",
    )(both)


def weights_of(model: keras.Model) -> dict[str, np.ndarray]:
    """A Keras model's weights as `Network` names them; those of an embedding have the layer's name."""
    weights = {}
    for layer in model.layers:
        kind, _, number = layer.name.partition("_")
        if kind == "recurrent":
            for side, cell in zip(SIDES, (layer.forward_layer, layer.backward_layer), strict=True):
                parts = zip(PARTS, cell.get_weights(), strict=True)
                weights |= {f"{side}_{number}_{part}": array for part, array in parts}
        elif kind == "dense":
            weights["dense_kernel"], weights["dense_bias"] = layer.get_weights()
        elif arrays := layer.get_weights():
            (weights[layer.name],) = arrays
    return {name: np.array(array, np.float32) for name, array in weights.items()}

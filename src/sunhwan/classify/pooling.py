"""Recurrent layers both ways and what is pooled of them over time, in NumPy and, right under it, in Keras.

The networks of classifiers share it: of texts (`text_network`) and of recordings (`recording_network`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sunhwan.recurrence.ops.numpy import Options, forward

if TYPE_CHECKING:
    import keras

SIDES = ("forward", "backward")
PARTS = ("kernel", "recurrent_kernel", "bias")


def groups(lengths: np.ndarray, steps: int, most: int) -> Iterator[np.ndarray]:
    """Indices of examples that run together: of about one length, so that little is padding.

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


def read(cell: str, sides: Sequence[Sequence[np.ndarray]], x: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """A layer both ways: (batch, time, features) to (batch, time, 2 * units), zero where the mask is.

    Args:
        cell: out of `cells.CELLS`.
        sides: kernel, recurrent kernel and bias of the forward layer, and of the backward one.
        x: (batch, time, features) float32.
        mask: (batch, time), which steps are there.
    """
    outputs = []
    for backward, weights in enumerate(sides):
        options = Options(cell, return_sequences=True, go_backwards=bool(backward), zero_output_for_mask=True)
        output = forward(options, x, *weights, mask=mask, save=False).output
        outputs.append(output[:, ::-1] if backward else output)
    return np.concatenate(outputs, axis=2)


def pooled(x: np.ndarray, there: np.ndarray) -> np.ndarray:
    """(batch, time, features) to (batch, 2 * features): strongest and mean of the steps that are there.

    Args:
        x: outputs of `read`.
        there: (batch, time, 1) float32, 1 where a step is.
    """
    # Outputs lie above -1, so that padding is never the strongest.
    strongest = (x * there - (1 - there)).max(axis=1)
    mean = (x * there).sum(axis=1) / there.sum(axis=1)
    return np.concatenate([strongest, mean], axis=1)


def scores(x: keras.KerasTensor, there: keras.KerasTensor, prior: np.ndarray, dropout: float):
    """`pooled` in Keras, with dropout, to scores (batch, columns), which begin at the prior."""
    from keras import layers, ops

    strongest = ops.max(x * there - (1 - there), axis=1)
    mean = ops.sum(x * there, axis=1) / ops.sum(there, axis=1)
    both = layers.Dropout(dropout)(layers.Concatenate()([strongest, mean]))
    return layers.Dense(
        len(prior),
        bias_initializer=lambda shape, dtype=None: ops.convert_to_tensor(prior, dtype),
        name="dense",
    )(both)


def of_bidirectional(layer: keras.layers.Bidirectional, number: str = "") -> dict[str, np.ndarray]:
    """A layer's arrays as `forward_kernel`, .., or with a number as `forward_0_kernel`, .."""
    return {
        "_".join(filter(None, (side, number, part))): array
        for side, one in zip(SIDES, (layer.forward_layer, layer.backward_layer), strict=True)
        for part, array in zip(PARTS, one.get_weights(), strict=True)
    }


def sides_of(weights: Mapping[str, np.ndarray], number: str = "") -> list[list[np.ndarray]]:
    """What `read` takes, out of arrays that `of_bidirectional` named."""
    return [[weights["_".join(filter(None, (side, number, part)))] for part in PARTS] for side in SIDES]

"""Activations as Keras defines them, each beside its derivative.

A derivative is a function of the activation's output, y = activation(x), which a forward pass has anyway.
At a kink it is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Activation(NamedTuple):
    """A function of an array, entry by entry, and its derivative; calling it calls the function.

    Example:
        >>> tanh = ACTIVATIONS["tanh"]
        >>> y = tanh(np.array([0.0, 1.0]))
        >>> tanh.derivative(y).round(3)
        array([1.  , 0.42])
    """

    function: Callable[[np.ndarray], np.ndarray]
    derivative: Callable[[np.ndarray], np.ndarray]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self.function(x)


ACTIVATIONS: dict[str | None, Activation] = {
    "linear": Activation(lambda x: x, np.ones_like),
    "relu": Activation(lambda x: np.maximum(x, 0), lambda y: (y > 0).astype(y.dtype)),
    "tanh": Activation(np.tanh, lambda y: 1 - y**2),
    # 1 / (1 + exp(-x)), in a form that never overflows
    "sigmoid": Activation(lambda x: np.exp(-np.logaddexp(0, -x)), lambda y: y * (1 - y)),
    # relu6(x + 3) / 6; Keras 2 had another one, clip(x / 5 + 1 / 2, 0, 1)
    "hard_sigmoid": Activation(
        lambda x: np.clip(x + 3, 0, 6) / 6, lambda y: ((y > 0) & (y < 1)).astype(y.dtype) / 6
    ),
}
ACTIVATIONS[None] = ACTIVATIONS["linear"]  # as in Keras, where None means no activation

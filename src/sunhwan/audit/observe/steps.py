"""The first steps of a fit, observed by a callback: the loss, and the norm of the weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FIRST = 32
"""Steps whose loss is recorded; Keras passes it to its own callbacks anyway."""

WEIGHED = 8
"""Steps before which the weights are read, which JAX must hand over for that."""

MOST_WEIGHTS = 2_000_000
"""Weights of a larger model are not read between steps."""


@dataclass(eq=False)
class Steps:
    """The first steps of the first epoch of a fit.

    Attributes:
        losses: the mean loss of the epoch so far, after each step, as Keras reports it.
        norms: of all trainable weights together, before each step; None where the model is not built yet, as
            on TensorFlow before the first.
        over: whether the first epoch is over.
    """

    losses: list[float] = field(default_factory=list)
    norms: list[float | None] = field(default_factory=list)
    over: bool = False

    def before(self, model: Any) -> None:
        if self.over or len(self.norms) == WEIGHED:
            return
        if not model.built:
            self.norms.append(None)
            return
        variables = model.trainable_weights
        if sum(int(np.prod(variable.shape)) for variable in variables) > MOST_WEIGHTS:
            return
        if hasattr(model, "jax_state_sync"):  # between steps they are in a state of JAX
            model.jax_state_sync()
        with np.errstate(over="ignore"):
            squares = [
                float(np.square(np.asarray(variable.numpy(), np.float64)).sum()) for variable in variables
            ]
        self.norms.append(float(np.sqrt(sum(squares))))

    def after(self, logs: dict[str, Any] | None) -> None:
        if not self.over and len(self.losses) < FIRST and logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))


def observer(steps: Steps, ours: Callable[[], AbstractContextManager], at_begin: Callable[[], None]) -> Any:
    """A callback of Keras that fills `steps`, and calls `at_begin` when training begins."""
    import keras

    class Observer(keras.callbacks.Callback):
        async_safe = True  # otherwise Keras would wait for each batch to end

        def on_train_begin(self, logs=None):
            with ours():
                at_begin()

        def on_train_batch_begin(self, batch, logs=None):
            if not steps.over:
                with ours():
                    steps.before(self.model)

        def on_train_batch_end(self, batch, logs=None):
            steps.after(logs)

        def on_epoch_end(self, epoch, logs=None):
            steps.over = True

    return Observer()

"""`recurrence`: SimpleRNN, GRU and LSTM over whole sequences by fused kernels on the CPU.

One function for NumPy, JAX, PyTorch and TensorFlow; each has an adapter, imported on first use.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from sunhwan import native
from sunhwan.recurrence.ops import memory
from sunhwan.recurrence.ops.options import Options

__all__ = ["Options", "recurrence", "release_memory"]


def recurrence(
    cell: str,
    inputs: Any,
    weights: Sequence[Any],
    *,
    activation: str | None = "tanh",
    recurrent_activation: str | None = "sigmoid",
    reset_after: bool = True,
    initial_state: Any = None,
    mask: Any = None,
    dropout_mask: Any = None,
    recurrent_dropout_mask: Any = None,
    go_backwards: bool = False,
    return_sequences: bool = False,
    zero_output_for_mask: bool = False,
    zero_before_data: bool = False,
) -> tuple[Any, Any]:
    """Run a cell over sequences like the Keras layer with the same options, in one native call.

    Arguments are those of `sunhwan.reference.forward`, as arrays of NumPy, JAX, PyTorch or TensorFlow; the
    type of `inputs` decides which. It is differentiable in JAX, PyTorch and TensorFlow; for NumPy,
    `sunhwan.recurrence.ops.numpy` has `forward` and `backward`.

    Returns:
        output (batch, time, units) with `return_sequences`, else (batch, units); and states (states, batch,
        units) after the last step. Arithmetic is in float32.

    Raises:
        ValueError: a name is unknown or a shape does not fit.
        TypeError: no adapter accepts `inputs`, or a weight other than the bias is None.
        sunhwan.SunhwanError: the native library cannot be used.

    Example:
        >>> import numpy as np
        >>> from sunhwan.recurrence.ops import recurrence
        >>> inputs = np.ones((2, 5, 3), "float32")
        >>> weights = [np.full((3, 16), 0.1, "float32"), np.full((4, 16), 0.1, "float32")]
        >>> output, states = recurrence("lstm", inputs, weights)
        >>> output.shape, states.shape
        ((2, 4), (2, 2, 4))
    """
    if len(weights) not in (2, 3):
        raise ValueError(f"weights holds {len(weights)} arrays, expected 2, or 3 with a bias.")
    for name, array in zip(("kernel", "recurrent_kernel"), weights, strict=False):
        if array is None:
            raise TypeError(f"{name} is None, expected an array; only the bias may be None.")
    options = Options(
        cell, activation, recurrent_activation, reset_after, go_backwards, return_sequences,
        zero_output_for_mask, zero_before_data,
    )  # fmt: skip
    return _adapter(inputs).recurrence(
        options,
        inputs,
        *weights,
        initial_state=initial_state,
        mask=mask,
        dropout_mask=dropout_mask,
        recurrent_dropout_mask=recurrent_dropout_mask,
    )


def release_memory() -> None:
    """Return the memory that is kept between calls to the system; the next call allocates what it needs.

    Example:
        >>> import sunhwan
        >>> sunhwan.release_memory()
    """
    memory.release()
    if native.reason() is None:
        native.release_memory()


_ARRAYS = {"jax": "Array", "torch": "Tensor", "tensorflow": "Tensor", "numpy": "ndarray"}


def _adapter(inputs):
    # Without importing any framework: an array's framework is always imported.
    for framework, array in _ARRAYS.items():
        module = sys.modules.get(framework)
        if module is not None and isinstance(inputs, getattr(module, array)):
            return import_module(f"sunhwan.recurrence.ops.{framework}")
    raise TypeError(
        f"inputs is of type {type(inputs).__name__}, expected an array of NumPy or JAX or a tensor of "
        "PyTorch or TensorFlow."
    )

"""The arguments of `forward`: names looked up, shapes checked, axes moved to where the loops need them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sunhwan.recurrence.cells import CELLS, check_shape
from sunhwan.recurrence.reference.activations import ACTIVATIONS, Activation


@dataclass(frozen=True)
class Recurrence:
    """The arguments of `forward`, ready for the loops. Time runs in the order of reading.

    Attributes:
        inputs: (time, batch, features).
        weights: kernel (gates, features, units), recurrent kernel (gates, units, units) and bias
            (rows, gates, 1, units); zeros if there is no bias.
        bias_shape: Keras's, or None where there is no bias.
        activations: of states and candidates, and of gates.
        initial_state: (states, batch, units).
        present: (time, batch, 1) True where there is data.
        shown: (time, batch, 1) True where the output is h, False where it is zero.
        dropout_masks: of the input (1 or gates, batch, features) and of h (1 or gates, batch, units); ones
            where there is no dropout.
        go_backwards: whether time was reversed.
    """

    inputs: np.ndarray
    weights: tuple[np.ndarray, np.ndarray, np.ndarray]
    bias_shape: tuple[int, ...] | None
    activations: tuple[Activation, Activation]
    initial_state: np.ndarray
    present: np.ndarray
    shown: np.ndarray
    dropout_masks: tuple[np.ndarray, np.ndarray]
    go_backwards: bool


def arranged(
    cell,
    inputs,
    weights,
    *,
    activations,
    reset_after,
    initial_state,
    mask,
    dropout_masks,
    go_backwards,
    zero_output_for_mask,
    zero_before_data,
) -> Recurrence:
    """The arguments of `forward`, which documents them, checked and arranged."""
    row = _named("cell", cell, CELLS)
    if len(weights) not in (2, 3):
        raise ValueError(f"weights holds {len(weights)} arrays, expected 2, or 3 with a bias.")
    kernel, recurrent_kernel, bias = [*weights, None][:3]
    dtype = np.result_type(*map(np.asarray, [inputs, *weights]))
    if not np.issubdtype(dtype, np.floating):
        dtype = np.dtype(np.float64)
    axes, sizes = row.axes(reset_after=reset_after), {}

    def array(name, value, dtype=dtype, fill=None):
        """`value` in `dtype` and with its axes checked; where it is None, an array of `fill`."""
        if value is None and fill is not None:
            expected = [sizes[axis] for axis in axes[name]]
            value = np.full([size[0] if isinstance(size, tuple) else size for size in expected], fill)
        value = np.asarray(value, dtype)
        check_shape(name, value.shape, axes[name], sizes)
        return value

    batch, time, features = array("inputs", inputs).shape
    units, _ = array("recurrent_kernel", recurrent_kernel).shape
    sizes = row.sizes(batch, time, features, units)
    gates = len(row.gates)
    inputs = array("inputs", inputs)
    kernel = array("kernel", kernel)
    recurrent_kernel = array("recurrent_kernel", recurrent_kernel)
    # What is not given is filled with values that change nothing, so that the loops need not check.
    bias = array("bias", bias, fill=0)
    mask = array("mask", mask, bool, fill=True)

    direction = -1 if go_backwards else 1
    present = mask.T[::direction, :, np.newaxis]
    begun = np.logical_or.accumulate(present)
    return Recurrence(
        inputs=inputs.swapaxes(0, 1)[::direction],
        weights=(
            kernel.reshape(features, gates, units).swapaxes(0, 1),
            recurrent_kernel.reshape(units, gates, units).swapaxes(0, 1),
            bias.reshape(-1, gates, 1, units),
        ),
        bias_shape=bias.shape if len(weights) == 3 else None,
        activations=(
            _named("activation", activations[0], ACTIVATIONS),
            _named("recurrent_activation", activations[1], ACTIVATIONS),
        ),
        initial_state=array("initial_state", initial_state, fill=0),
        present=present,
        shown=(present | (not zero_output_for_mask)) & (begun | (not zero_before_data)),
        dropout_masks=(
            array("dropout_mask", dropout_masks[0], fill=1),
            array("recurrent_dropout_mask", dropout_masks[1], fill=1),
        ),
        go_backwards=go_backwards,
    )


def _named(what, name, table):
    if name not in table:
        raise ValueError(f"{what} is {name!r}, expected one of {', '.join(map(str, table))}.")
    return table[name]

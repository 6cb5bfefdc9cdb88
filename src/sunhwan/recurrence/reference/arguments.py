"""What `forward` is given: names looked up, shapes checked, axes moved to where the loops want them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sunhwan.recurrence.cells import CELLS
from sunhwan.recurrence.reference.activations import ACTIVATIONS, Activation


@dataclass(frozen=True)
class Recurrence:
    """The arguments of `forward`, ready for the loops. Time runs in the order of reading.

    Attributes:
        inputs: (time, batch, features).
        weights: kernel (gates, features, units), recurrent kernel (gates, units, units) and bias
            (rows, gates, 1, units); zeros stand in for a bias that is not there.
        bias_shape: Keras's, or None where there is no bias.
        activations: of states and candidates, and of gates.
        initial_state: (states, batch, units).
        present: (time, batch, 1) True where there is data.
        shown: (time, batch, 1) True where the output is h, False where it is zero.
        dropout_masks: of the input (1 or gates, batch, features) and of h (1 or gates, batch, units); ones
            where there is no dropout.
        go_backwards: whether time was turned round.
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

    inputs = _shaped("inputs", inputs, dtype, batch=None, time=None, features=None)
    batch, time, features = inputs.shape
    units = len(_shaped("recurrent_kernel", recurrent_kernel, dtype, units=None, columns=None))
    gates, states, columns = len(row.gates), len(row.states), len(row.gates) * units
    bias_shape = row.weight_shapes(features, units, reset_after=reset_after)[2]
    bias_axes = dict(zip(("rows", "columns")[-len(bias_shape) :], bias_shape, strict=True))
    kernel = _shaped("kernel", kernel, dtype, features=features, columns=columns)
    recurrent_kernel = _shaped("recurrent_kernel", recurrent_kernel, dtype, units=units, columns=columns)
    # What is not given is filled with what changes nothing, so that the loops need not ask.
    bias = _shaped("bias", bias, dtype, fill=0, **bias_axes)
    state_axes = {"states": states, "batch": batch, "units": units}
    mask = _shaped("mask", mask, bool, fill=True, batch=batch, time=time)
    x_axes = {"gates": (1, gates), "batch": batch, "features": features}
    h_axes = {"gates": (1, gates), "batch": batch, "units": units}

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
        bias_shape=bias_shape if len(weights) == 3 else None,
        activations=(
            _named("activation", activations[0], ACTIVATIONS),
            _named("recurrent_activation", activations[1], ACTIVATIONS),
        ),
        initial_state=_shaped("initial_state", initial_state, dtype, fill=0, **state_axes),
        present=present,
        shown=(present | (not zero_output_for_mask)) & (begun | (not zero_before_data)),
        dropout_masks=(
            _shaped("dropout_mask", dropout_masks[0], dtype, fill=1, **x_axes),
            _shaped("recurrent_dropout_mask", dropout_masks[1], dtype, fill=1, **h_axes),
        ),
        go_backwards=go_backwards,
    )


def _named(what, name, table):
    if name not in table:
        raise ValueError(f"{what} is {name!r}, expected one of {', '.join(map(str, table))}.")
    return table[name]


def _shaped(name, array, dtype, fill=None, **axes):
    """`array` in `dtype`, if its axes have the sizes asked for: a number, either of two, or None for any.

    Where `array` is None it is an array of `fill`.
    """
    choices = [size if isinstance(size, tuple) else (size,) for size in axes.values()]
    if array is None and fill is not None:
        array = np.full([choice[0] for choice in choices], fill)
    array = np.asarray(array, dtype)
    if array.ndim != len(choices) or not all(
        size in choice or (choice == (None,) and size > 0)
        for size, choice in zip(array.shape, choices, strict=True)
    ):
        expected = ", ".join(
            axis if choice == (None,) else f"{axis}={' or '.join(map(str, choice))}"
            for axis, choice in zip(axes, choices, strict=True)
        )
        raise ValueError(f"{name} has shape {array.shape}, expected ({expected}).")
    return array

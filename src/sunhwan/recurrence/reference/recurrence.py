"""The loop over time, forward and backward: direction, padding mask and dropout, once for every cell.

The timestep of a cell is in the module of its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np

from sunhwan.recurrence.cells import CELLS
from sunhwan.recurrence.reference.arguments import Recurrence, arranged

MODULES = {name: import_module(f"sunhwan.recurrence.reference.{name}") for name in CELLS}
"""The modules of the cells; each has `step` and `step_gradient`."""


@dataclass(frozen=True)
class ForwardPass:
    """What `forward` returns.

    Attributes:
        cell: its name.
        output: (batch, time, units) with `return_sequences`, else (batch, units).
        states: (states, batch, units) the states after the last step: h, and c for an LSTM.
        recurrence, steps: for `backward`.
    """

    cell: str
    output: np.ndarray
    states: np.ndarray
    recurrence: Recurrence
    steps: list[tuple]  # x, h, states and what the cell saves, of each step


@dataclass(frozen=True)
class Gradients:
    """What `backward` returns: the gradient of each array argument of `forward`, in its shape.

    Attributes:
        inputs: (batch, time, features).
        initial_state: (states, batch, units), even if `forward` began from zeros.
        kernel: (features, gates * units).
        recurrent_kernel: (units, gates * units).
        bias: (gates * units), or (2, gates * units) for a GRU with `reset_after`; None if there was no bias.
    """

    inputs: np.ndarray
    initial_state: np.ndarray
    kernel: np.ndarray
    recurrent_kernel: np.ndarray
    bias: np.ndarray | None


def forward(
    cell: str,
    inputs: np.ndarray,
    weights: Sequence[np.ndarray],
    *,
    activation: str | None = "tanh",
    recurrent_activation: str | None = "sigmoid",
    reset_after: bool = True,
    initial_state: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    dropout_mask: np.ndarray | None = None,
    recurrent_dropout_mask: np.ndarray | None = None,
    go_backwards: bool = False,
    return_sequences: bool = False,
    zero_output_for_mask: bool = False,
    zero_before_data: bool = False,
) -> ForwardPass:
    """Run a cell over sequences like the Keras layer with the same options.

    Arithmetic is in the common dtype of `inputs` and `weights` (float64 if they are integers).

    Args:
        cell: "simple_rnn", "gru" or "lstm".
        inputs: (batch, time, features). A single sequence is a batch of one: `sequence[np.newaxis]`.
        weights: kernel (features, gates * units), recurrent kernel (units, gates * units) and bias
            (gates * units), or (2, gates * units) for a GRU with `reset_after`: `layer.get_weights()`.
            Two arrays mean a cell without bias.
        activation: of states and candidates: linear (or None), relu, tanh, sigmoid or hard_sigmoid.
        recurrent_activation: of the gates of GRU and LSTM, likewise.
        reset_after: whether a GRU's reset gate acts after the recurrent product or before it.
        initial_state: (states, batch, units), zeros by default.
        mask: (batch, time) True where there is data. A step without data leaves the states unchanged and
            repeats the previous output; before all data that is the initial h, as in Keras on JAX.
        dropout_mask: (1, batch, features), or (gates, batch, features) as in Keras with recurrent dropout:
            the factors of the input at every step, 0 or 1 / (1 - rate).
        recurrent_dropout_mask: (1, batch, units) or (gates, batch, units): likewise for h, where it enters
            the recurrent product. One mask serves all steps: Y. Gal and Z. Ghahramani (2016), "A
            theoretically grounded application of dropout in recurrent neural networks", arXiv:1512.05287.
        go_backwards: read the sequence from its end; outputs are in the order of reading.
        return_sequences: return the output of every step, not just the last.
        zero_output_for_mask: output zeros at steps without data; the states are not affected.
        zero_before_data: output zeros instead of the initial h at steps before all data, in the order of
            reading, as in Keras's unrolled loop and on its backends other than JAX; the states keep it.

    Raises:
        ValueError: a name is unknown or a shape does not fit; the message says what was received and what was
            expected.

    Example:
        >>> import numpy as np
        >>> from sunhwan.reference import CELLS, forward
        >>> rng = np.random.default_rng(0)
        >>> inputs = rng.normal(size=(2, 5, 3))  # 2 sequences, 5 steps, 3 features
        >>> weights = [rng.normal(size=shape) for shape in CELLS["lstm"].weight_shapes(features=3, units=4)]
        >>> lstm = forward("lstm", inputs, weights)
        >>> lstm.output.shape, lstm.states.shape
        ((2, 4), (2, 2, 4))
    """
    recurrence = arranged(
        cell,
        inputs,
        weights,
        activations=(activation, recurrent_activation),
        reset_after=reset_after,
        initial_state=initial_state,
        mask=mask,
        dropout_masks=(dropout_mask, recurrent_dropout_mask),
        go_backwards=go_backwards,
        zero_output_for_mask=zero_output_for_mask,
        zero_before_data=zero_before_data,
    )
    dropout_mask, recurrent_dropout_mask = recurrence.dropout_masks
    states, steps, outputs = recurrence.initial_state, [], []
    for t, x in enumerate(recurrence.inputs):
        x, h = dropout_mask * x, recurrent_dropout_mask * states[0]
        new_states, kept = MODULES[cell].step(x, h, states, recurrence.weights, *recurrence.activations)
        steps.append((x, h, states, kept))
        states = np.where(recurrence.present[t], new_states, states)
        outputs.append(np.where(recurrence.shown[t], states[0], 0))
    output = np.stack(outputs, axis=1) if return_sequences else outputs[-1]
    return ForwardPass(cell, output, states, recurrence, steps)


def backward(
    forward_pass: ForwardPass,
    output_gradient: np.ndarray | None = None,
    states_gradient: np.ndarray | None = None,
) -> Gradients:
    """Backpropagation through time: the gradients of `forward`'s arguments from those of its results.

    P. J. Werbos (1990), "Backpropagation through time: what it does and how to do it", Proceedings of the
    IEEE 78(10), 1550-1560.

    Args:
        forward_pass: what `forward` returned.
        output_gradient: of the loss with respect to `forward_pass.output`, in its shape.
        states_gradient: of the loss with respect to `forward_pass.states`, in their shape. Zeros are the
            default of both.

    Raises:
        ValueError: a gradient has the wrong shape.

    Example:
        >>> import numpy as np
        >>> from sunhwan.reference import CELLS, backward, forward
        >>> rng = np.random.default_rng(0)
        >>> inputs = rng.normal(size=(2, 5, 3))
        >>> weights = [rng.normal(size=shape) for shape in CELLS["gru"].weight_shapes(features=3, units=4)]
        >>> gru = forward("gru", inputs, weights)
        >>> gradients = backward(gru, output_gradient=np.ones_like(gru.output))
        >>> gradients.inputs.shape, gradients.kernel.shape, gradients.bias.shape
        ((2, 5, 3), (3, 12), (2, 12))
    """
    recurrence, steps = forward_pass.recurrence, forward_pass.steps
    dropout_mask, recurrent_dropout_mask = recurrence.dropout_masks
    d_output = _gradient_of(forward_pass.output, "output_gradient", output_gradient)
    d_states = _gradient_of(forward_pass.states, "states_gradient", states_gradient)
    d_outputs = np.zeros((len(steps), *d_states.shape[1:]), d_states.dtype)
    if d_output.ndim == 3:
        d_outputs[:] = d_output.swapaxes(0, 1)
    else:
        d_outputs[-1] = d_output

    d_weights = [np.zeros_like(weight) for weight in recurrence.weights]
    d_inputs = []
    for t in reversed(range(len(steps))):
        d_states[0] += np.where(recurrence.shown[t], d_outputs[t], 0)
        # A step without data passes the gradient of its states on unchanged.
        d_x, d_h, d_previous, d_weights_here = MODULES[forward_pass.cell].step_gradient(
            np.where(recurrence.present[t], d_states, 0),
            *steps[t],
            recurrence.weights,
            *recurrence.activations,
        )
        d_states = np.where(recurrence.present[t], d_previous, d_states)
        d_states[0] += (recurrent_dropout_mask * d_h).sum(axis=0)
        d_inputs.append((dropout_mask * d_x).sum(axis=0))
        d_weights = [total + here for total, here in zip(d_weights, d_weights_here, strict=True)]

    d_kernel, d_recurrent_kernel, d_bias = d_weights
    _, features, units = d_kernel.shape
    if not recurrence.go_backwards:
        d_inputs.reverse()  # the last step's gradient came first
    return Gradients(
        inputs=np.stack(d_inputs, axis=1),
        initial_state=d_states,
        kernel=d_kernel.swapaxes(0, 1).reshape(features, -1),
        recurrent_kernel=d_recurrent_kernel.swapaxes(0, 1).reshape(units, -1),
        bias=None if recurrence.bias_shape is None else d_bias.reshape(recurrence.bias_shape),
    )


def _gradient_of(value, name, gradient):
    if gradient is None:
        return np.zeros_like(value)
    if np.shape(gradient) != value.shape:
        raise ValueError(f"{name} has shape {np.shape(gradient)}, expected {value.shape}.")
    return np.array(gradient, value.dtype)

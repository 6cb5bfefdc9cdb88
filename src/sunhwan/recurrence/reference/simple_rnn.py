"""SimpleRNN: one timestep and, right under it, its gradient.

    h' = activation(x K + h U + b)

J. L. Elman (1990), "Finding structure in time", Cognitive Science 14(2), 179-211.
"""

import numpy as np


def step(x, h, states, weights, activation, recurrent_activation):
    """One timestep forward. Every cell's `step` has this signature.

    It uses only operations that JAX's arrays have as well, since `sunhwan.recurrence.ops.composed` runs it.

    Args:
        x: (1, batch, features) the input, after dropout; (gates, batch, features) if each gate has its own
            dropout mask.
        h: (1, batch, units) or (gates, batch, units) the previous output, likewise.
        states: (states, batch, units) the previous states, untouched by dropout.
        weights: kernel (gates, features, units), recurrent kernel (gates, units, units) and bias
            (rows, gates, 1, units): Keras's, with an axis for the gates.
        activation: the `Activation` of states and candidates.
        recurrent_activation: the `Activation` of the gates; SimpleRNN does not use it.

    Returns:
        The new states, and what `step_gradient` needs.
    """
    kernel, recurrent_kernel, (bias,) = weights
    new_states = activation(x @ kernel + h @ recurrent_kernel + bias)
    return new_states, new_states


def step_gradient(d_states, x, h, states, kept, weights, activation, recurrent_activation):
    """The same timestep backward. Every cell's `step_gradient` has this signature.

    `d_name` is the gradient of the loss with respect to `name`.

    Args:
        d_states: (states, batch, units) with respect to the states that `step` returned.
        x, h, states, weights, activation, recurrent_activation: the arguments of `step`.
        kept: what `step` returned for it.

    Returns:
        d_x (gates, batch, features) and d_h (gates, batch, units), a slice for each gate; the gradient of the
        previous states by other paths than through `h` (here zeros); and (d_kernel, d_recurrent_kernel,
        d_bias), shaped as `weights`.
    """
    kernel, recurrent_kernel, _ = weights
    new_states = kept
    d_sum = d_states * activation.derivative(new_states)
    d_bias = d_sum.sum(axis=1, keepdims=True)[np.newaxis]
    d_weights = x.mT @ d_sum, h.mT @ d_sum, d_bias
    return d_sum @ kernel.mT, d_sum @ recurrent_kernel.mT, np.zeros_like(states), d_weights

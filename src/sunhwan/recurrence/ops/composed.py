"""The recurrence composed of JAX's own operations, differentiable any number of times and in either mode.

What `sunhwan.recurrence.ops.jax` puts into a program that cannot call the kernels: one that is exported, that
runs on another platform than the CPU, or that asks for a derivative which the kernels have not got. It does
what Keras's own loop on JAX does, a timestep at a time.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sunhwan.recurrence.ops.options import Options

ACTIVATIONS = {
    "linear": lambda x: x,
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "hard_sigmoid": jax.nn.hard_sigmoid,
}


def recurrence(
    options: Options,
    inputs: jax.Array,
    kernel: jax.Array,
    recurrent_kernel: jax.Array,
    bias: jax.Array | None = None,
    initial_state: jax.Array | None = None,
    mask: jax.Array | None = None,
    dropout_mask: jax.Array | None = None,
    recurrent_dropout_mask: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array]:
    """As `sunhwan.recurrence.ops.jax.recurrence`, for arrays of one floating type and a mask of booleans."""
    step = STEPS[options.cell]
    activations = ACTIVATIONS[options.activation], ACTIVATIONS[options.recurrent_activation]
    # A GRU with reset_after has a row of bias for each of its two products, the others have one.
    x_bias, h_bias = (bias, None) if bias is None or bias.ndim == 1 else bias

    def timestep(states, now):
        x, present, shown = now
        x_sums = _product(options, x, dropout_mask, kernel, x_bias)
        new = step(options, states, x_sums, recurrent_dropout_mask, recurrent_kernel, h_bias, *activations)
        if present is not None:
            new = tuple(jnp.where(present, value, old) for value, old in zip(new, states, strict=True))
        return new, new[0] if shown is None else jnp.where(shown, new[0], 0)

    if initial_state is None:
        states_shape = len(options.row.states), inputs.shape[0], recurrent_kernel.shape[0]
        initial_state = jnp.zeros(states_shape, inputs.dtype)
    present = shown = None
    if mask is not None:
        present = mask.T[:, :, jnp.newaxis]
        if options.zero_output_for_mask:
            shown = present
        elif options.zero_before_data:
            shown = jax.lax.cummax(present.astype(jnp.int8), reverse=options.go_backwards) > 0
    states, outputs = jax.lax.scan(
        timestep,
        tuple(initial_state),
        (inputs.swapaxes(0, 1), present, shown),
        reverse=options.go_backwards,
    )
    if options.go_backwards:
        outputs = jnp.flip(outputs, axis=0)  # into the order of reading
    return outputs.swapaxes(0, 1) if options.return_sequences else outputs[-1], jnp.stack(states)


def _product(options, value, mask, weights, bias, gates=None):
    """`value` (batch, n), as each gate sees it, times its weights: a (batch, units) for each of `gates`."""
    gates = len(options.row.gates) if gates is None else gates
    if mask is not None and len(mask) > 1:
        blocks = jnp.split(weights, len(mask), axis=1)[:gates]
        sums = [(value * seen) @ block for seen, block in zip(mask, blocks, strict=False)]
    else:
        units = weights.shape[1] // len(options.row.gates)
        value = value if mask is None else value * mask[0]
        sums = jnp.split(value @ weights[:, : gates * units], gates, axis=1)
    if bias is None:
        return sums
    return [each + row for each, row in zip(sums, jnp.split(bias, len(options.row.gates)), strict=False)]


# One timestep of each cell; `sunhwan.reference` has the formulas.


def _simple_rnn(options, states, x, h_mask, recurrent_kernel, h_bias, activation, recurrent_activation):
    (h,) = _product(options, states[0], h_mask, recurrent_kernel, h_bias)
    return (activation(x[0] + h),)


def _gru(options, states, x, h_mask, recurrent_kernel, h_bias, activation, recurrent_activation):
    (previous,) = states
    if options.reset_after:
        h_z, h_r, h_candidate = _product(options, previous, h_mask, recurrent_kernel, h_bias)
        z, r = recurrent_activation(x[0] + h_z), recurrent_activation(x[1] + h_r)
        candidate = activation(x[2] + r * h_candidate)
    else:
        h_z, h_r = _product(options, previous, h_mask, recurrent_kernel, h_bias, gates=2)
        z, r = recurrent_activation(x[0] + h_z), recurrent_activation(x[1] + h_r)
        seen = previous if h_mask is None else previous * h_mask[-1]
        candidate = activation(x[2] + (r * seen) @ jnp.split(recurrent_kernel, 3, axis=1)[2])
    return (z * previous + (1 - z) * candidate,)


def _lstm(options, states, x, h_mask, recurrent_kernel, h_bias, activation, recurrent_activation):
    h = _product(options, states[0], h_mask, recurrent_kernel, h_bias)
    i, f, g, o = (x_sum + h_sum for x_sum, h_sum in zip(x, h, strict=True))
    c = recurrent_activation(f) * states[1] + recurrent_activation(i) * activation(g)
    return recurrent_activation(o) * activation(c), c


STEPS = {"simple_rnn": _simple_rnn, "gru": _gru, "lstm": _lstm}
